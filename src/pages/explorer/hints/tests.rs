//! Hints by what is certain: each leads to what was meant, and keeps the rest.

use super::*;
use crate::{pages::when::Zone, search::params};

fn hints_of(params: &str, nothing: &Nothing) -> Vec<Hint> {
    let pairs = params::decode(params).unwrap();
    let view = View::read(&pairs, Timestamp(0), Zone::UTC).unwrap();
    hints(&view, nothing, &["path", "http.status", "user.id", "Host"])
}

fn no_field(path: &str) -> NoField {
    NoField { path: path.to_owned(), texts: Vec::new() }
}

/// The query line of a link.
fn line_of(href: &str) -> String {
    let pairs = params::decode(href.trim_start_matches("/?")).unwrap();
    pairs.into_iter().find(|(name, _)| name == "q").map_or_else(String::new, |(_, line)| line)
}

#[test]
fn a_slip_leads_to_what_was_meant() {
    for (typed, path, text, instead) in [
        ("levle:error x", "levle", &[][..], &["level:error x"][..]),
        ("levle:(error or fatal)", "levle", &[], &["level>=error"]),
        ("status>499", "status", &[], &["http.status>499"]),
        ("host:a or b", "host", &["host:a"], &["Host:a or b", "\"host:a\" or b"]),
        ("db01:5432 -x", "db01", &["db01:5432"], &["\"db01:5432\" -x"]),
        ("queue=16 y", "queue", &["queue=16"], &["\"queue=16\" y"]),
        ("patch:/a*", "patch", &[], &["path:/a*"]),
    ] {
        let params = params::encode([("q", typed)]);
        let texts = text.iter().map(|text| (*text).to_owned()).collect();
        let absent = vec![NoField { path: path.to_owned(), texts }];
        let nothing = Nothing { absent, ..Nothing::default() };
        let hints = hints_of(&params[1..], &nothing);
        assert_eq!(hints.len(), 1, "{typed}");
        assert_eq!(hints[0].text, format!("No record has a value in {path}."));
        let lines: Vec<String> = hints[0].instead.iter().map(|(_, href)| line_of(href)).collect();
        assert_eq!(lines, instead, "{typed}");
    }
}

#[test]
fn what_is_counted_is_not_said_to_be_absent() {
    let nothing = Nothing { absent: vec![no_field("path")], ..Nothing::default() };
    assert!(hints_of("q=path:x", &nothing).is_empty());
}

#[test]
fn an_id_leads_to_its_field_and_another_time_to_all() {
    let nothing = Nothing {
        ids: vec![Id { text: "bdec2038".to_owned(), asked: None, field: Field::TraceId, is_of_range: true }],
        newest: Some(Timestamp::parse("2026-01-02T03:04:05Z").unwrap()),
        ..Nothing::default()
    };
    let hints = hints_of("q=bdec2038+level:info&from=15m", &nothing);
    let shown: Vec<(&str, Vec<&str>)> = hints
        .iter()
        .map(|hint| (hint.text.as_str(), hint.instead.iter().map(|(_, href)| href.as_str()).collect()))
        .collect();
    assert_eq!(
        shown,
        [
            (
                "bdec2038 is a traceId; words are looked for in messages.",
                vec!["/?from=15m&q=traceId%3Abdec2038+level%3Ainfo"]
            ),
            (
                "The newest record that matches is of 2026-01-02 03:04:05.000000.",
                vec![
                    "/?from=2026-01-02T02%3A04%3A05Z&to=2026-01-02T03%3A04%3A05.000001Z&q=bdec2038+level%3Ainfo",
                    "/?q=bdec2038+level%3Ainfo"
                ]
            ),
        ]
    );
}

#[test]
fn a_value_of_another_field_leads_there() {
    for (field, name, typed, line) in [
        (Field::TraceId, "traceId", "traceId:bdec2038 -x", "spanId:bdec2038 -x"),
        (Field::Metadata("Host".to_owned()), "Host", "Host:bdec2038", "spanId:bdec2038"),
    ] {
        let id =
            Id { text: "bdec2038".to_owned(), asked: Some(field), field: Field::SpanId, is_of_range: false };
        let params = params::encode([("q", typed), ("from", "15m")]);
        let hints = hints_of(&params[1..], &Nothing { ids: vec![id], ..Nothing::default() });
        assert_eq!(hints[0].text, format!("bdec2038 is a spanId of another time, not a {name}."));
        let (_, href) = &hints[0].instead[0];
        assert_eq!((line_of(href).as_str(), href.contains("from")), (line, false), "{typed}");
    }
}

