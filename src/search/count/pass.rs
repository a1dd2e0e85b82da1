//! One pass over everything that may be a hit. In: a time range and the statement to run for each portion of units. Out: the rows of those
//! statements, newest units first, and how far back everything has been looked at when the time was up.

use std::{
    slice,
    time::{Duration, Instant},
};

use super::{Counting, Is, Range, sql};
use crate::{
    record::Timestamp,
    search::{
        cursor::Direction,
        error::SearchError,
        find::{UNITS_FIRST, next_units},
        need::need,
        session::Stopped,
        statement::Statement,
        walk::{Aim, Portion, Walk, count_open},
    },
};

/// How far a pass came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The whole range.
    Whole,
    /// Everything from this moment on, and some of what is before.
    BackTo(Timestamp),
}

impl Reach {
    pub fn is(self) -> Is {
        Is::exact_if(self == Self::Whole)
    }

    pub fn back_to(self) -> Option<Timestamp> {
        match self {
            Self::Whole => None,
            Self::BackTo(at) => Some(at),
        }
    }
}

impl Counting<'_> {
    /// Runs the statement for each portion and hands its rows on.
    pub async fn pass(
        &mut self,
        range: Range,
        statement: impl Fn(&sql::Place<'_>) -> Statement,
        mut take: impl FnMut(&tokio_postgres::Row) -> Result<(), SearchError>,
    ) -> Result<Reach, SearchError> {
        if range.from == range.to {
            return Ok(Reach::Whole);
        }
        let aim = Aim { need: need(self.expr), from: range.from, to: range.to, direction: Direction::Older };
        let mut walk = Walk::new(self.snapshot, self.catalogue, aim);
        let mut units_max = UNITS_FIRST;
        while let Some(frontier) = walk.frontier() {
            let started = Instant::now();
            let reached = Reach::BackTo(Timestamp(frontier.0 + 1).clamp(range.from, range.to));
            if started >= self.due || !self.session.may_go_on(self.due).await {
                return Ok(reached);
            }
            // 1. The next units.
            let portion = match walk.next(self.session, units_max).await {
                Ok(Some(portion)) => portion,
                Ok(None) => return Ok(Reach::Whole),
                Err(Stopped::TimedOut) => return Ok(reached),
                Err(Stopped::Failed(error)) => return Err(error),
            };
            // 2. What there is to count in them.
            match self.portion(portion, range, &statement).await {
                Ok(rows) => rows.iter().try_for_each(&mut take)?,
                Err(Stopped::TimedOut) => return Ok(reached),
                Err(Stopped::Failed(error)) => return Err(error),
            }
            units_max =
                next_units(units_max, started.elapsed(), self.due.saturating_duration_since(Instant::now()));
        }
        Ok(Reach::Whole)
    }

    /// Runs the statement for one portion.
    pub(in crate::search) async fn portion(
        &mut self,
        portion: Portion,
        range: Range,
        statement: &impl Fn(&sql::Place<'_>) -> Statement,
    ) -> Result<Vec<tokio_postgres::Row>, Stopped> {
        let count = count_open(slice::from_ref(&portion));
        let Portion { leaf, units, rows, .. } = portion;
        let stored = self.snapshot.stored.as_ref();
        let statement = statement(&sql::Place { leaf: &leaf.name, units, range, stored });
        let left = self.time_left();
        let (mut counted, open) = self.session.with_count(&[statement], count.as_ref(), left).await?;
        self.rows_read += rows + open;
        Ok(counted.pop().unwrap_or_default())
    }

    fn time_left(&self) -> Duration {
        let left = self.due.min(self.session.deadline).saturating_duration_since(Instant::now());
        left.max(Duration::from_millis(1))
    }
}
