//! Finds rows. In: a [`Query`]. Out: one page of [`Found`], newest first, with what it cost. This is the narrow door of the search: how
//! rows are found may change behind it, what they are may not.
//!
//! Rows are read in order, chunk after chunk, from the index (timestamp, id), through a few leaves at a time. Every chunk that was read
//! moves the position; when the budget is used up, the answer is what was found up to there and a cursor that goes on from there, so
//! following cursors returns every hit exactly once. A trace has an index of its own.

use std::time::{Duration, Instant};

use super::{
    State,
    cursor::{Cursor, Direction, MICROS_MIN, Position},
    error::SearchError,
    filter::Match,
    params::Query,
    row::Row,
    session::{Session, Stopped},
    sql::{self, Span, Statement, Take, Time, Value},
};
use crate::record::{RecordId, Timestamp};

/// Rows of the first chunk of a walk, and of the largest: 65,536 rows take about 80 ms to filter by a substring.
const CHUNK_FIRST: i64 = 1_000;
const CHUNK_MAX: i64 = 65_536;
/// A chunk should take about this long: what is lost when the budget ends in the middle of it.
const CHUNK_TIME: Duration = Duration::from_millis(80);
/// Bytes of text and metadata on one page.
const PAGE_BYTES_MAX: i64 = 8 << 20;
/// Leaves of one statement at most; planning takes about 50 µs a leaf.
const LEAVES_MAX: usize = 16;
/// Rows of a trace that are read at once; a longer one is walked through like any other filter.
const TRACE_ROWS_MAX: i64 = 10_000;
/// How long a search waits for others to end.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);
/// With less than this left there is no point in another statement.
const REST_MIN: Duration = Duration::from_millis(5);

/// One page.
#[derive(Debug)]
pub struct Found {
    /// Newest first.
    pub rows: Vec<Row>,
    /// Older rows; None if there are none.
    pub next: Option<Cursor>,
    /// Newer rows; None on the first page, and when there are none.
    pub prev: Option<Cursor>,
    pub stats: Stats,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Rows that were looked at, hits included.
    pub rows_read: u64,
    pub took: Duration,
    /// False if the budget ended before the page was full or the time range was read.
    pub complete: bool,
    /// How far the search came; None if it read the whole time range.
    pub searched_back_to: Option<Timestamp>,
}

/// Why a search ended.
enum End {
    /// The page is full, and there is more.
    Full,
    /// The time range was read to its end.
    Exhausted,
    /// The budget is used up; everything before the position was read.
    OutOfTime(Position),
}

struct Walk<'a> {
    query: &'a Query,
    session: &'a mut Session,
    deadline: Instant,
    direction: Direction,
    position: Position,
    rows: Vec<Row>,
    bytes: i64,
    rows_read: i64,
    chunk: i64,
}

/// What one statement found.
struct Hits {
    rows: Vec<Row>,
    /// Hits in the chunk; more than `rows` if the page's bytes ended it.
    found: i64,
    rows_read: i64,
}

/// Finds one page.
pub async fn find(state: &State, query: &Query) -> Result<Found, SearchError> {
    let _turn = turn(state).await?;
    let mut session = Session::open(&state.pool).await?;
    let started = Instant::now();
    let direction = query.cursor.map_or(Direction::Older, |cursor| cursor.direction);
    let position = match query.cursor {
        Some(cursor) => cursor.position,
        None => Position::start_of(query.window().to.unwrap_or(Timestamp::MAX)),
    };
    let mut walk = Walk {
        query,
        session: &mut session,
        deadline: started + state.budget,
        direction,
        position,
        rows: Vec::new(),
        bytes: 0,
        rows_read: 0,
        chunk: CHUNK_FIRST,
    };
    let end = walk.run().await;
    let Walk { rows, rows_read, .. } = walk;
    session.close().await;
    state.metrics.search_rows_read.inc_by(rows_read as u64);
    Ok(page(query, direction, rows, end?, rows_read as u64, started.elapsed()))
}

/// Finds the record with this id.
pub async fn find_one(state: &State, id: RecordId) -> Result<Row, SearchError> {
    let millis = id.millis().ok_or(SearchError::NotFound)?;
    let from = Timestamp(millis * 1_000);
    if from > Timestamp::MAX {
        return Err(SearchError::NotFound);
    }
    let _turn = turn(state).await?;
    let mut session = Session::open(&state.pool).await?;
    let values = vec![Value::Time(from), Value::Time(Timestamp(from.0 + 1_000)), Value::Id(id.0)];
    let rows = session.query(&Statement { text: sql::ONE.to_owned(), values }, state.budget).await;
    session.close().await;
    Row::read(rows?.first().ok_or(SearchError::NotFound)?)
}

