//! Histogram, facets and summary through the real process: every number equals brute force over the view `logs`, or says that it is
//! at least so much, and then it is not more than the truth.

mod explain;
mod facets;
mod histogram;

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    records::{Dice, ndjson},
};

/// Seconds from the first bucket on, level, by brute force.
type Moments = Vec<(i64, String)>;

/// Records of three leaves: a few dense minutes with fractions of seconds, the day after, and two years before; in varied words.
fn varied(count: u64, seed: u64) -> Vec<Value> {
    let mut dice = Dice(seed);
    let words = ["timeout", "Überlauf", "ПРИВЕТ мир", "100% done_", "a\\b", "line\nbreak 'x'"];
    let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
    (0..count)
        .map(|n| {
            let moment = match dice.roll(4) {
                0 => format!("2024-07-01T0{}:00:00Z", dice.roll(10)),
                1 => format!("2026-01-03T{:02}:0{}:00Z", dice.roll(24), dice.roll(10)),
                _ => format!("2026-01-02T10:0{}:{:02}.{:03}Z", dice.roll(8), dice.roll(60), dice.roll(1_000)),
            };
            let mut record = json!({
                "level": levels[dice.roll(6) as usize],
                "message": format!("{} {n}", words[dice.roll(6) as usize]),
                "resourceId": format!("сервер-{}", dice.roll(13)),
                "timestamp": moment,
                "metadata": {"user": {"id": dice.roll(3), "name": "x".repeat(dice.roll(2) as usize * 300)}, "a.b": format!("v{}", dice.roll(2)),
                    "tags": ["x", "x", format!("t{}", dice.roll(3)), null], "list": [{"k": dice.roll(2)}, {"k": 7}], "empty": {}},
            });
            if dice.roll(3) > 0 {
                record["traceId"] = json!(format!("{:032x}", dice.roll(40)));
                record["commit"] = json!(format!("c{}", dice.roll(5)));
            }
            if dice.roll(5) == 0 {
                record["metadata"] = Value::Null;
            }
            record
        })
        .collect()
}

/// Several batches, so that rows come late and blocks of all kinds exist.
async fn filled() -> TestApp {
    let app = TestApp::plan().ready().await;
    let mut rows = 0;
    for seed in 0..4 {
        let records = varied(400, seed);
        rows += records.len();
        app.post(NDJSON, ndjson(records.iter().cloned()), &[]).await.accepted(records.len());
    }
    app.wait_rows(rows as i64).await;
    app
}

/// Filters as parameters, and the same as SQL over `logs`.
const FILTERS: &[(&[(&str, &str)], &str)] = &[
    (&[], "true"),
    (&[("level", "error")], "level = 'error'"),
    (&[("level", "err"), ("level", "info")], "level in ('error', 'info')"),
    (&[("q", "level>=warn -level:fatal")], "level in ('warn', 'error')"),
    (&[("q", "level:info level:error")], "false"),
    (&[("message", "TIMEOUT")], "message like 'timeout%'"),
    (&[("message", "üBER")], "message like 'Überlauf%'"),
    (&[("message", "'X'")], "message like '%''x''%'"),
    (&[("regex", "7$")], "message ~ '7$'"),
    (&[("resourceId", "сервер-1")], "resource_id = 'сервер-1'"),
    (&[("resourceId", "сервер-1*"), ("level", "warn")], "resource_id ^@ 'сервер-1' and level = 'warn'"),
    (&[("traceId", "00000000000000000000000000000007")], "trace_id = '00000000000000000000000000000007'"),
    (&[("commit", "c3")], "\"commit\" = 'c3'"),
    (&[("metadata.user.id", "1")], "metadata #>> '{user,id}' = '1'"),
    (&[("metadata.tags", "t2")], "metadata -> 'tags' ? 't2'"),
    (&[("q", "level:error or resourceId:сервер-2")], "(level = 'error' or resource_id = 'сервер-2')"),
    (&[("q", "-traceId:*")], "trace_id is null"),
];

