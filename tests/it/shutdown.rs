//! The end of a process, in order and not: SIGTERM and kill -9 under load, in both modes. Accepted means stored exactly once.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rdkafka::{Message, message::OwnedMessage};
use serde_json::json;

use crate::harness::{
    Fault, Load, TestApp,
    app::NDJSON,
    kafka::headers_of,
    load::{Entry, Outcome, check, missing},
    postgres::{Database, Postgres},
    records::{many, sample},
    run::{eventually, fresh_folder, seconds},
};

const CONNECTIONS: usize = 24;

/// Lets the load run until that many requests were accepted.
async fn run_until(load: &Load, accepted: usize) {
    eventually(&format!("{accepted} requests accepted"), seconds(60), async || {
        (load.accepted() >= accepted).then_some(())
    })
    .await;
}

/// Waits until everything accepted is stored, as long as there is progress: the broker gives up a killed consumer after ten seconds only,
/// and several of them one after the other.
async fn drained(ledger: &[Entry], app: &TestApp) {
    let mut left = missing(ledger, app.database()).await;
    let mut moved_at = Instant::now();
    while !left.is_empty() {
        if moved_at.elapsed() > seconds(60) {
            panic!("{} accepted records are not stored: {}", left.len(), whereabouts(&left, app).await);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = missing(ledger, app.database()).await;
        if now.len() < left.len() {
            moved_at = Instant::now();
        }
        left = now;
    }
}

/// Where records that should be stored are: which messages of the topic hold them, and how far each partition was read.
async fn whereabouts(names: &[String], app: &TestApp) -> String {
    let mut text = format!("{:?}\n", &names[..names.len().min(10)]);
    let database = app.database().connect().await;
    let statement = "select format('partition %s stored to %s, epoch %s, last key %s, %s, by %s', \
        partition, next_offset, epoch, last_key, updated_at, owner) from kafka_progress order by partition";
    for row in database.query(statement, &[]).await.expect("the table can be read") {
        let _ = writeln!(text, "{}", row.get::<_, String>(0));
    }
    let statement = "select format('dead letter: partition %s offset %s: %s', partition, \"offset\", reason) from dead_letters limit 10";
    for row in database.query(statement, &[]).await.expect("the table can be read") {
        let _ = writeln!(text, "{}", row.get::<_, String>(0));
    }
    if app.has_kafka() {
        let messages = app.kafka().messages(app.topic());
        for name in names.iter().take(10) {
            let quoted = format!("\"{name}\"");
            let holds = |message: &&OwnedMessage| {
                memchr::memmem::find(message.payload().unwrap_or_default(), quoted.as_bytes()).is_some()
            };
            for message in messages.iter().filter(holds) {
                let headers = headers_of(message);
                let headers: Vec<_> =
                    headers.iter().map(|(key, value)| (key, String::from_utf8_lossy(value))).collect();
                let _ = writeln!(
                    text,
                    "{name}: partition {} offset {} {headers:?}",
                    message.partition(),
                    message.offset()
                );
            }
        }
        for partition in 0..app.kafka().partitions(app.topic()) as i32 {
            let in_it = messages.iter().filter(|message| message.partition() == partition);
            let last = in_it.map(|message| message.offset()).max();
            let _ = writeln!(text, "partition {partition}: last offset {last:?}");
        }
    }
    for (series, value) in app.metrics().await {
        let _ = writeln!(text, "{series} {value}");
    }
    text
}

async fn sigterm_under_load(mode: &str) {
    let mut app = TestApp::plan().mode(mode).ready().await;
    let load = Load::start(&app, CONNECTIONS);
    run_until(&load, 300).await;
    app.sigterm();
    let status = app.wait_exit(seconds(30)).await;
    assert_eq!(status.code(), Some(0), "exit status after SIGTERM under load");
    let ledger = load.end().await;
    assert!(
        ledger.iter().any(|entry| entry.outcome == Outcome::Refused),
        "the load went on after the signal"
    );
    if mode == "direct" {
        check(&ledger, app.database()).await;
    }
    let again = app.plan_again().ready().await;
    drained(&ledger, &again).await;
    check(&ledger, again.database()).await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_nothing() {
    sigterm_under_load("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_nothing_through_kafka() {
    sigterm_under_load("kafka").await;
}

/// Requests on open connections get an answer of the door, not a broken connection, once the process is stopping.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_door_says_so() {
    let mut app = TestApp::plan().through_proxy().ready().await;
    app.post_json(&sample()).await.accepted(1);
    // Postgres does not answer, so the request below is still under way when the signal comes.
    app.set_fault(Fault::Swallow);
    let record = sample();
    let pending = app.post_json(&record);
    let later = async {
        eventually("the request is under way", seconds(10), async || {
            (app.metric("log_ingestor_queued_bytes").await > 0).then_some(())
        })
        .await;
        app.sigterm();
        eventually("the process is stopping", seconds(10), async || {
            app.get("/readyz").await.text().contains("stopping").then_some(())
        })
        .await;
        eventually("the door says that it is stopping", seconds(10), async || {
            let answer = app.try_post("application/json", record.to_string(), &[]).await.ok()?;
            assert_eq!(answer.unavailable(), "no");
            Some(())
        })
        .await;
        app.set_fault(Fault::None);
    };
    let (answer, ()) = tokio::join!(pending, later);
    answer.accepted(1);
    assert_eq!(app.wait_exit(seconds(30)).await.code(), Some(0));
    assert_eq!(app.database().rows().await, 2);
}

async fn kill_under_load(mode: &str) {
    let mut app = TestApp::plan().mode(mode).ready().await;
    let mut ledger = Vec::new();
    for round in 1..=3 {
        let load = Load::start(&app, CONNECTIONS);
        run_until(&load, 100 * round).await;
        app.kill9();
        ledger.extend(load.end().await);
        app = app.plan_again().ready().await;
    }
    drained(&ledger, &app).await;
    check(&ledger, app.database()).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_under_load_loses_and_doubles_nothing() {
    kill_under_load("direct").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_under_load_loses_and_doubles_nothing_through_kafka() {
    kill_under_load("kafka").await;
}

/// A request whose answer never came is repeated with its own key after the crash: exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_repeated_after_a_crash_and_stored_once() {
    let mut app = TestApp::plan().ready().await;
    let requests: Vec<_> = (0..40).map(|n| (format!("key-{n}"), many(&format!("r{n}"), 100))).collect();
    // How many of the requests were accepted; the others were told to come again, or the process was gone.
    let send = async |app: &TestApp| {
        let send_one = async |(key, body): &(String, String)| {
            let answer = app.try_post(NDJSON, body.clone(), &[("idempotency-key", key)]).await.ok()?;
            assert!(matches!(answer.status, 202 | 408 | 503), "{}: {}", answer.status, answer.text());
            (answer.status == 202).then_some(())
        };
        join_all(requests.iter().map(send_one)).await.iter().flatten().count()
    };
    let running = app.plan_again();
    let first = send(&app);
    let killer = async {
        eventually("a part is stored", seconds(30), async || {
            (app.database()
                .connect()
                .await
                .query_one("select count(*) from logs", &[])
                .await
                .ok()?
                .get::<_, i64>(0)
                >= 500)
                .then_some(())
        })
        .await;
        app.signal(nix::sys::signal::Signal::SIGKILL);
    };
    tokio::join!(first, killer);
    app.kill9();
    let app = running.ready().await;
    eventually("every repeat is accepted", seconds(60), async || (send(&app).await == 40).then_some(()))
        .await;
    assert_eq!(app.database().rows().await, 4_000);
    let distinct = "select count(distinct message) from logs";
    assert_eq!(app.database().number(distinct).await, 4_000);
    app.stop().await;
}

/// The whole Postgres server crashes under load and recovers; the process goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_postgres_loses_and_doubles_nothing() {
    let mut server = Postgres::start();
    let database = Database::on(&server, "crash").await;
    let app = TestApp::plan().database(&database).ready().await;
    let load = Load::start(&app, CONNECTIONS);
    run_until(&load, 100).await;
    server.crash();
    eventually("the process notices", seconds(20), async || {
        (app.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    server.start_again();
    app.wait_ready().await;
    let before = load.accepted();
    run_until(&load, before + 100).await;
    let ledger = load.end().await;
    check(&ledger, &database).await;
    app.stop().await;
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Without DATABASE_URL: the process starts, stops and finds again a Postgres of its own, even after it was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_postgres_keeps_the_data() {
    let folder = fresh_folder("private");
    let mut app = TestApp::plan().private_postgres(folder.clone()).ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.sigterm();
    assert_eq!(app.wait_exit(seconds(30)).await.code(), Some(0));
    let files = files_below(&folder);
    assert!(files.iter().any(|file| file.ends_with("PG_VERSION")), "the data are there");
    assert!(!files.iter().any(|file| file.ends_with("postmaster.pid")), "the server is stopped");
    let mut app = app.plan_again().ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.kill9();
    let app = app.plan_again().ready().await;
    let found = app.search(&[("traceId", "abc-xyz-123")]).await;
    assert_eq!(found["logs"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(found["stats"]["complete"], json!(true));
    app.finish().await;
}