#[test]
fn a_link_keeps_what_it_does_not_replace() {
    let value = |value: &str, others: &[&str], is_of_range| NoValue {
        field: Field::Metadata("Host".to_owned()),
        value: value.to_owned(),
        others: others.iter().map(|other| (*other).to_owned()).collect(),
        is_of_range,
    };
    let href = |params: &str, value| {
        let hints = hints_of(params, &Nothing { values: vec![value], ..Nothing::default() });
        hints[0].instead.iter().map(|(_, href)| href.clone()).collect::<Vec<_>>()
    };
    // Another value of the same path.
    let params = "q=x&metadata.Host=a&metadata.Host=b";
    assert_eq!(href(params, value("b", &["b1"], true)), ["/?metadata.Host=a&q=x+Host%3Ab1"]);
    // The time range, unless what is offered is of another.
    let params = "q=Host:b&from=5m";
    assert_eq!(href(params, value("b", &["b1"], true)), ["/?from=5m&q=Host%3Ab1"]);
    assert_eq!(href(params, value("b", &["b1"], false)), ["/?q=Host%3Ab1"]);
    // What no query line can say is not offered.
    let params = format!("q={}&metadata.Host=b", vec!["t"; grammar::TERMS_MAX].join("+"));
    assert!(href(&params, value("b", &["b1"], true)).is_empty());
}

#[test]
fn the_same_value_of_another_time_is_no_other_search() {
    let value = NoValue {
        field: Field::Commit,
        value: "a1".to_owned(),
        others: vec!["a1".to_owned(), "a12".to_owned()],
        is_of_range: false,
    };
    let hints = hints_of("q=commit:a1&from=15m", &Nothing { values: vec![value], ..Nothing::default() });
    let text = "No record of this time range has a1 as its commit; records of another time have.";
    assert_eq!((hints[0].text.as_str(), hints[0].instead.len()), (text, 0));
}

#[test]
fn an_id_of_a_record_leads_to_it() {
    let id = RecordId(uuid::Uuid::from_u128(7));
    let hints = hints_of("q=x", &Nothing { records: vec![id], ..Nothing::default() });
    assert_eq!(hints[0].text, format!("{} is the id of a record.", id.0));
    assert_eq!(hints[0].instead, [("the record".to_owned(), format!("/logs/{}", id.0))]);
}

#[test]
fn values_are_legible() {
    assert_eq!(legible("\u{1b}[31mred\nx\u{202e}"), "\u{241b}[31mred\u{240a}x<U+202E>");
    assert_eq!(legible(&"ä".repeat(200)), format!("{}…", "ä".repeat(LETTERS_MAX)));
}

#[test]
fn a_name_that_is_a_parameter_leads_to_what_was_meant() {
    let nothing = Nothing { absent: vec![no_field("host")], ..Nothing::default() };
    let hints = hints_of("q=x&metadata.host=a", &nothing);
    assert_eq!(hints[0].instead, [("Host:a".to_owned(), "/?q=x+Host%3Aa".to_owned())]);
}

#[test]
fn a_pair_leads_to_its_field() {
    for (typed, instead) in [
        ("user.id=x", &["user.id:x", "user.id:x*"][..]),
        ("a path=/b \"x y\"", &["a path:/b \"x y\"", "a path:/b* \"x y\""]),
        ("path==x", &[]),
        ("unknown=x", &[]),
        ("-path=x", &[]),
        ("path=", &[]),
    ] {
        let params = params::encode([("q", typed)]);
        let hints = hints_of(&params[1..], &Nothing::default());
        let found: Vec<String> =
            hints.iter().flat_map(|hint| &hint.instead).map(|(_, href)| line_of(href)).collect();
        assert_eq!(found, instead, "{typed}");
    }
}

#[test]
fn a_value_leads_to_those_that_are_there() {
    let value = |field: Field, value: &str, others: &[&str]| NoValue {
        field,
        value: value.to_owned(),
        others: others.iter().map(|other| (*other).to_owned()).collect(),
        is_of_range: true,
    };
    for (params, value, lines) in [
        (
            "q=resourceId:api+error",
            value(Field::ResourceId, "api", &["api-1", "api 2", "x-api"]),
            &[
                "resourceId:api* error",
                "resourceId:api-1 error",
                "resourceId:\"api 2\" error",
                "resourceId:x-api error",
            ][..],
        ),
        ("q=a+commit:X", value(Field::Commit, "X", &["x"]), &["a commit:x"]),
        ("q=a&commit=X", value(Field::Commit, "X", &["x"]), &["a commit:x"]),
        ("q=a&metadata.Host=X", value(Field::Metadata("Host".to_owned()), "X", &["x"]), &["a Host:x"]),
        // In the line and as a parameter, and beside a part that is negated.
        ("q=commit:X+-(commit:X+b)&commit=X", value(Field::Commit, "X", &["x"]), &["commit:x -(commit:X b)"]),
        ("q=path:7", value(Field::Metadata("path".to_owned()), "7", &[]), &[]),
    ] {
        let hints = hints_of(params, &Nothing { values: vec![value], ..Nothing::default() });
        assert_eq!(hints.len(), 1, "{params}");
        assert!(hints[0].text.starts_with("No record has "), "{}", hints[0].text);
        let found: Vec<String> = hints[0].instead.iter().map(|(_, href)| line_of(href)).collect();
        assert_eq!(found, lines, "{params}");
        assert!(hints[0].instead.iter().all(|(_, href)| !href.contains("=X")), "{params}");
    }
}
