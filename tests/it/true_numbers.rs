//! While records come in, everything that is said about one moment agrees: the sum of the histogram, the total, the sum of the level facet,
//! the rows that paging finds and the lines of an export.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future;
use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    records::{Dice, ndjson},
    run::{eventually, seconds},
};

const ROUNDS: u64 = 24;
const POSTERS: u64 = 3;
/// Records that may have come in by a round: from then on the posters wait.
const RECORDS_A_ROUND: u64 = 800;

/// Records of any moment of ten minutes: they come in before, behind and amidst everything that was shown.
fn batch(dice: &mut Dice) -> Vec<Value> {
    let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
    let words = ["timeout", "reset", "refused", "=1+1", "done"];
    (0..1 + dice.roll(120))
        .map(|_| {
            json!({
                "level": levels[dice.roll(6) as usize],
                "message": format!("{} of {}", words[dice.roll(5) as usize], dice.roll(50)),
                "resourceId": format!("api-{}", dice.roll(3)),
                "timestamp": format!("2026-01-02T03:{:02}:{:02}.{:03}Z", dice.roll(10), dice.roll(60), dice.roll(1_000)),
                "metadata": {"user": {"id": dice.roll(5)}, "took": dice.roll(100)},
            })
        })
        .collect()
}

/// Parameters of a search, all of them equally likely.
fn filter(dice: &mut Dice) -> Vec<(&'static str, String)> {
    let mut filter = Vec::new();
    let mut add = |name, value: &str| filter.push((name, value.to_owned()));
    match dice.roll(8) {
        0 | 1 => {}
        2 => add("level", "error"),
        3 => ["debug", "fatal", "info"].into_iter().for_each(|level| add("level", level)),
        4 => add("message", "timeout"),
        5 => add("metadata.user.id", "3"),
        6 => add("q", "level>=warn -resourceId:api-1 (refused or took>60)"),
        _ => add("q", "/of [0-9]$/ resourceId:api-*"),
    }
    let moment = |dice: &mut Dice| {
        format!("2026-01-02T03:{:02}:{:02}.{:03}Z", dice.roll(10), dice.roll(60), dice.roll(1_000))
    };
    match dice.roll(5) {
        0 => add("from", &moment(dice)),
        1 => add("to", &moment(dice)),
        2 => {
            let (one, other) = (moment(dice), moment(dice));
            add("from", one.clone().min(other.clone()).as_str());
            add("to", one.max(other).as_str());
        }
        3 => {
            add("from", "2026-01-02T03:02:00Z");
            add("to", "2026-01-02T03:09:00Z");
        }
        _ => {}
    }
    filter
}

async fn get(app: &TestApp, path: &str, pairs: &[(&str, String)]) -> Vec<u8> {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let answer = app.get_patiently(&format!("{path}?{query}")).await;
    assert_eq!(answer.status, 200, "{path}?{query}: {}", answer.text());
    answer.body
}

