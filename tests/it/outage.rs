//! Postgres and Kafka go away and come back: the door says so in time, nothing is lost or doubled, and it heals by itself.

use std::{sync::Arc, time::Instant};

use serde_json::json;

use crate::harness::{
    Answer, Fault, TestApp,
    app::NDJSON,
    kafka::Kafka,
    records::{many, named, sample},
    run::{eventually, seconds, unique},
};

/// The contract: no request hangs longer than this.
const HANGS_MAX: u64 = 35;

/// Repeats a refused or unknown request, as a client would, until it is accepted.
async fn repeat(app: &TestApp, body: &str, first: Answer) -> Vec<String> {
    let key = first.json["batchId"].as_str().map_or_else(|| unique("key"), str::to_owned);
    let records = body.lines().count();
    eventually("a repeat is accepted", seconds(60), async || {
        let answer = app.post(NDJSON, body.to_owned(), &[("idempotency-key", &key)]).await;
        if answer.status == 503 {
            answer.unavailable();
            return None;
        }
        Some(answer.accepted(records))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_mode_without_postgres_says_503_and_heals() {
    let app = TestApp::plan().through_proxy().ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.set_fault(Fault::Cut);
    let (mut expected, mut refused) = (1, Vec::new());
    for n in 0..3 {
        let body = many(&format!("away{n}"), 3);
        let began = Instant::now();
        let answer = app.post(NDJSON, body.clone(), &[]).await;
        assert!(began.elapsed() < seconds(HANGS_MAX), "{:?}", began.elapsed());
        answer.unavailable();
        refused.push((body, answer));
    }
    assert_eq!(app.get("/healthz").await.status, 200, "the process lives");
    let not_ready = app.get("/readyz").await;
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.text().contains("Postgres"), "{}", not_ready.text());
    let search = app.get("/api/logs").await;
    assert_eq!(search.status, 503, "{}", search.text());
    app.set_fault(Fault::None);
    app.wait_ready().await;
    for (body, answer) in refused {
        repeat(&app, &body, answer).await;
        expected += 3;
        assert_eq!(app.database().rows().await, expected);
    }
    app.stop().await;
}

/// Connections that stay open and carry nothing: worse than a clean end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_postgres_does_not_hang_the_door() {
    let app = TestApp::plan().through_proxy().ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.set_fault(Fault::Swallow);
    let began = Instant::now();
    let body = many("silent", 3);
    let answer = app.post(NDJSON, body.clone(), &[]).await;
    assert!(began.elapsed() < seconds(HANGS_MAX), "{:?}", began.elapsed());
    answer.unavailable();
    app.set_fault(Fault::None);
    repeat(&app, &body, answer).await;
    assert_eq!(app.database().number("select count(*) from logs where message like 'silent-%'").await, 3);
    app.stop().await;
}

/// A server that takes connections and says nothing, as a frozen one does: searches and probes must not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_postgres_does_not_hang_a_search() {
    let app = TestApp::plan().through_proxy().ready().await;
    app.post_json(&sample()).await.accepted(1);
    // More than one connection is open and warm.
    futures_util::future::join_all((0..4).map(|_| app.search(&[]))).await;
    app.set_fault(Fault::Swallow);
    let (api, page, ready) = tokio::join!(app.get("/api/logs"), app.get("/"), app.get("/readyz"));
    assert_eq!((api.status, page.status, ready.status), (503, 503, 503), "{}", ready.text());
    assert!(api.header("retry-after").is_some());
    let roles = ready.json["roles"].as_object().unwrap();
    assert!(roles.values().all(|role| role["ready"] == false), "{}", ready.text());
    app.set_fault(Fault::None);
    eventually("it is well again", seconds(60), async || {
        (app.get("/api/logs").await.status == 200).then_some(())
    })
    .await;
    app.stop().await;
}

