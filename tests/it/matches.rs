//! The meaning of a search without SQL: whether a record as the API gives it is a hit. Slow and plain, so that answers can be compared
//! with it. In: a tree and a record. Out: true or false.

use std::cmp::Ordering;

use log_ingestor::{
    record::Level,
    search::{
        expr::{Expr, Field, Test},
        filter::Match,
    },
};
use serde_json::Value;

pub fn matches(expr: &Expr, log: &Value) -> bool {
    match expr {
        Expr::All(parts) => parts.iter().all(|part| matches(part, log)),
        Expr::Any(parts) => parts.iter().any(|part| matches(part, log)),
        Expr::Not(part) => !matches(part, log),
        Expr::Test(test) => holds(test, log),
    }
}

fn holds(test: &Test, log: &Value) -> bool {
    match test {
        Test::Contains(text) => folded(string(log, "message")).contains(&folded(text)),
        Test::Regex(regex) => found(&regex.pattern, string(log, "message")),
        Test::Level(levels) => levels.contains(&Level::parse(string(log, "level")).unwrap()),
        Test::Is(Field::Metadata(path), values) => {
            let found = at_path(log, path);
            values.iter().any(|wanted| found.iter().any(|value| is(value, wanted)))
        }
        Test::Is(field, values) => {
            let name = match field {
                Field::ResourceId => "resourceId",
                Field::TraceId => "traceId",
                Field::SpanId => "spanId",
                Field::Commit | Field::Metadata(_) => "commit",
            };
            log[name].as_str().is_some_and(|text| values.iter().any(|wanted| is_text(text, wanted)))
        }
        Test::Compare { path, op, number } => {
            let bound: f64 = number.parse().unwrap();
            let order = |value: &Value| -> Option<Ordering> {
                let number = match value {
                    Value::Number(number) => number.as_f64()?,
                    Value::String(text) if is_json_number(text) => text.parse().ok()?,
                    _ => return None,
                };
                number.partial_cmp(&bound)
            };
            at_path(log, path).into_iter().filter_map(order).any(|order| op.holds(order))
        }
    }
}

/// Also one that is too large for a float, which is infinite then.
fn is_json_number(text: &str) -> bool {
    text.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit())
        && text.trim() == text
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

fn string<'a>(log: &'a Value, name: &str) -> &'a str {
    log[name].as_str().expect("every record has it")
}

/// Every letter in lower case if that is one letter that leads back.
pub fn folded(text: &str) -> String {
    let fold = |letter: char| {
        let lower = letter.to_lowercase().next().unwrap();
        let is_pair = letter.to_lowercase().count() == 1 && lower.to_uppercase().eq([letter]);
        if is_pair { lower } else { letter }
    };
    text.chars().map(fold).collect()
}

pub fn is_text(text: &str, wanted: &Match) -> bool {
    match wanted {
        Match::Exact(exact) => text == exact,
        Match::Prefix(front) => text.starts_with(front.as_str()),
    }
}

fn is(value: &Value, wanted: &Match) -> bool {
    match (value, wanted) {
        (Value::Null, wanted) => *wanted == Match::Exact("null".to_owned()),
        (Value::String(text), wanted) => is_text(text, wanted),
        (Value::Number(number), Match::Exact(exact)) => {
            number.to_string() == *exact
                || serde_json::from_str::<serde_json::Number>(exact)
                    .is_ok_and(|it| it.as_f64() == number.as_f64())
        }
        (Value::Object(_) | Value::Array(_), Match::Exact(exact)) => as_jsonb(value) == *exact,
        (Value::Object(_) | Value::Array(_), Match::Prefix(front)) => as_jsonb(value).starts_with(front),
        (other, wanted) => is_text(&other.to_string(), wanted),
    }
}

/// The text that jsonb prints: a blank behind colon and comma, shorter keys first.
fn as_jsonb(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_by_key(|key| (key.len(), key.as_bytes()));
            let pairs =
                keys.iter().map(|key| format!("{}: {}", Value::from(key.as_str()), as_jsonb(&object[*key])));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(as_jsonb).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// Every value below metadata that some reading of the dots leads to; the elements of an array for the array.
fn at_path<'a>(log: &'a Value, path: &str) -> Vec<&'a Value> {
    let parts: Vec<&str> = path.split('.').collect();
    steps(&log["metadata"], &parts).into_iter().flat_map(elements).collect()
}

fn steps<'a>(from: &'a Value, parts: &[&str]) -> Vec<&'a Value> {
    if parts.is_empty() {
        return vec![from];
    }
    let mut found = Vec::new();
    for joined in 1..=parts.len() {
        let key = parts[..joined].join(".");
        for object in elements(from).into_iter().filter_map(Value::as_object) {
            found.extend(object.get(&key).map(|value| steps(value, &parts[joined..])).unwrap_or_default());
        }
    }
    found
}

fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// A regular expression of letters, `.`, `\d`, `[…]`, each with `*`, `+` or `?`, `^`, `$`, one level of `a|b`, and `(?i)` in front.
fn found(pattern: &str, text: &str) -> bool {
    if let Some(pattern) = pattern.strip_prefix("(?i)") {
        return found(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase());
    }
    let text: Vec<char> = text.chars().collect();
    pattern.split('|').any(|branch| {
        let branch: Vec<char> = branch.chars().collect();
        (0..=text.len()).any(|start| here(&branch, &text, start))
    })
}

fn here(pattern: &[char], text: &[char], at: usize) -> bool {
    let len = match pattern {
        [] => return true,
        ['^', rest @ ..] => return at == 0 && here(rest, text, at),
        ['$'] => return at == text.len(),
        ['\\', ..] => 2,
        ['[', ..] => pattern.iter().position(|letter| *letter == ']').unwrap() + 1,
        _ => 1,
    };
    let (atom, rest) = pattern.split_at(len);
    let fits = |at: usize| text.get(at).is_some_and(|letter| fits(atom, *letter));
    let (least, most, rest) = match rest {
        ['*', rest @ ..] => (0, usize::MAX, rest),
        ['+', rest @ ..] => (1, usize::MAX, rest),
        ['?', rest @ ..] => (0, 1, rest),
        rest => (1, 1, rest),
    };
    let longest = (0..most).take_while(|n| fits(at + n)).count();
    (least..=longest).any(|count| here(rest, text, at + count))
}

fn fits(atom: &[char], letter: char) -> bool {
    match atom {
        ['.'] => true,
        ['\\', 'd'] => letter.is_ascii_digit(),
        ['\\', escaped] => letter == *escaped,
        ['[', members @ .., ']'] => members.contains(&letter),
        atom => atom == [letter],
    }
}

#[test]
fn the_evaluator_itself() {
    let log = serde_json::json!({
        "level": "warn", "message": "Überlauf 42 ms", "resourceId": "api-1",
        "metadata": {"a": [{"b": 1}, {"b": "2"}], "x.y": {"z": null}, "o": {"bb": 1, "c": [true]}},
    });
    for (line, hit) in [
        ("ÜBER /^.berl[ax]uf \\d+ ms$/", true),
        ("/(?i)ü/", false),
        ("/BERL|x/i", true),
        ("a.b>1", true),
        ("a.b>2", false),
        ("x.y.z:null", true),
        ("x.y.z:*", false),
        ("-x.y.q:*", true),
        ("o:\"{\\\"c\\\": [true], \\\"bb\\\": 1}\"", true),
        ("level>warn or resourceId:(x or api*)", true),
    ] {
        let expr = log_ingestor::search::grammar::parse(line).unwrap();
        assert_eq!(matches(&expr, &log), hit, "{line}");
    }
}
