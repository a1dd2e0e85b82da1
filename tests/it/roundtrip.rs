//! What goes in comes out: through both modes, by each filter, byte for byte, and as often as it was sent.

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::{JSON, NDJSON},
    records::{named, ndjson, sample, with},
    run::{eventually, seconds},
};

/// The filters of the sample record, each of which finds it, and each beside one that does not.
const FILTERS: &[(&str, &str, &str)] = &[
    ("level", "error", "warn"),
    ("message", "FAILED to conn", "failed to disconn"),
    ("regex", "^Failed .* DB$", "^failed"),
    ("resourceId", "server-1234", "server-123"),
    ("resourceId", "server-12*", "erver-12*"),
    ("traceId", "abc-xyz-123", "abc-xyz"),
    ("spanId", "span-456", "SPAN-456"),
    ("commit", "5e5342f", "5e5342"),
    ("metadata.parentResourceId", "server-0987", "server-0988"),
    ("from", "2023-09-15T08:00:00Z", "2023-09-15T08:00:01Z"),
    ("to", "2023-09-15T10:00:00.000001+02:00", "2023-09-15T08:00:00Z"),
];

async fn sample_is_found(mode: &str) {
    let app = TestApp::plan().mode(mode).ready().await;
    let id = app.post_json(&sample()).await.accepted(1).remove(0);
    app.wait_rows(1).await;
    for (parameter, finds, misses) in FILTERS {
        let found = app.search(&[(parameter, finds)]).await;
        assert_eq!(found["logs"].as_array().map(Vec::len), Some(1), "{parameter}={finds}: {found}");
        let missed = app.search(&[(parameter, misses)]).await;
        assert_eq!(missed["logs"], json!([]), "{parameter}={misses}");
        let page = format!(
            "/?{}={}",
            parameter,
            form_urlencoded::byte_serialize(finds.as_bytes()).collect::<String>()
        );
        let page = app.get(&page).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("Failed to connect to DB"), "{parameter}={finds} on the page");
    }
    let all: Vec<_> = FILTERS.iter().filter(|filter| !filter.1.ends_with('*')).map(|f| (f.0, f.1)).collect();
    let found = app.search(&all).await;
    let mut expected = sample();
    expected["id"] = json!(id);
    assert_eq!(found["logs"], json!([expected]), "all filters at once, in the shape it came in");
    assert_eq!(found["stats"]["complete"], true);
    let one = app.get(&format!("/api/logs/{id}")).await;
    assert_eq!((one.status, one.json), (200, expected));
    assert_eq!(app.get(&format!("/logs/{id}")).await.status, 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_is_found_by_each_filter() {
    sample_is_found("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_is_found_by_each_filter_through_kafka() {
    sample_is_found("kafka").await;
}

/// Lines as syslog, nginx, JVMs and terminals write them, separated by `----`.
fn lines() -> Vec<&'static str> {
    let lines: Vec<_> = include_str!("../fixtures/lines.txt").split("\n----\n").collect();
    assert!(lines.len() >= 30, "the fixture has its lines");
    lines
}

async fn lines_survive(mode: &str) {
    let app = TestApp::plan().mode(mode).ready().await;
    let lines = lines();
    let record = |(n, line): (usize, &&str)| {
        let mut record = named(line);
        record["resourceId"] = json!(format!("line-{n}"));
        record["metadata"] = json!({"line": line, format!("key {line}"): [line]});
        record
    };
    let records: Vec<Value> = lines.iter().enumerate().map(record).collect();
    app.post(NDJSON, ndjson(records.clone()), &[]).await.accepted(lines.len());
    let quoted = |line: &str| format!("\"{}\"", line.replace('"', "\"\""));
    let row = |(n, line): (usize, &&str)| format!("info,{},csv-{n},2026-01-02T03:04:05Z\n", quoted(line));
    let rows: String = lines.iter().enumerate().map(row).collect();
    let csv = format!("level,message,resourceId,timestamp\n{rows}");
    app.post("text/csv", csv, &[]).await.accepted(lines.len());
    app.wait_rows(2 * lines.len() as i64).await;
    for (n, record) in records.iter().enumerate() {
        let stored = app
            .database()
            .texts(
                "select message from logs where resource_id in ($1, $2)",
                &[&format!("line-{n}"), &format!("csv-{n}")],
            )
            .await;
        assert_eq!(stored, [lines[n], lines[n]], "line {n} in the table");
        let found = app.search(&[("resourceId", &format!("line-{n}"))]).await;
        for field in ["message", "metadata", "resourceId", "timestamp", "level"] {
            assert_eq!(found["logs"][0][field], record[field], "line {n}, {field}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_survive_byte_for_byte() {
    lines_survive("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_survive_byte_for_byte_through_kafka() {
    lines_survive("kafka").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_keep_their_digits() {
    let app = TestApp::plan().ready().await;
    let long = "9".repeat(400);
    let numbers = ["0", "18446744073709551617", "0.1234567890123456789012345678901234567890", "1.50", &long];
    for number in numbers {
        let record = sample().to_string().replace(r#""server-0987""#, number);
        app.post(JSON, record, &[]).await.accepted(1);
        let stored = app
            .database()
            .texts("select metadata ->> 'parentResourceId' from logs order by id desc", &[])
            .await;
        assert!(stored.iter().any(|text| text == number), "{number} in the table: {stored:?}");
        // jsonb is printed with a blank after the colon.
        let reply = app.get("/api/logs?limit=1000").await.text().replace(": ", ":");
        assert!(reply.contains(&format!(r#""parentResourceId":{number}"#)), "{number} in {reply}");
    }
    let found = app.search(&[("metadata.parentResourceId", "18446744073709551617")]).await;
    assert_eq!(found["logs"].as_array().map(Vec::len), Some(1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_print_of_a_record() {
    let app = TestApp::plan().ready().await;
    let cases = [
        ("an alias of a level", with("level", json!("WARNING")), "level", json!("warn")),
        (
            "an offset",
            with("timestamp", json!("2023-09-15T13:30:00+05:30")),
            "timestamp",
            json!("2023-09-15T08:00:00Z"),
        ),
        (
            "microseconds",
            with("timestamp", json!("2023-09-15T08:00:00.123456Z")),
            "timestamp",
            json!("2023-09-15T08:00:00.123456Z"),
        ),
        ("a NUL", with("message", json!("a\u{0}b")), "message", json!("a\u{fffd}b")),
        (
            "an unknown field",
            with("colour", json!({"r": 1})),
            "metadata",
            json!({"parentResourceId": "server-0987", "colour": {"r": 1}}),
        ),
        (
            "an unknown field that metadata has",
            with("parentResourceId", json!(7)),
            "metadata",
            json!({"parentResourceId": "server-0987"}),
        ),
        ("the client's id", with("id", json!("mine")), "clientId", json!("mine")),
        ("absent metadata", with("metadata", Value::Null), "metadata", Value::Null),
        ("an absent trace", with("traceId", Value::Null), "traceId", Value::Null),
        ("a message of blanks", with("message", json!(" \t")), "message", json!(" \t")),
    ];
    for (what, record, field, expected) in cases {
        let id = app.post_json(&record).await.accepted(1).remove(0);
        let found = app.get(&format!("/api/logs/{id}")).await;
        assert_eq!(found.status, 200, "{what}: {}", found.text());
        assert_eq!(found.json.get(field).cloned().unwrap_or_default(), expected, "{what}: {}", found.text());
        assert_eq!(found.json["id"], id, "{what}");
    }
    assert_eq!(app.metric("log_ingestor_replaced_nuls_total").await, 1);
    let doubled = sample().to_string().replacen('{', r#"{"message":"first","#, 1);
    let id = app.post(JSON, doubled, &[]).await.accepted(1).remove(0);
    assert_eq!(app.get(&format!("/api/logs/{id}")).await.json["message"], "Failed to connect to DB");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_columns_nest() {
    let app = TestApp::plan().ready().await;
    let body = "level,message,resourceId,timestamp,metadata.a.b,metadata.c,metadata\n\
                info,hello,r,2023-09-15T08:00:00Z,1,,\"{\"\"d\"\":2}\"\n";
    let id = app.post("text/csv", body, &[]).await.accepted(1).remove(0);
    let metadata = app.get(&format!("/api/logs/{id}")).await.json["metadata"].clone();
    assert_eq!(metadata["a"]["b"], "1", "a cell is text: {metadata}");
    assert_eq!(metadata["d"], 2);
    assert_eq!(metadata.get("c"), None, "an empty cell is absent");
    app.finish().await;
}

async fn same_client_id_is_stored_once(mode: &str) {
    let app = TestApp::plan().mode(mode).ready().await;
    let record = with("id", json!("mine"));
    let mut later = record.clone();
    later["timestamp"] = json!("2023-09-15T08:00:01Z");
    // In one request, in the next, in many at once, and at another time.
    let ids = app.post(NDJSON, ndjson([record.clone(), record.clone()]), &[]).await.accepted(2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(app.post_json(&record).await.accepted(1), ids[..1]);
    let parallel = futures_util::future::join_all((0..20).map(|_| app.post_json(&record))).await;
    assert!(parallel.iter().all(|answer| answer.accepted(1) == ids[..1]));
    assert_ne!(app.post_json(&later).await.accepted(1), ids[..1]);
    app.wait_rows(2).await;
    let all_seen = eventually("every record is stored or repeated", seconds(30), async || {
        let repeated = app.metric("log_ingestor_repeated_records_total").await;
        (repeated == 22).then_some(repeated)
    });
    all_seen.await;
    assert_eq!(app.database().rows().await, 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_client_id_and_time_is_stored_once() {
    same_client_id_is_stored_once("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_client_id_and_time_is_stored_once_through_kafka() {
    same_client_id_is_stored_once("kafka").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_records_without_an_id_are_all_stored() {
    let app = TestApp::plan().ready().await;
    let ids = app.post(NDJSON, ndjson(vec![sample(); 3]), &[]).await.accepted(3);
    let again = app.post(NDJSON, ndjson(vec![sample(); 3]), &[]).await.accepted(3);
    let mut all = [ids, again].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6);
    assert_eq!(app.database().rows().await, 6);
    app.finish().await;
}
