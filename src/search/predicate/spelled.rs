//! A cheap test ahead of an exact one: whether the text of a JSON document can hold a value at all. In: values that are looked for. Out:
//! the texts of which one must stand in it. The document is kept as it came, so a value may be spelled otherwise there: with escapes,
//! and, if it is a number, with an exponent or with zeros after its fraction. Pure.

use crate::search::{expr::is_number, filter::Match};

/// What to look for in a document's text. Whatever holds a backslash may hold anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spelled<'a> {
    /// One of them stands there.
    pub(super) texts: Vec<&'a str>,
    /// A number with an exponent may be meant as well. Then, unless a point parts them, one of these digits stands there: those of the value
    /// without the zeros at either end, which are empty if it has no others.
    pub(super) digits: Option<Vec<String>>,
}

impl<'a> Spelled<'a> {
    /// None if a document that holds one of the values need not have any text in common with it.
    pub(super) fn of(values: &'a [Match]) -> Option<Self> {
        let texts = values.iter().map(text).collect::<Option<Vec<_>>>()?;
        let numerals = values.iter().map(|value| {
            let (Match::Exact(text) | Match::Prefix(text)) = value;
            text
        });
        let digits: Vec<String> = numerals.filter(|text| is_numeral(text)).map(|text| digits(text)).collect();
        Some(Self { texts, digits: (!digits.is_empty()).then_some(digits) })
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

/// What is left of a numeral, however many times it is multiplied by ten.
fn digits(numeral: &str) -> String {
    let digits = numeral.replace(['-', '.'], "");
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_that_each_spelling_contains() {
        let exact = |text: &str| vec![Match::Exact(text.to_owned())];
        let prefix = |text: &str| vec![Match::Prefix(text.to_owned())];
        for (values, texts, digits) in [
            (exact("u58392"), Some(vec!["u58392"]), None),
            (exact("a\"b"), Some(vec!["a\"b"]), None),
            (exact("null"), Some(vec!["null"]), None),
            (exact("42"), Some(vec!["42"]), Some("42")),
            (exact("-42.50"), Some(vec!["42.5"]), Some("425")),
            (exact("0.0"), Some(vec!["0"]), Some("")),
            (exact("10200"), Some(vec!["10200"]), Some("102")),
            (exact("0.0102"), Some(vec!["0.0102"]), Some("102")),
            (exact("1e2"), None, None),
            (exact("007"), Some(vec!["007"]), Some("7")),
            (exact("{\"a\": 1}"), None, None),
            (exact("[]"), None, None),
            (prefix("4."), Some(vec!["4."]), Some("4")),
            (prefix("-"), Some(vec!["-"]), Some("")),
            (prefix("v1."), Some(vec!["v1."]), None),
            (prefix(""), Some(vec![""]), Some("")),
        ] {
            let digits = digits.map(|digits| vec![digits.to_owned()]);
            let expected = texts.map(|texts| Spelled { texts, digits });
            assert_eq!(Spelled::of(&values), expected, "{values:?}");
        }
        let both = [Match::Exact("a".into()), Match::Exact("70".into())];
        let expected = Spelled { texts: vec!["a", "70"], digits: Some(vec!["7".into()]) };
        assert_eq!(Spelled::of(&both), Some(expected));
        assert_eq!(Spelled::of(&[Match::Exact("a".into()), Match::Exact("1e2".into())]), None);
    }

    /// The number `digits`, with a point before the digit at `point`, times ten to the `exponent`, as Postgres prints it.
    fn printed(digits: &str, point: usize, exponent: i32) -> String {
        let point = point as i32 + exponent;
        let front = "0".repeat((1 - point).max(0) as usize);
        let back = "0".repeat((point - digits.len() as i32).max(0) as usize);
        let all = format!("{front}{digits}{back}");
        let (whole, fraction) = all.split_at(point.max(1) as usize);
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }

    proptest! {
        #[test]
        fn a_number_with_an_exponent_is_not_ruled_out(
            digits in "[0-9]{1,6}",
            point in 1_usize..7,
            exponent in -8_i32..9,
            begins: bool,
            length in 1_usize..20,
        ) {
            let point = point.min(digits.len());
            let (whole, fraction) = digits.split_at(point);
            let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
            let document = format!("{{\"n\":{whole}{fraction}e{exponent}}}");
            let value = printed(&digits, point, exponent);
            let value = match begins {
                true => Match::Prefix(value[..length.min(value.len())].to_owned()),
                false => Match::Exact(value),
            };
            let wanted = [value];
            let spelled = Spelled::of(&wanted).unwrap();
            let digits = spelled.digits.unwrap();
            let is_looked_at = digits[0].is_empty() || document.contains('.') || document.contains(&digits[0]);
            prop_assert!(is_looked_at, "{document} for {wanted:?}");
        }
    }
}
