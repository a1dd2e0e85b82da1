//! What is searched for. In: parameters that were read and checked by [`super::params`]. Out: a [`Filter`], and the canonical
//! parameters that say the same again, so that a link is a filter and a filter is a link. Pure.

use super::{
    expr::{Expr, Field, Regex, Test},
    grammar,
};
use crate::record::{Level, Timestamp};

/// All conditions of a search; every one must hold. What is absent does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The query line; never one that means everything.
    pub q: Option<Expr>,
    /// Any of these, ascending and without repeats; empty means all.
    pub levels: Vec<Level>,
    /// Substring of the message, whatever the case.
    pub message: Option<String>,
    /// Postgres' own regular expression on the message.
    pub regex: Option<String>,
    pub resource_id: Option<Match>,
    pub trace_id: Option<Match>,
    pub span_id: Option<Match>,
    pub commit: Option<Match>,
    /// Dotted path below `metadata` and what must stand there, in the order in which they were given.
    pub metadata: Vec<(String, Match)>,
    /// Inclusive.
    pub from: Option<Bound>,
    /// Exclusive.
    pub to: Option<Bound>,
}

/// How a value must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    Exact(String),
    Prefix(String),
}

/// An end of the time range: a moment, or so long before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    At(Timestamp),
    Ago { amount: u32, unit: Unit },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
}

/// The time range in moments; a side that is None is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl Match {
    /// Reads a value: a trailing `*` makes a prefix, a trailing `\*` is a star.
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            None => Self::Exact(text.to_owned()),
            Some(front) => match front.strip_suffix('\\') {
                Some(literal) => Self::Exact(format!("{literal}*")),
                None => Self::Prefix(front.to_owned()),
            },
        }
    }

    /// The text that [`Match::parse`] reads as this.
    pub fn write(&self) -> String {
        match self {
            Self::Exact(text) => match text.strip_suffix('*') {
                Some(front) => format!("{front}\\*"),
                None => text.clone(),
            },
            Self::Prefix(text) => format!("{text}*"),
        }
    }
}

impl Bound {
    /// Reads RFC 3339, or a number with a unit: `90s`, `15m`, `24h`, `7d`, `2w`.
    pub fn parse(text: &str) -> Option<Self> {
        // The `+` of an offset, typed into an address, arrives as a blank.
        if let Some(at) = Timestamp::parse(text).or_else(|| Timestamp::parse(&text.replace(' ', "+"))) {
            return Some(Self::At(at));
        }
        let unit = Unit::ALL.into_iter().find(|unit| text.ends_with(unit.letter()))?;
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self::Ago { amount: digits.parse().ok()?, unit })
    }

    pub fn write(self) -> String {
        match self {
            Self::At(at) => at.to_string(),
            Self::Ago { amount, unit } => format!("{amount}{}", unit.letter()),
        }
    }

    /// The moment that is meant, seen from `now`; not before the year 0, where RFC 3339 begins.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago { amount, unit } => {
                let micros = (i64::from(amount) * unit.seconds()).saturating_mul(1_000_000);
                Timestamp(now.0.saturating_sub(micros).max(super::cursor::MICROS_MIN))
            }
        }
    }
}

impl Unit {
    const ALL: [Self; 5] = [Self::Seconds, Self::Minutes, Self::Hours, Self::Days, Self::Weeks];

    fn letter(self) -> char {
        match self {
            Self::Seconds => 's',
            Self::Minutes => 'm',
            Self::Hours => 'h',
            Self::Days => 'd',
            Self::Weeks => 'w',
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
            Self::Weeks => 604_800,
        }
    }
}

impl Filter {
    /// The time range seen from `now`.
    pub fn window(&self, now: Timestamp) -> Window {
        let moment = |bound: Bound| bound.moment(now);
        Window { from: self.from.map(moment), to: self.to.map(moment) }
    }

    /// The parameters that mean this filter, in a fixed order.
    pub fn params(&self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        if let Some(q) = &self.q {
            add("q", grammar::print(q));
        }
        for level in &self.levels {
            add("level", level.name().to_owned());
        }
        for (name, text) in [("message", &self.message), ("regex", &self.regex)] {
            if let Some(text) = text {
                add(name, text.clone());
            }
        }
        for (name, _, matched) in self.ids() {
            if let Some(matched) = matched {
                add(name, matched.write());
            }
        }
        for (path, matched) in &self.metadata {
            add(&format!("metadata.{path}"), matched.write());
        }
        for (name, bound) in [("from", self.from), ("to", self.to)] {
            if let Some(bound) = bound {
                add(name, bound.write());
            }
        }
        params
    }

