//! Answers of one moment: whatever is stored after the first page, the pages behind it are of the same records.

use serde_json::{Value, json};

use crate::harness::{TestApp, app::NDJSON, records::ndjson};

/// Records of one second each, from `second` on, all of them hits of `message=hit`.
fn hits(prefix: &str, second: u32, count: u32) -> String {
    ndjson((second..second + count).map(|at| {
        let minute = at / 60;
        json!({
            "level": if at % 2 == 0 { "info" } else { "error" },
            "message": format!("hit {prefix} {at}"),
            "resourceId": "api",
            "timestamp": format!("2026-01-02T03:{minute:02}:{:02}Z", at % 60),
        })
    }))
}

fn messages(page: &Value) -> Vec<String> {
    let logs = page["logs"].as_array().expect("the reply has it");
    logs.iter().map(|log| log["message"].as_str().expect("the reply has it").to_owned()).collect()
}

/// The messages of all pages from this one on, in the direction of `key`.
async fn follow(app: &TestApp, filter: &[(&str, &str)], mut page: Value, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(cursor) = page[key].as_str() {
        let next = app.search(&[filter, &[("cursor", cursor)]].concat()).await;
        assert_eq!(next["asOf"], page["asOf"], "every page is of the same moment");
        found.push(messages(&next));
        page = next;
        assert!(found.len() < 1_000, "paging comes to an end");
    }
    if key == "prevCursor" {
        found.reverse();
    }
    found.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_of_the_records_of_the_first_page() {
    let app = TestApp::plan().ready().await;
    // Older and newer than every page, and in the midst of them.
    app.post(NDJSON, hits("first", 600, 300), &[]).await.accepted(300);
    let filter = [("message", "hit"), ("limit", "20")];
    let all: Vec<String> = (600..900).rev().map(|at| format!("hit first {at}")).collect();

    let first = app.search(&filter).await;
    let more = async || {
        for (prefix, second, count) in [("old", 0, 100), ("same", 600, 300), ("new", 1_000, 100)] {
            app.post(NDJSON, hits(prefix, second, count), &[]).await.accepted(count as usize);
        }
    };
    more().await;
    let rest = follow(&app, &filter, first.clone(), "nextCursor").await;
    assert_eq!([messages(&first), rest].concat(), all);

    // A moment is a parameter too: of any filter, and of the same search by POST.
    let as_of = first["asOf"].as_str().expect("an answer says of when it is");
    let again = app.search(&[("message", "hit"), ("limit", "1000"), ("asOf", as_of)]).await;
    assert_eq!((messages(&again), &again["asOf"]), (all.clone(), &first["asOf"]));
    let body = json!({"message": "hit", "limit": 1000, "asOf": as_of});
    let posted = app.post_at("/v1/query", "application/json", &body.to_string(), &[]).await;
    assert_eq!(messages(&posted.json), all);
    let errors = app.search(&[("level", "error"), ("limit", "1000"), ("asOf", as_of)]).await;
    assert_eq!(messages(&errors).len(), 150);

    // Back up again.
    let last = app.search(&[&filter[..], &[("asOf", as_of), ("to", "2026-01-02T03:10:40Z")]].concat()).await;
    let older = last["nextCursor"].as_str().expect("there is more");
    let older =
        app.search(&[&filter[..], &[("cursor", older), ("to", "2026-01-02T03:10:40Z")]].concat()).await;
    more().await;
    let back = follow(&app, &filter, older, "prevCursor").await;
    assert_eq!(back, all[..280]);

    let now = app.search(&[("message", "hit"), ("limit", "1000")]).await;
    assert_eq!(messages(&now).len(), 1000);
    app.finish_rows(1_300).await;
}

/// A transaction that was running at the first page is no part of the answer, though its number is lower than others that are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_being_stored_at_the_first_page_is_left_out() {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, hits("before", 0, 30), &[]).await.accepted(30);
    let held = app.database().connect().await;
    held.batch_execute("begin").await.unwrap();
    let copied =
        held.execute("insert into records select * from records where level = 5", &[]).await.unwrap();
    assert_eq!(copied, 15);
    app.post(NDJSON, hits("beside", 0, 30), &[]).await.accepted(30);

    let first = app.search(&[("limit", "10")]).await;
    let running: i64 = held.query_one("select pg_current_xact_id()::text::bigint", &[]).await.unwrap().get(0);
    let as_of = first["asOf"].as_str().expect("an answer says of when it is");
    let (xmin, rest) = as_of.split_once('-').unwrap();
    let (xmax, _) = rest.split_once('-').unwrap();
    assert!(xmin.parse::<i64>().unwrap() <= running && running < xmax.parse::<i64>().unwrap(), "{as_of}");
    held.batch_execute("commit").await.unwrap();

    let rest = follow(&app, &[("limit", "10")], first.clone(), "nextCursor").await;
    assert_eq!(messages(&first).len() + rest.len(), 60);
    assert_eq!(messages(&app.search(&[("limit", "1000")]).await).len(), 75);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_of_another_store_is_refused() {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, hits("a", 0, 30), &[]).await.accepted(30);
    let cursor = app.search(&[("limit", "10")]).await["nextCursor"].as_str().unwrap().to_owned();
    let (place, _) = cursor.split_once('.').unwrap();
    for parameters in [
        "asOf=1-2".to_owned(),
        "asOf=9000000000-9000000000-".to_owned(),
        format!("cursor={place}.9000000000-9000000000-"),
        format!("cursor={cursor}&asOf=3-3-"),
    ] {
        let answer = app.get(&format!("/api/logs?{parameters}")).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!("asOf")), "{parameters}");
    }
    // Of the same store, before there was anything in it.
    let nothing = app.search(&[("asOf", "3-3-")]).await;
    assert_eq!((messages(&nothing).len(), &nothing["stats"]["complete"]), (0, &json!(true)));
    app.finish().await;
}

