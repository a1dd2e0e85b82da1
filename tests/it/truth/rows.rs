//! Random records as lines of NDJSON, from small alphabets, so that filters often hit. Raw text and not JSON values, because spellings
//! matter: numbers, escapes, keys that come twice.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

use crate::harness::records::Dice;

const WORDS: [&str; 36] = [
    "timeout",
    "Timeout",
    "TIMEOUT",
    "connection",
    "Reset",
    "by",
    "peer",
    "GET",
    "/api/v1/users",
    "100%",
    "done_",
    "a_b",
    "a%b",
    "a\\b",
    "\\",
    "Überlauf",
    "überlauf",
    "ПРИВЕТ",
    "привет",
    "Straße",
    "STRASSE",
    "ırmak",
    "\u{212a}elvin",
    "kelvin",
    "日本",
    "日本語",
    "🙂",
    "e\u{301}",
    "10.0.0.1",
    "10.0.0.17:8080",
    "550e8400-e29b-41d4-a716-446655440000",
    "\"quoted\"",
    "[warn]",
    "user=42",
    "<b>",
    "x",
];
pub const LEVELS: [&str; 12] = [
    "info", "info", "info", "INFO", "debug", "debug", "notice", "warn", "warning", "error", "trace", "fatal",
];
const NUMBERS: [&str; 22] = [
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "-0",
    "0",
    "0.0",
    "0e5",
    "1e2",
    "100",
    "1E+2",
    "0.1",
    "1e-1",
    "-7",
    "-7.50",
    "42",
    "42.000",
    "2e3",
    "12345678901234567890123",
    "12345678901234567890124",
    "0.30000000000000004",
    "9007199254740993",
];
const TEXTS: [&str; 26] = [
    "\"1\"",
    "\"1.0\"",
    "\"1e0\"",
    "\"01\"",
    "\"-0\"",
    "\"0.0\"",
    "\"100\"",
    "\"true\"",
    "\"null\"",
    "\"\"",
    "\"{\\\"a\\\":1}\"",
    "\"[1]\"",
    "\"caf\\u00e9\"",
    "\"café\"",
    "\"CAFÉ\"",
    "\"x y\"",
    "\"%\"",
    "\"_\"",
    "\"\\\\\"",
    "\"a*\"",
    "\"q\\\"q\"",
    "\"line\\nbreak\"",
    "\"\\ud83d\\ude42\"",
    "\"🙂\"",
    "\"a.b\"",
    "\"server-1\"",
];
const KEYS: [&str; 16] = [
    "\"a\"",
    "\"b\"",
    "\"user\"",
    "\"id\"",
    "\"n\"",
    "\"tags\"",
    "\"a.b\"",
    "\"user.id\"",
    "\"\"",
    "\".\"",
    "\"ä\"",
    "\"\\u00e4\"",
    "\"k\\\"q\"",
    "\"b.\"",
    "\"x y\"",
    "\"A\"",
];

pub fn one<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    *any(dice, of)
}

pub fn any<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    &of[dice.roll(of.len() as u64) as usize]
}

/// What fills the signature of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Long texts and much metadata now and then: blocks are full of bits before they are full of rows.
    Mixed,
    /// Blocks get all their rows.
    Short,
}

/// A number below `below`, small ones more often.
pub fn small(dice: &mut Dice, below: u64) -> u64 {
    let most = 1 + dice.roll(below);
    dice.roll(most)
}

