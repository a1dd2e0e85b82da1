//! Records one by one: each field with every value that is one step beyond its rule, and the last one that is not.

use chrono::{Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::case::Case;
use crate::harness::records::{sample, with, without};

pub fn cases() -> Vec<Case> {
    let groups = [levels(), texts(), timestamps(), metadata(), strings(), others()];
    let mut cases: Vec<Case> = groups.into_iter().flatten().collect();
    for field in ["level", "message", "resourceId", "timestamp"] {
        cases.push(Case::record(format!("{field} is missing"), &without(field)).rejected(field).says(field));
        cases.push(Case::record(format!("{field} is null"), &with(field, Value::Null)).rejected(field));
    }
    for field in ["level", "message", "resourceId", "timestamp", "traceId", "spanId", "commit", "id"] {
        for (kind, value) in [("a number", json!(42)), ("an object", json!({})), ("true", json!(true))] {
            cases.push(Case::record(format!("{field} is {kind}"), &with(field, value)).rejected(field));
        }
    }
    for field in ["traceId", "spanId", "commit", "metadata", "id"] {
        cases.push(
            Case::record(format!("{field} is null, hence absent"), &with(field, Value::Null)).accepted(1),
        );
    }
    cases
}

/// The sample as text with one field set to JSON text that `serde_json` would not write.
fn literal(field: &str, json: &str) -> String {
    with(field, json!("PLACE")).to_string().replace("\"PLACE\"", json)
}

fn levels() -> Vec<Case> {
    vec![
        Case::record("an unknown level", &with("level", json!("banana")))
            .rejected("level")
            .says("trace, debug, info, warn, error or fatal")
            .says("banana"),
        Case::record("an empty level", &with("level", json!(""))).rejected("level"),
        Case::record("a level with blanks", &with("level", json!(" info "))).rejected("level"),
        Case::record("a level in capitals", &with("level", json!("ERROR"))).accepted(1),
        Case::record("an alias", &with("level", json!("Emerg"))).accepted(1),
    ]
}

fn texts() -> Vec<Case> {
    let bytes = |n: usize| json!("ä".repeat(n / 2) + &"x".repeat(n % 2));
    let mut cases = vec![
        Case::record("an empty message", &with("message", json!(""))).rejected("message"),
        Case::record("a message of blanks", &with("message", json!("  "))).accepted(1),
        Case::record("a message of 64 KiB", &with("message", bytes(64 << 10))).accepted(1),
        Case::record("a message of 64 KiB and a byte", &with("message", bytes((64 << 10) + 1)))
            .rejected("message")
            .says("65536"),
        Case::record("an empty resourceId", &with("resourceId", json!(""))).rejected("resourceId"),
        Case::record("an id of 128 bytes", &with("id", bytes(128))).accepted(1),
        Case::record("an id of 129 bytes", &with("id", bytes(129))).rejected("id").says("128"),
    ];
    for field in ["resourceId", "traceId", "spanId", "commit"] {
        cases.push(Case::record(format!("{field} of 256 bytes"), &with(field, bytes(256))).accepted(1));
        let long = Case::record(format!("{field} of 257 bytes"), &with(field, bytes(257)));
        cases.push(long.rejected(field).says("256"));
    }
    cases
}

fn timestamps() -> Vec<Case> {
    let from_now =
        |hours| json!((Utc::now() + Duration::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true));
    let mut cases = vec![
        Case::record("a timestamp 23 h ahead", &with("timestamp", from_now(23))).accepted(1),
        Case::record("a timestamp 25 h ahead", &with("timestamp", from_now(25))).rejected("timestamp"),
    ];
    for good in [
        "1970-01-01T00:00:00Z",
        "2023-09-15T13:30:00.123456789+05:30",
        "2023-09-15t08:00:00z",
        "2024-02-29T23:59:59Z",
    ] {
        cases
            .push(Case::record(format!("the timestamp {good}"), &with("timestamp", json!(good))).accepted(1));
    }
    for bad in [
        "",
        "now",
        "yesterday",
        "infinity",
        "1694764800",
        "2023-09-15",
        "2023-09-15T08:00:00",
        "2023-02-30T08:00:00Z",
        "2023-13-01T08:00:00Z",
        "2023-09-15T25:00:00Z",
        "2023-09-15T08:00:00+25:00",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
    ] {
        let case = Case::record(format!("the timestamp `{bad}`"), &with("timestamp", json!(bad)));
        cases.push(case.rejected("timestamp"));
    }
    cases
}

fn metadata() -> Vec<Case> {
    let nested = |depth: usize| "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
    let arrays = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    // With braces, quotes and colon exactly that many bytes.
    let sized = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    let case = |name: &str, metadata: &str| Case::json(name, literal("metadata", metadata));
    let mut cases = vec![
        case("metadata is a string", "\"x\"").rejected("metadata"),
        case("metadata is an array", "[1]").rejected("metadata"),
        case("metadata is a number", "1").rejected("metadata"),
        case("empty metadata", "{}").accepted(1),
        case("metadata of any types", r#"{"a":1,"b":[true,null,{"c":"d"}],"":"empty key"}"#).accepted(1),
        case("metadata 32 deep", &nested(32)).accepted(1),
        case("metadata 33 deep", &nested(33)).rejected("metadata").says("32"),
        case("metadata with arrays 32 deep", &arrays(32)).accepted(1),
        case("metadata with arrays 33 deep", &arrays(33)).rejected("metadata"),
        case("metadata 100,000 deep", &nested(100_000)).rejected("metadata"),
        case("metadata of 64 KiB", &sized(64 << 10)).accepted(1),
        case("metadata of 64 KiB and a byte", &sized((64 << 10) + 1)).rejected("metadata").says("65536"),
    ];
    let digits = |n: usize| "7".repeat(n);
    for (name, number) in [
        ("0", "0".to_owned()),
        ("-0", "-0".to_owned()),
        ("a number of 400 digits", digits(400)),
        ("1e399, 400 digits in print", "1e399".to_owned()),
        ("2^64 + 1", "18446744073709551617".to_owned()),
    ] {
        cases.push(case(&format!("metadata with {name}"), &format!("{{\"n\":{number}}}")).accepted(1));
    }
    for (name, number) in [
        ("a number of 401 digits", digits(401)),
        ("1e400, 401 digits in print", "1e400".to_owned()),
        ("1e131071", "1e131071".to_owned()),
        ("1E+131073", "1E+131073".to_owned()),
        ("a zero with an exponent that Postgres refuses", "0e1073741824".to_owned()),
        ("-0e99999999999999999999", "-0e99999999999999999999".to_owned()),
        ("1e-16383", "1e-16383".to_owned()),
        ("1e99999999999999999999", "1e99999999999999999999".to_owned()),
        ("a fraction of 500 digits", format!("0.{}", digits(500))),
    ] {
        let deep = format!("{{\"a\":[{{\"n\":{number}}}]}}");
        cases.push(case(&format!("metadata with {name}"), &deep).rejected("metadata"));
    }
    cases
}

/// What JSON can write and Postgres cannot store.
fn strings() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, field, template) in [
        ("message", "message", literal("message", r#""a<here>b""#)),
        ("resourceId", "resourceId", literal("resourceId", r#""a<here>b""#)),
        ("traceId", "traceId", literal("traceId", r#""a<here>b""#)),
        ("id", "id", literal("id", r#""a<here>b""#)),
        ("a metadata value", "metadata", literal("metadata", r#"{"a":["<here>"]}"#)),
        ("a metadata key", "metadata", literal("metadata", r#"{"a":{"<here>":1}}"#)),
        ("an unknown field", "", literal("colour", r#""<here>""#)),
        ("the name of an unknown field", "", literal("colour", "1").replace("colour", "<here>")),
    ] {
        let put = |escape: &str| template.replace("<here>", escape);
        let named = |kind: &str| format!("{kind} in {what}");
        cases.push(Case::json(named("a high surrogate alone"), put(r"\ud800")).rejected(field));
        cases.push(Case::json(named("a low surrogate alone"), put(r"\udc00x")).rejected(field));
        cases.push(Case::json(named("surrogates in the wrong order"), put(r"\udc00\ud800")).rejected(field));
        cases.push(Case::json(named("a pair of surrogates"), put(r"\ud83d\ude00")).accepted(1));
        cases.push(Case::json(named("U+0000"), put(r"\u0000")).accepted(1));
        cases.push(
            Case::json(named("controls and noncharacters"), put(r"\u0001\u001b\ufffe\uffff\u202e"))
                .accepted(1),
        );
    }
    cases
}

fn others() -> Vec<Case> {
    let doubled = sample().to_string().replacen('{', r#"{"level":"banana","timestamp":7,"#, 1);
    let bad_last = format!("{},\"level\":\"banana\"}}", sample().to_string().trim_end_matches('}'));
    let colour = with("colour", json!({"r": 1}));
    let big = literal("metadata", &format!("{{\"a\":\"{}\"}}", "x".repeat(60 << 10)));
    vec![
        Case::json("the last of duplicate keys wins", doubled).accepted(1),
        Case::json("even if it is a bad one", bad_last).rejected("level"),
        Case::record("an unknown field is kept", &colour).accepted(1),
        Case::record("an unknown field with ?unknown=reject", &colour)
            .query("unknown=reject")
            .rejected("colour")
            .says("colour"),
        Case::record("none unknown with ?unknown=reject", &sample()).query("unknown=reject").accepted(1),
        Case::json(
            "unknown fields and metadata above 64 KiB together",
            big.replacen('{', &format!(r#"{{"colour":"{}","#, "y".repeat(6 << 10)), 1),
        )
        .rejected(""),
        Case::json("an unknown field 33 deep", literal("colour", &("[".repeat(32) + &"]".repeat(32))))
            .rejected(""),
        Case::json("an unknown field 1e131071", literal("colour", "1e131071")).rejected(""),
    ]
}
