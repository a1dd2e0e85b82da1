//! The lines before and after a record, over HTTP.

use serde_json::{Value, json};

use super::{ids, lines, stored};
use crate::harness::{TestApp, records::with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn context_among_equal_timestamps() {
    let app = TestApp::plan().ready().await;
    let all = stored(&app, (0..100).map(|n| with("message", json!(format!("line {n}")))).collect()).await;
    let mut all: Vec<String> = all;
    all.sort();
    let context = async |parameters: &str| {
        let answer = app.get(&format!("/api/logs/{}/context?{parameters}", all[50])).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json
    };
    let found = context("before=10&after=7").await;
    assert_eq!(ids(&found["before"]), all[40..50]);
    assert_eq!(found["record"]["id"], json!(all[50]));
    assert_eq!(ids(&found["after"]), all[51..58]);
    assert_eq!((&found["moreBefore"], &found["moreAfter"]), (&json!(true), &json!(true)));
    let found = context("before=500&after=49").await;
    assert_eq!((ids(&found["before"]), ids(&found["after"])), (all[..50].to_vec(), all[51..].to_vec()));
    assert_eq!((&found["moreBefore"], &found["moreAfter"]), (&json!(false), &json!(false)));
    let found = context("before=0&after=0").await;
    assert_eq!((ids(&found["before"]).len(), ids(&found["after"]).len()), (0, 0));
    assert_eq!((&found["moreBefore"], &found["moreAfter"]), (&json!(true), &json!(true)));
    let page = app.get(&format!("/logs/{}/context?before=10&after=7", all[50])).await.text();
    assert_eq!(lines(&page), all[40..58], "the page shows the same");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn context_of_resource_trace_and_everything_with_filters() {
    let app = TestApp::plan().ready().await;
    let records: Vec<Value> = (0..60)
        .map(|n| {
            json!({
                "level": if n % 4 == 0 { "warn" } else { "info" },
                "message": format!("{} {n}", if n % 3 == 0 { "timeout" } else { "fine" }),
                "resourceId": format!("r*{}", n % 2),
                "traceId": format!("t/{}", n % 5),
                "timestamp": format!("2026-01-02T03:04:{n:02}Z"),
            })
        })
        .collect();
    let all = stored(&app, records.clone()).await;
    // Everything that holds for a neighbour of the thirtieth, found by looking at every record.
    let around = |holds: &dyn Fn(&Value) -> bool| {
        let of = |range: std::ops::Range<usize>| -> Vec<String> {
            range.filter(|n| holds(&records[*n])).map(|n| all[n].clone()).collect()
        };
        (of(0..30), of(31..60))
    };
    let same = |field: &'static str| move |record: &Value| record[field] == records_thirty(field);
    let (resource, trace) = (same("resourceId"), same("traceId"));
    let timeout = |record: &Value| record["message"].as_str().unwrap().contains("timeout");
    type Holds<'a> = &'a dyn Fn(&Value) -> bool;
    let cases: [(&str, Holds<'_>); 6] = [
        ("by=all", &|_| true),
        ("", &resource),
        ("by=trace", &trace),
        ("by=all&q=timeout", &timeout),
        ("by=resource&q=timeout&level=warn", &|record| {
            resource(record) && timeout(record) && record["level"] == "warn"
        }),
        ("by=trace&q=fine+or+level:warn", &|record| {
            trace(record) && (!timeout(record) || record["level"] == "warn")
        }),
    ];
    for (parameters, holds) in cases {
        let answer =
            app.get(&format!("/api/logs/{}/context?before=500&after=500&{parameters}", all[30])).await;
        let found = (ids(&answer.json["before"]), ids(&answer.json["after"]));
        assert_eq!(found, around(holds), "{parameters}");
        assert_eq!(
            answer.json["record"]["id"],
            json!(all[30]),
            "the record itself is there whatever the filter"
        );
    }
    let lonely = stored(&app, vec![json!({"level": "info", "message": "alone", "resourceId": "r", "timestamp": "2026-01-02T03:04:05Z"})]).await;
    for (path, status, field) in [
        (format!("{}/context?by=banana", all[0]), 400, Some("by")),
        (format!("{}/context?by=trace", lonely[0]), 400, Some("by")),
        (format!("{}/context?before=501", all[0]), 400, Some("before")),
        (format!("{}/context?after=-1", all[0]), 400, Some("after")),
        (format!("{}/context?limit=5", all[0]), 400, Some("limit")),
        (format!("{}/context?q=level:banana", all[0]), 400, Some("q")),
        (format!("{}/context?q=/a(/", all[0]), 400, Some("q")),
        (format!("{}/context?nonsense=5", all[0]), 400, Some("nonsense")),
        ("nonsense/context".to_owned(), 400, Some("id")),
        ("019b7d9a-0000-7000-8000-000000000000/context".to_owned(), 404, None),
    ] {
        let answer = app.get(&format!("/api/logs/{path}")).await;
        assert_eq!(
            (answer.status, answer.json["field"].as_str()),
            (status, field),
            "{path}: {}",
            answer.text()
        );
        assert_eq!(app.get(&format!("/logs/{path}")).await.status, status, "the page says the same: {path}");
    }
    app.finish().await;
}

/// What the record in the middle has in a field.
fn records_thirty(field: &str) -> Value {
    match field {
        "resourceId" => json!("r*0"),
        _ => json!("t/0"),
    }
}