/// One line; `now` is the same for a whole run, so that moments repeat.
pub fn a_line(dice: &mut Dice, now: DateTime<Utc>, texts: Texts) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let mut line = format!(
        r#"{{"level":"{}","message":{},"resourceId":{},"timestamp":"{}""#,
        one(dice, &LEVELS),
        json_text(dice, texts),
        text(&a_resource(dice)),
        a_time(dice, now),
    );
    for name in ["traceId", "spanId", "commit"] {
        if dice.roll(3) > 0 {
            line.push_str(&format!(r#","{name}":{}"#, text(&an_id(dice))));
        }
    }
    let has_metadata = if texts == Texts::Mixed { dice.roll(6) > 0 } else { dice.roll(6) == 0 };
    if has_metadata {
        line.push_str(&format!(r#","metadata":{}"#, an_object(dice, 3)));
    }
    if dice.roll(8) == 0 {
        line.push_str(&format!(r#","extra":{}"#, a_value(dice, 1)));
    }
    line.push_str("}\n");
    line
}

/// A message as a JSON string, sometimes with everything escaped that can be.
fn json_text(dice: &mut Dice, texts: Texts) -> String {
    let text = a_message(dice, texts);
    if dice.roll(10) > 0 {
        return Value::from(text).to_string();
    }
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{escaped}\"")
}

fn a_message(dice: &mut Dice, texts: Texts) -> String {
    match dice.roll(40) {
        // Long random text fills the signature of a block before it has all its rows.
        0 if texts == Texts::Mixed => {
            let frames = 60 + dice.roll(390);
            let mut frame = || {
                format!(
                    "\n\tat f{:x}.g{:x}(Main.java:{})",
                    dice.roll(1 << 50),
                    dice.roll(1 << 50),
                    dice.roll(900)
                )
            };
            (0..frames).map(|_| frame()).collect()
        }
        1 => " ".to_owned(),
        2 => one(dice, &["a", "é", "ab", "日", "\u{fffd}\u{1}", "%", "_"]).to_string(),
        _ => {
            let mut text = String::new();
            for at in 0..1 + dice.roll(7) {
                if at > 0 {
                    text.push_str(one(dice, &[" ", " ", " ", "", "-", ", "]));
                }
                text.push_str(one(dice, &WORDS));
                if dice.roll(6) == 0 {
                    text.push_str(&dice.roll(300).to_string());
                }
            }
            text
        }
    }
}

fn a_resource(dice: &mut Dice) -> String {
    match dice.roll(8) {
        0 => one(dice, &["a*", "\\", "Ä", "ä", "%", "server_1", " "]).to_string(),
        1 => "r".repeat(256),
        _ => format!("server-{}", small(dice, 200)),
    }
}

/// Each way in which ids are packed.
pub fn an_id(dice: &mut Dice) -> String {
    let n = small(dice, 60);
    match dice.roll(9) {
        0 => format!("{n:032x}"),
        1 => format!("{:016X}", n + 0xabc),
        2 => format!("{n:08x}-e29b-41d4-a716-446655440000"),
        3 => format!("{:08X}-E29B-41D4-A716-446655440000", n + 0xab),
        4 => format!("{:03x}", n + 0xabc),
        5 => format!("req-{n}/ä"),
        6 => format!("{:02x}", n + 0xa0),
        7 => one(dice, &["*", "a*", "\\", "\u{2}\u{1}", "-", "0", "00"]).to_string(),
        _ => format!("trace {n}"),
    }
}

fn a_time(dice: &mut Dice, now: DateTime<Utc>) -> String {
    let second = TimeDelta::seconds(1);
    let at = match dice.roll(12) {
        0..=4 => now - second * dice.roll(5) as i32,
        5 => now - TimeDelta::milliseconds(dice.roll(3_000) as i64),
        6 => now - TimeDelta::hours(dice.roll(30) as i64),
        7 => now - TimeDelta::days(dice.roll(40) as i64),
        8 => now + TimeDelta::hours(dice.roll(20) as i64),
        9 => now - TimeDelta::days(365 * dice.roll(4) as i64),
        10 => {
            let edges = [
                "2024-12-31T23:59:59.999999Z",
                "2024-12-31T23:59:59.9999996Z",
                "2025-01-01T00:00:00Z",
                "2025-01-01T01:00:00.000001+01:00",
                "1970-01-01T00:00:00Z",
                "2019-06-01T12:00:00.123456789Z",
            ];
            return one(dice, &edges).to_string();
        }
        _ => now,
    };
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn an_object(dice: &mut Dice, depth: u64) -> String {
    let blank = one(dice, &["", "", " ", "\t "]);
    let members = (0..dice.roll(5))
        .map(|_| format!("{blank}{}{blank}:{blank}{}", one(dice, &KEYS), a_value(dice, depth)));
    let members: Vec<String> = members.collect();
    format!("{{{}{blank}}}", members.join(","))
}

fn a_value(dice: &mut Dice, depth: u64) -> String {
    match dice.roll(if depth == 0 { 12 } else { 18 }) {
        0..=4 => one(dice, &NUMBERS).to_string(),
        5..=9 => one(dice, &TEXTS).to_string(),
        10 => one(dice, &["true", "false", "null"]).to_string(),
        11 => one(dice, &["[]", "{}", "[ ]", "[null]"]).to_string(),
        12..=14 => {
            let items: Vec<String> = (0..dice.roll(4)).map(|_| a_value(dice, depth - 1)).collect();
            format!("[{}]", items.join(" , "))
        }
        _ => an_object(dice, depth - 1),
    }
}
