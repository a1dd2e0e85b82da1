//! The records of the benchmark, each made from its number alone: any thread can make any part, and a literal can be looked up by making
//! its record again. Ordinary traffic as in `make bench` with needles of known frequency in it; about 394 bytes of JSON each.

use std::fmt::Write;

use log_ingestor::record::Timestamp;

use crate::generate::{ENVIRONMENTS, Random, THINGS, VERBS};

/// Event time from one record to the next: ten million fill a day.
const STEP_MICROS: i64 = 8_640;
const LATE_MICROS_MAX: u64 = 3_600_000_000;
/// Needles of each kind.
pub(crate) const NEEDLES: u64 = 12;
/// Rows of each rare phrase in the whole load.
pub(crate) const RARE_PHRASE_ROWS: u64 = 20;

/// Each in [`RARE_PHRASE_ROWS`] rows.
pub(crate) const RARE_WORDS: [&str; NEEDLES as usize] = [
    "zephyrine",
    "quokkaburn",
    "vexillary",
    "jubjubbird",
    "xanthophyl",
    "wyvernfall",
    "obsidianic",
    "fjordspray",
    "kumquatting",
    "hyperboloid",
    "mizzenmast",
    "pyroclastic",
];
/// Each in one of 20,000 rows.
pub(crate) const SCARCE_WORDS: [&str; NEEDLES as usize] = [
    "deadlocked",
    "quarantined",
    "throttling",
    "unmounted",
    "blacklisted",
    "checksummed",
    "preempted",
    "overclocked",
    "decommissioned",
    "fragmented",
    "misaligned",
    "backfilled",
];
/// Only in fatal records, one in each.
pub(crate) const FATAL_WORDS: [&str; NEEDLES as usize] = [
    "segfault",
    "coredump",
    "oomkilled",
    "panicking",
    "abortion",
    "doublefree",
    "stacksmash",
    "meltdown",
    "bricked",
    "unrecoverable",
    "halted",
    "powerloss",
];
/// How many of each in a hundred; fatal is apart.
const LEVELS: [(&str, u64); 5] = [("info", 55), ("debug", 80), ("warn", 90), ("trace", 95), ("error", 100)];

/// What time the records carry.
#[derive(Clone, Copy)]
enum Clock {
    /// The last of `total` records is at `end`.
    Spread { total: u64, end: i64 },
    /// The moment at which they are made, never before `start`.
    Now { start: i64 },
}

/// A sequence of records.
#[derive(Clone, Copy)]
pub(crate) struct Records {
    seed: u64,
    /// Distance between two rows of a rare phrase.
    rare_period: u64,
    /// Only records before this number have one.
    rare_end: u64,
    clock: Clock,
}

impl Records {
    /// `total` records that end now.
    pub(crate) fn spread(seed: u64, total: u64) -> Self {
        let clock = Clock::Spread { total, end: Timestamp::now().0 };
        Self { seed, rare_period: (total / RARE_PHRASE_ROWS).max(1), rare_end: u64::MAX, clock }
    }

    /// All rows of the rare phrases are among the first `count` records, so there are as many of them however much is loaded.
    pub(crate) fn rare_within(self, count: u64) -> Self {
        Self { rare_period: (count / RARE_PHRASE_ROWS).max(1), rare_end: count, ..self }
    }

    /// The same traffic going on: what is made now carries the time of now, and nothing is older than this call.
    pub(crate) fn going_on(self) -> Self {
        Self { clock: Clock::Now { start: Timestamp::now().0 }, ..self }
    }

    /// Nothing of [`Self::spread`] is later; everything of [`Self::going_on`] is.
    pub(crate) fn end(&self) -> Timestamp {
        match self.clock {
            Clock::Spread { end, .. } => Timestamp(end + 1),
            Clock::Now { start } => Timestamp(start),
        }
    }

    /// Event time of record `number`, were it not late.
    pub(crate) fn micros(&self, number: u64) -> i64 {
        match self.clock {
            Clock::Spread { total, end } => end - (total as i64 - 1 - number as i64) * STEP_MICROS,
            Clock::Now { start } => Timestamp::now().0.max(start),
        }
    }

