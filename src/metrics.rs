//! Every metric name and label in one place, one field a happening. In: calls from all rooms. Out: OpenMetrics text for `/metrics`.
//! Counters only ever grow; accepted = stored + dead letters + replays + in flight is an arithmetic that tests check.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

type GaugeI = Gauge<i64, AtomicI64>;
type CounterU = Counter<u64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Reason {
    /// The field at fault, `body`, or the kind of refusal: a closed set.
    pub reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Partition {
    pub partition: i32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Status {
    pub status: u16,
}

/// All series of the process.
pub struct Metrics {
    registry: Registry,
    pub ingest_requests: Family<Status, CounterU>,
    pub accepted_records: CounterU,
    pub rejected_records: Family<Reason, CounterU>,
    pub replaced_nuls: CounterU,
    pub queued_bytes: GaugeI,
    pub body_bytes_in_flight: GaugeI,
    pub stored_records: CounterU,
    pub repeated_records: CounterU,
    pub dead_letters: CounterU,
    pub batches: CounterU,
    pub batch_rows: Histogram,
    pub batch_seconds: Histogram,
    pub writer_retries: Family<Reason, CounterU>,
    pub consumer_lag: Family<Partition, GaugeI>,
    pub halted_partitions: GaugeI,
    pub unsealed_blocks: GaugeI,
    pub blocks_in_memory: GaugeI,
    pub leaves: GaugeI,
    pub stored_bytes: GaugeI,
    pub dropped_leaves: CounterU,
    pub deleted_records: CounterU,
    pub searches: Family<Status, CounterU>,
    pub search_seconds: Histogram,
    pub search_rows_read: CounterU,
    pub exports: Family<Reason, CounterU>,
    pub exported_records: CounterU,
    pub tails: GaugeI,
}

impl Metrics {
    pub fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let mut registry = Registry::with_prefix("log_ingestor");
        macro_rules! series {
            ($name:ident, $help:literal, $metric:expr) => {
                let $name = $metric;
                registry.register(stringify!($name), $help, $name.clone());
            };
        }
        series!(ingest_requests, "Requests to /public/ingest by status", Family::default());
        series!(accepted_records, "Records answered 202", CounterU::default());
        series!(rejected_records, "Records handed back, by reason", Family::default());
        series!(replaced_nuls, "U+0000 characters replaced by U+FFFD", CounterU::default());
        series!(
            unsealed_blocks,
            "Blocks with a signature of their own, as this process saw them last",
            GaugeI::default()
        );
        series!(
            blocks_in_memory,
            "Signatures that are not sealed and that this process keeps to search them, 12 KiB each",
            GaugeI::default()
        );
        series!(queued_bytes, "Bytes of records between door and durability", GaugeI::default());
        series!(body_bytes_in_flight, "Bytes of bodies being read and parsed", GaugeI::default());
        series!(stored_records, "Records committed to Postgres", CounterU::default());
        series!(
            repeated_records,
            "Records not stored again because their key or id is stored already",
            CounterU::default()
        );
        series!(dead_letters, "Lines put into the table dead_letters", CounterU::default());
        series!(batches, "Transactions of the writer", CounterU::default());
        series!(batch_rows, "Rows of a batch", Histogram::new(exponential_buckets(1.0, 2.0, 12)));
        series!(batch_seconds, "Seconds from BEGIN to COMMIT of a batch", seconds());
        series!(writer_retries, "Batches tried again, by reason", Family::default());
        series!(consumer_lag, "Messages in the broker that are not stored yet", Family::default());
        series!(
            halted_partitions,
            "Partitions that stand still because going on would lose records",
            GaugeI::default()
        );
        series!(leaves, "Leaves of the table, at the last look of a writer", GaugeI::default());
        series!(
            stored_bytes,
            "Bytes of records with their index, at the last look of a writer",
            GaugeI::default()
        );
        series!(dropped_leaves, "Leaves that retention has dropped", CounterU::default());
        series!(deleted_records, "Records deleted by query", CounterU::default());
        series!(searches, "Searches by status", Family::default());
        series!(search_seconds, "Seconds of a search", seconds());
        series!(search_rows_read, "Rows read by searches", CounterU::default());
        series!(exports, "Exports that have ended, by how", Family::default());
        series!(exported_records, "Records sent by exports", CounterU::default());
        series!(tails, "Readers who follow what is stored", GaugeI::default());
        Self {
            registry,
            ingest_requests,
            accepted_records,
            rejected_records,
            replaced_nuls,
            queued_bytes,
            unsealed_blocks,
            blocks_in_memory,
            body_bytes_in_flight,
            stored_records,
            repeated_records,
            dead_letters,
            batches,
            batch_rows,
            batch_seconds,
            writer_retries,
            consumer_lag,
            halted_partitions,
            leaves,
            stored_bytes,
            dropped_leaves,
            deleted_records,
            searches,
            search_seconds,
            search_rows_read,
            exports,
            exported_records,
            tails,
        }
    }

    /// The OpenMetrics text; counters carry the suffix `_total`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string succeeds");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
