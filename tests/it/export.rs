//! Exports through the real process: everything that was stored comes out again, and what breaks off is seen to.

use std::io::Read;

use reqwest::Response;
use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    records::{Dice, ndjson},
    run::{eventually, seconds},
};

/// What a cell of a spreadsheet must not begin with, and what CSV has to quote.
const HOSTILE: [&str; 12] = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2",
    "@SUM(A1:A9)",
    "\t=1",
    "\r=1",
    "\n=1",
    "'=1",
    "a \"quoted\", text\r\nof two lines",
    ",",
    "<script>alert(1)</script>",
    "名前\u{2028}\u{feff}",
];

/// Records of a random moment each, with many equal timestamps; deterministic.
fn varied(count: u64) -> Vec<Value> {
    let mut dice = Dice(11);
    let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
    (0..count)
        .map(|n| {
            let hostile = HOSTILE[dice.roll(12) as usize];
            let mut record = json!({
                "level": levels[dice.roll(6) as usize],
                "message": format!("{hostile} {n}"),
                "resourceId": if dice.roll(9) == 0 { hostile.to_owned() } else { format!("server-{}", dice.roll(4)) },
                "timestamp": format!("2026-01-02T{:02}:{:02}:00.{:06}Z", dice.roll(6), dice.roll(60), dice.roll(3)),
            });
            for (name, value) in [
                ("traceId", json!(format!("{:032x}", n / 5))),
                ("spanId", json!(hostile)),
                ("commit", json!("5e5342f")),
                ("id", json!(format!("-{n}"))),
                ("metadata", json!({"user": {"id": n, "name": hostile}, "tags": ["a", hostile], "n": -1.50})),
            ] {
                if dice.roll(2) == 0 {
                    record[name] = value;
                }
            }
            record
        })
        .collect()
}

async fn fill(app: &TestApp, records: &[Value]) {
    for batch in records.chunks(5_000) {
        app.post(NDJSON, ndjson(batch.iter().cloned()), &[]).await.accepted(batch.len());
    }
}

/// All hits, page by page.
async fn paged(app: &TestApp, filter: &[(&str, &str)]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let place: Vec<(&str, &str)> = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
        let page = app.search(&[filter, &[("limit", "1000"), ("budget", "10s")], &place].concat()).await;
        found.extend(page["logs"].as_array().expect("the reply has it").iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return found,
        }
    }
}

