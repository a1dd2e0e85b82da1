//! Counts hits. In: one [`Counting`]: a session with its snapshot, and what is searched for. Out: a histogram, facets or a summary in which
//! every number is true: exact, or said to be at least so much.
//!
//! ```text
//! all records, or by level alone ─→ minute_counts: months in milliseconds; rows only for minutes that the window cuts, and for those whose
//!                                   counts were added up since, if the answer is to be as of a moment before
//! any other filter               ─→ one pass over the units that may hold hits, newest first, until it is done or the time is up
//! ```
//!
//! The numbers of units in the index are never added up: after a delete they are upper bounds.

pub mod buckets;
pub mod facets;
pub mod histogram;
mod http;
pub mod pass;
mod paths;
pub mod read;
pub mod reply;
pub mod sql;
pub mod summary;

use std::time::Instant;

use serde::Serialize;

use super::{
    catalogue::{Catalogue, Snapshot},
    expr::{Expr, Test},
    filter::Bound,
    params::Query,
    session::Session,
};
use crate::record::{Level, Timestamp};
pub(super) use http::routes;

/// What counts work with; several of one answer share it, and with it the snapshot and the time.
pub struct Counting<'a> {
    pub session: &'a mut Session,
    pub snapshot: &'a Snapshot,
    pub catalogue: &'a Catalogue,
    pub expr: &'a Expr,
    /// When the answer is due, whatever was counted by then.
    pub due: Instant,
    /// Rows that were looked at.
    pub rows_read: u64,
}

/// A time range with both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive; never before `from`.
    pub to: Timestamp,
}

/// How true a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Is {
    Exact,
    AtLeast,
}

/// A number, and how true it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    pub count: u64,
    pub is: Is,
}

/// Records by level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Levels(pub [u64; 6]);

impl Is {
    pub fn exact_if(whole: bool) -> Self {
        if whole { Self::Exact } else { Self::AtLeast }
    }
}

impl Levels {
    pub fn add(&mut self, level: Level, records: u64) {
        self.0[level as usize - 1] += records;
    }

    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = (Level, u64)> + '_ {
        Level::ALL.into_iter().zip(self.0).filter(|(_, records)| *records > 0)
    }
}

/// The levels of the hits, if nothing but the level decides.
pub fn levels_alone(expr: &Expr) -> Option<Vec<Level>> {
    const ALL: u8 = 0b11_1111;
    fn mask(expr: &Expr) -> Option<u8> {
        match expr {
            Expr::All(parts) => parts.iter().try_fold(ALL, |left, part| Some(left & mask(part)?)),
            Expr::Any(parts) => parts.iter().try_fold(0, |left, part| Some(left | mask(part)?)),
            Expr::Not(part) => Some(ALL & !mask(part)?),
            Expr::Test(Test::Level(levels)) => {
                Some(levels.iter().fold(0, |mask, level| mask | 1 << (*level as u8 - 1)))
            }
            Expr::Test(_) => None,
        }
    }
    let mask = mask(expr)?;
    Some(Level::ALL.into_iter().filter(|level| mask >> (*level as u8 - 1) & 1 == 1).collect())
}

impl Counting<'_> {
    /// The query's window with both ends: one that is open ends with the records' first or last minute, and `24h` not before the minute in
    /// which it was asked for, or a silence that lasts would not be seen.
    pub async fn range(&mut self, query: &Query) -> Result<Range, super::error::SearchError> {
        let (window, asked_at) = (query.window(), query.asked_at);
        let is_recent = matches!(query.filter.from, Some(Bound::Ago { .. }));
        let (from, to) = match (window.from, window.to) {
            (Some(from), Some(to)) => (from, to),
            (from, to) => {
                let rows =
                    self.session.statement(&sql::span(from, to, self.snapshot.stored.as_ref())).await?;
                let (first, last): (Option<i32>, Option<i32>) =
                    rows.first().map_or(Ok((None, None)), |row| {
                        Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?))
                    })?;
                let minute = |number: i64| Timestamp(number * buckets::MINUTE);
                let begin = from.or(first.map(|first| minute(i64::from(first))));
                let now = minute(asked_at.0.div_euclid(buckets::MINUTE) + 1);
                let last = last.map(|last| minute(i64::from(last) + 1));
                let end = to.or(if is_recent { Some(last.map_or(now, |last| last.max(now))) } else { last });
                let begin = begin.or(end).unwrap_or(asked_at);
                (begin, end.unwrap_or(begin.max(asked_at)))
            }
        };
        Ok(Range { from, to: to.max(from) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{expr::tests::an_expr, grammar};
    use proptest::prelude::*;

    #[test]
    fn level_alone_is_seen_through_any_tree() {
        for (text, levels) in [
            ("", Some("trace debug info warn error fatal")),
            ("level:error", Some("error")),
            ("level>=warn -level:fatal", Some("warn error")),
            ("not (level:info or level:debug)", Some("trace warn error fatal")),
            ("level:info level:error", Some("")),
            ("level:error timeout", None),
            ("level:error or resourceId:a", None),
            ("not (level:error timeout)", None),
        ] {
            let seen = levels_alone(&grammar::parse(text).unwrap());
            let names = seen.map(|levels| levels.into_iter().map(Level::name).collect::<Vec<_>>().join(" "));
            assert_eq!(names.as_deref(), levels, "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_trees_of_levels_are_by_level(expr in an_expr()) {
            fn has_other(expr: &Expr) -> bool {
                match expr {
                    Expr::All(parts) | Expr::Any(parts) => parts.iter().any(has_other),
                    Expr::Not(part) => has_other(part),
                    Expr::Test(test) => !matches!(test, Test::Level(_)),
                }
            }
            prop_assert_eq!(levels_alone(&expr).is_some(), !has_other(&expr));
        }
    }
}