    /// Appends record `number` as JSON.
    pub(crate) fn write(&self, number: u64, json: &mut String) {
        let mut random = Random::new(mixed(self.seed ^ mixed(number)));
        let mut at = self.micros(number);
        if random.below(1_000) == 0 {
            let late = at - random.below(LATE_MICROS_MAX) as i64;
            at = match self.clock {
                Clock::Spread { .. } => late,
                Clock::Now { start } => late.max(start),
            };
        }
        let is_fatal = random.below(2_000) == 0;
        let percent = random.below(100);
        let level = LEVELS.iter().find(|(_, to)| percent < *to).map_or("info", |(name, _)| name);
        let template = random.below(200);
        let _ = write!(
            json,
            "{{\"level\":\"{}\",\"message\":\"{} {} after {} ms (req {:08x}, peer 10.{}.{}.{}",
            if is_fatal { "fatal" } else { level },
            VERBS[(template % 10) as usize],
            THINGS[(template / 10) as usize],
            random.below(5_000),
            random.next() as u32,
            random.below(256),
            random.below(256),
            random.below(256),
        );
        self.write_needles(number, is_fatal, &mut random, json);
        let trace = mixed(self.seed ^ 0x7ace ^ mixed(number / 8));
        let _ = write!(
            json,
            ")\",\"resourceId\":\"{}\",\"timestamp\":\"{}\",\"traceId\":\"{trace:016x}{:016x}\",\"spanId\":\"{:016x}\",\"commit\":\"",
            resource(&mut random),
            Timestamp(at),
            mixed(trace),
            random.next(),
        );
        match random.below(1_000_000) {
            rare if rare < 60 * NEEDLES => json.push_str(&rare_commit(rare / 60)),
            _ => {
                let _ = write!(json, "{:07x}", 0xa00_0000 + random.below(500) * 7_919);
            }
        }
        let statuses = [200, 200, 200, 200, 200, 201, 204, 301, 404, 500];
        let _ = write!(
            json,
            "\",\"metadata\":{{\"parentResourceId\":\"srv-{:04}\",\"env\":\"{}\",\"userId\":{},\"http_status\":{},\"duration_ms\":{},\"user\":{{\"id\":\"u{}\"}}}}}}",
            random.zipf(2_000),
            ENVIRONMENTS[random.below(10) as usize],
            random.below(100_000),
            statuses[random.below(10) as usize],
            random.below(5_000),
            random.below(100_000),
        );
    }

    fn write_needles(&self, number: u64, is_fatal: bool, random: &mut Random, json: &mut String) {
        if random.below(20) == 0 {
            let (high, low) = (random.next(), random.next());
            let _ = write!(
                json,
                ", session {:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xfff,
                low >> 48,
                low & 0xffff_ffff_ffff
            );
        }
        let place = number % self.rare_period;
        let word = (0..NEEDLES).find(|at| at * self.rare_period / NEEDLES == place);
        if let Some(word) = word.filter(|_| number < self.rare_end) {
            let _ = write!(json, ", {} lattice", RARE_WORDS[word as usize]);
        }
        let scarce = random.below(20_000);
        if scarce < NEEDLES {
            let _ = write!(json, ", {}", SCARCE_WORDS[scarce as usize]);
        }
        if is_fatal {
            let _ = write!(json, ", {}", FATAL_WORDS[random.below(NEEDLES) as usize]);
        }
    }
}

/// 60 rows of a million each.
pub(crate) fn rare_resource(at: u64) -> String {
    format!("probe-{:04}", at * 37 + 11)
}

/// 60 rows of a million each.
pub(crate) fn rare_commit(at: u64) -> String {
    format!("f{:06x}", at * 104_729 + 7)
}

fn resource(random: &mut Random) -> String {
    match random.below(1_000_000) {
        rare if rare < 60 * NEEDLES => rare_resource(rare / 60),
        _ => format!("srv-{:04}", random.zipf(2_000)),
    }
}

/// splitmix64: neighbouring numbers become unrelated ones.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