async fn turn(state: &State) -> Result<tokio::sync::SemaphorePermit<'_>, SearchError> {
    match tokio::time::timeout(TURN_WAIT_MAX, state.turns.acquire()).await {
        Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
        Err(_) => Err(SearchError::Busy { retry_after: Duration::from_secs(2) }),
    }
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<End, SearchError> {
        if let Some(regex) = &self.query.filter.regex {
            let values = vec![Value::Text(regex.clone())];
            self.session
                .query(&Statement { text: sql::CHECK_REGEX.to_owned(), values }, self.rest())
                .await
                .map_err(|stopped| match stopped {
                Stopped::TimedOut => SearchError::bad("regex", "takes too long to compile"),
                Stopped::Failed(error) => error,
            })?;
        }
        if let Some(end) = self.trace().await? {
            return Ok(end);
        }
        for span in self.spans().await? {
            if let Some(end) = self.span(span).await? {
                return Ok(end);
            }
        }
        Ok(End::Exhausted)
    }

    /// Groups of neighbouring leaves in reading order: one, then two, then four …, so that the newest page plans one leaf.
    async fn spans(&mut self) -> Result<Vec<(Timestamp, Timestamp)>, SearchError> {
        let window = self.query.window();
        let mut from = window.from.unwrap_or(Timestamp(MICROS_MIN));
        let mut to = window.to.unwrap_or(Timestamp::MAX);
        match self.direction {
            Direction::Older => to = to.min(Timestamp(self.position.timestamp.0 + 1)),
            Direction::Newer => from = from.max(self.position.timestamp),
        }
        let values = vec![Value::Time(from), Value::Time(to)];
        let rows =
            self.session.query(&Statement { text: sql::LEAVES.to_owned(), values }, self.rest()).await?;
        let mut leaves = Vec::with_capacity(rows.len());
        for row in &rows {
            let leaf: (Time, Time) = (row.try_get(0)?, row.try_get(1)?);
            leaves.push((leaf.0.0.max(from), leaf.1.0.min(to)));
        }
        if self.direction == Direction::Older {
            leaves.reverse();
        }
        let mut spans = Vec::new();
        let mut size = 1;
        let mut rest = leaves.as_slice();
        while !rest.is_empty() {
            let (group, others) = rest.split_at(size.min(rest.len()));
            let oldest = group.iter().map(|leaf| leaf.0).min();
            let newest = group.iter().map(|leaf| leaf.1).max();
            spans.extend(oldest.zip(newest));
            rest = others;
            size = (size * 2).min(LEAVES_MAX);
        }
        Ok(spans)
    }

    /// Reads one span chunk by chunk; None when it is read to its end.
    async fn span(&mut self, (from, to): (Timestamp, Timestamp)) -> Result<Option<End>, SearchError> {
        let unfiltered = self.query.filter.matches_all();
        loop {
            let rest = self.rest();
            if rest < REST_MIN && self.rows_read > 0 {
                return Ok(Some(End::OutOfTime(self.position)));
            }
            // Before anything was read, half of the budget stays for a smaller chunk: there must be progress.
            let timeout = if self.rows_read == 0 { rest / 2 } else { rest };
            let wanted = self.wanted();
            let chunk = if unfiltered { self.chunk.max(wanted) } else { self.chunk };
            let span = Span { from, to, after: self.position, direction: self.direction };
            let take = Take { chunk, hits: wanted, bytes: PAGE_BYTES_MAX - self.bytes };
            let started = Instant::now();
            let hits = sql::hits(&self.query.filter, span, take);
            let hits = match self.session.query(&hits, timeout).await {
                Ok(rows) => Hits::read(&rows)?,
                Err(Stopped::TimedOut) => {
                    self.smaller(chunk)?;
                    continue;
                }
                Err(Stopped::Failed(error)) => return Err(error),
            };
            if hits.found == wanted || hits.found > hits.rows.len() as i64 {
                self.take(hits);
                return Ok(Some(End::Full));
            }
            if unfiltered {
                self.take(hits);
                return Ok(None);
            }
            let end = match self.session.query(&sql::chunk_end(span, chunk), timeout).await {
                Ok(rows) => rows,
                Err(Stopped::TimedOut) => {
                    self.smaller(chunk)?;
                    continue;
                }
                Err(Stopped::Failed(error)) => return Err(error),
            };
            let Some(end) = end.first() else { return Ok(None) };
            self.position =
                Position { timestamp: end.try_get::<_, Time>("timestamp")?.0, id: end.try_get("id")? };
            let rows_read = end.try_get("n")?;
            self.take(Hits { rows_read, ..hits });
            if rows_read < chunk {
                return Ok(None);
            }
            self.chunk = next_chunk(chunk, started.elapsed(), self.rest());
        }
    }

    /// The whole of one trace through its own index; None if that is not asked for or does not fit.
    async fn trace(&mut self) -> Result<Option<End>, SearchError> {
        let Some(Match::Exact(trace_id)) = &self.query.filter.trace_id else { return Ok(None) };
        let window = self.query.window();
        let span = Span {
            from: window.from.unwrap_or(Timestamp(MICROS_MIN)),
            to: window.to.unwrap_or(Timestamp::MAX),
            after: self.position,
            direction: self.direction,
        };
        let wanted = self.wanted();
        let take = Take { chunk: TRACE_ROWS_MAX + 1, hits: wanted, bytes: PAGE_BYTES_MAX };
        let statement = sql::trace_hits(&self.query.filter, trace_id, span, take);
        let timeout = self.rest() / 2;
        let hits = match self.session.query(&statement, timeout).await {
            Ok(rows) => Hits::read(&rows)?,
            Err(Stopped::TimedOut) => return Ok(None),
            Err(Stopped::Failed(error)) => return Err(error),
        };
        if hits.rows_read > TRACE_ROWS_MAX {
            self.rows_read += hits.rows_read;
            return Ok(None);
        }
        let is_full = hits.found == wanted || hits.found > hits.rows.len() as i64;
        self.take(hits);
        Ok(Some(if is_full { End::Full } else { End::Exhausted }))
    }

    fn rest(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// One more than the page still needs: it tells whether there is another page.
    fn wanted(&self) -> i64 {
        (self.query.limit + 1 - self.rows.len()) as i64
    }

    fn take(&mut self, hits: Hits) {
        self.bytes += hits.rows.iter().map(Row::bytes).sum::<i64>();
        self.rows.extend(hits.rows);
        self.rows_read += hits.rows_read;
    }

    fn smaller(&mut self, chunk: i64) -> Result<(), SearchError> {
        if self.rows_read == 0 && (chunk == 1 || self.rest() < REST_MIN) {
            return Err(SearchError::TooSlow { retry_after: Duration::from_secs(5) });
        }
        self.chunk = (chunk / 8).max(1);
        Ok(())
    }
}

