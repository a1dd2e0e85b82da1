//! Records for tests: as JSON values, short to write and easy to tell apart.

use serde_json::{Value, json};

/// The sample record of the contract.
pub fn sample() -> Value {
    json!({
        "level": "error",
        "message": "Failed to connect to DB",
        "resourceId": "server-1234",
        "timestamp": "2023-09-15T08:00:00Z",
        "traceId": "abc-xyz-123",
        "spanId": "span-456",
        "commit": "5e5342f",
        "metadata": {"parentResourceId": "server-0987"}
    })
}

/// A record that is told apart by its message.
pub fn named(message: &str) -> Value {
    json!({"level": "info", "message": message, "resourceId": "r", "timestamp": "2026-01-02T03:04:05Z"})
}

/// The sample with one field set to another value.
pub fn with(field: &str, value: Value) -> Value {
    let mut record = sample();
    record[field] = value;
    record
}

/// The sample without one field.
pub fn without(field: &str) -> Value {
    let mut record = sample();
    record.as_object_mut().expect("a record is an object").remove(field);
    record
}

/// One line a record.
pub fn ndjson(records: impl IntoIterator<Item = Value>) -> String {
    records.into_iter().map(|record| format!("{record}\n")).collect()
}

/// `count` records with messages `{prefix}-0`, `{prefix}-1`, … as NDJSON.
pub fn many(prefix: &str, count: usize) -> String {
    ndjson((0..count).map(|n| named(&format!("{prefix}-{n}"))))
}

/// A small repeatable generator of numbers (splitmix64), so that a failing test fails again.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}
