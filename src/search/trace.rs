//! Reads a trace whole. In: a trace id. Out: its records, oldest first, all of one snapshot, and how far that is. No time range is needed:
//! the index knows where the trace is. `tree` makes spans of them.
//!
//! A trace has no end that anybody announces, so there are limits: records, bytes and time. Whichever is met first is said.

mod http;
pub mod hints;
pub mod tree;

use std::time::{Duration, Instant};

use self::{hints::Hints, tree::Line};
use super::{
    State,
    catalogue::Snapshot,
    cursor::{Cursor, Direction, MICROS_MIN, Position},
    error::SearchError,
    filter::{Filter, Match},
    find::{again_if_gone, find_in, turn},
    params::{ID_BYTES_MAX, Query},
    row::Row,
    session::Session,
};
use crate::record::Timestamp;

pub use http::asked_id;
pub(super) use http::routes;

/// Records that are read.
pub const RECORDS_MAX: usize = 10_000;
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

/// Reads the trace with exactly this id.
pub async fn read(state: &State, id: &str) -> Result<Trace, SearchError> {
    if id.len() > ID_BYTES_MAX {
        let error = format!("at most {ID_BYTES_MAX} bytes, got {}", id.len());
        return Err(SearchError::bad("traceId", error));
    }
    let _turn = turn(state).await?;
    let started = Instant::now();
    again_if_gone(state, async || {
        let (mut session, snapshot) = Session::open(state, started + state.time_max).await?;
        let trace = read_within(state, &mut session, &snapshot, id, started).await;
        session.close().await;
        trace
    })
    .await
}

async fn read_within(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    id: &str,
    started: Instant,
) -> Result<Trace, SearchError> {
    let due = started + BUDGET;
    let mut query = query(id);
    let (mut rows, mut bytes, mut rows_read): (Vec<Row>, _, _) = (Vec::new(), 0, 0);
    let reach = loop {
        query.limit = RECORDS_MAX - rows.len();
        match find_in(state, session, snapshot, &query, due).await {
            Ok(found) => {
                rows_read += found.stats.rows_read;
                bytes += found.rows.iter().map(Row::bytes).sum::<i64>();
                rows.extend(found.rows.into_iter().rev());
                match found.prev {
                    None => break Reach::Whole,
                    Some(at) if rows.len() >= RECORDS_MAX || bytes >= BYTES_MAX => break Reach::Limit(at),
                    Some(at) if Instant::now() >= due => break Reach::OutOfTime(at),
                    at => query.cursor = at,
                }
            }
            Err(error @ (SearchError::TooSlow { .. } | SearchError::Busy { .. })) => match query.cursor {
                Some(at) if !rows.is_empty() => break Reach::OutOfTime(at),
                _ => return Err(error),
            },
            Err(error) => return Err(error),
        }
    };
    match (rows.is_empty(), &reach) {
        (false, _) => Ok(Trace { id: id.to_owned(), rows, reach, rows_read, took: started.elapsed() }),
        (true, Reach::Whole) => Err(SearchError::NoTrace),
        (true, _) => Err(SearchError::TooSlow { retry_after: Duration::from_secs(5) }),
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
