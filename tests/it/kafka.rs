//! Kafka between door and table: what the topic looks like, everything that may come out of it, and who reads it.

use std::{io::Write, time::Duration};

use nix::sys::signal::Signal;
use rdkafka::Message;
use serde_json::json;

use crate::harness::{
    TestApp,
    app::{JSON, NDJSON},
    kafka::{Kafka, headers_of},
    postgres::Database,
    records::{Dice, many, named, ndjson},
    run::{eventually, seconds},
};

/// The most rows of one transaction.
const BATCH_ROWS: &str = "select max(n) from (select count(*) as n from records group by xmin) as batches";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_messages_that_any_tool_can_read() {
    let app = TestApp::plan().kafka().ready().await;
    let ids = app.post(NDJSON, many("split", 4_001), &[]).await.accepted(4_001);
    app.wait_rows(4_001).await;
    assert_eq!(app.kafka().partitions(app.topic()), 12);
    let (kafka, topic) = (app.kafka().clone(), app.topic().to_owned());
    let messages = tokio::task::spawn_blocking(move || kafka.messages(&topic)).await.expect("no panic");
    let mut parts = Vec::new();
    let mut seen = Vec::new();
    for message in &messages {
        let headers = headers_of(message);
        let header = |name: &str| {
            let value =
                headers.iter().find(|header| header.0 == name).unwrap_or_else(|| panic!("header {name}"));
            String::from_utf8(value.1.clone()).expect("headers are text")
        };
        assert_eq!(header("v"), "1");
        uuid::Uuid::parse_str(&header("key")).expect("the key is a UUID");
        parts.push((header("part").parse::<u32>().expect("a number"), header("key")));
        let lines = std::str::from_utf8(message.payload().expect("a message has a value")).expect("text");
        assert!(lines.lines().count() <= 2_000, "records of a message");
        for line in lines.lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            seen.push(record["id"].as_str().expect("an id").to_owned());
        }
    }
    parts.sort();
    let key = parts[0].1.clone();
    assert_eq!(parts, (0..3).map(|part| (part, key.clone())).collect::<Vec<_>>(), "one key, parts 0 to 2");
    let mut wanted = ids;
    wanted.sort();
    seen.sort();
    assert!(seen == wanted, "the ids of the reply are those of the messages");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_records_in_mixed_formats_are_as_many_rows() {
    let app = TestApp::plan().kafka().ready().await;
    let mut sent = 0;
    let mut requests = Vec::new();
    for n in 0..40 {
        let prefix = format!("mixed{n}");
        let count = [1, 300, 2_000, 7_700][n % 4];
        sent += count;
        let array =
            || json!((0..count).map(|i| named(&format!("{prefix}-{i}"))).collect::<Vec<_>>()).to_string();
        let rows = (0..count).map(|i| format!("info,{prefix}-{i},r,2026-01-02T03:04:05Z\n"));
        let csv = || format!("level,message,resourceId,timestamp\n{}", rows.collect::<String>());
        let gzip = |text: String| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).expect("memory can be written");
            encoder.finish().expect("memory can be written")
        };
        let identity = ("content-encoding", "identity");
        requests.push(match n / 4 % 4 {
            0 => (JSON, array().into_bytes(), identity, count),
            1 => (NDJSON, many(&prefix, count).into_bytes(), identity, count),
            2 => ("text/csv", csv().into_bytes(), identity, count),
            _ => (NDJSON, gzip(many(&prefix, count)), ("content-encoding", "gzip"), count),
        });
    }
    assert!(sent >= 100_000);
    for some in requests.chunks(4) {
        let posts = some.iter().map(async |(content_type, body, encoding, count)| {
            let answer = app.post(content_type, body.clone(), &[*encoding]).await;
            answer.accepted(*count);
        });
        futures_util::future::join_all(posts).await;
    }
    app.wait_rows(sent as i64).await;
    let distinct = "select count(distinct (message, id)) from logs";
    assert_eq!(app.database().number(distinct).await, sent as i64);
    let most = app.database().number(BATCH_ROWS).await;
    assert!((1_000..=2_000).contains(&most), "rows of the largest batch: {most}");
    app.finish_rows(sent as i64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ours_becomes_a_dead_letter() {
    let app = TestApp::plan().kafka().ready().await;
    app.post_json(&named("template")).await.accepted(1);
    app.wait_rows(1).await;
    let (kafka, topic) = (app.kafka().clone(), app.topic().to_owned());
    let place = topic.clone();
    let template =
        tokio::task::spawn_blocking(move || kafka.messages(&place)).await.expect("no panic").remove(0);
    let line = String::from_utf8(template.payload().expect("a value").to_vec()).expect("text");
    let line = line.trim_end().to_owned();
    // The same record under another key, and with headers changed or gone.
    let headers = |changed: &str, value: &str| {
        let key = format!("{:032x}", value.len() + changed.len() * 100 + 0xfeed);
        let mut headers = headers_of(&template);
        for header in &mut headers {
            if header.0 == "key" {
                header.1 = uuid::Uuid::parse_str(&key).expect("a UUID").to_string().into_bytes();
            }
            if header.0 == changed {
                header.1 = value.as_bytes().to_vec();
            }
        }
        headers
    };
    let ours = |name: &str| line.replace("template", name).replace(&id_of(&line), &id_like(&line, name));
    let broken = format!("{}\n{{\"broken\n{}\n", ours("one"), ours("two"));
    let unstorable = format!("{}\n", ours("three").replace("\"info\"", "\"banana\""));
    let invalid = [b"\xff\xfe\n".as_slice(), ours("four").as_bytes()].concat();
    let other_version = ours("five");
    let foreign: [(&str, &[u8], Vec<_>); 7] = [
        ("no headers", b"Sep 15 08:00:00 host daemon: hello", Vec::new()),
        ("an empty value", b"", Vec::new()),
        ("one broken line", broken.as_bytes(), headers("", "1")),
        ("an unknown level", unstorable.as_bytes(), headers("", "22")),
        ("invalid UTF-8", &invalid, headers("", "333")),
        ("another version", other_version.as_bytes(), headers("v", "99")),
        ("a key that is none", other_version.as_bytes(), headers("key", "not a key")),
    ];
    for (number, (_, value, headers)) in foreign.iter().enumerate() {
        app.kafka().produce(&topic, number as i32, value, headers).await;
    }
    app.post_json(&named("after")).await.accepted(1);
    // template, one, two, four, after
    app.wait_rows(5).await;
    let dead = async || {
        let query =
            "select topic, partition, reason, raw from dead_letters order by partition, \"offset\", index";
        app.database().sql.query(query, &[]).await.expect("the table can be read")
    };
    eventually("a dead letter for each", seconds(30), async || {
        (dead().await.len() >= foreign.len()).then_some(())
    })
    .await;
    let letters = dead().await;
    for (number, (what, ..)) in foreign.iter().enumerate() {
        let of_it: Vec<_> =
            letters.iter().filter(|row| row.get::<_, Option<i32>>(1) == Some(number as i32)).collect();
        assert_eq!(of_it.len(), 1, "{what}: one dead letter");
        assert_eq!(of_it[0].get::<_, Option<&str>>(0), Some(topic.as_str()), "{what}");
        assert!(!of_it[0].get::<_, &str>(2).is_empty(), "{what}: a reason");
    }
    let raw = |number: usize| -> Vec<u8> { letters[number].get(3) };
    assert_eq!(raw(0), b"Sep 15 08:00:00 host daemon: hello");
    assert_eq!(raw(2), b"{\"broken", "the line as it was, without its neighbours");
    assert_eq!(raw(4), b"\xff\xfe", "bytes, not text");
    assert_eq!(raw(5), other_version.as_bytes());
    assert_eq!(app.metric("log_ingestor_dead_letters_total").await, foreign.len() as u64);
    app.wait_ready().await;
    app.stop().await;
}

fn id_of(line: &str) -> String {
    let record: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    record["id"].as_str().expect("an id").to_owned()
}

/// An id of the same time that no other record has.
fn id_like(line: &str, name: &str) -> String {
    let number = name.bytes().fold(7_u64, |sum, byte| sum * 31 + u64::from(byte));
    format!("{}{:012x}", &id_of(line)[..24], number % (1 << 48))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_twice_is_stored_once() {
    let app = TestApp::plan().kafka().ready().await;
    app.post(NDJSON, many("twice", 3_000), &[]).await.accepted(3_000);
    app.wait_rows(3_000).await;
    let (kafka, topic) = (app.kafka().clone(), app.topic().to_owned());
    let place = topic.clone();
    let messages = tokio::task::spawn_blocking(move || kafka.messages(&place)).await.expect("no panic");
    for (number, message) in messages.iter().enumerate() {
        let value = message.payload().expect("a value");
        // Into the same partition, and both copies of the second round into one batch.
        for partition in [message.partition(), 11 - number as i32, 11 - number as i32] {
            app.kafka().produce(&topic, partition, value, &headers_of(message)).await;
        }
    }
    eventually("nine thousand repeats", seconds(60), async || {
        (app.metric("log_ingestor_repeated_records_total").await == 9_000).then_some(())
    })
    .await;
    assert_eq!(app.database().rows().await, 3_000);
    assert_eq!(app.database().number("select count(*) from dead_letters").await, 0);
    app.stop().await;
}

/// Puts a rule into the table that no door knows, once its leaf exists.
async fn forbid_poison(app: &TestApp) {
    app.post_json(&named("first")).await.accepted(1);
    app.wait_rows(1).await;
    let rule = "alter table records add constraint no_poison check (message <> 'poison') not valid";
    app.database().connect().await.batch_execute(rule).await.expect("the table can be altered");
}

fn poisoned() -> String {
    let line = |n: usize| if n == 1_234 { named("poison") } else { named(&format!("fine-{n}")) };
    ndjson((0..2_000).map(line))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_that_postgres_refuses_costs_one_row() {
    let app = TestApp::plan().kafka().ready().await;
    forbid_poison(&app).await;
    app.post(NDJSON, poisoned(), &[]).await.accepted(2_000);
    app.wait_rows(2_000).await;
    let query =
        "select convert_from(raw, 'UTF8') from dead_letters where index = 1234 and sqlstate = '23514'";
    let dead = app.database().texts(query, &[]).await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].contains("\"poison\""), "{dead:?}");
    assert_eq!(app.database().number("select count(*) from dead_letters").await, 1);
    app.finish_rows(2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_that_postgres_refuses_is_handed_back_in_direct_mode() {
    let app = TestApp::plan().ready().await;
    forbid_poison(&app).await;
    let answer = app.post(NDJSON, poisoned(), &[]).await;
    assert_eq!((answer.status, &answer.json["accepted"]), (202, &json!(1_999)), "{}", answer.text());
    assert_eq!(answer.json["rejectedTotal"], 1);
    assert_eq!(answer.json["rejected"][0]["index"], 1_234);
    assert_eq!(answer.ids().len(), 1_999);
    assert_eq!(app.post_json(&named("poison")).await.status, 422);
    app.finish_rows(2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_share_the_partitions_and_take_over() {
    let door = TestApp::plan().kafka().roles("ingest").ready().await;
    let mut first = door.plan_again().roles("write").ready().await;
    let second = door.plan_again().roles("write").ready().await;
    let database = door.database().clone();
    let owners = "select count(distinct owner) from kafka_progress";
    eventually("both own partitions", seconds(60), async || {
        (database.number(owners).await == 2).then_some(())
    })
    .await;
    let mut sent = 0;
    let mut send = async |count: usize| {
        for _ in 0..30 {
            door.post(NDJSON, many(&format!("shared{sent}"), count), &[]).await.accepted(count);
            sent += count as i64;
        }
        sent
    };
    let rows = send(100).await;
    door.wait_rows(rows).await;
    let stored = async |app: &TestApp| app.metric("log_ingestor_stored_records_total").await;
    assert!(stored(&first).await > 0 && stored(&second).await > 0, "both have stored some");
    send(50).await;
    first.kill9();
    let rows = send(50).await;
    // The contract: within 20 s; a little more for a machine that does other things too.
    eventually("the survivor stores everything", seconds(25), async || {
        (database.rows().await == rows).then_some(())
    })
    .await;
    assert_eq!(database.number("select count(*) - count(distinct message) from logs").await, 0);
    assert_eq!(database.number(owners).await, 1);
    second.stop().await;
    door.stop().await;
}

/// A writer that was stopped in the middle of a batch, lost its partitions and wakes up: what it goes on with must not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_slept_is_refused() {
    let door = TestApp::plan().kafka().roles("ingest").ready().await;
    let sleeper = door.plan_again().roles("write").ready().await;
    let other = door.plan_again().roles("write").ready().await;
    door.post_json(&named("first")).await.accepted(1);
    door.wait_rows(1).await;
    let database = door.database().clone();
    let owners = "select count(distinct owner) from kafka_progress";
    eventually("both own partitions", seconds(60), async || {
        (database.number(owners).await == 2).then_some(())
    })
    .await;

    let lock = database.connect().await;
    lock.batch_execute("begin; lock table logs in exclusive mode").await.expect("the lock is free");
    for n in 0..60 {
        door.post(NDJSON, many(&format!("zombie{n}"), 50), &[]).await.accepted(50);
    }
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    // Of four connections three: at least one of each process.
    eventually("both are inside a batch", seconds(30), async || {
        (database.number(waiting).await >= 3).then_some(())
    })
    .await;
    sleeper.signal(Signal::SIGSTOP);
    lock.batch_execute("rollback").await.expect("the connection is there");
    eventually("the other stores everything", seconds(60), async || {
        (database.rows().await == 3_001).then_some(())
    })
    .await;
    sleeper.signal(Signal::SIGCONT);
    eventually("both own partitions again", seconds(60), async || {
        (database.number(owners).await == 2).then_some(())
    })
    .await;
    for n in 0..30 {
        door.post(NDJSON, many(&format!("awake{n}"), 50), &[]).await.accepted(50);
    }
    door.wait_rows(4_501).await;
    assert_eq!(database.number("select count(distinct message) from logs").await, 4_501);
    for app in [sleeper, other, door] {
        app.stop().await;
    }
    assert_eq!(database.rows().await, 4_501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_random_timestamps_makes_few_leaves() {
    for mode in ["direct", "kafka"] {
        let app = TestApp::plan().mode(mode).ready().await;
        let mut dice = Dice(42);
        let now = chrono::Utc::now();
        for round in 0..20 {
            let records = (0..100).map(|n| {
                let mut record = named(&format!("stray-{round}-{n}"));
                record["timestamp"] =
                    json!((now - Duration::from_secs(dice.roll(365 * 86_400))).to_rfc3339());
                record
            });
            app.post(NDJSON, ndjson(records), &[]).await.accepted(100);
        }
        app.wait_rows(2_000).await;
        let leaves = app.database().number("select count(*) from leaves").await;
        assert!((1..=36).contains(&leaves), "{mode}: {leaves} leaves");
        let attached = "select count(*) from pg_inherits where inhparent = 'records'::regclass";
        assert_eq!(app.database().number(attached).await, leaves);
        app.finish().await;
    }
}

/// A topic that was deleted and made anew: going on from the stored offsets would skip records without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_is_not_read_in_silence() {
    let app = TestApp::plan().kafka().ready().await;
    for n in 0..30 {
        app.post(NDJSON, many(&format!("old{n}"), 10), &[]).await.accepted(10);
    }
    app.wait_rows(300).await;
    let (plan, kafka, topic) = (app.plan_again(), app.kafka().clone(), app.topic().to_owned());
    app.stop().await;
    kafka.delete_topic(&topic).await;
    eventually("the topic is gone", seconds(30), async || (kafka.partitions(&topic) == 0).then_some(()))
        .await;
    kafka.create_topic(&topic, 12).await;
    let app = plan.start().await;
    eventually("partitions are halted", seconds(60), async || {
        (app.metric("log_ingestor_halted_partitions").await > 0).then_some(())
    })
    .await;
    let readiness = app.get("/readyz").await;
    assert_eq!(readiness.status, 503);
    assert!(readiness.text().contains("halted"), "{}", readiness.text());
    assert_eq!(app.database().rows().await, 300, "nothing is stored anew");
    app.stop().await;
}

/// An existing topic is used as it is, whatever its number of partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_topic_is_used() {
    let plan = TestApp::plan().kafka();
    let database = Database::fresh().await;
    let topic = plan.topic_name().to_owned();
    Kafka::shared().create_topic(&topic, 3).await;
    let app = plan.database(&database).ready().await;
    for n in 0..10 {
        app.post(NDJSON, many(&format!("old{n}"), 10), &[]).await.accepted(10);
    }
    app.wait_rows(100).await;
    assert_eq!(app.kafka().partitions(&topic), 3);
    app.finish().await;
}
