//! `make bench`: drives the release binary from outside and prints figures beside a baseline of the same run. CPU seconds count all
//! processes of the product (ours, Postgres, Kafka); this driver is apart.
//!
//! `BENCH_RECORDS` (1,000,000) and `BENCH_ONLY` (a part of a case's name) choose what runs; `BENCH_DIR` where the data goes.

mod bare;
mod client;
mod cpu;
mod generate;
mod product;
mod reads;
#[allow(dead_code, reason = "`make bench-search` uses the rest")]
mod report;

use std::time::Instant;

use client::Load;
use product::Product;
use report::{Report, Row};

const BATCH_RECORDS: usize = 1_000;
const BATCH_CONNECTIONS: usize = 4;
const SINGLE_CONNECTIONS: usize = 64;

fn main() {
    if let Ok(port) = std::env::var("BENCH_NOOP_PORT") {
        return product::serve_noop(port.parse().expect("a port"));
    }
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches`: figures are not a test
    }
    let records = number("BENCH_RECORDS", 1_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(records));
}

async fn run(records: usize) {
    let mut report = Report::begin(records);
    let singles = records / 2;
    if wanted("direct") {
        let product = Product::start(None).await;
        report.bare = Some(bare::run(&product, records).await);
        batches(&product, records, "direct, NDJSON of 1,000 records, 4 connections", &mut report).await;
        reads::run(&product, &mut report).await;
        product.stop().await;
        let product = Product::start(None).await;
        single_posts(&product, singles, "direct, single POSTs, 64 connections", &mut report).await;
        product.stop().await;
    }
    if wanted("kafka") {
        let kafka = product::Kafka::start().await;
        let product = Product::start(Some(&kafka)).await;
        batches(&product, records, "Kafka, NDJSON of 1,000 records, 4 connections", &mut report).await;
        single_posts(&product, singles, "Kafka, single POSTs, 64 connections", &mut report).await;
        product.stop().await;
        kafka.stop();
    }
    if wanted("noop") {
        let noop = product::Noop::start().await;
        let requests = generate::requests(noop.address(), "application/json", singles, 1);
        let cpu = noop.cpu();
        let (seconds, latencies) =
            client::run(noop.address(), Load { requests, connections: SINGLE_CONNECTIONS }).await;
        report.push(Row::new(
            "no-op handler, single POSTs, 64 connections",
            singles,
            seconds,
            noop.cpu() - cpu,
            latencies,
        ));
    }
    report.print();
}

async fn batches(product: &Product, records: usize, name: &str, report: &mut Report) {
    let requests =
        generate::requests(product.address(), "application/x-ndjson", records / BATCH_RECORDS, BATCH_RECORDS);
    measure(product, requests, BATCH_CONNECTIONS, records, name, report).await;
}

async fn single_posts(product: &Product, records: usize, name: &str, report: &mut Report) {
    let requests = generate::requests(product.address(), "application/json", records, 1);
    measure(product, requests, SINGLE_CONNECTIONS, records, name, report).await;
}

/// Posts everything and waits until a query sees all of it.
async fn measure(
    product: &Product,
    requests: Vec<Vec<u8>>,
    connections: usize,
    records: usize,
    name: &str,
    report: &mut Report,
) {
    let before = product.rows().await;
    let cpu = product.cpu();
    let started = Instant::now();
    let (_, latencies) = client::run(product.address(), Load { requests, connections }).await;
    product.wait_until_stored(before + records as u64).await;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = product.cpu() - cpu;
    assert_eq!(product.rows().await, before + records as u64, "{name}: accepted and stored differ");
    report.push(Row::new(name, records, seconds, cpu, latencies));
}

fn wanted(case: &str) -> bool {
    std::env::var("BENCH_ONLY").map_or(true, |only| only.is_empty() || case.contains(&only))
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
