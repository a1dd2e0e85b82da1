//! The table that is printed: machine, command, date, and each figure beside the baseline.

use std::{process::Command, time::Duration};

use crate::{client::percentile, cpu::Cpu};

/// One measured case.
pub(crate) struct Row {
    name: String,
    records: usize,
    seconds: f64,
    cpu: Cpu,
    latencies: Vec<Duration>,
}

impl Row {
    pub(crate) fn new(name: &str, records: usize, seconds: f64, cpu: Cpu, latencies: Vec<Duration>) -> Self {
        Self { name: name.to_owned(), records, seconds, cpu, latencies }
    }

    /// Several measurements of one case as one.
    pub(crate) fn all(rows: Vec<Self>) -> Self {
        let sum = |all: Self, row: Self| Self {
            records: all.records + row.records,
            seconds: all.seconds + row.seconds,
            cpu: all.cpu + row.cpu,
            latencies: [all.latencies, row.latencies].concat(),
            name: all.name,
        };
        rows.into_iter().reduce(sum).expect("at least one")
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    fn per_million(&self, value: f64) -> f64 {
        value * 1e6 / self.records as f64
    }

    pub(crate) fn parts(&self) -> String {
        let Cpu { own, postgres, kafka } = self.cpu;
        let [own, postgres, kafka] = [own, postgres, kafka].map(|seconds| self.per_million(seconds));
        format!("{own:.1} + {postgres:.1} + {kafka:.1}")
    }

    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.per_million(self.cpu.total())
    }
}

/// What a run has found.
pub(crate) struct Report {
    records: usize,
    pub(crate) bare: Option<Row>,
    rows: Vec<Row>,
    reads: Vec<(String, Vec<Duration>)>,
}

impl Report {
    pub(crate) fn begin(records: usize) -> Self {
        Self { records, bare: None, rows: Vec::new(), reads: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Row) {
        eprintln!(
            "{}: {:.0} records/s, {:.1} CPU s per million ({})",
            row.name,
            row.rate(),
            row.cpu_per_million(),
            row.parts()
        );
        self.rows.push(row);
    }

    pub(crate) fn read(&mut self, name: &str, latencies: Vec<Duration>) {
        eprintln!("{name}: p50 {:.2} ms", percentile(&latencies, 0.5));
        self.reads.push((name.to_owned(), latencies));
    }

    pub(crate) fn print(&self) {
        println!("Machine: {}", machine());
        println!("Command: make bench ({} records)\nDate: {}\n", self.records, shell("date -u +%Y-%m-%d"));
        println!(
            "| case | records/s | × bare | CPU s per million | × bare | ours + Postgres + Kafka | p50 ms | p99 ms |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for row in self.bare.iter().chain(&self.rows) {
            let times = |value: f64, base: fn(&Row) -> f64| {
                self.bare.as_ref().map_or_else(String::new, |bare| format!("{:.2}", value / base(bare)))
            };
            let latency = |share| match row.latencies.is_empty() {
                true => String::new(),
                false => format!("{:.1}", percentile(&row.latencies, share)),
            };
            println!(
                "| {} | {:.0} | {} | {:.1} | {} | {} | {} | {} |",
                row.name,
                row.rate(),
                times(row.rate(), Row::rate),
                row.cpu_per_million(),
                times(row.cpu_per_million(), Row::cpu_per_million),
                row.parts(),
                latency(0.5),
                latency(0.99)
            );
        }
        println!("\n| read at {} records | p50 ms | p95 ms |", self.records);
        println!("|---|---|---|");
        for (name, latencies) in &self.reads {
            println!("| {name} | {:.2} | {:.2} |", percentile(latencies, 0.5), percentile(latencies, 0.95));
        }
    }
}

pub(crate) fn machine() -> String {
    let cpu = shell("grep -m1 'model name' /proc/cpuinfo | cut -d: -f2");
    let memory = shell("free -g | awk '/Mem/ {print $2}'");
    let postgres = shell("ls -d /usr/lib/postgresql/* 2>/dev/null | sort -V | tail -1 | xargs -r basename");
    format!("{cpu}, {} cores, {memory} GiB, Postgres {postgres}", shell("nproc"))
}

pub(crate) fn shell(command: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(command).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