impl Hits {
    fn read(rows: &[tokio_postgres::Row]) -> Result<Self, SearchError> {
        let Some(first) = rows.first() else { return Ok(Self { rows: Vec::new(), found: 0, rows_read: 0 }) };
        let found: i64 = first.try_get("hits")?;
        let rows_read = first.try_get("rows_read")?;
        let rows = if found == 0 { &[] } else { rows };
        Ok(Self { rows: rows.iter().map(Row::read).collect::<Result<_, _>>()?, found, rows_read })
    }
}

/// Twice as much while chunks are quick, half when they are slow, and not more than what should fit into the rest of the budget.
fn next_chunk(chunk: i64, took: Duration, rest: Duration) -> i64 {
    let wanted = if took < CHUNK_TIME {
        chunk * 2
    } else if took > CHUNK_TIME * 2 {
        chunk / 2
    } else {
        chunk
    };
    let fitting = chunk as f64 * 0.7 * rest.as_secs_f64() / took.as_secs_f64().max(1e-6);
    wanted.min(fitting as i64).clamp(1, CHUNK_MAX)
}

/// Puts the rows newest first and says where to go from here.
fn page(
    query: &Query,
    direction: Direction,
    mut rows: Vec<Row>,
    end: End,
    rows_read: u64,
    took: Duration,
) -> Found {
    rows.truncate(query.limit);
    let far = rows.last().map(Row::position);
    if direction == Direction::Newer {
        rows.reverse();
    }
    let cursor = |direction, position| Cursor { direction, position, asked_at: query.asked_at };
    let (onward, reached, complete) = match end {
        End::Full => (far.map(|position| cursor(direction, position)), far, true),
        End::Exhausted => (None, None, true),
        End::OutOfTime(position) => (Some(cursor(direction, position)), Some(position), false),
    };
    let (next, prev) = match (direction, query.cursor) {
        (Direction::Older, None) => (onward, None),
        (Direction::Older, Some(at)) => {
            let newest = rows.first().map_or(at.position.before(), Row::position);
            (onward, Some(cursor(Direction::Newer, newest)))
        }
        (Direction::Newer, at) => {
            let start = at.map_or(Position::start_of(Timestamp::MAX), |at| at.position.after());
            let oldest = rows.last().map_or(start, Row::position);
            (Some(cursor(Direction::Older, oldest)), onward)
        }
    };
    let searched_back_to = match direction {
        Direction::Older => reached.map(|position| position.timestamp),
        Direction::Newer => None,
    };
    Found { rows, next, prev, stats: Stats { rows_read, took, complete, searched_back_to } }
}