const FILTERS: [&[(&str, &str)]; 5] = [
    &[],
    &[("level", "error")],
    &[("message", "hit")],
    &[("q", "level>=warn -first")],
    &[("resourceId", "api"), ("level", "info")],
];
const WINDOWS: [&[(&str, &str)]; 4] = [
    &[],
    &[("from", "2026-01-02T03:00:00Z"), ("to", "2026-01-02T03:30:00Z")],
    &[("from", "2026-01-02T03:10:10Z"), ("to", "2026-01-02T03:13:50.5Z")],
    &[("from", "2026-01-02T03:10:10Z"), ("to", "2026-01-02T03:10:40Z")],
];
const COUNTS: [&str; 3] = ["/api/histogram?bucket=1m", "/api/facets?values=100", "/api/summary?"];

/// Every count of every filter and window as of a moment; without what an answer costs.
async fn counts(app: &TestApp, as_of: &str) -> Vec<Value> {
    let mut counts = Vec::new();
    for address in COUNTS {
        for (filter, window) in FILTERS.iter().flat_map(|filter| WINDOWS.map(|window| (filter, window))) {
            let open = &[("from", "2026-01-02T03:00:00Z"), ("to", "2026-01-02T04:00:00Z")][..];
            let window = if window.is_empty() && !address.contains("histogram") { open } else { window };
            let pairs = [filter, window, &[("asOf", as_of), ("budget", "10s")]].concat();
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let answer = app.get(&format!("{address}&{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.text());
            let mut reply = answer.json;
            assert_eq!(
                (&reply["asOf"], &reply["stats"]["complete"]),
                (&json!(as_of), &json!(true)),
                "{query}"
            );
            reply["stats"] = Value::Null;
            // An open side ends where there may have been records; what is certain is how many there were.
            if let Some(buckets) = reply["buckets"].as_array_mut() {
                buckets.retain(|bucket| bucket["count"] != 0);
                (reply["from"], reply["to"]) = (Value::Null, Value::Null);
            }
            counts.push(reply);
        }
    }
    counts
}

/// What the sealer does now and then.
async fn add_up(app: &TestApp) {
    let compact = "with gone as (delete from minute_counts returning minute, level, n)
        insert into minute_counts (minute, level, n, is_new) select minute, level, sum(n), null from gone group by 1, 2";
    app.database().sql.execute(compact, &[]).await.unwrap();
}

async fn delete(app: &TestApp, condition: Value) {
    let mut body = condition;
    let dry = app.post_at("/v1/delete", "application/json", &body.to_string(), &[]).await;
    body["dryRun"] = json!(false);
    body["expect"] = dry.json["records"].clone();
    let done = app.post_at("/v1/delete", "application/json", &body.to_string(), &[]).await;
    assert_eq!((done.status, &done.json["records"]), (200, &dry.json["records"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_of_the_records_of_their_moment() {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, hits("first", 600, 300), &[]).await.accepted(300);
    let as_of = app.search(&[]).await["asOf"].as_str().expect("an answer says of when it is").to_owned();
    let then = counts(&app, &as_of).await;
    assert_eq!(then[0]["total"], json!({"count": 300, "is": "exact"}));
    let check = async |what: &str| {
        for (now, then) in counts(&app, &as_of).await.iter().zip(&then) {
            assert_eq!(now, then, "{what}");
        }
    };
    for (prefix, second, count) in [("old", 0, 100), ("same", 600, 300), ("new", 1_000, 100)] {
        app.post(NDJSON, hits(prefix, second, count), &[]).await.accepted(count as usize);
    }
    check("stored since").await;
    delete(&app, json!({"message": "hit same"})).await;
    check("stored and deleted since").await;
    add_up(&app).await;
    check("added up since").await;
    app.post(NDJSON, hits("last", 700, 10), &[]).await.accepted(10);
    check("stored after it was added up").await;

    // What is deleted is gone, whenever it is asked for.
    let later = app.search(&[]).await["asOf"].as_str().expect("an answer says of when it is").to_owned();
    delete(&app, json!({"message": "first", "level": "error"})).await;
    for (as_of, left) in [(&as_of, 150), (&later, 360)] {
        let histogram = app.get(&format!("/api/histogram?bucket=1m&budget=10s&asOf={as_of}")).await.json;
        assert_eq!(histogram["total"], json!({"count": left, "is": "exact"}));
    }
    app.finish().await;
}
