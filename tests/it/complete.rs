//! Completion over HTTP: what is offered reads as what it is, finds records, and says how sure its counts are.

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    records::{ndjson, with},
};

/// Keys of metadata with a value each, as they may stand in a record.
const PAIRS: [(&str, &str); 9] = [
    ("user id", "Ann Miller"),
    ("a.b", "dotted"),
    ("say \"hi\"", "\"quoted\" (x)"),
    ("back\\slash", "\\"),
    ("ключ", "значение"),
    ("a:b", "c:d"),
    ("(x)", "ends*"),
    ("level", "of metadata"),
    ("1st", "or"),
];

async fn filled() -> TestApp {
    let app = TestApp::plan().ready().await;
    let mut records: Vec<Value> =
        PAIRS.iter().map(|(key, value)| with("metadata", json!({*key: value}))).collect();
    for n in 0..30 {
        let mut record = with(
            "metadata",
            json!({"user": {"name": format!("user-{n:02}")}, "took": n, "list": ["x", "y"]}),
        );
        record["resourceId"] = json!(format!("api-{}", n % 3));
        record["timestamp"] = json!("2026-01-02T00:00:00Z");
        records.push(record);
    }
    app.post(NDJSON, ndjson(records.iter().cloned()), &[]).await.accepted(records.len());
    app.wait_rows(records.len() as i64).await;
    app
}

async fn complete(app: &TestApp, line: &str, more: &[(&str, &str)]) -> Value {
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("q", line).extend_pairs(more).finish();
    let answer = app.get(&format!("/api/complete?{query}")).await;
    assert_eq!(answer.status, 200, "{line}: {}", answer.text());
    answer.json
}

fn texts(reply: &Value) -> Vec<&str> {
    reply["items"].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap()).collect()
}

/// The line with the columns of the reply replaced.
fn taken(line: &str, reply: &Value, text: &str) -> String {
    let letters: Vec<char> = line.chars().collect();
    let column = |name: &str| reply[name].as_u64().unwrap() as usize - 1;
    let part = |range: &[char]| range.iter().collect::<String>();
    part(&letters[..column("from")]) + text + &part(&letters[column("to")..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_and_value_that_is_offered_finds_its_record() {
    let app = filled().await;
    for (key, value) in PAIRS {
        // By the first letters of the key, with `metadata.` in front or without.
        let first = key.split(|letter| "\"\\ ():".contains(letter)).find(|piece| !piece.is_empty()).unwrap();
        let mut found = None;
        for line in [format!("🚨 -{first}"), format!("🚨 -metadata.{first}")] {
            let reply = complete(&app, &line, &[]).await;
            for text in texts(&reply) {
                let line = taken(&line, &reply, text);
                let values = complete(&app, &line, &[]).await;
                if let Some(written) =
                    values["items"].as_array().unwrap().iter().find(|item| item["about"] == "1 record")
                {
                    let line = taken(&line, &values, written["text"].as_str().unwrap());
                    let condition = line.strip_prefix("🚨 -").unwrap();
                    let logs = app.search(&[("q", condition)]).await;
                    if logs["logs"].as_array().unwrap().iter().any(|log| log["metadata"][key] == json!(value))
                    {
                        found = Some(line);
                    }
                }
            }
        }
        assert!(found.is_some(), "{key} is not offered");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_begin_so_or_hold_it_and_their_counts_are_true() {
    let app = filled().await;
    let reply = complete(&app, "resourceId:API-", &[]).await;
    assert_eq!(texts(&reply), ["api-0", "api-1", "api-2"]);
    assert_eq!(reply["items"][0]["about"], "10 records");
    assert_eq!((&reply["from"], &reply["to"]), (&json!(12), &json!(16)));
    assert_eq!(texts(&complete(&app, "user.name:user-2", &[]).await).len(), 10);
    assert_eq!(texts(&complete(&app, "user.name:-07", &[]).await), ["user-07"]);
    assert_eq!(texts(&complete(&app, "user.name:", &[]).await).len(), 20);
    assert_eq!(texts(&complete(&app, "took>=2", &[]).await)[0], "2");
    // Elsewhere in time, there is only the sample.
    let reply = complete(&app, "resourceId:", &[("to", "2025-01-01T00:00:00Z")]).await;
    assert_eq!(texts(&reply), ["server-1234"]);
    // In the middle of a line, at the column.
    let reply = complete(&app, "a levle:error b", &[("at", "6")]).await;
    assert_eq!(
        (texts(&reply), &reply["from"], &reply["to"]),
        (vec!["level:", "metadata.level:"], &json!(3), &json!(9))
    );
    assert_eq!(texts(&complete(&app, "level>=wa", &[]).await), ["warn"]);
    for line in ["message:x", "/a", "nothing:like", "commit>"] {
        assert_eq!(texts(&complete(&app, line, &[]).await), [""; 0], "{line}");
    }
    let answer = app.get("/api/complete?q=a&at=9").await;
    assert_eq!((answer.status, &answer.json["field"]), (400, &json!("at")));
    app.finish().await;
}
