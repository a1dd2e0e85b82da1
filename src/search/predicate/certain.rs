//! What every match of a regular expression contains, as a cheap test ahead of the expression itself, which costs five times as much. In:
//! its literals. Out: those that can be looked for in a message folded to lower case. Pure.

use crate::search::need::literals::Literals;

/// Shorter ones are nearly everywhere.
const BYTES_MIN: usize = 3;

/// Texts to look for; None if nothing is certain enough.
pub(super) fn certain(literals: &Literals) -> Option<Literals> {
    match literals {
        // Of other letters `lower` under collation "C" changes none, and a pattern may mean them in any case.
        Literals::Text(text) => {
            // U+0000 is in no text, and in no parameter either.
            let is_fit = text.is_ascii() && !text.contains('\0') && text.len() >= BYTES_MIN;
            is_fit.then(|| Literals::Text(text.to_ascii_lowercase()))
        }
        Literals::All(parts) => {
            let mut parts: Vec<Literals> = parts.iter().filter_map(certain).collect();
            match parts.len() {
                0 => None,
                1 => parts.pop(),
                _ => Some(Literals::All(parts)),
            }
        }
        Literals::Any(parts) => {
            let parts: Option<Vec<Literals>> = parts.iter().map(certain).collect();
            parts.filter(|parts| !parts.is_empty()).map(Literals::Any)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::need::literals::literals;

    #[test]
    fn only_what_is_long_enough_and_in_every_match() {
        let text = |text: &str| Literals::Text(text.to_owned());
        for (pattern, expected) in [
            ("Timeout after [0-9]+", Some(text("timeout after "))),
            (
                "req [0-9]+ of [a-z]+ gone",
                Some(Literals::All(vec![text("req "), text(" of "), text(" gone")])),
            ),
            (
                "(refused|reset) by",
                Some(Literals::All(vec![Literals::Any(vec![text("refused"), text("reset")]), text(" by")])),
            ),
            ("(refused|no) by", Some(text(" by"))),
            ("[0-9]+", None),
            ("ab", None),
            (r"abc\u0000", None),
            ("Ärger", None),
        ] {
            let seen = certain(&literals(pattern));
            assert_eq!(seen, expected, "{pattern}");
        }
    }
}
