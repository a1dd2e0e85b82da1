//! Histograms: every bucket equals brute force or says that it is at least so much; the sum is the total, and what pages show.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{FILTERS, Moments, WINDOWS, filled, get, list, micros, moments, number, varied};
use crate::harness::{TestApp, app::NDJSON, records::ndjson};

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
                let reply = get(&app, "/api/histogram", &[filter, window, bucket]).await;
                assert_eq!(reply["total"]["is"], "exact", "{filter:?} {window:?}: {reply}");
                check_histogram(&reply, &truth);
            }
        }
        for bucket in ["250ms", "1s"] {
            let window = WINDOWS[1];
            let reply = get(&app, "/api/histogram", &[filter, window, &[("bucket", bucket)]]).await;
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
    // Which budget is enough for a part only is the machine's affair: it lies between one that is enough
    // for nothing and one that is enough for all.
    let (mut cut, mut parts) = (0, 0);
    let (mut too_little, mut enough) = (1.0_f64, 2_000.0_f64);
    for attempt in 0..60 {
        if parts >= 2 {
            break;
        }
        let middle = if attempt == 0 { 1.0 } else { (too_little * enough).sqrt() };
        let budget = &format!("{middle:.0}ms");
        let asked: &[&[(&str, &str)]] = &[&filter, &window, &[("budget", budget)]];
        let reply = get(&app, "/api/histogram", &[asked, &[&[("bucket", "1s")]]].concat()).await;
        let exact = check_histogram(&reply, &truth);
        match exact {
            0 => too_little = middle,
            480 => enough = middle,
            _ => parts += 1,
        }
        if enough - too_little < 1.0 {
            (too_little, enough) = (1.0, 2_000.0);
        }
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
    assert!(cut >= 3 + 2 && parts >= 2, "there is not enough time: {cut} times, {parts} times for a part");
    // What the level alone decides is exact all the same.
    let minutes =
        get(&app, "/api/facets", &[&[("budget", "1ms"), ("field", "level"), ("field", "resourceId")]]).await;
    assert_eq!(minutes["total"], json!({"count": 16_000, "is": "exact"}));
    assert_eq!(minutes["is"]["level"], "exact");
    app.finish().await;
}
