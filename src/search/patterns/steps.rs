//! Walks over hits a portion at a time, for whom a whole pass is too much. In: a [`Counting`], a time range, a direction, and the statement
//! to run for each portion. Out: the rows of one portion after the other, so that whoever has seen enough may stop.

use std::time::Instant;

use crate::record::Timestamp;
use crate::search::{
    count::{Counting, Range, sql::Place},
    cursor::Direction,
    error::SearchError,
    find::{UNITS_FIRST, next_units},
    need::need,
    session::Stopped,
    statement::Statement,
    walk::{Aim, Walk},
};

/// Units of the largest portion: 8,192 rows with up to 2 KiB of each are in memory at once.
const UNITS_MAX: usize = 256;

pub struct Steps<'a> {
    walk: Walk<'a>,
    range: Range,
    units_max: usize,
}

/// What came of a step.
pub enum Step {
    Rows(Vec<tokio_postgres::Row>),
    /// Everything has been seen.
    End,
    /// The time is up.
    OutOfTime,
}

impl<'a> Steps<'a> {
    pub fn new(counting: &Counting<'a>, range: Range, direction: Direction) -> Self {
        let aim = Aim { need: need(counting.expr), from: range.from, to: range.to, direction };
        let walk = Walk::new(counting.snapshot, counting.catalogue, aim);
        Self { walk, range, units_max: UNITS_FIRST }
    }

    /// No row that is still to come is nearer than this; None if there is none.
    pub fn frontier(&self) -> Option<Timestamp> {
        self.walk.frontier()
    }

    pub async fn next(
        &mut self,
        counting: &mut Counting<'_>,
        statement: impl Fn(&Place<'_>) -> Statement,
    ) -> Result<Step, SearchError> {
        if self.range.from == self.range.to || self.walk.frontier().is_none() {
            return Ok(Step::End);
        }
        let started = Instant::now();
        if started >= counting.due || !counting.session.may_go_on(counting.due).await {
            return Ok(Step::OutOfTime);
        }
        let portion = match self.walk.next(counting.session, self.units_max).await {
            Ok(Some(portion)) => portion,
            Ok(None) => return Ok(Step::End),
            Err(Stopped::TimedOut) => return Ok(Step::OutOfTime),
            Err(Stopped::Failed(error)) => return Err(error),
        };
        let rows = match counting.portion(portion, self.range, &statement).await {
            Ok(rows) => rows,
            Err(Stopped::TimedOut) => return Ok(Step::OutOfTime),
            Err(Stopped::Failed(error)) => return Err(error),
        };
        let rest = counting.due.saturating_duration_since(Instant::now());
        self.units_max = next_units(self.units_max, started.elapsed(), rest).min(UNITS_MAX);
        Ok(Step::Rows(rows))
    }
}
