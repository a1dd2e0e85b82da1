//! What is searched for, as one tree. In: tests that parameters and the query line were read into. Out: the tree in its normal form, so
//! that two texts that mean the same tree print the same. The constructors keep that form; nothing else builds a tree. Pure.
//!
//! Normal form: no `All` within `All`, no `Any` within `Any`, none of either with a single part, no double negation, no negated levels.

use super::{
    filter::Match,
    params::{Columns, Fault},
};
use crate::record::Level;

/// A condition on a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Every part holds; true without parts.
    All(Vec<Expr>),
    /// At least one part holds.
    Any(Vec<Expr>),
    /// The part does not hold; so a test of a field that is absent holds when it is negated.
    Not(Box<Expr>),
    Test(Test),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The message contains this text, whatever the case.
    Contains(String),
    /// The message matches Postgres' own regular expression.
    Regex(Regex),
    /// The level is one of these; ascending, without repeats.
    Level(Vec<Level>),
    /// The field has one of these values. The empty prefix is "the field exists": it is there, and not null.
    Is(Field, Vec<Match>),
    /// Metadata has a number at this path, as a JSON number or as text, that compares so. The number is one that JSON allows.
    Compare { path: String, op: Op, number: String },
}

/// A field that matches as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    ResourceId,
    TraceId,
    SpanId,
    Commit,
    /// Dotted path below `metadata`.
    Metadata(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Debug, Clone)]
pub struct Regex {
    pub pattern: String,
    /// Where in the query line it stands; None for the parameter `regex`.
    pub columns: Option<Columns>,
}

/// Where a regex was typed is no part of what it means.
impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}
impl Eq for Regex {}

impl Regex {
    /// Says what Postgres has against it, at the place where it was typed.
    pub fn fault(&self, error: &str) -> Fault {
        match self.columns {
            None => Fault::new("regex", error),
            Some(columns) => Fault::at("q", columns, error),
        }
    }
}

impl Op {
    pub const ALL: [Self; 4] = [Self::AtMost, Self::AtLeast, Self::Less, Self::More];

    /// The sign, which is the same in the query line and in SQL.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl Expr {
    /// True for every record.
    pub fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// False for every record.
    pub fn nothing() -> Self {
        Self::Test(Test::Level(Vec::new()))
    }

    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::All(inner) => flat.extend(inner),
                part => flat.push(part),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::All(flat) }
    }

    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Any(inner) => flat.extend(inner),
                part if part == Self::everything() => return part,
                part => flat.push(part),
            }
        }
        match flat.len() {
            0 => Self::nothing(),
            1 => flat.remove(0),
            _ => Self::Any(flat),
        }
    }

    /// The level is one of these.
    pub fn level(accepted: impl Fn(Level) -> bool) -> Self {
        Self::Test(Test::Level(Level::ALL.into_iter().filter(|level| accepted(*level)).collect()))
    }

    pub fn is(field: Field, values: Vec<Match>) -> Self {
        if values.is_empty() { Self::nothing() } else { Self::Test(Test::Is(field, values)) }
    }
}

/// What holds where `expr` does not.
pub fn negated(expr: &Expr) -> Expr {
    match expr {
        Expr::Not(part) => (**part).clone(),
        Expr::Test(Test::Level(levels)) => Expr::level(|level| !levels.contains(&level)),
        Expr::All(parts) if parts.is_empty() => Expr::nothing(),
        part => Expr::Not(Box::new(part.clone())),
    }
}

/// The parts that must all hold: what a page shows one by one.
pub fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::All(parts) => parts.iter().collect(),
        part => vec![part],
    }
}

/// Every regex of the tree, from left to right.
pub fn regexes(expr: &Expr) -> Vec<&Regex> {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().flat_map(regexes).collect(),
        Expr::Not(part) => regexes(part),
        Expr::Test(Test::Regex(regex)) => vec![regex],
        Expr::Test(_) => Vec::new(),
    }
}

/// A JSON number that Postgres can hold as numeric without printing more than 400 digits; others are compared as text only.
pub fn is_number(text: &str) -> bool {
    if text.len() > 400 {
        return false;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let small = |text: &str| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        digits(text) && text.parse::<u32>().is_ok_and(|number| number <= 400)
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(small)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::search::filter::tests::a_match;
    use proptest::prelude::*;

    fn a_field() -> impl Strategy<Value = Field> {
        prop_oneof![
            Just(Field::ResourceId),
            Just(Field::TraceId),
            Just(Field::SpanId),
            Just(Field::Commit),
            a_path().prop_map(Field::Metadata),
        ]
    }

    fn a_path() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{1,4}(\\.[a-z_0-9]{1,3}){0,3}",
            "[^\\x00]{1,12}",
            Just("level".to_owned()),
            Just("metadata.x".to_owned()),
            Just("TimeStamp".to_owned()),
        ]
    }

    fn a_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{1,8}",
            "[^\\x00]{1,12}",
            "[-!/:<>=*\"\\\\ ()a1.]{1,6}",
            prop::sample::select(vec![
                "and",
                "OR",
                "Not",
                "&&",
                "10.0.0.1:80",
                "a=b",
                "a=7",
                "--x",
                "/x/i",
                "level:"
            ])
            .prop_map(str::to_owned),
        ]
    }

    fn a_test() -> impl Strategy<Value = Expr> {
        prop_oneof![
            a_text().prop_map(|text| Expr::Test(Test::Contains(text))),
            "([^\\x00\\\\/]|\\\\[^\\x00/]){1,8}"
                .prop_map(|pattern| { Expr::Test(Test::Regex(Regex { pattern, columns: None })) }),
            (0_u8..64).prop_map(|bits| Expr::level(|level| bits >> (level as i16 - 1) & 1 == 1)),
            (a_field(), prop::collection::vec(prop_oneof![a_match(), a_text().prop_map(Match::Exact)], 1..4))
                .prop_map(|(field, values)| Expr::is(field, values)),
            (
                a_path(),
                prop::sample::select(Op::ALL.to_vec()),
                "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?(e[+-]?[0-9])?"
            )
                .prop_map(|(path, op, number)| {
                    assert!(is_number(&number));
                    Expr::Test(Test::Compare { path, op, number })
                }),
        ]
    }

    pub(crate) fn an_expr() -> impl Strategy<Value = Expr> {
        a_test().prop_recursive(4, 16, 3, |inner| {
            let parts = || prop::collection::vec(inner.clone(), 1..4);
            prop_oneof![
                parts().prop_map(Expr::all),
                parts().prop_map(Expr::any),
                inner.clone().prop_map(|part| negated(&part)),
            ]
        })
    }

    #[test]
    fn numbers() {
        for text in ["0", "42", "-1.5", "1e10", "12E-3", "0.0001"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "1e401", "+1", "0x1", "NaN", "Infinity", "1_000", "１"]
        {
            assert!(!is_number(text), "{text}");
        }
        assert!(!is_number(&"9".repeat(401)));
    }
}
