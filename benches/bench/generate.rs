//! Records as services write them, from a fixed seed: 200 message templates, resources by Zipf's law, 8 logs a trace, 500 commits,
//! 3 to 6 metadata keys; about 394 bytes of JSON each.

use std::fmt::Write;

/// xorshift64*: enough for test data, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    /// 0 is the most common; Zipf with exponent 1.
    pub(crate) fn zipf(&mut self, count: u64) -> u64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((count as f64).powf(share) as u64).clamp(1, count) - 1
    }
}

pub(crate) const VERBS: [&str; 10] = [
    "connected to",
    "failed to reach",
    "retried",
    "timed out on",
    "finished",
    "rejected",
    "queued",
    "opened",
    "closed",
    "refreshed",
];
pub(crate) const THINGS: [&str; 20] = [
    "the payment gateway",
    "the user session",
    "a database pool",
    "the order service",
    "an upstream host",
    "the search index",
    "a cache shard",
    "the mail relay",
    "a worker thread",
    "the billing job",
    "an API token",
    "the image store",
    "a message broker",
    "the audit trail",
    "a feature flag",
    "the rate limiter",
    "a websocket",
    "the config map",
    "a replica",
    "the scheduler",
];
const LEVELS: [&str; 10] =
    ["info", "info", "info", "info", "info", "debug", "debug", "debug", "warn", "error"];
pub(crate) const ENVIRONMENTS: [&str; 10] = [
    "production",
    "production",
    "production",
    "production",
    "production",
    "production",
    "production",
    "staging",
    "staging",
    "test",
];

/// Makes records in the order of time, 8.64 ms apart, ending about now.
pub(crate) struct Records {
    random: Random,
    number: u64,
    first_micros: i64,
    trace: u64,
}

impl Records {
    pub(crate) fn new(seed: u64) -> Self {
        let now = log_ingestor::record::Timestamp::now();
        Self { random: Random::new(seed), number: 0, first_micros: now.0, trace: 0 }
    }

    /// Appends one record as JSON.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) {
        let random = &mut self.random;
        if self.number.is_multiple_of(8) {
            self.trace = random.next();
        }
        let at = log_ingestor::record::Timestamp(self.first_micros + self.number as i64);
        let template = random.below(200);
        let mut json = String::with_capacity(480);
        let _ = write!(
            json,
            "{{\"level\":\"{}\",\"message\":\"{} {} after {} ms (attempt {}, request {:08x}-{:04x}, peer 10.{}.{}.{})\",\"resourceId\":\"server-{:04}\",\"timestamp\":\"{at}\",\"traceId\":\"{:016x}{:016x}\",\"spanId\":\"{:016x}\",\"commit\":\"{:07x}\",\"metadata\":{{\"parentResourceId\":\"server-{:04}\",\"env\":\"{}\",\"userId\":{}",
            LEVELS[random.below(10) as usize],
            VERBS[(template % 10) as usize],
            THINGS[(template / 10) as usize],
            random.below(5000),
            random.below(5) + 1,
            random.next() as u32,
            random.next() as u16,
            random.below(256),
            random.below(256),
            random.below(256),
            random.zipf(2000),
            self.trace,
            self.trace.rotate_left(17),
            random.next(),
            0xa00_0000 + random.below(500) * 7919,
            random.zipf(2000),
            ENVIRONMENTS[random.below(10) as usize],
            random.below(100_000),
        );
        for key in 0..random.below(4) {
            let _ = write!(json, ",\"k{key}\":{}", random.below(1000));
        }
        json.push_str("}}");
        out.extend_from_slice(json.as_bytes());
        self.number += 1;
    }
}

/// Whole HTTP requests of `each` records, as they go over the wire.
pub(crate) fn requests(host: &str, content_type: &str, count: usize, each: usize) -> Vec<Vec<u8>> {
    let mut records = Records::new(count as u64);
    let mut body = Vec::new();
    (0..count)
        .map(|_| {
            body.clear();
            for _ in 0..each {
                records.write(&mut body);
                body.push(b'\n');
            }
            let head = format!(
                "POST /public/ingest HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let mut request = head.into_bytes();
            request.extend_from_slice(&body);
            request
        })
        .collect()
}
