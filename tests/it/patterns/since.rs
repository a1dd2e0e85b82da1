//! What is new since a commit: decided by records, however the patterns look.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{get, list, text};
use crate::harness::{TestApp, app::NDJSON, records::ndjson};

fn record(minute: usize, message: &str, commit: Option<&str>) -> Value {
    let mut record = json!({"level": "info", "message": message, "resourceId": "api", "timestamp": format!("2026-01-02T{:02}:{:02}:00Z", minute / 60, minute % 60)});
    if let Some(commit) = commit {
        record["commit"] = json!(commit);
    }
    record
}

/// Commit `a` up to minute 99, `b` from minute 100 on.
async fn deployed() -> TestApp {
    let app = TestApp::plan().ready().await;
    let mut records = Vec::new();
    for minute in 0..200 {
        let commit = if minute < 100 { "a1" } else { "b2" };
        records.push(record(minute, &format!("user {minute} logged in"), Some(commit)));
    }
    let both = [
        // Only before, only after, and after with one record that is far older than any window.
        record(50, "gone for good 1", Some("a1")),
        record(150, "brand new failure 7", Some("b2")),
        record(151, "brand new failure 8", Some("b2")),
        record(160, "without a commit 3", None),
        record(170, "seen long ago 9", Some("b2")),
        // The pattern of `x 5a` matches `x 12345a`, which is of another kind.
        record(40, "x 12345a", Some("a1")),
        record(180, "x 5a", Some("b2")),
        record(190, "named like an age", Some("15m")),
    ];
    records.extend(both);
    let mut old = record(0, "seen long ago 1", Some("a0"));
    old["timestamp"] = json!("2024-07-01T00:00:00Z");
    records.push(old);
    app.post(NDJSON, ndjson(records.iter().cloned()), &[]).await.accepted(records.len());
    app.wait_rows(records.len() as i64).await;
    app
}

fn ages(reply: &Value) -> BTreeMap<&str, &str> {
    list(&reply["patterns"])
        .iter()
        .map(|pattern| (text(&pattern["template"]), text(&pattern["age"])))
        .collect()
}

const NEW: [&str; 4] = ["brand new failure <n>", "named like an age", "without a commit <n>", "x <n>a"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_is_what_has_no_record_before() {
    let app = deployed().await;
    // However little of it is looked at, and whatever names the moment.
    for since in ["b2", "b*", "2026-01-02T01:40:00Z"] {
        for window in [
            &[][..],
            &[("from", "2026-01-02T02:00:00Z")],
            &[("from", "2026-01-02T01:40:00Z"), ("to", "2026-01-02T04:00:00Z")],
        ] {
            let reply = get(&app, &[window, &[("since", since)]].concat()).await;
            assert_eq!(reply["since"]["at"], "2026-01-02T01:40:00Z", "{reply}");
            let ages = ages(&reply);
            let new: Vec<&str> =
                ages.iter().filter(|(_, age)| **age == "new").map(|(text, _)| *text).collect();
            assert_eq!(new, NEW, "{since} {window:?}");
            assert!(!ages.values().any(|age| *age == "unknown"), "{ages:?}");
            assert_eq!((&reply["since"]["new"], &reply["since"]["unknown"]), (&json!(4), &json!(0)));
            // They stand in front.
            let front: Vec<&str> =
                list(&reply["patterns"]).iter().map(|pattern| text(&pattern["age"])).collect();
            assert!(front.is_sorted_by(|one, other| (*one == "new") >= (*other == "new")), "{front:?}");
            let only = get(&app, &[window, &[("since", since), ("new", "1")]].concat()).await;
            assert_eq!(self::ages(&only).into_keys().collect::<Vec<_>>(), NEW);
        }
    }
    // Among the records of the search: of these there is nothing older.
    let reply = get(&app, &[("since", "b2"), ("q", "commit:b2")]).await;
    assert!(ages(&reply).values().all(|age| *age == "new"), "{reply}");
    // A window before the moment has nothing new.
    let reply = get(&app, &[("since", "b2"), ("to", "2026-01-02T01:00:00Z")]).await;
    assert!(list(&reply["patterns"]).len() > 2 && ages(&reply).values().all(|age| *age == "old"), "{reply}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_may_look_like_an_age_or_be_unknown() {
    let app = deployed().await;
    let reply = get(&app, &[("since", "15m")]).await;
    assert_eq!(reply["since"]["at"], "2026-01-02T03:10:00Z", "there is such a commit: {reply}");
    let reply = get(&app, &[("since", "16m")]).await;
    assert_eq!((&reply["since"]["is"], &reply["since"]["new"]), (&json!("known"), &json!(0)));
    let reply = get(&app, &[("since", "none")]).await;
    assert_eq!((&reply["since"]["is"], &reply["since"]["at"]), (&json!("neverSeen"), &Value::Null));
    assert!(list(&reply["patterns"]).iter().all(|pattern| pattern.get("age").is_none()), "{reply}");
    assert_eq!(reply["total"]["is"], "exact");
    app.finish().await;
}
