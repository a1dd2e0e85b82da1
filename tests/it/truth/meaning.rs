//! What a search means, without SQL and without an index. In: a tree of conditions and a record as `select` shows it. Out: hit or not.
//! Regular expressions alone are Postgres' business: their hits are looked up in a scan without indexes.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
};

use log_ingestor::{
    record::{Level, Timestamp},
    search::{
        expr::{Expr, Field, Test},
        filter::Match,
    },
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::matches::{folded, is_text};

/// A record.
#[derive(Debug)]
pub struct Seen {
    pub id: Uuid,
    pub timestamp: Timestamp,
    pub level: Level,
    pub message: String,
    folded: String,
    pub resource_id: String,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub commit: Option<String>,
    pub metadata: Option<Json>,
}

/// JSON that keeps its numbers as they are written, and the text of what has parts.
#[derive(Debug)]
pub enum Json {
    Object(String, BTreeMap<String, Json>),
    Array(String, Vec<Json>),
    Text(String),
    Number(String),
    /// true, false, null.
    Word(String),
}

/// Which records match a regular expression.
pub type Regexes = HashMap<String, HashSet<Uuid>>;

impl Json {
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let read = |raw: &RawValue| Self::read(raw.get());
        let fails = |error| panic!("{text}: {error}");
        match text.as_bytes()[0] {
            b'{' => {
                let parts: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_else(fails);
                Self::Object(text.to_owned(), parts.into_iter().map(|(key, raw)| (key, read(raw))).collect())
            }
            b'[' => {
                let parts: Vec<&RawValue> = serde_json::from_str(text).unwrap();
                Self::Array(text.to_owned(), parts.into_iter().map(read).collect())
            }
            b'"' => Self::Text(serde_json::from_str(text).unwrap()),
            b't' | b'f' | b'n' => Self::Word(text.to_owned()),
            _ => Self::Number(text.to_owned()),
        }
    }

    /// What `#>> '{}'` gives.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Word(text) if text == "null" => None,
            Self::Object(text, _)
            | Self::Array(text, _)
            | Self::Text(text)
            | Self::Number(text)
            | Self::Word(text) => Some(text),
        }
    }

    fn elements(&self) -> Vec<&Self> {
        match self {
            Self::Array(_, items) => items.iter().collect(),
            other => vec![other],
        }
    }

    /// Every value that some reading of the dots leads to; the elements of an array for the array.
    pub fn at(&self, path: &str) -> Vec<&Self> {
        let parts: Vec<&str> = path.split('.').collect();
        assert!(parts.len() <= 5, "longer paths have fewer readings");
        self.steps(&parts).into_iter().flat_map(Self::elements).collect()
    }

    fn steps(&self, parts: &[&str]) -> Vec<&Self> {
        if parts.is_empty() {
            return vec![self];
        }
        let mut found = Vec::new();
        for element in self.elements() {
            let Self::Object(_, members) = element else { continue };
            for joined in 1..=parts.len() {
                let member = members.get(&parts[..joined].join("."));
                found.extend(member.into_iter().flat_map(|member| member.steps(&parts[joined..])));
            }
        }
        found
    }
}

impl Seen {
    pub fn new(id: Uuid, timestamp: Timestamp, level: Level, message: String, resource_id: String) -> Self {
        let folded = folded(&message);
        let (trace_id, span_id, commit, metadata) = (None, None, None, None);
        Self { id, timestamp, level, message, folded, resource_id, trace_id, span_id, commit, metadata }
    }

    pub fn matches(&self, expr: &Expr, regexes: &Regexes) -> bool {
        match expr {
            Expr::All(parts) => parts.iter().all(|part| self.matches(part, regexes)),
            Expr::Any(parts) => parts.iter().any(|part| self.matches(part, regexes)),
            Expr::Not(part) => !self.matches(part, regexes),
            Expr::Test(test) => self.holds(test, regexes),
        }
    }

