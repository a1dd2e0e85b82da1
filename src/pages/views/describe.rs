//! What a search filters, in words. In: the query string of a page. Out: its conditions, one each. Pure.

use crate::{
    pages::text::{shortened, shown},
    search::params,
};

/// Conditions that are shown of one search.
const CONDITIONS_MAX: usize = 20;
/// Characters that are shown of one value.
const LETTERS_MAX: usize = 200;

#[derive(Debug, PartialEq, Eq)]
pub struct Condition {
    /// Empty for the query line, which speaks for itself.
    pub name: String,
    pub value: String,
}

/// The conditions of a search; none: everything.
pub fn conditions(query: &str) -> Vec<Condition> {
    let pairs = params::decode(query).unwrap_or_default();
    let has_to = pairs.iter().any(|(name, _)| name == "to");
    let mut conditions: Vec<Condition> =
        pairs.iter().filter_map(|(name, value)| condition(name, value, has_to)).collect();
    let rest = conditions.len().saturating_sub(CONDITIONS_MAX);
    if rest > 0 {
        conditions.truncate(CONDITIONS_MAX);
        conditions.push(Condition { name: "and".to_owned(), value: format!("{rest} more") });
    }
    conditions
}

fn condition(name: &str, value: &str, has_to: bool) -> Option<Condition> {
    let is_age = value.starts_with(|first: char| first.is_ascii_digit()) && !value.contains('-');
    let (name, value) = match name {
        "q" => ("", value),
        "off" => ("switched off", value),
        "from" if is_age && !has_to => ("last", value),
        "message" => ("message contains", value),
        "regex" => ("message matches", value),
        "wrap" | "t" | "live" | "explain" | "facet" | "column" | "limit" | "budget" => {
            return None;
        }
        name => (name, value),
    };
    Some(Condition { name: shorten(name), value: shorten(value) })
}

fn shorten(text: &str) -> String {
    shortened(shown(text), LETTERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(query: &str) -> String {
        let words = |condition: Condition| match condition.name.as_str() {
            "" => condition.value,
            name => format!("{name}={}", condition.value),
        };
        conditions(query).into_iter().map(words).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn conditions_are_readable() {
        assert_eq!(text(""), "");
        assert_eq!(
            text("q=level%3E%3Dwarn&level=error&metadata.a.b=1&from=15m&wrap=1&column=x"),
            "level>=warn | level=error | metadata.a.b=1 | last=15m"
        );
        assert_eq!(text("from=2h&to=1h&regex=a"), "from=2h | to=1h | message matches=a");
        assert_eq!(text("from=2026-01-31T08:00:00Z"), "from=2026-01-31T08:00:00Z");
        assert_eq!(text("message=%1B%5B31mred%07&off=x"), "message contains=red␇ | switched off=x");
        assert_eq!(text(&format!("commit={}", "c".repeat(300))), format!("commit={}…", "c".repeat(200)));
        let many = "level=error&".repeat(25);
        assert!(text(&many).ends_with("| and=5 more"), "{}", text(&many));
        assert_eq!(text("%FF"), "");
    }
}
