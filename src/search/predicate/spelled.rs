//! A cheap test ahead of an exact one: whether the text of a JSON document can hold a value at all. In: values that are looked for. Out:
//! the texts of which one must stand in it. The document is kept as it came, so a value may be spelled otherwise there: with escapes,
//! and, if it is a number, with an exponent or with zeros after its fraction. Pure.

use crate::search::{expr::is_number, filter::Match};

/// What to look for in a document's text. Whatever holds a backslash may hold anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spelled<'a> {
    /// One of them stands there.
    pub(super) texts: Vec<&'a str>,
    /// A number with an exponent may be meant as well.
    pub(super) is_number: bool,
}

impl<'a> Spelled<'a> {
    /// None if a document that holds one of the values need not have any text in common with it.
    pub(super) fn of(values: &'a [Match]) -> Option<Self> {
        let texts = values.iter().map(text).collect::<Option<Vec<_>>>()?;
        let is_number = values.iter().any(|value| match value {
            Match::Exact(text) | Match::Prefix(text) => is_numeral(text),
        });
        Some(Self { texts, is_number })
    }
}

/// What every document without a backslash and without an exponent contains that holds the value.
fn text(value: &Match) -> Option<&str> {
    let (Match::Exact(text) | Match::Prefix(text)) = value;
    // Objects and arrays are printed with blanks and in another order.
    if text.starts_with(['{', '[']) {
        return None;
    }
    match value {
        Match::Exact(text) if is_number(text) => {
            if text.contains(['e', 'E']) {
                return None;
            }
            let text = text.strip_prefix('-').unwrap_or(text);
            Some(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text })
        }
        // Within quotes as it is, but for what is escaped.
        _ => Some(text),
    }
}

/// How a number is printed, or the beginning of that.
fn is_numeral(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'-' | b'.' | b'0'..=b'9'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_each_spelling_contains() {
        let exact = |text: &str| vec![Match::Exact(text.to_owned())];
        let prefix = |text: &str| vec![Match::Prefix(text.to_owned())];
        for (values, texts, is_number) in [
            (exact("u58392"), Some(vec!["u58392"]), false),
            (exact("a\"b"), Some(vec!["a\"b"]), false),
            (exact("null"), Some(vec!["null"]), false),
            (exact("42"), Some(vec!["42"]), true),
            (exact("-42.50"), Some(vec!["42.5"]), true),
            (exact("0.0"), Some(vec!["0"]), true),
            (exact("100"), Some(vec!["100"]), true),
            (exact("1e2"), None, true),
            (exact("007"), Some(vec!["007"]), true),
            (exact("{\"a\": 1}"), None, false),
            (exact("[]"), None, false),
            (prefix("4."), Some(vec!["4."]), true),
            (prefix("-"), Some(vec!["-"]), true),
            (prefix("v1."), Some(vec!["v1."]), false),
            (prefix(""), Some(vec![""]), true),
        ] {
            let expected = texts.map(|texts| Spelled { texts, is_number });
            assert_eq!(Spelled::of(&values), expected, "{values:?}");
        }
        let both = [Match::Exact("a".into()), Match::Exact("7".into())];
        assert_eq!(Spelled::of(&both), Some(Spelled { texts: vec!["a", "7"], is_number: true }));
        assert_eq!(Spelled::of(&[Match::Exact("a".into()), Match::Exact("1e2".into())]), None);
    }
}
