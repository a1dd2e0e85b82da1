//! Histogram, facets and summary through the real process: every number equals brute force over the view `logs`, or says that it is
//! at least so much, and then it is not more than the truth.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    records::{Dice, named, ndjson},
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

async fn get(app: &TestApp, path: &str, parameters: &[&[(&str, &str)]]) -> Value {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters.concat()).finish();
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

/// What a histogram promises, whatever it counted; gives how many buckets are exact.
fn check_histogram(reply: &Value, truth: &Moments) -> usize {
    let width = (reply["bucketSeconds"].as_f64().unwrap() * 1e6).round() as i64;
    let buckets = list(&reply["buckets"]);
    let mut exact = 0;
    for (at, bucket) in buckets.iter().enumerate() {
        let from = micros(&bucket["from"]);
        assert!(at == 0 || from == micros(&buckets[at - 1]["from"]) + width, "without gaps: {reply}");
        let mut levels = BTreeMap::new();
        for (moment, level) in truth {
            if from <= *moment && *moment < from + width {
                *levels.entry(level.clone()).or_insert(0) += 1;
            }
        }
        let counted: BTreeMap<String, u64> = serde_json::from_value(bucket["levels"].clone()).unwrap();
        assert_eq!(counted.values().sum::<u64>(), number(&bucket["count"]));
        if bucket["is"] == "exact" {
            exact += 1;
            assert_eq!(counted, levels, "bucket {} of {}", bucket["from"], reply["total"]);
        } else {
            assert_eq!(bucket["is"], "atLeast");
            assert!(
                counted.iter().all(|(level, n)| levels.get(level).is_some_and(|all| n <= all)),
                "{bucket}"
            );
        }
    }
    let sum: u64 = buckets.iter().map(|bucket| number(&bucket["count"])).sum();
    assert_eq!(sum, number(&reply["total"]["count"]), "the total is the sum of the buckets");
    if reply["total"]["is"] == "exact" {
        assert_eq!(sum, truth.len() as u64);
        assert_eq!((exact, &reply["stats"]["searchedBackTo"]), (buckets.len(), &Value::Null));
        if let (Some(first), Some(last)) = (buckets.first(), buckets.last()) {
            let (from, to) = (micros(&reply["from"]), micros(&reply["to"]));
            assert!(micros(&first["from"]) <= from && from < micros(&first["from"]) + width, "{reply}");
            assert!(micros(&last["from"]) < to && to <= micros(&last["from"]) + width, "{reply}");
        }
    }
    assert_eq!(reply["stats"]["complete"], json!(reply["total"]["is"] == "exact"));
    exact
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_histogram_equals_brute_force() {
    let app = filled().await;
    for (filter, condition) in FILTERS {
        for window in WINDOWS {
            let truth = moments(&app, condition, window).await;
            for bucket in
                [&[][..], &[("buckets", "7")], &[("bucket", "1m")], &[("bucket", "1d")], &[("bucket", "90s")]]
            {
                let is_long = window.len() < 2;
                if is_long && matches!(bucket.first(), Some((_, "1m" | "90s"))) {
                    continue;
                }
                let reply =
                    get(&app, "/api/histogram", &[filter, window, bucket, &[("budget", "10s")]]).await;
                assert_eq!(reply["total"]["is"], "exact", "{filter:?} {window:?}: {reply}");
                check_histogram(&reply, &truth);
            }
        }
        for bucket in ["250ms", "1s"] {
            let window = WINDOWS[1];
            let reply =
                get(&app, "/api/histogram", &[filter, window, &[("bucket", bucket), ("budget", "10s")]])
                    .await;
            assert_eq!(reply["total"]["is"], "exact");
            check_histogram(&reply, &moments(&app, condition, window).await);
        }
    }
    let minutes = get(&app, "/api/histogram", &[&[("level", "error")]]).await;
    assert_eq!(minutes["stats"]["rowsRead"], 0, "the level alone needs no rows");
    app.finish().await;
}

/// What was asked for since a moment is counted up to now, or nobody would see that nothing comes any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_is_seen() {
    let app = TestApp::plan().ready().await;
    let now = chrono::Utc::now();
    let at = |hours: i64| (now - chrono::TimeDelta::hours(hours)).to_rfc3339();
    let records = [2, 3]
        .map(|hours| json!({"level": "info", "message": "m", "resourceId": "r", "timestamp": at(hours)}));
    app.post(NDJSON, ndjson(records), &[]).await.accepted(2);
    app.wait_rows(2).await;
    for filter in [&[][..], &[("message", "M")], &[("message", "nothing")]] {
        let reply = get(&app, "/api/histogram", &[filter, &[("from", "4h"), ("bucket", "1m")]]).await;
        assert!(micros(&reply["to"]) > now.timestamp_micros(), "{reply}");
        let late: Vec<&Value> = list(&reply["buckets"]).iter().rev().take(119).collect();
        assert!(late.iter().all(|bucket| bucket["count"] == 0 && bucket["is"] == "exact"), "{reply}");
    }
    // All that is stored ends where it ends.
    let all = get(&app, "/api/histogram", &[]).await;
    assert!(micros(&all["to"]) <= now.timestamp_micros() - 119 * 60_000_000, "{all}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_histogram_counts_what_pages_show() {
    let app = filled().await;
    for (filter, _) in FILTERS {
        for window in [WINDOWS[0], WINDOWS[1]] {
            let mut shown = 0;
            let mut cursor: Option<String> = None;
            loop {
                let place: Vec<(&str, &str)> =
                    cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
                let page = app.search(&[filter, window, &[("limit", "300")], &place].concat()).await;
                shown += list(&page["logs"]).len() as u64;
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = Some(next.to_owned()),
                    None => break,
                }
            }
            let histogram = get(&app, "/api/histogram", &[filter, window]).await;
            let facets = get(&app, "/api/facets", &[filter, window]).await;
            let exact = json!({"count": shown, "is": "exact"});
            assert_eq!((&histogram["total"], &facets["total"]), (&exact, &exact), "{filter:?} {window:?}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_true_after_a_delete() {
    let app = filled().await;
    // What deleting does: the index still has the rows, the counts of minutes are appended to.
    let delete = "with gone as (delete from records where resource_id ^@ 'сервер-1' or timestamp < '2025-01-01' returning timestamp, level)
        insert into minute_counts select floor(extract(epoch from timestamp) / 60)::int, level, -count(*) from gone group by 1, 2";
    app.database().sql.execute(delete, &[]).await.unwrap();
    for (filter, condition) in FILTERS {
        for window in WINDOWS {
            let truth = moments(&app, condition, window).await;
            let reply = get(&app, "/api/histogram", &[filter, window]).await;
            assert_eq!(reply["total"], json!({"count": truth.len(), "is": "exact"}), "{filter:?} {window:?}");
            check_histogram(&reply, &truth);
        }
    }
    app.finish().await;
}

/// Values of each kind of field over the view, a row for each record and value.
const FIELDS: &[(&str, &str)] = &[
    ("level", "select level as value from h"),
    ("resourceId", "select resource_id as value from h"),
    ("commit", "select \"commit\" as value from h"),
    ("traceId", "select trace_id as value from h"),
    ("spanId", "select span_id as value from h"),
    ("metadata.user.id", "select metadata #>> '{user,id}' as value from h"),
    ("metadata.a.b", "select metadata ->> 'a.b' as value from h"),
    (
        "metadata.tags",
        "select distinct h.id, coalesce(v #>> '{}', 'null') as value from h cross join lateral jsonb_array_elements(metadata -> 'tags') v",
    ),
    (
        "metadata.list.k",
        "select distinct h.id, v ->> 'k' as value from h cross join lateral jsonb_array_elements(metadata -> 'list') v",
    ),
    (
        "metadata",
        "select unnest(array['user.id', 'user.name', 'a.b', 'tags', 'list.k']) as value from h where metadata is not null",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facets_equal_brute_force() {
    let app = filled().await;
    let asked: Vec<(&str, &str)> = FIELDS.iter().map(|(name, _)| ("field", *name)).collect();
    for (filter, condition) in FILTERS {
        for window in &WINDOWS[..5] {
            let reply =
                get(&app, "/api/facets", &[filter, window, &asked, &[("values", "6"), ("budget", "10s")]])
                    .await;
            let total = moments(&app, condition, window).await.len();
            assert_eq!(reply["total"], json!({"count": total, "is": "exact"}), "{filter:?} {window:?}");
            for (name, values) in FIELDS {
                let query = format!(
                    "with h as (select * from logs where {condition} and {}) select value, count(*) from ({values}) v where value is not null group by 1 order by 2 desc, value collate \"C\"",
                    within(window)
                );
                let rows = app.database().sql.query(&query, &[]).await.unwrap();
                let truth: Vec<Value> = rows
                    .iter()
                    .map(|row| json!({"value": row.get::<_, &str>(0), "count": row.get::<_, i64>(1)}))
                    .collect();
                let seen = list(&reply["facets"][name]);
                assert_eq!(seen[..], truth[..truth.len().min(6)], "{name} under {filter:?} {window:?}");
                let other: u64 = truth.iter().skip(6).map(|value| number(&value["count"])).sum();
                assert_eq!(reply["other"][name], other, "{name}");
                assert_eq!(reply["distinct"][name], json!({"count": truth.len(), "is": "exact"}), "{name}");
                assert_eq!(reply["is"][name], "exact");
            }
        }
    }
    // A value that is too long to be listed is counted.
    let names = get(&app, "/api/facets", &[&[("field", "metadata.user.name")]]).await;
    let long = app
        .database()
        .number("select count(*) from logs where length(metadata #>> '{user,name}') > 256")
        .await;
    assert_eq!(
        (&names["other"]["metadata.user.name"], &names["facets"]["metadata.user.name"][0]["value"]),
        (&json!(long), &json!(""))
    );
    let three = get(&app, "/api/facets", &[]).await;
    let names: Vec<&String> = three["facets"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["commit", "level", "resourceId"]);
    app.finish().await;
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
                let histogram =
                    get(&app, "/api/histogram", &[filter, WINDOWS[1], &[("budget", "10s")]]).await;
                let buckets = list(&histogram["buckets"]).iter().map(|bucket| number(&bucket["count"]));
                assert_eq!(buckets.sum::<u64>(), number(&histogram["total"]["count"]));
                let facets = get(
                    &app,
                    "/api/facets",
                    &[
                        filter,
                        &[("budget", "10s"), ("field", "level"), ("field", "resourceId"), ("values", "100")],
                    ],
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
async fn out_of_time_says_how_far_it_came() {
    let app = TestApp::plan().ready().await;
    // In the order of time, as records usually come: half of them within eight minutes.
    let mut records = varied(16_000, 7);
    records.sort_by_key(|record| micros(&record["timestamp"]));
    for batch in records.chunks(2_000) {
        app.post(NDJSON, ndjson(batch.iter().cloned()), &[]).await.accepted(2_000);
    }
    let filter = [("regex", r"^.*(.).*\1.*[0-4]$")];
    let condition = r"message ~ '^.*(.).*\1.*[0-4]$'";
    let window = [("from", "2026-01-02T10:00:00Z"), ("to", "2026-01-02T10:08:00Z")];
    let truth = moments(&app, condition, &window).await;
    let (mut cut, mut parts) = (0, 0);
    for budget in
        ["1ms", "3ms", "5ms", "10ms", "20ms", "30ms", "40ms", "50ms", "60ms", "80ms", "100ms", "200ms"]
    {
        let asked: &[&[(&str, &str)]] = &[&filter, &window, &[("budget", budget)]];
        let reply = get(&app, "/api/histogram", &[asked, &[&[("bucket", "1s")]]].concat()).await;
        let exact = check_histogram(&reply, &truth);
        parts += usize::from(0 < exact && exact < 480);
        let facets = get(&app, "/api/facets", asked).await;
        let summary = get(&app, "/api/summary", asked).await;
        for reply in [&reply, &facets, &summary] {
            assert!(number(&reply["total"]["count"]) <= truth.len() as u64);
            if reply["total"]["is"] == "atLeast" {
                cut += 1;
                assert!(micros(&reply["stats"]["searchedBackTo"]) <= micros(&reply["to"]));
                assert_eq!(reply["stats"]["complete"], false);
            }
        }
        for value in list(&facets["facets"]["level"]) {
            let of_level =
                truth.iter().filter(|(_, level)| *level == value["value"].as_str().unwrap()).count();
            assert!(number(&value["count"]) <= of_level as u64);
        }
        // What is told of is what was counted.
        let lines = list(&summary["hours"]).iter().map(|line| number(&line["count"]));
        assert_eq!(lines.sum::<u64>(), number(&summary["total"]["count"]));
    }
    assert!(cut > 3 && parts > 0, "there is not enough time: {cut} times, {parts} times for a part");
    // What the level alone decides is exact all the same.
    let minutes =
        get(&app, "/api/facets", &[&[("budget", "1ms"), ("field", "level"), ("field", "resourceId")]]).await;
    assert_eq!(minutes["total"], json!({"count": 16_000, "is": "exact"}));
    assert_eq!(minutes["is"]["level"], "exact");
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

/// Values of metadata take twenty times as long as those of columns, which come first, by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_does_not_hold_up_the_other_facets() {
    let app = TestApp::plan().ready().await;
    app.post_json(&named("one")).await.accepted(1);
    let path = "/api/facets?message=one&field=metadata&field=resourceId&field=level&explain=1";
    let reply = app.get(path).await.json;
    let statements: Vec<String> =
        list(&reply["explain"]).iter().map(|statement| statement["sql"].to_string()).collect();
    let counting: Vec<&String> = statements.iter().filter(|sql| sql.contains("as field")).collect();
    let reads_metadata: Vec<bool> = counting.iter().map(|sql| sql.contains("metadata::")).collect();
    assert_eq!(reads_metadata, [false, true], "{statements:?}");
    let facets = json!({"metadata": [], "resourceId": [{"value": "r", "count": 1}], "level": [{"value": "info", "count": 1}]});
    assert_eq!(reply["facets"], facets);
    assert_eq!(reply["total"], json!({"count": 1, "is": "exact"}));
    app.finish_rows(1).await;
}

/// The paths of metadata, as a recursive query finds them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_of_metadata_equal_brute_force() {
    let app = TestApp::plan().ready().await;
    let long = "k".repeat(300);
    let documents = [
        r#"{}"#.to_owned(),
        r#"{"a":1,"b":{"c":null,"d":{"e":"x"}}}"#.to_owned(),
        r#"{"a":{},"b":[],"c":[[]],"d":[{}]}"#.to_owned(),
        r#"{"a":[1,2,{"b":true,"c":[{"d":1}]}],"b.c":2}"#.to_owned(),
        r#"{"a.b":1,"a":{"b":2},"x":{"":4,"y":{"":5}}}"#.to_owned(),
        r#"{"a":1,"a":{"b":2},"c":{"d":1},"c":{}}"#.to_owned(),
        r#"{"q\"\n":1e40,"\u00e4 <b>":-0.5,"ä":{"ß":[null]}}"#.to_owned(),
        format!(r#"{{"{long}":1,"b":{{"{long}":2}},"a":3}}"#),
    ];
    let mut dice = Dice(11);
    let record = |_| {
        let metadata = &documents[dice.roll(documents.len() as u64) as usize];
        format!(
            r#"{{"level":"info","message":"m","resourceId":"r","timestamp":"2026-01-02T03:04:05Z","metadata":{metadata}}}"#
        ) + "\n"
    };
    let lines: String = (0..400).map(record).collect();
    app.post(NDJSON, lines, &[]).await.accepted(400);
    app.post_json(&named("without metadata")).await.accepted(1);
    let brute = "with recursive w (id, path, v) as (
            select id, null::text, metadata from logs where metadata is not null
            union all
            select w.id, n.path, n.v from w cross join lateral (
                select concat_ws('.', w.path, e.key) as path, e.value as v
                from jsonb_each(case when jsonb_typeof(w.v) = 'object' then w.v end) e
                union all
                select w.path, a.value from jsonb_array_elements(case when jsonb_typeof(w.v) = 'array' then w.v end) a
            ) n)
        select case when octet_length(path) <= 256 then path end, count(distinct id) from w
        where path is not null and jsonb_typeof(v) not in ('object', 'array') group by 1";
    let rows = app.database().connect().await.query(brute, &[]).await.expect("the view can be read");
    let (mut paths, mut others) = (Vec::new(), 0);
    for row in rows {
        let records: i64 = row.get(1);
        match row.get::<_, Option<String>>(0) {
            Some(path) => paths.push((-records, path)),
            None => others = records,
        }
    }
    paths.sort();
    let paths: Vec<Value> =
        paths.into_iter().map(|(records, path)| json!({"value": path, "count": -records})).collect();
    let reply = app.get("/api/facets?field=metadata&field=metadata.a&values=100&budget=10s").await.json;
    assert_eq!(reply["facets"]["metadata"], Value::from(paths), "{reply}");
    assert_eq!(
        (&reply["other"]["metadata"], &reply["total"]["count"]),
        (&json!(others), &json!(401)),
        "{reply}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_shows_statements_and_plans_without_values() {
    let app = filled().await;
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
