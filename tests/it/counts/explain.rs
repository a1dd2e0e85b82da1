//! What explain shows of counts and searches: every statement with its plan, no value, and no way through time.

use serde_json::json;

use super::{filled, get, list, number};
use crate::harness::{TestApp, app::NDJSON, records::ndjson};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_shows_statements_and_plans_without_values() {
    let app = filled().await;
    let found = json!({"level": "info", "message": "it's a\nsecret", "resourceId": "секрет", "timestamp": "2026-01-02T10:00:00Z",
        "metadata": {"user": {"id": 424242.5}, "secret": "secret"}});
    app.post(NDJSON, ndjson([found]), &[]).await.accepted(1);
    let secret = [
        ("message", "it's a\nsecret"),
        ("metadata.user.id", "424242.5"),
        ("resourceId", "секрет"),
        ("explain", "1"),
    ];
    for (path, more) in [
        ("/api/logs", &[][..]),
        ("/api/logs", &[("q", "user.id>=424242.5")]),
        ("/api/histogram", &[]),
        ("/api/facets", &[("field", "metadata.secret")]),
    ] {
        let reply = get(&app, path, &[&secret, more]).await;
        let explained = list(&reply["explain"]);
        assert!(!explained.is_empty(), "{path}");
        let text = reply["explain"].to_string();
        for value in ["secret", "секрет", "424242"] {
            assert!(!text.contains(value), "{path} shows {value}: {text}");
        }
        for statement in explained {
            assert!(statement["sql"].as_str().unwrap().contains("$1"));
            assert!(statement["plan"].to_string().contains("actual time"), "{statement}");
            assert!(
                number(&statement["times"]) > 0
                    && statement["ms"].is_number()
                    && statement["rows"].is_number()
            );
        }
        assert!(text.contains("Filter: ") && text.contains("'…'"), "{text}");
    }
    for path in ["/api/logs", "/api/histogram", "/api/facets"] {
        assert!(app.get(path).await.json["explain"].is_null());
        let head = app.client.head(format!("{}{path}?explain=1", app.url)).send().await.unwrap();
        let length: u64 = head.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let whole = app.get(&format!("{path}?explain=1")).await.body.len() as u64;
        assert_eq!(head.status(), 200);
        assert!(length + 100 < whole, "{path}: HEAD explains nothing ({length}, {whole})");
    }
    app.finish().await;
}

/// Rows are read through the index on `block`: one on time would mean the whole leaf, for each portion again. The leaf was never analyzed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_takes_the_way_through_time() {
    let app = TestApp::plan().ready().await;
    let record = |n: usize| json!({"level": "info", "message": format!("row {n} of many"), "resourceId": "r", "timestamp": "2026-01-02T03:04:05Z"});
    app.post(NDJSON, ndjson((0..20_000).map(record)), &[]).await.accepted(20_000);
    app.wait_rows(20_000).await;
    for path in
        ["/api/logs?q=/z[0-9]/", "/api/logs?q=/9{4}/", "/api/histogram?q=/9{4}/", "/api/facets?q=/9{4}/"]
    {
        let reply =
            app.get(&format!("{path}&explain=1&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z")).await;
        let plans: Vec<String> =
            list(&reply.json["explain"]).iter().map(|ran| ran["plan"].to_string()).collect();
        let of_rows: Vec<&String> = plans.iter().filter(|plan| plan.contains("on records_")).collect();
        assert!(!of_rows.is_empty(), "{path}: {plans:?}");
        for plan in of_rows {
            assert!(
                plan.contains("_block") && !plan.contains("_timestamp") && !plan.contains("Gather"),
                "{path}: {plan}"
            );
        }
    }
    app.finish().await;
}