/// The one moment in which nobody knows: COMMIT was sent and the connection is gone.
async fn commit_is_hit(mode: &str, fault: Fault) {
    let app = TestApp::plan().mode(mode).through_proxy().ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.wait_rows(1).await;
    for round in 1..=5 {
        let body = many(&format!("round{round}"), 50);
        app.set_fault(fault);
        let answer = app.post(NDJSON, body.clone(), &[]).await;
        if answer.status == 503 {
            // Direct mode may hand the question to the client; Kafka mode must not.
            assert_eq!(mode, "direct", "{}", answer.text());
            answer.unavailable();
            repeat(&app, &body, answer).await;
        } else {
            answer.accepted(50);
        }
        app.wait_rows(1 + 50 * round).await;
        assert_eq!(i64::from(app.proxy().commits_lost()), round, "the fault has struck");
    }
    let distinct = "select count(distinct message) from logs";
    assert_eq!(app.database().number(distinct).await, 251);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_to_commit_is_resolved() {
    commit_is_hit("direct", Fault::LoseCommitReply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_to_commit_is_resolved_through_kafka() {
    commit_is_hit("kafka", Fault::LoseCommitReply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_is_resolved() {
    commit_is_hit("direct", Fault::LoseCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_is_resolved_through_kafka() {
    commit_is_hit("kafka", Fault::LoseCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_mode_without_postgres_accepts_and_stores_later() {
    let app = TestApp::plan().kafka().through_proxy().ready().await;
    app.set_fault(Fault::Cut);
    for n in 0..20 {
        app.post(NDJSON, many(&format!("away{n}"), 500), &[]).await.accepted(500);
    }
    eventually("the writer is not ready", seconds(30), async || {
        let answer = app.get("/readyz").await;
        (answer.status == 503 && answer.text().contains("Postgres")).then_some(())
    })
    .await;
    assert_eq!(app.database().rows().await, 0);
    app.set_fault(Fault::None);
    app.wait_rows(10_000).await;
    assert_eq!(app.database().number("select count(*) from dead_letters").await, 0);
    app.wait_ready().await;
    app.finish().await;
}

/// A broker that starts after the process, is killed, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_comes_late_goes_away_and_returns() {
    let kafka = Arc::new(Kafka::planned());
    let app = TestApp::plan().kafka_of(kafka.clone()).start().await;
    let waiting = app.get("/readyz").await;
    assert_eq!(waiting.status, 503);
    assert!(waiting.text().contains("Kafka"), "it says what it waits for: {}", waiting.text());
    refused_in_time(&app).await;

    let starting = kafka.clone();
    tokio::task::spawn_blocking(move || starting.start()).await.expect("the broker starts");
    app.wait_ready().await;
    // A broker tells of a new topic a moment after it has promised it.
    eventually("12 partitions", seconds(10), async || (kafka.partitions(app.topic()) == 12).then_some(()))
        .await;
    app.post(NDJSON, many("first", 100), &[]).await.accepted(100);
    app.wait_rows(100).await;

    kafka.kill9();
    refused_in_time(&app).await;
    eventually("the door is not ready", seconds(30), async || {
        let answer = app.get("/readyz").await;
        (answer.status == 503 && answer.text().contains("Kafka")).then_some(())
    })
    .await;
    let found = app.search(&[("message", "first-99")]).await;
    assert_eq!(found["logs"].as_array().map(Vec::len), Some(1), "searches go on");

    let starting = kafka.clone();
    tokio::task::spawn_blocking(move || starting.start()).await.expect("the broker starts again");
    app.wait_ready().await;
    app.post(NDJSON, many("second", 100), &[]).await.accepted(100);
    eventually("the second hundred is stored", seconds(60), async || {
        let stored = "select count(*) from logs where message like 'second-%'";
        (app.database().number(stored).await == 100).then_some(())
    })
    .await;
    assert_eq!(app.database().number("select count(distinct message) - count(*) from logs").await, 0);
    app.stop().await;
}

/// Once the outage is known, the door says 503 within 5 s.
async fn refused_in_time(app: &TestApp) {
    eventually("the door has noticed", seconds(HANGS_MAX), async || {
        let began = Instant::now();
        let answer = app.post_json(&named("refused")).await;
        (answer.status == 503 && began.elapsed() < seconds(5)).then(|| answer.unavailable().to_owned())
    })
    .await;
    let began = Instant::now();
    let answer = app.post_json(&json!([named("refused"), named("refused")])).await;
    answer.unavailable();
    assert!(began.elapsed() < seconds(5), "503 after {:?}", began.elapsed());
}
