//! The write path: the load that the searches need; the writer, and direct batches, beside bare COPY in the same run. CPU seconds count the product
//! (ours and Postgres); those of the generator and of this driver are apart.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use crate::{
    bare,
    client::{self, Load},
    cpu::Cpu,
    feed::{self, BATCH_RECORDS, Fed, Maker},
    parsed,
    product::Product,
    progress::Progress,
    report::Row,
    tables::{Tables, grouped, verdict},
};

const CONNECTIONS: usize = 4;
/// Records of the comparison with bare COPY; all of them are ready in memory.
const COMPARED_MAX: u64 = 1_000_000;
const TIMES_BARE_MIN: f64 = 0.7;
/// Rounds of the comparison.
const ROUNDS: u64 = 3;
const WRITER_NAME: &str =
    "the writer from parsed records to committed rows with signatures, counts and keys, 2 connections";
/// The gauge of what the background still has to do, if the product has one.
const GAUGE: &str = "log_ingestor_unsealed_blocks ";
/// A gauge that stands still for so long stays as it is: the newest blocks are open.
const STANDSTILL: Duration = Duration::from_secs(10);
const SETTLE_MAX: Duration = Duration::from_secs(600);

/// Loads the batches `from..to` and waits until the product is at rest.
pub(crate) async fn load(
    product: &Product,
    maker: &Maker,
    batches: std::ops::Range<u64>,
    tables: &mut Tables,
    progress: &Progress,
) -> Fed {
    progress.say(&format!("loading {} records", grouped((batches.end - batches.start) * BATCH_RECORDS)));
    let cpu = product.cpu();
    let started = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let fed = feed::feed(product.address(), maker.clone(), batches, CONNECTIONS, stop, progress).await;
    let loaded = product.cpu() - cpu;
    settle(product, progress).await;
    let settled = product.cpu() - cpu;
    tables.section(
        "Load",
        &[
            "",
            "records/s",
            "seconds",
            "CPU s per million: ours + Postgres",
            "making the records, CPU s per million",
        ],
    );
    let per_million = |seconds: f64| seconds * 1e6 / fed.records as f64;
    let cells = |name: &str, seconds: f64, cpu: Cpu| {
        vec![
            name.to_owned(),
            format!("{:.0}", fed.records as f64 / seconds),
            format!("{seconds:.1}"),
            format!("{:.1} + {:.1}", per_million(cpu.own), per_million(cpu.postgres)),
            format!("{:.1}", per_million(fed.maker_cpu)),
        ]
    };
    tables.row(&cells("NDJSON of 1,000 records, 4 connections, all committed", fed.seconds, loaded));
    tables.row(&cells(
        "… and nothing left to do in the background",
        started.elapsed().as_secs_f64(),
        settled,
    ));
    tables.note(&format!(
        "{} records, {} bytes of raw JSON, {:.1} each.",
        grouped(fed.records),
        grouped(fed.json_bytes),
        fed.json_bytes as f64 / fed.records as f64
    ));
    progress.say(&format!("loaded at {:.0} records/s", fed.records as f64 / fed.seconds));
    fed
}

/// Until the gauge is zero or stands still.
pub(crate) async fn settle(product: &Product, progress: &Progress) {
    let started = Instant::now();
    let mut last = (None, Instant::now());
    while started.elapsed() < SETTLE_MAX {
        let left = product.metric(GAUGE).await;
        match left {
            None | Some(0.0) => return,
            left if left == last.0 && last.1.elapsed() > STANDSTILL => return,
            left if left != last.0 => last = (left, Instant::now()),
            _ => {}
        }
        progress.now_and_then(|| format!("{} blocks are not sealed yet", left.unwrap_or(0.0)));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Direct batches and bare COPY, neither with the cost of making the records.
pub(crate) async fn beside_bare(
    product: &Product,
    maker: &Maker,
    first: u64,
    records: u64,
    tables: &mut Tables,
    progress: &Progress,
) {
    let count = (records.min(COMPARED_MAX) / ROUNDS).div_ceil(BATCH_RECORDS);
    let records = count * BATCH_RECORDS;
    progress.say(&format!("write path beside bare COPY, {ROUNDS} times {} records each", grouped(records)));
    let direct_name = "product, NDJSON of 1,000 records over HTTP, 4 connections";
    let (mut bare, mut writer, mut direct) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // What the one leaves behind (files of the WAL, dirty pages) is the next one's: so they take turns.
        let from = first + 2 * round * count;
        bare.push(bare::run(product, records as usize).await);
        writer.push(parsed::run(product, maker, from..from + count, WRITER_NAME).await);
        settle(product, progress).await;
        let requests = feed::ready_made(product.address(), maker, from + count..from + 2 * count);
        let cpu = product.cpu();
        let (seconds, latencies) =
            client::run(product.address(), Load { requests, connections: CONNECTIONS }).await;
        let cpu = product.cpu() - cpu;
        direct.push(Row::new(direct_name, records as usize, seconds, cpu, latencies));
        settle(product, progress).await;
        for row in [&bare, &writer, &direct].map(|rows| rows.last().expect("it has run")) {
            progress.say(&format!("{}: {:.0} rows/s", row.name(), row.rate()));
        }
    }
    let [bare, writer, direct] = [bare, writer, direct].map(Row::all);
    tables.section(
        "Write path",
        &["", "rows/s", "× bare", "goal", "", "CPU s per million: ours + Postgres + Kafka", "× bare"],
    );
    for (row, goal) in [(&bare, None), (&writer, Some(TIMES_BARE_MIN)), (&direct, None)] {
        let times = row.rate() / bare.rate();
        tables.row(&[
            row.name().to_owned(),
            format!("{:.0}", row.rate()),
            format!("{times:.2}"),
            goal.map_or(String::new(), |goal| format!("≥ {goal}")),
            goal.map_or(String::new(), |goal| verdict(times >= goal)),
            row.parts(),
            format!("{:.2}", row.cpu_per_million() / bare.cpu_per_million()),
        ]);
    }
    tables.note(
        "Bare COPY sends rows that were encoded before; the writer begins with records that were parsed before. The product's figure contains HTTP, parsing and checking, and the driver that shares the cores.",
    );
    settle(product, progress).await;
}