    fn holds(&self, test: &Test, regexes: &Regexes) -> bool {
        let at = |path: &str| self.metadata.as_ref().map(|object| object.at(path)).unwrap_or_default();
        match test {
            Test::Contains(text) => self.folded.contains(&folded(text)),
            Test::Regex(regex) => regexes[&regex.pattern].contains(&self.id),
            Test::Level(levels) => levels.contains(&self.level),
            Test::Is(Field::Metadata(path), values) => {
                let found = at(path);
                values.iter().any(|wanted| found.iter().any(|value| is(value, wanted)))
            }
            Test::Is(field, values) => {
                let text = match field {
                    Field::ResourceId => Some(&self.resource_id),
                    Field::TraceId => self.trace_id.as_ref(),
                    Field::SpanId => self.span_id.as_ref(),
                    Field::Commit | Field::Metadata(_) => self.commit.as_ref(),
                };
                text.is_some_and(|text| values.iter().any(|wanted| is_text(text, wanted)))
            }
            Test::Compare { path, op, number } => {
                let bound = Number::read(number).unwrap();
                let number = |value: &Json| match value {
                    Json::Number(text) | Json::Text(text) => Number::read(text),
                    _ => None,
                };
                at(path).into_iter().filter_map(number).any(|number| op.holds(number.compare(&bound)))
            }
        }
    }
}

fn is(value: &Json, wanted: &Match) -> bool {
    let Some(text) = value.text() else { return *wanted == Match::Exact("null".to_owned()) };
    if is_text(text, wanted) {
        return true;
    }
    match (value, wanted) {
        (Json::Number(text), Match::Exact(exact)) => match (Number::read(text), Number::read(exact)) {
            (Some(one), Some(other)) => one.compare(&other).is_eq(),
            _ => false,
        },
        _ => false,
    }
}

/// A number of JSON with all its digits: sign, then digits with the place of the first.
#[derive(Debug)]
pub struct Number {
    negative: bool,
    /// Without zeros at either end; none for zero.
    digits: String,
    /// Ten to this power is the place left of the first digit.
    magnitude: i64,
}

impl Number {
    /// None for what is no number of JSON.
    pub fn read(text: &str) -> Option<Self> {
        let begins = text.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit());
        if !begins || text.trim() != text || text.len() > 400 {
            return None;
        }
        serde_json::from_str::<&RawValue>(text).ok()?;
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let front = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        let magnitude = exponent.parse::<i64>().ok()? + whole.len() as i64 - front as i64;
        Some(Self { negative: negative && !digits.is_empty(), digits, magnitude })
    }

    pub fn compare(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = match (self.digits.is_empty(), other.digits.is_empty()) {
            (false, false) => {
                self.magnitude.cmp(&other.magnitude).then_with(|| self.digits.cmp(&other.digits))
            }
            _ => Ordering::Equal,
        };
        sign(self).cmp(&sign(other)).then(if self.negative { size.reverse() } else { size })
    }
}

#[test]
fn numbers_are_compared_with_all_their_digits() {
    let compare = |one: &str, other: &str| Number::read(one).unwrap().compare(&Number::read(other).unwrap());
    for (one, other) in [("1", "1.0"), ("10e-1", "1e0"), ("-0", "0.00"), ("1E+2", "100"), ("0.1", "1e-1")] {
        assert_eq!(compare(one, other), Ordering::Equal, "{one} {other}");
    }
    for (less, more) in [
        ("-2", "-1"),
        ("-1", "0"),
        ("9", "10"),
        ("0.09", "0.1"),
        ("12345678901234567890123", "12345678901234567890124"),
    ] {
        assert_eq!(
            (compare(less, more), compare(more, less)),
            (Ordering::Less, Ordering::Greater),
            "{less} {more}"
        );
    }
    assert!(
        ["", "01", "1.", ".5", "+1", "NaN", "true", " 1"].iter().all(|text| Number::read(text).is_none())
    );
}