/// A complete answer.
async fn ask(app: &TestApp, path: &str, pairs: &[(&str, String)], more: &[(&'static str, &str)]) -> Value {
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let pairs: Vec<_> = pairs.iter().cloned().chain(more).chain([("budget", "10s".to_owned())]).collect();
    let reply: Value = serde_json::from_slice(&get(app, path, &pairs).await).expect("it answers with JSON");
    assert_eq!(reply["stats"]["complete"], true, "{path} {pairs:?}: {}", reply["stats"]);
    reply
}

fn sum(counts: &Value) -> u64 {
    let counts = counts.as_array().expect("the reply has a list of counts");
    counts.iter().map(|counted| counted["count"].as_u64().expect("a count is a number")).sum()
}

fn id(record: &Value) -> String {
    record["id"].as_str().expect("a record has an id").to_owned()
}

/// Asks everything about the moment of a first page; how many hits there are.
async fn check(app: &TestApp, dice: &mut Dice) -> u64 {
    let filter = filter(dice);
    let limit = ["7", "100", "1000"][dice.roll(3) as usize];
    let first = ask(app, "/api/logs", &filter, &[("limit", limit)]).await;
    let as_of = first["asOf"].as_str().expect("an answer says of when it is").to_owned();
    let filter_then: Vec<_> = filter.iter().cloned().chain([("asOf", as_of.clone())]).collect();
    let what = format!("{filter:?} as of {as_of}");
    // 1. Paged to the end, by cursors alone.
    let (mut paged, mut page, mut pages) = (BTreeSet::new(), first, 0);
    let mut rows = 0;
    loop {
        let logs = page["logs"].as_array().expect("the reply has it");
        rows += logs.len() as u64;
        paged.extend(logs.iter().map(id));
        let Some(cursor) = page["nextCursor"].as_str().map(str::to_owned) else { break };
        pages += 1;
        // Small pages at the beginning, so that more of them are asked for while records come in.
        let limit = if pages < 10 { limit } else { "1000" };
        page = ask(app, "/api/logs", &filter, &[("limit", limit), ("cursor", &cursor)]).await;
    }
    assert_eq!(paged.len() as u64, rows, "each row once: {what}");
    // 2. Counted.
    let width =
        [("buckets", "60"), ("bucket", "1m"), ("bucket", "1s"), ("bucket", "1h")][dice.roll(4) as usize];
    let histogram = ask(app, "/api/histogram", &filter_then, &[width]).await;
    let facets = ask(app, "/api/facets", &filter_then, &[("field", "level"), ("field", "resourceId")]).await;
    let total = json!({"count": rows, "is": "exact"});
    assert_eq!(histogram["total"], total, "total of the histogram: {what}");
    assert_eq!(facets["total"], total, "total of the facets: {what}");
    assert_eq!(sum(&histogram["buckets"]), rows, "sum of the histogram: {what}");
    assert_eq!(sum(&facets["facets"]["level"]), rows, "sum of the levels: {what}");
    assert_eq!(sum(&facets["facets"]["resourceId"]), rows, "sum of the resources: {what}");
    // 3. Exported.
    let format = |format: &str| -> Vec<_> {
        filter_then.iter().cloned().chain([("format", format.to_owned())]).collect()
    };
    let lines = get(app, "/api/export", &format("ndjson")).await;
    let lines = serde_json::Deserializer::from_slice(&lines).into_iter::<Value>();
    let lines: Vec<String> = lines.map(|line| id(&line.expect("a line is JSON"))).collect();
    assert_eq!(lines.len() as u64, rows, "lines of JSON: {what}");
    assert_eq!(BTreeSet::from_iter(lines), paged, "lines of JSON: {what}");
    let table = get(app, "/api/export", &format("csv")).await;
    let mut table = csv::Reader::from_reader(&table[..]);
    let lines: Vec<String> = table.records().map(|line| line.expect("a line is CSV")[7].to_owned()).collect();
    assert_eq!(lines.len() as u64, rows, "lines of CSV: {what}");
    assert_eq!(BTreeSet::from_iter(lines), paged, "lines of CSV: {what}");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_one_moment_agree_while_records_come_in() {
    let app = TestApp::plan().env("SEAL_BLOCKS", 8).env("SEAL_IDLE_MS", 200).ready().await;
    let (stored, allowed, is_over) =
        (AtomicU64::new(0), AtomicU64::new(RECORDS_A_ROUND), AtomicBool::new(false));
    let posting = (0..POSTERS).map(|poster| {
        let (app, stored, allowed, is_over) = (&app, &stored, &allowed, &is_over);
        async move {
            let mut dice = Dice(poster);
            while !is_over.load(Ordering::Relaxed) {
                if stored.load(Ordering::Relaxed) > allowed.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                let records = batch(&mut dice);
                let count = records.len();
                app.post(NDJSON, ndjson(records), &[]).await.accepted(count);
                stored.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    });
    // The sealer does this when there is more of it, and in its turn.
    let adding_up = async {
        let add_up = "begin; select pg_advisory_xact_lock(7313, 1);
            with gone as (delete from minute_counts returning minute, level, n)
            insert into minute_counts (minute, level, n, is_new) select minute, level, sum(n), null from gone group by 1, 2;
            commit";
        while !is_over.load(Ordering::Relaxed) {
            app.database().sql.batch_execute(add_up).await.expect("the sealer waits its turn");
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    let asking = async {
        let mut dice = Dice(2_026);
        let (mut moved, mut hits) = (0, 0);
        // A range without an end reaches to the present where nothing is stored, and has too many buckets.
        allowed.store(1, Ordering::Relaxed);
        eventually("the first records are stored", seconds(20), async || {
            (stored.load(Ordering::Relaxed) > 0).then_some(())
        })
        .await;
        for round in 1..=ROUNDS {
            allowed.store(round * RECORDS_A_ROUND, Ordering::Relaxed);
            let before = stored.load(Ordering::Relaxed);
            hits += check(&app, &mut dice).await;
            moved += u64::from(stored.load(Ordering::Relaxed) > before);
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(
            moved > ROUNDS / 2 && hits > RECORDS_A_ROUND,
            "{moved} rounds while records came in, {hits} hits"
        );
    };
    future::join3(future::join_all(posting), adding_up, asking).await;
    app.finish_rows(stored.load(Ordering::Relaxed) as i64).await;
}
