//! `Idempotency-Key`: the same key and body is stored once, whatever happens in between.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Fault, TestApp,
    app::{NDJSON, Plan},
    records::{many, named, ndjson},
    run::{eventually, seconds},
};

async fn post(app: &TestApp, key: &str, body: &str) -> Answer {
    app.post(NDJSON, body.to_owned(), &[("idempotency-key", key)]).await
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn a_repeat_is_the_same(mode: &str) {
    let app = TestApp::plan().mode(mode).ready().await;
    // 1 message, and 3 messages.
    for (key, count) in [("one", 3), ("large", 5_000)] {
        let body = many(key, count);
        let first = post(&app, key, &body).await;
        let ids = first.accepted(count);
        assert!(!replayed(&first));
        let stored = format!("select count(*) from logs where message like '{key}-%'");
        eventually("the first is stored", seconds(60), async || {
            (app.database().number(&stored).await == count as i64).then_some(())
        })
        .await;
        for _ in 0..2 {
            let again = post(&app, key, &body).await;
            assert_eq!(again.accepted(count), ids, "the same ids");
            assert!(replayed(&again), "{:?}", again.headers);
        }
        let other = post(&app, key, &many("other", 2)).await;
        assert_eq!(other.status, 409, "{}", other.text());
        assert!(other.json["error"].is_string());
        let distinct = post(&app, &format!("{key}-2"), &body).await;
        assert!(!replayed(&distinct), "another key is another request");
        assert_ne!(distinct.accepted(count), ids);
    }
    let expected = app.database().number("select count(*) from logs where message like 'other-%'").await;
    assert_eq!(expected, 0, "a refused body is not stored");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_same_answer() {
    a_repeat_is_the_same("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_same_answer_through_kafka() {
    a_repeat_is_the_same("kafka").await;
}

async fn parallel_repeats_are_stored_once(mode: &str) {
    let app = TestApp::plan().mode(mode).ready().await;
    let mut rows = 0;
    for (key, count) in [("small", 1), ("middle", 700), ("large", 4_500)] {
        let body = many(key, count);
        let answers = futures_util::future::join_all((0..12).map(|_| post(&app, key, &body))).await;
        let mut ids = Vec::new();
        for answer in answers {
            // While the first is in flight a repeat waits, or gets 503.
            if answer.status == 503 {
                answer.unavailable();
            } else {
                ids.push(answer.accepted(count));
            }
        }
        assert!(!ids.is_empty(), "at least one was accepted");
        assert!(ids.iter().all(|some| *some == ids[0]), "the same ids");
        rows += count as i64;
        app.wait_rows(rows).await;
    }
    // Everything that is still under way must turn out to be a repeat.
    let lag = async || {
        let metrics = app.metrics().await;
        let queued = metrics.get("log_ingestor_queued_bytes").copied().unwrap_or_default();
        (queued == 0.0).then_some(())
    };
    eventually("nothing is under way", seconds(30), lag).await;
    app.finish_rows(rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_repeats() {
    parallel_repeats_are_stored_once("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_repeats_through_kafka() {
    parallel_repeats_are_stored_once("kafka").await;
}

/// What one process cannot know of the other, the transaction decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_the_keys() {
    let one = TestApp::plan().ready().await;
    let other = one.plan_again().ready().await;
    for round in 0..20 {
        let (key, body) = (format!("round{round}"), many(&format!("round{round}"), 500));
        let answers =
            tokio::join!(post(&one, &key, &body), post(&other, &key, &body), post(&one, &key, &body));
        let mut ids = Vec::new();
        for answer in [answers.0, answers.1, answers.2] {
            if answer.status == 503 {
                answer.unavailable();
            } else {
                ids.push(answer.accepted(500));
            }
        }
        assert!(!ids.is_empty() && ids.iter().all(|some| *some == ids[0]), "the same ids");
        assert_eq!(one.database().rows().await, 500 * (round + 1), "round {round}");
    }
    one.stop().await;
    other.stop().await;
}

async fn one_of_two_bodies(mode: &str) {
    let app = TestApp::plan().mode(mode).ready().await;
    for round in 0..20 {
        let key = format!("round{round}");
        let bodies = ["this", "that"].map(|name| many(&format!("{name}-{round}"), 3));
        let answers = tokio::join!(post(&app, &key, &bodies[0]), post(&app, &key, &bodies[1]));
        let answers = [answers.0, answers.1];
        let taken = answers.iter().position(|answer| answer.status == 202).expect("one is taken");
        assert_eq!(answers[1 - taken].status, 409, "round {round}");
        let ids = answers[taken].accepted(3);
        app.wait_rows(3 * (round + 1)).await;
        assert_eq!(post(&app, &key, &bodies[taken]).await.accepted(3), ids, "round {round}");
        assert_eq!(post(&app, &key, &bodies[1 - taken]).await.status, 409, "round {round}");
    }
    // What was refused as a whole has used up nothing.
    assert_eq!(post(&app, "free", "{}").await.status, 422);
    post(&app, "free", &many("free", 3)).await.accepted(3);
    app.finish_rows(63).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_bodies_under_one_key_is_stored() {
    one_of_two_bodies("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_bodies_under_one_key_is_stored_through_kafka() {
    one_of_two_bodies("kafka").await;
}

/// One process knows nothing of the other; but whoever got a 202 gets it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_may_take_two_bodies_and_know_both() {
    let one = TestApp::plan().ready().await;
    let other = one.plan_again().ready().await;
    let mut rows = 0;
    for round in 0..10 {
        let key = format!("round{round}");
        let bodies = ["this", "that"].map(|name| many(&format!("{name}-{round}"), 3));
        let answers = tokio::join!(post(&one, &key, &bodies[0]), post(&other, &key, &bodies[1]));
        for (answer, body) in [answers.0, answers.1].iter().zip(&bodies) {
            if answer.status == 202 {
                rows += 3;
                assert_eq!(post(&one, &key, body).await.accepted(3), answer.accepted(3), "round {round}");
            }
        }
    }
    assert_eq!(one.database().rows().await, rows);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_outlives_the_process() {
    let app = TestApp::plan().ready().await;
    let (plan, body) = (app.plan_again(), many("kept", 2_500));
    let ids = post(&app, "kept", &body).await.accepted(2_500);
    app.finish().await;
    let app = plan.ready().await;
    let again = post(&app, "kept", &body).await;
    assert_eq!(again.accepted(2_500), ids);
    assert!(replayed(&again));
    assert_eq!(app.database().rows().await, 2_500);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_postgres_away_the_door_accepts_and_the_writer_deduplicates() {
    let app = TestApp::plan().kafka().through_proxy().ready().await;
    let body = many("away", 2_500);
    let ids = post(&app, "away", &body).await.accepted(2_500);
    app.wait_rows(2_500).await;
    app.set_fault(Fault::Cut);
    for _ in 0..3 {
        assert_eq!(post(&app, "away", &body).await.accepted(2_500), ids, "the same ids without Postgres");
    }
    let other = many("new", 10);
    post(&app, "new", &other).await.accepted(10);
    post(&app, "new", &other).await.accepted(10);
    app.set_fault(Fault::None);
    app.wait_rows(2_510).await;
    app.finish_rows(2_510).await;
}

/// Two bodies under one key that two processes acknowledged before the first was stored: what was acknowledged is not lost. One process takes
/// one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_body_is_never_lost_to_its_key() {
    let app = TestApp::plan().kafka().through_proxy().ready().await;
    let other = app.plan_again().through_proxy().ready().await;
    app.set_fault(Fault::Cut);
    other.set_fault(Fault::Cut);
    post(&app, "key", &many("a", 3)).await.accepted(3);
    assert_eq!(post(&app, "key", &many("b", 4)).await.status, 409);
    post(&other, "key", &many("b", 4)).await.accepted(4);
    app.set_fault(Fault::None);
    other.set_fault(Fault::None);
    app.wait_rows(7).await;
    assert_eq!(post(&app, "key", &many("c", 1)).await.status, 409);
    let database = app.database().clone();
    other.stop().await;
    app.stop().await;
    assert_eq!(database.rows().await, 7);
}

/// The same bytes read another way hold other records: a repeat of them is another request, not a repeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_body_read_another_way_is_another_request() {
    let app = TestApp::plan().ready().await;
    let mut strange = named("strange");
    strange["colour"] = json!("red");
    let body = ndjson([named("plain"), strange].into_iter());
    let key: &[(&str, &str)] = &[("idempotency-key", "twice")];
    let first = app.post_at("/public/ingest?unknown=reject", NDJSON, &body, key).await;
    assert_eq!((first.status, first.json["rejectedTotal"].as_u64()), (202, Some(1)), "{}", first.text());
    app.wait_rows(1).await;
    let second = app.post_at("/public/ingest", NDJSON, &body, key).await;
    assert_eq!(second.status, 409, "{}", second.text());
    app.wait_rows(1).await;
    app.finish().await;
}

/// Between two posts of one body a record comes within the next 24 hours and another leaves what is retained, so each acknowledges records
/// that the other has refused: all of them are stored, and once.
async fn edges_pass_between_two_posts(app: TestApp, fault: Fault) {
    app.set_fault(fault);
    let now = Utc::now();
    let edge = TimeDelta::seconds(1);
    let record = |message: &str, at: DateTime<Utc>| {
        let mut record = named(message);
        record["timestamp"] = json!(at.to_rfc3339());
        record
    };
    let with_id = |mut record: Value| {
        record["id"] = record["message"].clone();
        record
    };
    let comes = |message: &str| record(message, now + TimeDelta::days(1) + edge);
    let leaves = |message: &str| record(message, now - TimeDelta::days(1) + edge);
    let bodies = [
        ("one more", ndjson([record("a1", now), comes("b1")])),
        ("as many", ndjson([record("a2", now), comes("b2"), leaves("c2")])),
        ("one less", ndjson([record("a3", now), leaves("c3"), leaves("d3"), comes("b3")])),
        ("ids of the client", ndjson([with_id(record("a4", now)), with_id(comes("b4"))])),
    ];
    let mut acknowledged = BTreeSet::new();
    for round in 0..2 {
        for (key, body) in &bodies {
            let answer = post(&app, key, body).await;
            assert_eq!(answer.status, 202, "round {round}, {key}: {}", answer.text());
            acknowledged.extend(answer.ids());
        }
        eventually("the edges have passed", seconds(10), async || (Utc::now() > now + edge).then_some(()))
            .await;
    }
    assert_eq!(acknowledged.len(), 11, "each post acknowledges what the other refuses");
    app.set_fault(Fault::None);
    app.wait_rows(11).await;
    let ids = app.database().connect().await.query("select distinct id::text from logs", &[]).await;
    let ids: BTreeSet<String> = ids.expect("the table can be read").iter().map(|row| row.get(0)).collect();
    assert_eq!(ids, acknowledged);
    app.stop().await;
}

/// A plan through Kafka and a proxy, with both edges.
fn with_edges() -> Plan {
    TestApp::plan().kafka().through_proxy().env("RETENTION_DAYS", 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_pass_within_a_batch() {
    let app = with_edges().env("FLUSH_WAIT_MAX_MS", 5_000).ready().await;
    edges_pass_between_two_posts(app, Fault::None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_pass_between_batches() {
    edges_pass_between_two_posts(with_edges().ready().await, Fault::Cut).await;
}
