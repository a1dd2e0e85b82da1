//! The whole reply contract of `POST /public/ingest`: every kind of bad input beside the nearest good one, each with its status, the
//! records it names and its exact reply. The replies stand in `reply-contract.txt`, which is also documentation;
//! `UPDATE_SNAPSHOT=1 make test` writes it anew.

mod body;
mod case;
mod csv;
mod field;

use std::{fmt::Write, io::Write as _, path::Path};

use case::Case;
use chrono::{Datelike, Utc};

use crate::harness::{Answer, TestApp, http::raw, run::seconds};

const SNAPSHOT: &str = "tests/it/reply-contract.txt";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_input_gets_its_documented_reply() {
    let app = TestApp::plan().ready().await;
    let mut snapshot = String::from("Replies of POST /public/ingest. Ids are masked, long texts are cut.\n");
    let mut faults = Vec::new();
    let mut accepted_total = 0;
    for case in body::cases().into_iter().chain(field::cases()).chain(csv::cases()) {
        let before = app.database().rows().await;
        let answer = send(&app, &case).await;
        let stored = app.database().rows().await - before;
        faults.extend(case.faults(&answer).into_iter().map(|fault| format!("{}: {fault}", case.name)));
        if stored != case.accepted as i64 {
            faults.push(format!("{}: {stored} rows stored, {} expected", case.name, case.accepted));
        }
        accepted_total += stored;
        writeln!(snapshot, "\n# {}\n{} {}", case.name, answer.status, masked(&answer.text())).unwrap();
    }
    assert_eq!(app.get("/healthz").await.status, 200, "the process lives after all of this");
    assert!(app.memory_peak_bytes() < 512 << 20, "peak memory {} bytes", app.memory_peak_bytes());
    assert_eq!(app.metric("log_ingestor_stored_records_total").await, accepted_total as u64);
    app.finish().await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    compare(&snapshot);
}

/// A few kilobytes that inflate to the limit, many at once: they take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_packed_bodies_fit_into_the_memory() {
    let app = std::sync::Arc::new(TestApp::plan().ready().await);
    let mut long = crate::harness::records::sample();
    long["message"] = "x".repeat(60_000).into();
    let body = format!("[{}]", vec![long.to_string(); 270].join(","));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(body.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let requests = (0..100).map(|_| {
        let (app, packed) = (app.clone(), packed.clone());
        tokio::spawn(async move {
            let headers = [("content-encoding", "gzip")];
            app.post("application/json", packed, &headers).await.status
        })
    });
    for request in requests.collect::<Vec<_>>() {
        let status = request.await.unwrap();
        assert!(matches!(status, 202 | 503), "{status}");
    }
    let peak = app.memory_peak_bytes();
    assert!(peak < 512 << 20, "peak memory {peak} bytes");
    std::sync::Arc::into_inner(app).expect("all requests have ended").finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_mode_gives_the_same_replies() {
    let app = TestApp::plan().kafka().ready().await;
    let mut faults = Vec::new();
    let mut accepted = 0;
    for case in field::cases().into_iter().chain(csv::cases()) {
        let answer = send(&app, &case).await;
        faults.extend(case.faults(&answer).into_iter().map(|fault| format!("{}: {fault}", case.name)));
        accepted += case.accepted as i64;
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    app.wait_rows(accepted).await;
    assert_eq!(
        app.database().number("select count(*) from dead_letters").await,
        0,
        "accepted implies storable"
    );
    app.finish().await;
}

/// A table whose every case passes whatever the answer is would prove nothing.
#[test]
fn the_table_can_fail() {
    let answer = Answer {
        status: 418,
        headers: Default::default(),
        body: b"{}".to_vec(),
        json: serde_json::json!({}),
    };
    for case in body::cases().into_iter().chain(field::cases()).chain(csv::cases()) {
        assert!(!case.faults(&answer).is_empty(), "{}: passes with any answer", case.name);
    }
}

async fn send(app: &TestApp, case: &Case) -> Answer {
    let mut head = format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", case.method, case.path);
    if !case.content_type.is_empty() {
        head.push_str(&format!("content-type: {}\r\n", case.content_type));
    }
    for (name, value) in &case.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut request = head.into_bytes();
    if case.chunked {
        request.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        for chunk in case.body.chunks(64 << 10) {
            request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            request.extend_from_slice(chunk);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"0\r\n\r\n");
    } else {
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", case.length).as_bytes());
        request.extend_from_slice(&case.body);
    }
    let answer = tokio::time::timeout(seconds(35), raw(app.port, &request)).await;
    answer.ok().flatten().unwrap_or_else(|| panic!("{}: no reply\n{}", case.name, app.log_text()))
}

/// The reply as the snapshot holds it: ids and times of this year masked, long texts cut.
fn masked(reply: &str) -> String {
    let year = Utc::now().year();
    let times = [format!("{year}-"), format!("{}-", year + 1)];
    let mut text = String::new();
    let mut rest = reply;
    while let Some(first) = rest.chars().next() {
        let uuid = rest.get(..36).filter(|part| uuid::Uuid::try_parse(part).is_ok());
        let time_ends =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-:.+".contains(c)).unwrap_or(rest.len());
        if uuid.is_some() {
            text.push_str("<uuid>");
            rest = &rest[36..];
        } else if times.iter().any(|start| rest.starts_with(start)) {
            text.push_str("<time>");
            rest = &rest[time_ends..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    match text.char_indices().nth(600) {
        Some((at, _)) => format!("{} … ({} characters)", &text[..at], text.chars().count()),
        None => text,
    }
}

fn compare(snapshot: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        std::fs::write(&path, snapshot).expect("the snapshot can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let (mut wanted, mut found) = (expected.split("\n# "), snapshot.split("\n# "));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return,
            (wanted, found) => {
                assert_eq!(wanted, found, "{SNAPSHOT} differs (UPDATE_SNAPSHOT=1 writes it anew)")
            }
        }
    }
}