async fn export(app: &TestApp, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let answer = app.get(&format!("/api/export?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.text()
}

/// As who reads such a file: one `'` goes from the front of a cell, and what is empty is not there.
fn read_csv(text: &str, columns: &[&str]) -> Vec<Value> {
    let mut file = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header: Vec<String> = file.headers().unwrap().iter().map(str::to_owned).collect();
    let usual = [
        "timestamp",
        "level",
        "resourceId",
        "message",
        "traceId",
        "spanId",
        "commit",
        "id",
        "clientId",
        "metadata",
    ];
    assert_eq!(header, [&usual, columns].concat());
    let mut rows = Vec::new();
    for record in file.records() {
        let mut row = json!({});
        for (name, cell) in header.iter().zip(record.unwrap().iter()).filter(|(_, cell)| !cell.is_empty()) {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{name}: {cell}");
            let text = cell.strip_prefix('\'').unwrap_or(cell);
            row[name] = match name.as_str() {
                "metadata" => serde_json::from_str(text).unwrap(),
                _ => json!(text),
            };
        }
        rows.push(row);
    }
    rows
}

fn read_ndjson(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_same(seen: &[Value], wanted: &[Value], what: &str) {
    for (at, (seen, wanted)) in seen.iter().zip(wanted).enumerate() {
        assert_eq!(seen, wanted, "{what}: record {at}");
    }
    assert_eq!(seen.len(), wanted.len(), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_out_again() {
    const COUNT: usize = 30_000;
    let app = TestApp::plan().ready().await;
    let mut records = varied(COUNT as u64);
    records.sort_by_key(|record| record["timestamp"].as_str().map(str::to_owned));
    fill(&app, &records).await;
    let all = paged(&app, &[]).await;
    assert_eq!(all.len(), COUNT);
    assert_same(&read_ndjson(&export(&app, &[("format", "ndjson")]).await), &all, "ndjson");
    let text = export(&app, &[("format", "csv")]).await;
    assert!(text.starts_with("timestamp,level,") && text.ends_with("\r\n"));
    assert_same(&read_csv(&text, &[]), &all, "csv");
    assert_eq!(app.metric("log_ingestor_exported_records_total").await, 2 * COUNT as u64);
    eventually("both are done", seconds(10), async || {
        let metrics = app.metrics().await;
        (metrics.get("log_ingestor_exports_total{reason=\"done\"}") == Some(&2.0)).then_some(())
    })
    .await;

    // Compressed, of some of them, with columns.
    let filter = [("level", "error"), ("from", "2026-01-02T01:00:00Z")];
    let errors = paged(&app, &filter).await;
    let query = "format=csv&level=error&from=2026-01-02T01:00:00Z&columns=metadata.user.id,level&columns=metadata.tags";
    let request = app.client.get(format!("{}/api/export?{query}", app.url)).header("accept-encoding", "gzip");
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-encoding"), "gzip");
    assert_eq!(header("content-type"), "text/csv; charset=utf-8; header=present");
    let disposition = header("content-disposition");
    assert!(disposition.starts_with("attachment; filename=\"logs-20") && disposition.ends_with("Z.csv\""));
    let bytes = response.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let mut rows = read_csv(&text, &["metadata.user.id", "metadata.tags"]);
    for row in &mut rows {
        let (id, tags) = (row["metadata"]["user"]["id"].clone(), row["metadata"]["tags"].clone());
        let row = row.as_object_mut().unwrap();
        let seen = row.remove("metadata.user.id");
        assert_eq!(seen.map_or(Value::Null, |id| serde_json::from_str(id.as_str().unwrap()).unwrap()), id);
        let tags = tags.as_array().map(|tags| json!(format!("a, {}", tags[1].as_str().unwrap())));
        assert_eq!(row.remove("metadata.tags"), tags);
    }
    assert_same(&rows, &errors, "csv of errors");

    let some = export(&app, &[("format", "ndjson"), ("limit", "12345")]).await;
    assert_same(&read_ndjson(&some), &all[..12_345], "a part");
    assert_eq!(export(&app, &[("format", "ndjson"), ("traceId", "absent")]).await, "");
    let nothing = export(&app, &[("format", "csv"), ("traceId", "absent")]).await;
    assert_same(&read_csv(&nothing, &[]), &[], "nothing");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_an_answer() {
    let app = TestApp::plan().ready().await;
    for (query, field) in [
        ("", "format"),
        ("format=xml", "format"),
        ("format=csv&limit=0", "limit"),
        ("format=csv&cursor=abc", "cursor"),
        ("format=csv&regex=(", "regex"),
        ("format=ndjson&asOf=9000000000-9000000000-", "asOf"),
        ("format=ndjson&columns=metadata.a", "columns"),
    ] {
        let answer = app.get(&format!("/api/export?{query}")).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!(field)), "{query}");
        assert_eq!(answer.header("content-disposition"), None);
    }
    app.finish().await;
}

/// Much more than fits into sockets.
async fn with_much(wait_max_ms: u64) -> TestApp {
    let app = TestApp::plan().env("EXPORTS_MAX", 1).env("EXPORT_WAIT_MAX_MS", wait_max_ms).ready().await;
    let text = "x".repeat(8_000);
    for part in 0..8 {
        let records = (0..1_000).map(|n| {
            let at = part * 1_000 + n;
            let message = format!("{at} {text}");
            json!({"level": "info", "message": message, "resourceId": "r", "timestamp": format!("2026-01-02T03:{:02}:{:02}Z", at / 60 % 60, at % 60)})
        });
        app.post(NDJSON, ndjson(records), &[]).await.accepted(1_000);
    }
    app
}

/// Another export waits for a moment, and is told what it waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_waits_for_another() {
    let app = with_much(20_000).await;
    let slow = begun(&app).await;
    let refused = app.get("/api/export?format=ndjson&limit=1").await;
    assert_eq!((refused.status, &refused.json["error"]), (503, &json!("too many exports are running")));
    let (url, client) = (format!("{}/api/export?format=ndjson&limit=1", app.url), app.client.clone());
    let waits = tokio::spawn(async move { client.get(url).send().await.unwrap().status() });
    drop(slow);
    assert_eq!(waits.await.unwrap(), 200);
    app.stop().await;
}

/// An export of which a little was read.
async fn begun(app: &TestApp) -> Response {
    // The place of the one before is free a moment after its last byte.
    let mut response = eventually("there is a place", seconds(10), async || {
        let request = app.client.get(format!("{}/api/export?format=ndjson", app.url));
        let response = request.send().await.unwrap();
        (response.status() != 503).then_some(response)
    })
    .await;
    assert_eq!(response.status(), 200);
    assert!(response.chunk().await.unwrap().is_some());
    response
}

/// Whether the rest ends as it should.
async fn is_whole(mut response: Response) -> bool {
    loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

const SNAPSHOTS: &str = "select count(*) from pg_stat_activity \
    where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' and query not like '%open_blocks%' \
    and xact_start < clock_timestamp() - interval '100 milliseconds'";

async fn ends_as(app: &TestApp, reason: &str) {
    let name = format!("log_ingestor_exports_total{{reason=\"{reason}\"}}");
    eventually(&format!("the export ends: {reason}"), seconds(30), async || {
        app.metrics().await.get(&name).map(drop)
    })
    .await;
    eventually("no snapshot is held", seconds(10), async || {
        (app.database().number(SNAPSHOTS).await == 0).then_some(())
    })
    .await;
    // Its place is free again.
    eventually("the next export", seconds(10), async || {
        (app.get("/api/export?format=csv&limit=1").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_ends_its_export() {
    let app = with_much(20_000).await;
    let response = begun(&app).await;
    // It waits for its reader with its snapshot; others search meanwhile, and one more export is one too many.
    eventually("a snapshot is held", seconds(10), async || {
        (app.database().number(SNAPSHOTS).await == 1).then_some(())
    })
    .await;
    let second = app.get("/api/export?format=csv").await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("10")));
    let page = app.search(&[("message", "7999 xx"), ("budget", "10s")]).await;
    assert_eq!((page["logs"].as_array().unwrap().len(), &page["stats"]["complete"]), (1, &json!(true)));
    drop(response);
    ends_as(&app, "left").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_cut_off() {
    let app = with_much(2_000).await;
    let response = begun(&app).await;
    ends_as(&app, "stalled").await;
    assert!(!is_whole(response).await, "the client sees that it is not all");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_breaks_off_is_seen_to_break() {
    let app = with_much(2_000).await;
    let response = begun(&app).await;
    // Whatever is in a transaction by now; the export is.
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
        where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null";
    assert!(app.database().number(end).await >= 1);
    assert!(!is_whole(response).await, "Postgres went away");
    ends_as(&app, "failed").await;

    let mut app = app;
    let response = begun(&app).await;
    app.kill9();
    assert!(!is_whole(response).await, "the process went away");
}

/// Whoever reads slowly gets everything, all of it of the moment when it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_meanwhile_is_left_out() {
    let app = with_much(2_000).await;
    let mut response = begun(&app).await;
    let more = (0..500).map(|n| json!({"level": "info", "message": "later", "resourceId": "r", "timestamp": format!("2026-01-01T00:00:{:02}Z", n % 60)}));
    app.post(NDJSON, ndjson(more), &[]).await.accepted(500);
    let mut rest = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        rest.extend(piece);
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("\"message\":\"0 xx") && !rest.contains("later"));
    ends_as(&app, "done").await;
    app.finish().await;
}
