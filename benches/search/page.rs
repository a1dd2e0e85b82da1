//! The page as people get it: when its first byte comes, when histogram and facets are there too, and when a browser has painted its rows.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    browser::{Browser, Frame, Seen},
    client::percentile,
    product::Product,
    progress::Progress,
    records::RARE_WORDS,
    settings::Settings,
    tables::{Tables, latency_cells, verdict},
    trace,
};

const ROWS: usize = 200;
const FIRST_BYTE_GOAL_MS: f64 = 50.0;
const PAINTED_GOAL_MS: f64 = 100.0;

pub(crate) async fn run(product: &Product, settings: &Settings, tables: &mut Tables, progress: &Progress) {
    let questions = [
        ("newest records", String::new()),
        ("the last hour", "&from=1h".to_owned()),
        ("one level", "&q=level%3Aerror".to_owned()),
        ("part of a word", "&q=after".to_owned()),
        ("a rare word", format!("&q={}", RARE_WORDS[0])),
    ];
    tables.section(
        "Page of 200 rows",
        &[
            "search",
            "first byte p50 ms",
            "p95 ms",
            "max ms",
            "goal p95",
            "",
            "whole page p50 ms",
            "p95 ms",
            "bytes, gzip",
        ],
    );
    for (name, question) in &questions {
        let (mut first, mut whole, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..settings.repeats * 8 {
            let seen = fetch(product.address(), &format!("/?limit={ROWS}{question}")).await;
            first.push(seen.first_byte);
            whole.push(seen.whole);
            bytes = seen.bytes;
        }
        first.sort_unstable();
        whole.sort_unstable();
        let mut cells = vec![(*name).to_owned()];
        cells.extend(latency_cells(&first));
        cells.extend([
            format!("{FIRST_BYTE_GOAL_MS}"),
            verdict(percentile(&first, 0.95) <= FIRST_BYTE_GOAL_MS),
        ]);
        cells.extend([0.5, 0.95].map(|share| format!("{:.1}", percentile(&whole, share))));
        cells.push(bytes.to_string());
        progress.say(&format!("page, {name}: first byte p95 {} ms", cells[2]));
        tables.row(&cells);
    }
    let Some(browser) = Browser::open().await else {
        return tables.note("No Chromium with its driver is installed, so nothing was painted.");
    };
    tables.section(
        "The same in Chromium",
        &["search", "first byte p50 ms", "painted p50 ms", "p95 ms", "max ms", "goal p50", ""],
    );
    for (name, question) in questions.iter().filter(|(name, _)| *name != "a rare word") {
        let url = format!("http://{}/?limit={ROWS}{question}", product.address());
        let seen = browser.watch(&url, Frame::Rows, settings.repeats * 4).await;
        tables.row(&painted_cells(name, &seen, PAINTED_GOAL_MS));
        progress.say(&format!("page, {name}: painted p50 {:.1} ms", seen.painted_p50()));
    }
    trace::run(product, &browser, settings, tables, progress).await;
    browser.close().await;
}

/// A line about what a browser has painted.
pub(crate) fn painted_cells(name: &str, seen: &Seen, goal: f64) -> Vec<String> {
    let mut cells = vec![name.to_owned(), format!("{:.1}", percentile(&seen.first_byte, 0.5))];
    cells.extend(latency_cells(&seen.painted));
    cells.extend([format!("{goal}"), verdict(seen.painted_p50() <= goal)]);
    cells
}

struct Fetched {
    first_byte: Duration,
    whole: Duration,
    bytes: usize,
}

/// One GET on a connection of its own, read to its end.
async fn fetch(address: &str, path: &str) -> Fetched {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    );
    let started = Instant::now();
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::with_capacity(256 << 10);
    stream.read_buf(&mut answer).await.expect("the server answers");
    let first_byte = started.elapsed();
    stream.read_to_end(&mut answer).await.expect("the server answers");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
    Fetched { first_byte, whole: started.elapsed(), bytes: answer.len() }
}
