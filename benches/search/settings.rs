//! What a run is told by its environment. Out: one typed struct, read once; everything has a default.

use std::path::PathBuf;

use crate::case::Case;

/// How much is measured.
pub(crate) struct Settings {
    /// `BENCH_RECORDS`: records that are loaded before the searches.
    pub(crate) records: u64,
    /// `BENCH_ONLY`: parts to run, comma-separated; empty means all.
    only: Vec<String>,
    /// `BENCH_CASES`: part of the names of the cases to ask; empty means all.
    case: String,
    /// `BENCH_REPEATS`: measured rounds over the literals of a case.
    pub(crate) repeats: usize,
    /// `BENCH_SIZES`: record counts at which searches are measured while the load goes on.
    pub(crate) sizes: Vec<u64>,
    /// `BENCH_COMPARE_RECORDS`: rows copied into ordinary tables.
    pub(crate) compare_records: u64,
    /// `BENCH_REAL_RECORDS`: records made from the lines of real logs.
    pub(crate) real_records: u64,
    /// `BENCH_LOGS`: folder of text files; scripts/loghub.sh fetches one into the default place.
    pub(crate) logs: PathBuf,
    /// `BENCH_INGEST_RATE`: single POSTs a second while searches run.
    pub(crate) ingest_rate: u64,
    /// `BENCH_INGEST_SECONDS`: how long each of the two ingest measurements takes.
    pub(crate) ingest_seconds: u64,
    /// `BENCH_MINUTES`: how long the load at full speed goes on beside the sealer.
    pub(crate) minutes: u64,
    /// `BENCH_REPORT`: file for the tables, beside stdout.
    pub(crate) report: Option<PathBuf>,
    /// `BENCH_BREAK`: a case whose truth is made wrong on purpose, to see that it is reported.
    pub(crate) broken: Option<String>,
}

impl Settings {
    pub(crate) fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let number = |name: &str, default| text(name).map_or(default, |text| count(name, &text));
        let list = |name: &str| -> Vec<String> {
            text(name)
                .map_or_else(Vec::new, |text| text.split(',').map(|part| part.trim().to_owned()).collect())
        };
        let records = number("BENCH_RECORDS", 10_000_000);
        let sizes = match list("BENCH_SIZES") {
            sizes if sizes.is_empty() => vec![records / 10, records, records * 3],
            sizes => sizes.iter().map(|size| count("BENCH_SIZES", size)).collect(),
        };
        Self {
            records,
            only: list("BENCH_ONLY"),
            case: text("BENCH_CASES").unwrap_or_default(),
            repeats: number("BENCH_REPEATS", 5) as usize,
            sizes,
            compare_records: number("BENCH_COMPARE_RECORDS", 1_000_000).min(records),
            real_records: number("BENCH_REAL_RECORDS", 500_000),
            logs: text("BENCH_LOGS").map_or_else(loghub, PathBuf::from),
            ingest_rate: number("BENCH_INGEST_RATE", 1_000).max(16),
            ingest_seconds: number("BENCH_INGEST_SECONDS", 20),
            minutes: number("BENCH_MINUTES", 30).max(1),
            report: text("BENCH_REPORT").map(PathBuf::from),
            broken: text("BENCH_BREAK"),
        }
    }

    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    pub(crate) fn cases(&self, mut cases: Vec<Case>) -> Vec<Case> {
        cases.retain(|case| case.name.contains(&self.case));
        cases
    }

    /// A run whose figures may stand in docs/performance.md.
    pub(crate) fn is_full(&self) -> bool {
        self.only.is_empty() && self.case.is_empty() && self.records >= 10_000_000 && self.broken.is_none()
    }
}

fn count(name: &str, text: &str) -> u64 {
    text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name}: a whole number is needed, got `{text}`"))
}

fn loghub() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("loghub")
}