    /// Everything but the time range as one tree: what must hold together stands side by side, the query line last.
    pub fn expr(&self) -> Expr {
        let mut all = Vec::new();
        if !self.levels.is_empty() {
            all.push(Expr::Test(Test::Level(self.levels.clone())));
        }
        for (_, field, matched) in self.ids() {
            all.extend(matched.map(|matched| Expr::is(field, vec![matched.clone()])));
        }
        all.extend(self.message.clone().map(|text| Expr::Test(Test::Contains(text))));
        let regex =
            |pattern: &String| Expr::Test(Test::Regex(Regex { pattern: pattern.clone(), columns: None }));
        all.extend(self.regex.as_ref().map(regex));
        for (path, matched) in &self.metadata {
            all.push(Expr::is(Field::Metadata(path.clone()), vec![matched.clone()]));
        }
        all.extend(self.q.clone());
        Expr::all(all)
    }

    /// The condition that one parameter makes.
    pub fn alone(&self, name: &str) -> Expr {
        let mut alone = Self::default();
        match name {
            "level" => alone.levels = self.levels.clone(),
            "message" => alone.message = self.message.clone(),
            "regex" => alone.regex = self.regex.clone(),
            "resourceId" => alone.resource_id = self.resource_id.clone(),
            "traceId" => alone.trace_id = self.trace_id.clone(),
            "spanId" => alone.span_id = self.span_id.clone(),
            "commit" => alone.commit = self.commit.clone(),
            "q" => alone.q = self.q.clone(),
            _ => {
                let of_path = |(path, _): &&(String, Match)| name.strip_prefix("metadata.") == Some(path);
                alone.metadata = self.metadata.iter().filter(of_path).cloned().collect();
            }
        }
        alone.expr()
    }

    /// The fields that match as a whole: parameter, field, condition.
    fn ids(&self) -> [(&'static str, Field, Option<&Match>); 4] {
        [
            ("resourceId", Field::ResourceId, self.resource_id.as_ref()),
            ("traceId", Field::TraceId, self.trace_id.as_ref()),
            ("spanId", Field::SpanId, self.span_id.as_ref()),
            ("commit", Field::Commit, self.commit.as_ref()),
        ]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn a_match() -> impl Strategy<Value = Match> {
        prop_oneof![
            "[^\\x00]{1,20}".prop_map(Match::Exact),
            "[a-c*\\\\]{1,4}".prop_map(Match::Exact),
            "[^\\x00]{0,20}"
                .prop_filter("ends in a backslash", |s| !s.ends_with('\\'))
                .prop_map(Match::Prefix),
        ]
    }

    fn a_bound() -> impl Strategy<Value = Bound> {
        prop_oneof![
            (0_i64..4_000_000_000_000_000).prop_map(|micros| Bound::At(Timestamp(micros))),
            (
                0_u32..999_999_999,
                prop_oneof![Just(Unit::Seconds), Just(Unit::Minutes), Just(Unit::Days), Just(Unit::Weeks)]
            )
                .prop_map(|(amount, unit)| Bound::Ago { amount, unit }),
        ]
    }

    prop_compose! {
        pub(crate) fn a_filter()(
            q in proptest::option::of(crate::search::expr::tests::an_expr()),
            levels in proptest::collection::btree_set((1_i16..=6).prop_map(|n| Level::from_number(n).unwrap()), 0..4),
            message in proptest::option::of("[^\\x00]{1,30}"),
            regex in proptest::option::of("[^\\x00]{1,30}"),
            resource_id in proptest::option::of(a_match()),
            trace_id in proptest::option::of(a_match()),
            span_id in proptest::option::of(a_match()),
            commit in proptest::option::of(a_match()),
            metadata in proptest::collection::vec(("[^\\x00]{1,12}", a_match()), 0..4),
            from in proptest::option::of(a_bound()),
        ) -> Filter {
            let levels = levels.into_iter().collect();
            Filter { q, levels, message, regex, resource_id, trace_id, span_id, commit, metadata, from, to: None }
        }
    }

    #[test]
    fn stars() {
        for (text, meaning) in [
            ("abc", Match::Exact("abc".into())),
            ("abc*", Match::Prefix("abc".into())),
            ("*", Match::Prefix(String::new())),
            (r"abc\*", Match::Exact("abc*".into())),
            (r"abc\\*", Match::Exact(r"abc\*".into())),
            ("a*c", Match::Exact("a*c".into())),
            ("50%_", Match::Exact("50%_".into())),
        ] {
            assert_eq!(Match::parse(text), meaning, "{text}");
            assert_eq!(meaning.write(), text);
        }
    }

    #[test]
    fn bounds() {
        let now = Timestamp(1_700_000_000_000_000);
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
        {
            let bound = Bound::parse(text).unwrap();
            assert_eq!(bound.moment(now).0, now.0 - seconds * 1_000_000);
            assert_eq!(bound.write(), text);
        }
        assert_eq!(Bound::parse("2023-09-15T10:00:00 02:00"), Bound::parse("2023-09-15T08:00:00Z"));
        assert!(Bound::parse("999999999w").unwrap().moment(now) < Timestamp(0));
        for wrong in ["", "m", "-1m", "1.5h", "yesterday", "9999999999s", "１5m", "2023-09-15"] {
            assert_eq!(Bound::parse(wrong), None, "{wrong}");
        }
    }
}
