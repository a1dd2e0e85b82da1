//! Half an hour at full speed, with retention, so that the disk is enough: does the sealer keep up, and what do searches take meanwhile?

use std::time::{Duration, Instant};

use crate::{
    ask::{Asker, Outcome},
    client::percentile,
    feed::{self, Background},
    product::Product,
    progress::Progress,
    records::Records,
    settings::Settings,
    tables::{Tables, grouped, verdict},
    write,
};

/// What is kept of the records, or at least the leaf of the present: with the WAL at most 35 GB of disk at 120,000 records a second.
const RETENTION_BYTES: u64 = 20_000_000_000;
/// The first leaf is an hour wide until a rate is known, which is more than the disk has; the later ones are made as wide as this.
const FIRST_LEAF: &str = "\
select ensure_leaf(now(), begun, begun + interval '10 minutes') from date_bin('10 minutes', now(), '2000-01-01Z') as begun";
/// Rows of the table.
const PERIODS: u64 = 10;
/// How often one looks, and asks for the newest page.
const EVERY: Duration = Duration::from_secs(1);
const SEARCH_MAX: Duration = Duration::from_secs(10);
/// The sealer waits for a full group in each leaf; of what could be sealed at once this much may wait.
const WAITING_MAX: i64 = 2 * 4_096;
const STATE: &str = "\
select (select coalesce(sum(n), 0)::bigint from minute_counts),
  (select count(*) from signatures),
  (select coalesce(sum(n / 4096 * 4096), 0)::bigint from (select count(*) as n from signatures group by leaf) as leaves),
  (select count(*) from leaves), (select count(*) from dropped_leaves), pg_database_size(current_database())";

/// What is in the database at a moment.
struct State {
    /// Since the beginning, dropped ones not counted.
    records: i64,
    unsealed: i64,
    /// Unsealed blocks that would make a whole group.
    waiting: i64,
    leaves: i64,
    dropped: i64,
    bytes: i64,
}

pub(crate) async fn run(settings: &Settings, tables: &mut Tables, progress: &Progress) {
    let minutes = settings.minutes;
    let product = Product::start_with(None, &[("RETENTION_BYTES", RETENTION_BYTES.to_string())]).await;
    tables.section(
        &format!("Sealing: {minutes} minutes at full speed, RETENTION_BYTES={RETENTION_BYTES}"),
        &[
            "minute",
            "records/s",
            "unsealed blocks, most",
            "of those in whole groups, most",
            "goal",
            "",
            "leaves, dropped",
            "database, GB",
            "newest page p50 ms",
            "p95 ms",
        ],
    );
    let started = Instant::now();
    product.sql().batch_execute(FIRST_LEAF).await.expect("a leaf");
    let load = Background::start(product.address(), feed::maker(Records::spread(5, 1 << 32).going_on()), 0);
    let mut asker = Asker::new(product.address());
    let mut stored_before = stored(&product).await;
    for period in 1..=PERIODS {
        let (begun, end) =
            (Instant::now(), started + Duration::from_secs(minutes * 60) * period as u32 / PERIODS as u32);
        let (mut unsealed, mut waiting, mut latencies) = (0, 0, Vec::new());
        let state = loop {
            let state = state(&product).await;
            unsealed = unsealed.max(state.unsealed);
            waiting = waiting.max(state.waiting);
            match asker.page(&[], SEARCH_MAX).await {
                Outcome::Answer(answer) => latencies.push(answer.total),
                Outcome::NotAvailable(reason) | Outcome::Failed(reason) => {
                    tables.problem(progress, format!("the newest page beside the load: {reason}"));
                }
            }
            if Instant::now() >= end {
                break state;
            }
            tokio::time::sleep(EVERY).await;
        };
        latencies.sort_unstable();
        let stored_now = stored(&product).await;
        let rate = (stored_now - stored_before) / begun.elapsed().as_secs_f64();
        stored_before = stored_now;
        progress.say(&format!(
            "minute {}: {rate:.0} records/s, {} records kept, at most {unsealed} blocks unsealed",
            minutes * period / PERIODS,
            grouped(state.records as u64)
        ));
        tables.row(&[
            format!("{}", minutes * period / PERIODS),
            format!("{rate:.0}"),
            grouped(unsealed as u64),
            grouped(waiting as u64),
            format!("≤ {}", grouped(WAITING_MAX as u64)),
            verdict(waiting <= WAITING_MAX),
            format!("{}, {}", state.leaves, state.dropped),
            format!("{:.1}", state.bytes as f64 / 1e9),
            format!("{:.1}", percentile(&latencies, 0.5)),
            format!("{:.1}", percentile(&latencies, 0.95)),
        ]);
    }
    let fed = load.stop().await;
    let stopped = Instant::now();
    write::settle(&product, progress).await;
    let left = state(&product).await;
    tables.note(&format!(
        "{} records in {:.0} s, {:.0} a second; {:.0} s later nothing was left to seal but {} blocks, fewer than a group in each leaf.",
        grouped(fed.records),
        fed.seconds,
        fed.records as f64 / fed.seconds,
        stopped.elapsed().as_secs_f64(),
        grouped(left.unsealed as u64),
    ));
    if left.waiting > 0 {
        tables.problem(progress, format!("{} blocks wait to be sealed and are not", left.waiting));
    }
    product.stop().await;
}

async fn state(product: &Product) -> State {
    let row = product.sql().query_one(STATE, &[]).await.expect("the state");
    State {
        records: row.get(0),
        unsealed: row.get(1),
        waiting: row.get(2),
        leaves: row.get(3),
        dropped: row.get(4),
        bytes: row.get(5),
    }
}

/// Records that the process has committed, dropped ones among them.
async fn stored(product: &Product) -> f64 {
    product.metric("log_ingestor_stored_records_total ").await.expect("a counter of records")
}
