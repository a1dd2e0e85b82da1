//! `make bench-search`: decides whether the search index is good. Loads records through the product's HTTP interface, asks every kind of
//! question, compares each answer with brute force in Postgres, and prints figures beside goals. A wrong answer ends it with code 1.
//!
//! `BENCH_ONLY` selects parts: load, page, quiet, live, write, ingest, sizes, compare, real, sustained. What else may be set stands in settings.rs.

#[path = "../bench/bare.rs"]
mod bare;
#[path = "../bench/client.rs"]
mod client;
#[path = "../bench/cpu.rs"]
mod cpu;
#[allow(dead_code, reason = "`make bench` uses the rest")]
#[path = "../bench/generate.rs"]
mod generate;
#[allow(dead_code, reason = "`make bench` uses the rest")]
#[path = "../bench/product.rs"]
mod product;
#[allow(dead_code, reason = "`make bench` uses the rest")]
#[path = "../bench/report.rs"]
mod report;

mod ask;
mod browser;
mod case;
mod cases;
mod disk;
mod feed;
mod histogram;
mod ingest;
mod lines;
mod ordinary;
mod page;
mod parsed;
mod progress;
mod real;
mod records;
mod rounds;
mod settings;
mod sizes;
mod sustained;
mod tables;
mod trace;
mod truth;
mod write;

use std::process::ExitCode;

use ask::Asker;
use feed::{BATCH_RECORDS, Background};
use log_ingestor::record::Timestamp;
use product::Product;
use progress::Progress;
use records::Records;
use rounds::{Mode, Quiet, Rounds};
use settings::Settings;
use tables::{Tables, grouped};
use truth::{Truth, Window};

const SEED: u64 = 11;
/// Nothing that is made is late by more.
const LATE_MICROS: i64 = 3_600_000_000;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS; // `cargo test --benches`: figures are not a test
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(run(&Settings::read())) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

async fn run(settings: &Settings) -> bool {
    let progress = Progress::start();
    let mut tables = Tables::default();
    let product = Product::start(None).await;
    let server: String = product.sql().query_one("show server_version", &[]).await.expect("a version").get(0);
    if ["load", "page", "quiet", "live", "write", "ingest", "compare"].iter().any(|part| settings.wants(part))
    {
        on_loaded(&product, settings, &mut tables, &progress).await;
    }
    product.stop().await;
    if settings.wants("sizes") {
        sizes::run(settings, &mut tables, &progress).await;
    }
    if settings.wants("real") {
        real::run(settings, &mut tables, &progress).await;
    }
    if settings.wants("sustained") {
        sustained::run(settings, &mut tables, &progress).await;
    }
    progress.say("done");
    tables.publish(settings, &server)
}

/// The parts that share one load.
async fn on_loaded(product: &Product, settings: &Settings, tables: &mut Tables, progress: &Progress) {
    let empty = disk::database_bytes(product.sql()).await;
    let batches = settings.records.div_ceil(BATCH_RECORDS);
    let total = batches * BATCH_RECORDS;
    let records = Records::spread(SEED, total);
    let fed = write::load(product, &feed::maker(records), 0..batches, tables, progress).await;
    if settings.wants("load") {
        disk::report("Bytes on disk", product.sql(), empty, fed.json_bytes, tables).await;
    }
    if settings.wants("page") {
        page::run(product, settings, tables, progress).await;
    }
    let window = Window { from: Timestamp(records.micros(0) - LATE_MICROS), to: records.end() };
    if settings.wants("quiet") || settings.wants("live") {
        searches(product, records, total, window, settings, tables, progress).await;
    }
    if settings.wants("compare") {
        let from = records.micros(total - settings.compare_records.min(total));
        let newest = Window { from: Timestamp(from), ..window };
        ordinary::run(
            product,
            &settings.cases(cases::all(&records, total)),
            newest,
            settings,
            tables,
            progress,
        )
        .await;
    }
    if settings.wants("write") {
        // Far beyond whatever the load in the background has made.
        let maker = feed::maker(records.going_on());
        write::beside_bare(product, &maker, 1 << 30, total, tables, progress).await;
    }
    if settings.wants("ingest") {
        ingest::run(product, records.going_on(), settings, tables, progress).await;
    }
}

async fn searches(
    product: &Product,
    records: Records,
    total: u64,
    window: Window,
    settings: &Settings,
    tables: &mut Tables,
    progress: &Progress,
) {
    let truth = Truth::new(product.sql(), progress).await;
    let known = rounds::know(&truth, settings.cases(cases::all(&records, total)), window, settings).await;
    let histograms = histogram::know(&truth, window.to).await;
    let asker = Asker::new(product.address());
    let mut rounds = Rounds { asker, settings, progress, tables, records: total, p95: Quiet::new() };
    if settings.wants("quiet") {
        let title = format!("Searches over {} records, quiet", grouped(total));
        rounds.run(&title, &known, Mode::Quiet).await;
        rounds.histograms(&histograms, Mode::Quiet).await;
    }
    if settings.wants("live") {
        let quiet = std::mem::take(&mut rounds.p95);
        let mode = Mode::Live { bound: window.to, quiet: &quiet };
        let maker = feed::maker(records.going_on());
        let background = Background::start(product.address(), maker, total / BATCH_RECORDS);
        rounds.run("Searches while two connections load without pause", &known, mode).await;
        rounds.histograms(&histograms, mode).await;
        let fed = background.stop().await;
        let rate = fed.records as f64 / fed.seconds;
        rounds
            .tables
            .note(&format!("Meanwhile {} records came in, {rate:.0} a second.", grouped(fed.records)));
        progress.say(&format!("{rate:.0} records/s meanwhile"));
        write::settle(product, progress).await;
    }
}