/// Windows that cut minutes, hold one, lie within one, are empty, or are open.
const WINDOWS: &[&[(&str, &str)]] = &[
    &[],
    &[("from", "2026-01-02T10:01:17.25Z"), ("to", "2026-01-02T10:05:43.5Z")],
    &[("from", "2026-01-02T10:03:00Z"), ("to", "2026-01-02T10:04:00Z")],
    &[("from", "2026-01-02T10:03:10.001Z"), ("to", "2026-01-02T10:03:50Z")],
    &[("from", "2026-01-02T10:03:50Z"), ("to", "2026-01-02T10:04:10Z")],
    &[("from", "2026-01-02T10:02:30Z")],
    &[("to", "2026-01-02T10:02:30Z")],
    &[("from", "2026-01-02T10:02:30Z"), ("to", "2026-01-02T10:02:30Z")],
    &[("from", "2000-01-01T00:00:00Z"), ("to", "2000-01-01T09:00:00Z")],
];

/// With time enough on any machine, unless a budget is asked for.
async fn get(app: &TestApp, path: &str, parameters: &[&[(&str, &str)]]) -> Value {
    let mut parameters = parameters.concat();
    if parameters.iter().all(|(name, _)| *name != "budget") {
        parameters.push(("budget", "10s"));
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
    let answer = app.get(&format!("{path}?{query}")).await;
    assert_eq!(answer.status, 200, "{path} {parameters:?}: {}", answer.text());
    answer.json
}

fn within(window: &[(&str, &str)]) -> String {
    let mut text = "true".to_owned();
    for (name, at) in window {
        text.push_str(&format!(" and timestamp {} '{at}'", if *name == "from" { ">=" } else { "<" }));
    }
    text
}

fn micros(text: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text.as_str().unwrap()).unwrap().timestamp_micros()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number: {value}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}"))
}

