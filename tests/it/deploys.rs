//! Deploy markers: when each commit was first seen, written with the rows or not at all.

use std::time::{Duration, Instant};

use log_ingestor::db;
use serde_json::{Value, json};

use crate::harness::{
    Fault, TestApp,
    app::NDJSON,
    postgres::Database,
    records::{named, ndjson},
    run::{eventually, seconds},
};

fn at(commit: &str, time: &str, resource: &str) -> Value {
    let mut record = named(&format!("{commit} {time}"));
    record["commit"] = json!(commit);
    record["timestamp"] = json!(time);
    record["resourceId"] = json!(resource);
    record
}

/// All markers as the table has them, by commit.
async fn markers(database: &Database) -> Vec<String> {
    let query = "select concat_ws(' ', \"commit\", to_char(first_at at time zone 'utc', 'HH24:MI:SS'), first_resource) \
        from commits order by \"commit\"";
    database.texts(query, &[]).await
}

async fn deploys(app: &TestApp, query: &str) -> (Vec<String>, bool) {
    let answer = app.get(&format!("/api/deploys{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let deploys = answer.json["deploys"].as_array().expect("a list").iter();
    let text = |deploy: &Value| {
        let part = |name: &str| deploy[name].as_str().expect("a text").to_owned();
        format!("{} {} {}", part("commit"), part("firstAt"), part("resourceId"))
    };
    (deploys.map(text).collect(), answer.json["more"].as_bool().expect("true or false"))
}

async fn a_marker_is_the_earliest_record(mode: &str) {
    let app = TestApp::plan().mode(mode).ready().await;
    let quote = "'; drop table commits; --";
    let first = [
        at("b", "2026-01-02T10:00:00Z", "r1"),
        at("a", "2026-01-02T09:00:00Z", "größer"),
        at("b", "2026-01-02T08:00:00Z", "r2"),
        at("b", "2026-01-02T08:30:00Z", "r3"),
        at(quote, "2026-01-02T11:00:00Z", "\"}{"),
        at("", "2026-01-02T01:00:00Z", "r"),
        named("without a commit"),
    ];
    app.post(NDJSON, ndjson(first), &[]).await.accepted(7);
    app.wait_rows(7).await;
    let quoted = format!("{quote} 11:00:00 \"}}{{");
    assert_eq!(markers(app.database()).await, [quoted.as_str(), "a 09:00:00 größer", "b 08:00:00 r2"]);
    // Later ones change nothing, and are not even asked for: nobody has locked the row.
    app.post_json(&at("a", "2026-01-02T09:30:00Z", "other")).await.accepted(1);
    app.wait_rows(8).await;
    let untouched = "select count(*) from commits where xmax::text = '0'";
    assert_eq!(app.database().number(untouched).await, 3);
    // Late ones move it back.
    app.post_json(&at("a", "2026-01-02T07:00:00Z", "late")).await.accepted(1);
    app.wait_rows(9).await;
    assert_eq!(markers(app.database()).await[1..], ["a 07:00:00 late", "b 08:00:00 r2"]);
    // So they do after a restart, which remembers nothing; and what is not earlier leaves it.
    let plan = app.plan_again();
    app.stop().await;
    let app = plan.ready().await;
    let again = [at("a", "2026-01-02T12:00:00Z", "x"), at("b", "2026-01-02T06:00:00Z", "y")];
    app.post(NDJSON, ndjson(again), &[]).await.accepted(2);
    app.wait_rows(11).await;
    assert_eq!(markers(app.database()).await[1..], ["a 07:00:00 late", "b 06:00:00 y"]);
    let (found, more) = deploys(&app, "?from=2026-01-02T06:00:00Z&to=2026-01-02T11:00:00Z").await;
    assert_eq!(found, ["a 2026-01-02T07:00:00Z late", "b 2026-01-02T06:00:00Z y"], "newest first, half open");
    assert!(!more);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_is_the_earliest_record_of_its_commit() {
    a_marker_is_the_earliest_record("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_is_the_earliest_record_of_its_commit_through_kafka() {
    a_marker_is_the_earliest_record("kafka").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_fifty_of_a_range_are_listed() {
    let app = TestApp::plan().ready().await;
    let record = |n: usize| at(&format!("c{n:02}"), &format!("2026-01-02T03:00:{n:02}Z"), "r");
    app.post(NDJSON, ndjson((0..52).map(record)), &[]).await.accepted(52);
    let (found, more) = deploys(&app, "").await;
    assert_eq!((found.len(), more), (50, true));
    assert_eq!(
        (found[0].as_str(), found[49].as_str()),
        ("c51 2026-01-02T03:00:51Z r", "c02 2026-01-02T03:00:02Z r")
    );
    let (found, more) = deploys(&app, "?to=2026-01-02T03:00:50Z").await;
    assert_eq!((found.len(), more), (50, false));
    for (query, field) in [("?level=error", "level"), ("?from=x", "from"), ("?from=1h&to=2h", "from")] {
        let answer = app.get(&format!("/api/deploys{query}")).await;
        assert_eq!((answer.status, answer.json["field"].as_str()), (400, Some(field)));
    }
    app.finish().await;
}

/// Many new commits at once through two processes, in opposite orders and with times that get earlier and earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_agree_and_never_wait_in_a_circle() {
    let one = TestApp::plan().ready().await;
    let two = one.plan_again().ready().await;
    let records = |process: usize, round: usize| {
        let record = move |n: usize| {
            let n = if process == 0 { n } else { 79 - n };
            let second = 59 - 2 * round - (n + process) % 2;
            at(&format!("c{n:02}"), &format!("2026-01-02T03:00:{second:02}Z"), &format!("p{process}"))
        };
        ndjson((0..80).map(record))
    };
    let both = [&one, &two].into_iter().enumerate().map(async |(process, app)| {
        for round in 0..20 {
            app.post(NDJSON, records(process, round), &[]).await.accepted(80);
        }
    });
    futures_util::future::join_all(both).await;
    one.wait_rows(2 * 20 * 80).await;
    let wanted: Vec<String> = (0..80).map(|n| format!("c{n:02} 03:00:20 p{}", (n + 1) % 2)).collect();
    assert_eq!(markers(one.database()).await, wanted);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(one.database().number(deadlocks).await, 0);
    one.stop().await;
    two.stop().await;
}

async fn a_lost_commit_is_marked_by_the_repeat(mode: &str, fault: Fault) {
    let app = TestApp::plan().mode(mode).through_proxy().ready().await;
    app.post_json(&named("first")).await.accepted(1);
    app.wait_rows(1).await;
    app.set_fault(fault);
    let key = [("idempotency-key", "lost")];
    eventually("the repeat is accepted", seconds(60), async || {
        let body = ndjson([at("c", "2026-01-02T10:00:00Z", "r")]);
        (app.post(NDJSON, body, &key).await.status == 202).then_some(())
    })
    .await;
    app.wait_rows(2).await;
    assert_eq!(app.proxy().commits_lost(), 1, "the fault has struck");
    assert_eq!(markers(app.database()).await, ["c 10:00:00 r"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_is_marked_when_it_is_stored() {
    a_lost_commit_is_marked_by_the_repeat("direct", Fault::LoseCommit).await;
    a_lost_commit_is_marked_by_the_repeat("direct", Fault::LoseCommitReply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_is_marked_when_it_is_stored_through_kafka() {
    a_lost_commit_is_marked_by_the_repeat("kafka", Fault::LoseCommit).await;
    a_lost_commit_is_marked_by_the_repeat("kafka", Fault::LoseCommitReply).await;
}

/// The process dies and its backend with it, when the marker is written and the transaction is not committed yet.
async fn what_was_never_stored_has_no_marker(mode: &str) {
    let mut app = TestApp::plan().mode(mode).ready().await;
    let database = app.database().clone();
    let lock = database.connect().await;
    lock.batch_execute("begin; lock table ingest_keys in share row exclusive mode").await.unwrap();
    let url = format!("{}/public/ingest", app.url);
    let body = at("c", "2026-01-02T10:00:00Z", "r").to_string();
    let post = app.client.post(url).header("content-type", "application/json").body(body);
    let post = tokio::spawn(post.send());
    let waiting = "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' \
        and query like '%insert into commits%'";
    eventually("the batch is about to be committed", seconds(30), async || {
        (database.number(&format!("select count(*) from {waiting}")).await == 1).then_some(())
    })
    .await;
    let plan = app.plan_again();
    app.kill9();
    let ended = format!("select count(pg_terminate_backend(pid)) from {waiting}");
    assert_eq!(database.number(&ended).await, 1);
    lock.batch_execute("rollback").await.unwrap();
    let answered = post.await.expect("no panic");
    assert_eq!((database.rows().await, markers(&database).await.len()), (0, 0));
    // Through Kafka it is stored all the same, by the next process.
    let app = plan.ready().await;
    if mode == "kafka" {
        assert_eq!(answered.expect("it was answered").status(), 202);
        app.wait_rows(1).await;
        assert_eq!(markers(&database).await, ["c 10:00:00 r"]);
    } else {
        assert!(answered.is_err(), "nobody said that it is stored");
        assert_eq!((database.rows().await, markers(&database).await.len()), (0, 0));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_were_never_stored_have_no_marker() {
    what_was_never_stored_has_no_marker("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_were_not_stored_yet_have_no_marker_through_kafka() {
    what_was_never_stored_has_no_marker("kafka").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_row_has_no_marker() {
    let app = TestApp::plan().ready().await;
    app.post_json(&named("first")).await.accepted(1);
    let rule = "alter table records add constraint no_poison check (\"commit\" <> 'poison') not valid";
    app.database().sql.batch_execute(rule).await.unwrap();
    let records = [at("poison", "2026-01-02T10:00:00Z", "r"), at("good", "2026-01-02T10:00:00Z", "r")];
    assert_eq!(app.post(NDJSON, ndjson(records), &[]).await.json["accepted"], 1);
    assert_eq!(markers(app.database()).await, ["good 10:00:00 r"]);
    app.finish_rows(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_commit_with_every_record_harms_nobody() {
    let app = TestApp::plan().ready().await;
    let longest = |n: usize| format!("{n:0>256}");
    let record = |n: usize| match n % 500 {
        0 => at("real", "2026-01-02T10:00:00Z", "r"),
        _ => at(&longest(n), "2026-01-02T10:00:01Z", &longest(n)),
    };
    let began = Instant::now();
    app.post(NDJSON, ndjson((0..5_000).map(record)), &[]).await.accepted(5_000);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let all = "select count(*) from commits";
    let written = app.database().number(all).await;
    assert!((100..=600).contains(&written), "100 of each batch, got {written}");
    let real = "select count(*) from commits where \"commit\" = 'real' and first_resource = 'r'";
    assert_eq!(app.database().number(real).await, 1, "the one with the most rows is among them");
    for n in 0..15 {
        let record = |m: usize| at(&format!("{n} {m}"), "2026-01-02T10:00:01Z", "r");
        app.post(NDJSON, ndjson((0..1_000).map(record)), &[]).await.accepted(1_000);
    }
    assert_eq!(app.database().number(all).await, 1_000, "so many a minute");
    app.finish_rows(20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_are_kept_those_first_seen_last() {
    let database = Database::fresh().await;
    let fill = "insert into commits (\"commit\", first_at, first_resource) \
        select 'c' || n, timestamptz '2026-01-02Z' + (n / 7) * interval '1 second', 'r' from generate_series(1, 10050) n";
    database.sql.batch_execute(fill).await.unwrap();
    let app = TestApp::plan().database(&database).ready().await;
    eventually("the oldest are gone", seconds(30), async || {
        (database.number("select count(*) from commits").await <= 10_000).then_some(())
    })
    .await;
    assert_eq!(database.number("select count(*) from commits").await, 10_000);
    assert_eq!(database.number("select min(substr(\"commit\", 2)::int)::bigint from commits").await, 51);
    app.stop().await;
}

/// What runs already when markers begin is no deployment of that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_an_earlier_release_have_no_marker() {
    let database = Database::empty().await;
    let config = database.url(database.port).parse().unwrap();
    db::migrate_to(&config, refinery::Target::Version(2)).await.unwrap();
    let stored = "select ensure_leaf('2026-01-02Z', '2026-01-02Z', '2026-01-03Z'); \
        insert into logs (timestamp, id, level, resource_id, \"commit\", message) \
        select timestamptz '2026-01-02Z' + n * interval '1 second', gen_random_uuid(), 3, 'r', nullif('old' || n % 3, 'old2'), 'm' \
        from generate_series(1, 2000) n";
    database.sql.batch_execute(stored).await.unwrap();
    let app = TestApp::plan().database(&database).ready().await;
    let records = [at("old0", "2026-01-02T10:00:00Z", "r"), at("new", "2026-01-02T10:00:00Z", "r")];
    app.post(NDJSON, ndjson(records), &[]).await.accepted(2);
    app.wait_rows(2_002).await;
    assert_eq!(deploys(&app, "").await, (vec!["new 2026-01-02T10:00:00Z r".to_owned()], false));
    assert_eq!(database.number("select count(*) from commits where first_at = '-infinity'").await, 2);
    app.stop().await;
}
