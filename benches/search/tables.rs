//! What a run says in the end: sections of Markdown, and a list of what was wrong. Out: stdout, the file of `BENCH_REPORT`, and after a
//! full run without a fault docs/performance.md.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use crate::{
    client::percentile,
    progress::Progress,
    report::{machine, shell},
    settings::Settings,
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");
const PROSE: &str = include_str!("performance.md");
const PLACE: &str = "<!-- tables -->\n";

#[derive(Default)]
pub(crate) struct Tables {
    text: String,
    problems: Vec<String>,
}

impl Tables {
    /// Begins a section with a table.
    pub(crate) fn section(&mut self, title: &str, columns: &[&str]) {
        let _ = writeln!(
            self.text,
            "\n## {title}\n\nPace: {:.0} ms.\n\n| {} |\n|{}",
            pace().as_secs_f64() * 1e3,
            columns.join(" | "),
            "---|".repeat(columns.len())
        );
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    /// A paragraph after a table.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "\n{text}");
    }

    /// Something that makes the run fail.
    pub(crate) fn problem(&mut self, progress: &Progress, text: String) {
        progress.say(&format!("WRONG: {text}"));
        self.problems.push(text);
    }

    /// True if nothing was wrong.
    pub(crate) fn publish(&self, settings: &Settings, server: &str) -> bool {
        let mut text = head(settings, server);
        text.push_str(&self.text);
        if !self.problems.is_empty() {
            text.push_str("\n## Wrong\n\n");
            self.problems.iter().for_each(|problem| text.push_str(&format!("* {problem}\n")));
        }
        println!("{text}");
        if let Some(path) = &settings.report {
            std::fs::write(path, &text).expect("BENCH_REPORT can be written");
        }
        if settings.is_full() && self.problems.is_empty() {
            std::fs::write(DOCUMENT, PROSE.replace(PLACE, &text))
                .expect("docs/performance.md can be written");
        }
        self.problems.is_empty()
    }
}

fn head(settings: &Settings, server: &str) -> String {
    let mut command = String::new();
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("BENCH_")) {
        if !matches!(name.as_str(), "BENCH_DIR" | "BENCH_REPORT" | "BENCH_LOGS" | "BENCH_KEEP") {
            let quote = if value.contains(' ') { "'" } else { "" };
            let _ = write!(command, "{name}={quote}{value}{quote} ");
        }
    }
    format!(
        "Machine: {}, kernel {}\nPostgreSQL: {server}\nDate: {}\nCommand: `{command}make bench-search` ({} records)\n",
        machine(),
        shell("uname -r"),
        shell("date -u +%Y-%m-%d"),
        grouped(settings.records)
    )
}

/// How fast the machine is just now: what a fixed loop on one core takes, the fastest of five. Machines that share their cores with others are
/// two or three times as fast in one minute as in the next.
fn pace() -> Duration {
    let steps = || {
        let started = Instant::now();
        let end = (0..20_000_000).fold(1_u64, |mut number, _| {
            number ^= number << 13;
            number ^= number >> 7;
            number ^ number << 17
        });
        std::hint::black_box(end);
        started.elapsed()
    };
    (0..5).map(|_| steps()).min().expect("five times")
}

/// Latencies as three cells: p50, p95, largest.
pub(crate) fn latency_cells(latencies: &[Duration]) -> [String; 3] {
    [0.5, 0.95, 1.0].map(|share| format!("{:.1}", percentile(latencies, share)))
}

pub(crate) fn verdict(is_met: bool) -> String {
    if is_met { "met" } else { "**missed**" }.to_owned()
}

/// 1234567 as 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
