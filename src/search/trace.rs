//! Reads a trace whole. In: a trace id. Out: its records, oldest first, all of one snapshot, and how far that is. No time range is needed:
//! the index knows where the trace is. `tree` makes spans of them.
//!
//! A trace has no end that anybody announces, so there are limits: records, bytes and time. Whichever is met first is said.

mod http;
pub mod hints;
pub mod tree;

use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use self::{hints::Hints, tree::Line};
use super::{
    State,
    begin::{again_if_gone, turn},
    catalogue::Snapshot,
    cursor::{Cursor, Direction, MICROS_MIN, Position},
    error::SearchError,
    filter::{Filter, Match},
    find::find_in,
    params::{Fault, ID_BYTES_MAX, Query},
    row::Row,
    session::Session,
};
use crate::record::Timestamp;

pub use http::asked_id;
pub(super) use http::routes;

/// Records that are read.
pub const RECORDS_MAX: usize = 10_000;
/// Those that are read first: most traces have no more.
const FIRST_RECORDS: usize = 500;
/// Bytes of text and metadata that are read, about.
const BYTES_MAX: i64 = 16 << 20;
/// When reading ends with what there is; a second before the search is ended.
const BUDGET: Duration = Duration::from_secs(9);

pub struct Trace {
    pub id: String,
    /// Oldest first, by time and id; never empty.
    pub rows: Vec<Row>,
    pub reach: Reach,
    pub rows_read: u64,
    pub took: Duration,
}

/// How far a trace was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Whole,
    /// As many records or bytes as there may be; more follow here.
    Limit(Cursor),
    /// The time was up; from here on nothing was read.
    OutOfTime(Cursor),
}

/// A trace that is there, and of which the first records were read.
pub struct Beginning {
    session: Session,
    snapshot: Snapshot,
    id: String,
    query: Query,
    rows: Vec<Row>,
    bytes: i64,
    rows_read: u64,
    /// Once it is known.
    reach: Option<Reach>,
    started: Instant,
    _turn: OwnedSemaphorePermit,
}

/// Reads the trace with exactly this id.
pub async fn read(state: &State, id: &str) -> Result<Trace, SearchError> {
    again_if_gone(state, async || begin_once(state, id).await?.rest(state).await).await
}

/// Reads the first records of the trace with exactly this id. That there is none is an error.
pub async fn begin(state: &State, id: &str) -> Result<Beginning, SearchError> {
    again_if_gone(state, async || begin_once(state, id).await).await
}

async fn begin_once(state: &State, id: &str) -> Result<Beginning, SearchError> {
    if id.len() > ID_BYTES_MAX {
        return Err(Fault::too_long("traceId", ID_BYTES_MAX, id.len()).into());
    }
    let turn = turn(state).await?;
    let started = Instant::now();
    let (session, snapshot) = Session::open(state, started + state.time_max).await?;
    let mut beginning = Beginning {
        session,
        snapshot,
        id: id.to_owned(),
        query: query(id),
        rows: Vec::new(),
        bytes: 0,
        rows_read: 0,
        reach: None,
        started,
        _turn: turn,
    };
    // While others search, a step may end before it has found any.
    let mut outcome = Ok(());
    while outcome.is_ok() && beginning.rows.is_empty() && beginning.reach.is_none() {
        outcome = beginning.read_on(state, FIRST_RECORDS).await;
    }
    let failure = match (outcome, beginning.rows.is_empty(), &beginning.reach) {
        (Err(error), _, _) => error,
        (Ok(()), false, _) => return Ok(beginning),
        (Ok(()), true, Some(Reach::Whole)) => SearchError::NoTrace,
        (Ok(()), true, _) => SearchError::TooSlow { retry_after: Duration::from_secs(5) },
    };
    beginning.session.close().await;
    Err(failure)
}

impl Beginning {
    /// The whole trace, as far as that goes.
    pub async fn rest(mut self, state: &State) -> Result<Trace, SearchError> {
        let mut outcome = Ok(());
        while self.reach.is_none() && outcome.is_ok() {
            outcome = self.read_on(state, RECORDS_MAX - self.rows.len()).await;
        }
        self.session.close().await;
        outcome?;
        let Self { id, rows, reach, rows_read, started, .. } = self;
        let reach = reach.ok_or_else(|| SearchError::internal(&"a trace was read to no end"))?;
        Ok(Trace { id, rows, reach, rows_read, took: started.elapsed() })
    }

    /// Reads up to so many records more.
    async fn read_on(&mut self, state: &State, records_max: usize) -> Result<(), SearchError> {
        let due = self.started + BUDGET;
        self.query.limit = records_max;
        match find_in(state, &mut self.session, &self.snapshot, &self.query, due).await {
            Ok(found) => {
                self.rows_read += found.stats.rows_read;
                self.bytes += found.rows.iter().map(Row::bytes).sum::<i64>();
                self.rows.extend(found.rows.into_iter().rev());
                match found.prev {
                    None => self.reach = Some(Reach::Whole),
                    Some(at) if self.rows.len() >= RECORDS_MAX || self.bytes >= BYTES_MAX => {
                        self.reach = Some(Reach::Limit(at));
                    }
                    Some(at) if Instant::now() >= due => self.reach = Some(Reach::OutOfTime(at)),
                    at => self.query.cursor = at,
                }
                Ok(())
            }
            Err(error @ (SearchError::TooSlow { .. } | SearchError::Busy { .. })) => {
                let cursor = self.query.cursor.clone().filter(|_| !self.rows.is_empty());
                self.reach = Some(Reach::OutOfTime(cursor.ok_or(error)?));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// All records of the trace, upwards from the beginning of time.
fn query(id: &str) -> Query {
    let now = Timestamp::now();
    let position = Position::start_of(Timestamp(MICROS_MIN));
    Query {
        as_of: None,
        filter: Filter { trace_id: Some(Match::Exact(id.to_owned())), ..Filter::default() },
        limit: RECORDS_MAX,
        cursor: Some(Cursor { direction: Direction::Newer, position, asked_at: now, as_of: None }),
        asked_at: now,
        budget: Some(BUDGET),
        explains: false,
    }
}

impl Trace {
    /// The records as the tree wants them.
    pub fn lines(&self) -> Vec<Line<'_>> {
        self.rows.iter().map(line).collect()
    }
}

fn line(row: &Row) -> Line<'_> {
    Line {
        at: row.timestamp,
        level: row.level,
        resource: &row.resource_id,
        span: row.span_id.as_deref().filter(|id| !id.is_empty()),
        hints: row.metadata.as_ref().map_or_else(Hints::default, |text| Hints::read(text.get())),
    }
}