async fn moments(app: &TestApp, condition: &str, window: &[(&str, &str)]) -> Moments {
    let query = format!(
        "select (extract(epoch from timestamp) * 1000000)::bigint, level from logs where {condition} and {}",
        within(window)
    );
    let rows = app.database().sql.query(&query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_equals_brute_force() {
    let app = filled().await;
    for (filter, condition) in FILTERS {
        for window in [WINDOWS[1], &[("from", "2026-01-02T10:05:30Z"), ("to", "2026-01-03T20:04:30Z")]] {
            let reply = get(&app, "/api/summary", &[filter, window]).await;
            let query = format!(
                "select to_char(date_trunc('hour', timestamp at time zone 'utc'), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') || ' ' || resource_id || ' ' || level || ' ' || count(*)
                 from logs where {condition} and {} group by date_trunc('hour', timestamp at time zone 'utc'), resource_id, level", within(window));
            let mut truth = app.database().texts(&query, &[]).await;
            let mut seen = Vec::new();
            for line in list(&reply["hours"]) {
                assert_eq!(line["is"], "exact");
                let levels = line["levels"].as_object().unwrap();
                assert_eq!(levels.values().map(number).sum::<u64>(), number(&line["count"]));
                let name =
                    format!("{} {}", line["from"].as_str().unwrap(), line["resourceId"].as_str().unwrap());
                seen.extend(levels.iter().map(|(level, n)| format!("{name} {level} {n}")));
            }
            truth.sort();
            seen.sort();
            assert_eq!(seen, truth, "{filter:?} {window:?}");
            let total = moments(&app, condition, window).await.len();
            assert_eq!(reply["total"], json!({"count": total, "is": "exact"}));
        }
    }
    // The last day by default; beyond a hundred resources the rarer ones are one.
    let now = chrono::Utc::now().to_rfc3339();
    let many = (0..150).flat_map(|n| std::iter::repeat_n(n, if n < 100 { 2 } else { 1 }));
    let many: Vec<Value> = many
        .map(|n| json!({"level": "info", "message": "m", "resourceId": format!("r{n}"), "timestamp": now}))
        .collect();
    app.post(NDJSON, ndjson(many.iter().cloned()), &[]).await.accepted(250);
    let day = get(&app, "/api/summary", &[]).await;
    assert_eq!(day["total"], json!({"count": 250, "is": "exact"}));
    let lines = list(&day["hours"]);
    let others: Vec<&Value> = lines.iter().filter(|line| line["resourceId"].is_null()).collect();
    assert_eq!((lines.len(), others.len(), &others[0]["count"]), (101, 1, &json!(50)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reply_is_one_moment_while_a_writer_goes_on() {
    let app = TestApp::plan().ready().await;
    let posting = async {
        for seed in 0..40 {
            app.post(NDJSON, ndjson(varied(200, seed)), &[]).await.accepted(200);
        }
    };
    let asking = async {
        let mut last = 0;
        let mut different = 0;
        while last < 40 * 200 {
            for filter in [&[][..], &[("level", "error"), ("level", "info")], &[("message", "e")]] {
                let histogram = get(&app, "/api/histogram", &[filter, WINDOWS[1]]).await;
                let buckets = list(&histogram["buckets"]).iter().map(|bucket| number(&bucket["count"]));
                assert_eq!(buckets.sum::<u64>(), number(&histogram["total"]["count"]));
                let facets = get(
                    &app,
                    "/api/facets",
                    &[filter, &[("field", "level"), ("field", "resourceId"), ("values", "100")]],
                )
                .await;
                for field in ["level", "resourceId"] {
                    let values = list(&facets["facets"][field]).iter().map(|value| number(&value["count"]));
                    assert_eq!(values.sum::<u64>(), number(&facets["total"]["count"]), "{field} {facets}");
                }
                assert_eq!(
                    (&histogram["total"]["is"], &facets["total"]["is"]),
                    (&json!("exact"), &json!("exact"))
                );
                if filter.is_empty() {
                    let now = number(&facets["total"]["count"]);
                    assert!(now >= last, "records do not go away");
                    different += usize::from(now > last);
                    last = now;
                }
            }
        }
        assert!(different > 3, "asked while records came in");
    };
    futures_util::future::join(posting, asking).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_parameters_name_their_field() {
    let app = TestApp::plan().ready().await;
    for (query, field) in [
        ("/api/histogram?bucket=5", "bucket"),
        ("/api/histogram?bucket=1s&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", "bucket"),
        ("/api/histogram?buckets=0", "buckets"),
        ("/api/histogram?buckets=9&bucket=1h", "buckets"),
        ("/api/histogram?field=level", "field"),
        ("/api/histogram?regex=a(", "regex"),
        ("/api/histogram?from=1h&to=2h", "from"),
        ("/api/histogram?explain=yes", "explain"),
        ("/api/facets?field=message", "field"),
        ("/api/facets?field=metadata.", "field"),
        ("/api/facets?values=101", "values"),
        ("/api/facets?q=level:banana", "q"),
        ("/api/facets?budget=11s", "budget"),
        ("/api/summary?from=60d", "from"),
        ("/api/summary?bucket=1h", "bucket"),
        ("/api/logs?explain=2", "explain"),
    ] {
        let answer = app.get(query).await;
        assert_eq!(
            (answer.status, &answer.json["field"]),
            (400, &json!(field)),
            "{query}: {}",
            answer.text()
        );
        assert!(answer.json["error"].is_string());
    }
    // Nothing stored, nothing counted.
    let empty = app.get("/api/histogram").await.json;
    assert_eq!((&empty["buckets"], &empty["total"]), (&json!([]), &json!({"count": 0, "is": "exact"})));
    assert_eq!(app.get("/api/facets").await.json["facets"]["level"], json!([]));
    assert_eq!(app.get("/api/summary").await.json["hours"], json!([]));
    assert!(app.metric("log_ingestor_searches_total{status=\"400\"}").await >= 16);
    app.finish().await;
}
