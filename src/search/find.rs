//! Finds rows. In: a [`Query`]. Out: one page of [`Found`], newest first, with what it cost. This is the narrow door of the search: how
//! rows are found may change behind it, what they are may not.
//!
//! The index says which units of 32 rows may hold hits, the nearest first; they are fetched in growing portions, and the exact
//! condition runs on their rows. The page is full when no unit that was not read can hold a nearer row than its last one. When the time
//! is up, the answer is what is certain by then, and a cursor that goes on where certainty ends, so following cursors returns every
//! hit exactly once.

mod page;
mod pace;

use std::time::{Duration, Instant};

pub(super) use self::pace::{UNITS_FIRST, UNITS_MAX, next_units};
use self::{
    pace::{first_units, units_to_fill},
    page::{Cost, page},
};
use super::{
    State,
    as_of::{AsOf, StoredBefore},
    begin::{TURN_WAIT_MAX, again_if_gone, check_regexes, is_scan, turn_for},
    catalogue::Snapshot,
    count::levels_alone,
    cursor::{Cursor, Direction, MICROS_MIN, Position},
    error::SearchError,
    explain::{self, Explained},
    expr::Expr,
    need::need,
    params::Query,
    row::Row,
    session::{Session, Stopped},
    sql::{self, Places, Reading},
    statement::Statement,
    walk::{Aim, Portion, Walk, count_open},
};
use crate::record::Timestamp;

/// Leaves of one statement.
const LEAVES_MAX: usize = 8;
/// How long a search that is not quick waits for others like it, if it has something to answer; meanwhile it keeps a quick one waiting.
const LONG_WAIT_MAX: Duration = Duration::from_millis(500);
/// Rows that a search reads unless it was given a budget of its own, whatever the time: 10 ms on an idle core.
const ROWS_MIN: u64 = 8_192;
/// Bytes of text and metadata on one page.
const PAGE_BYTES_MAX: i64 = 8 << 20;

/// One page.
#[derive(Debug)]
pub struct Found {
    /// Newest first.
    pub rows: Vec<Row>,
    /// Older rows; None if there are none.
    pub next: Option<Cursor>,
    /// Newer rows; None on the first page, and when there are none.
    pub prev: Option<Cursor>,
    /// Its moment: that of the first page.
    pub as_of: AsOf,
    pub stats: Stats,
    /// Hits that were found and are not certain to be the next ones, because the time was up: whoever goes on finds them again.
    pub uncertain: usize,
    /// If it was asked for.
    pub explain: Option<Vec<Explained>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Rows that were looked at, hits included; those that were deleted since the index was made are counted as well.
    pub rows_read: u64,
    /// Blocks of which rows were looked at.
    pub blocks_read: u64,
    /// Blocks that the index ruled out.
    pub blocks_skipped: u64,
    pub took: Duration,
    /// False if the time was up before the page was full or the time range was read.
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
    /// The time is up; everything before the position was read.
    OutOfTime(Position),
}

/// A page in the making.
struct Search<'a> {
    query: &'a Query,
    expr: Expr,
    direction: Direction,
    start: Position,
    from: Timestamp,
    to: Timestamp,
    stored: Option<&'a StoredBefore>,
    /// When an answer is due, if there is anything certain to say.
    due: Instant,
    /// In the order of the walk.
    hits: Vec<Row>,
    /// Hits behind this one did not come, for their bytes.
    cut: Option<Position>,
    rows_read: u64,
    /// Hits that were thrown away when the time was up.
    uncertain: usize,
}

/// Finds one page.
pub async fn find(state: &State, query: &Query) -> Result<Found, SearchError> {
    let _turn = turn_for(state, &query.filter.expr()).await?;
    again_if_gone(state, async || find_once(state, query).await).await
}

async fn find_once(state: &State, query: &Query) -> Result<Found, SearchError> {
    let (session, _, found) = find_and_stay(state, query).await?;
    session.close().await;
    Ok(found)
}

/// Finds one page, and keeps the snapshot in which it was found.
pub(super) async fn find_and_stay(
    state: &State,
    query: &Query,
) -> Result<(Session, Snapshot, Found), SearchError> {
    let started = Instant::now();
    let (mut session, snapshot) = Session::open_as_of(state, started + state.time_max, query.as_of()).await?;
    session.explains(query.explains);
    let due = started + query.budget.unwrap_or(state.budget);
    match find_in(state, &mut session, &snapshot, query, due).await {
        Ok(found) => Ok((session, snapshot, found)),
        Err(error) => {
            session.close().await;
            Err(error)
        }
    }
}

/// Finds one page in a snapshot that is there already; several pages found so fit together.
pub(super) async fn find_in(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    query: &Query,
    due: Instant,
) -> Result<Found, SearchError> {
    let started = Instant::now();
    let direction = query.cursor.as_ref().map_or(Direction::Older, |cursor| cursor.direction);
    let start = match &query.cursor {
        Some(cursor) => cursor.position,
        None => Position::start_of(query.window().to.unwrap_or(Timestamp::MAX)),
    };
    let expr = query.filter.expr();
    let aim = aim(query, &expr, start, direction);
    if is_scan(&expr) {
        session.scans();
    }
    let mut search = Search {
        query,
        expr,
        direction,
        start,
        from: aim.from,
        to: aim.to,
        stored: snapshot.stored.as_ref(),
        due,
        hits: Vec::new(),
        cut: None,
        rows_read: 0,
        uncertain: 0,
    };
    let mut walk = Walk::new(snapshot, &state.catalogue, aim);
    let end = search.run(session, &mut walk).await;
    let cost = Cost { rows_read: search.rows_read, blocks: walk.blocks, took: started.elapsed() };
    let (hits, uncertain) = (search.hits, search.uncertain);
    let explain = explain::explain(session).await;
    state.metrics.search_rows_read.inc_by(cost.rows_read);
    Ok(Found { uncertain, explain, ..page(query, &snapshot.as_of, direction, hits, end?, cost) })
}

impl Search<'_> {
    async fn run(&mut self, session: &mut Session, walk: &mut Walk<'_>) -> Result<End, SearchError> {
        check_regexes(session, &self.expr).await?;
        let wanted = self.query.limit + 1;
        let (mut units_max, mut units_read) = (first_units(wanted), 0);
        if levels_alone(&self.expr).is_some() {
            walk.expect_all(wanted);
        }
        loop {
            // 1. The next units; or the end, if none of them can hold a nearer row than the last of a full page.
            let frontier = walk.frontier();
            if self.is_full(wanted, frontier) {
                return Ok(End::Full);
            }
            // However slow the machine is just then, a little is read if nobody was in a hurry: few records are answered whole.
            let is_little = self.query.budget.is_none() && self.rows_read < ROWS_MIN;
            let is_due = !is_little
                && (Instant::now() >= self.due
                    || !session.may_go_on(self.due.min(Instant::now() + LONG_WAIT_MAX)).await);
            if let Some(position) = frontier.filter(|_| is_due).and_then(|at| self.certain_up_to(at)) {
                return Ok(self.out_of_time(position));
            }
            if !session.may_go_on(Instant::now() + TURN_WAIT_MAX).await {
                return Err(SearchError::Busy { retry_after: Duration::from_secs(5) });
            }
            let started = Instant::now();
            let units_wanted = match self.last_of_page(wanted) {
                Some(last) => {
                    walk.only_up_to(last);
                    units_max
                }
                None => units_max.min(units_to_fill(wanted, self.hits.len(), units_read)),
            };
            let portions = match walk.next_of_leaves(session, units_wanted, LEAVES_MAX).await {
                Ok(portions) => portions,
                Err(stopped) => return self.stopped(stopped, frontier),
            };
            if portions.is_empty() {
                let is_full = self.last_of_page(wanted).is_some() || self.hits.len() > self.query.limit;
                return Ok(if is_full { End::Full } else { End::Exhausted });
            }
            units_read += portions.iter().map(|portion| portion.units.len()).sum::<usize>();
            // 2. Their hits.
            match self.read(session, portions, wanted).await {
                Ok(()) => {}
                Err(stopped) => return self.stopped(stopped, frontier),
            }
            units_max =
                next_units(units_max, started.elapsed(), self.due.saturating_duration_since(Instant::now()));
        }
    }

    /// Reads portions and keeps the nearest hits.
    async fn read(
        &mut self,
        session: &mut Session,
        portions: Vec<Portion>,
        wanted: usize,
    ) -> Result<(), Stopped> {
        self.rows_read += portions.iter().map(|portion| portion.rows).sum::<u64>();
        let count = count_open(&portions);
        let places = portions.into_iter().map(|portion| (portion.leaf.name.clone(), portion.units)).collect();
        let halves = session.halves(places).await?.into_iter().map(|places| self.hits_in(places, wanted));
        let halves: Vec<Statement> = halves.collect();
        let (found, open) = session.with_count(&halves, count.as_ref(), session.time_left()).await?;
        self.rows_read += open;
        for rows in found {
            self.take(&rows)?;
        }
        match self.direction {
            Direction::Older => self.hits.sort_by_key(|row| std::cmp::Reverse(row.position())),
            Direction::Newer => self.hits.sort_by_key(Row::position),
        }
        self.hits.truncate(wanted);
        self.cut_to_size();
        Ok(())
    }

    fn hits_in(&self, places: Places, wanted: usize) -> Statement {
        let reading = Reading {
            places,
            from: self.from,
            to: self.to,
            after: self.query.cursor.as_ref().map(|cursor| cursor.position),
            direction: self.direction,
            stored: self.stored.cloned(),
            hits: wanted as i64,
            bytes: PAGE_BYTES_MAX,
        };
        sql::hits(&self.expr, &reading)
    }

    fn take(&mut self, rows: &[tokio_postgres::Row]) -> Result<(), Stopped> {
        let found: i64 = rows.first().map_or(Ok(0), |row| row.try_get("hits"))?;
        let hits = rows.iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
        if found > hits.len() as i64
            && let Some(last) = hits.last().map(Row::position)
            && self.cut.is_none_or(|cut| is_before(self.direction, last, cut))
        {
            self.cut = Some(last);
        }
        self.hits.extend(hits);
        Ok(())
    }

    /// Drops what is behind the cut, and what does not fit on the page.
    fn cut_to_size(&mut self) {
        let mut bytes = 0;
        let fitting = self.hits.iter().take_while(|row| {
            let fits = bytes < PAGE_BYTES_MAX;
            bytes += row.bytes();
            fits
        });
        let fitting = fitting.count();
        if fitting < self.hits.len() {
            self.hits.truncate(fitting);
            let last = self.hits.last().map(Row::position);
            self.cut = last
                .filter(|last| self.cut.is_none_or(|cut| is_before(self.direction, *last, cut)))
                .or(self.cut);
        }
        if let Some(cut) = self.cut {
            let direction = self.direction;
            self.hits.retain(|row| row.position() == cut || is_before(direction, row.position(), cut));
        }
    }

    /// When the last row of the page is, if there is a page full of them; what is farther does not matter.
    fn last_of_page(&self, wanted: usize) -> Option<Timestamp> {
        let is_long = self.hits.len() >= wanted || self.cut.is_some();
        let last = self.hits.get(self.query.limit - 1).or(self.hits.last());
        last.filter(|_| is_long).map(|row| row.timestamp)
    }

    /// Whether no row that was not read can be nearer than the last one of the page.
    fn is_full(&self, wanted: usize, frontier: Option<Timestamp>) -> bool {
        let (Some(last), Some(frontier)) = (self.last_of_page(wanted), frontier) else { return false };
        match self.direction {
            Direction::Older => frontier < last,
            Direction::Newer => frontier > last,
        }
    }

    /// The place up to which everything has been read; None if that is where the search began.
    fn certain_up_to(&self, frontier: Timestamp) -> Option<Position> {
        let position = match self.direction {
            Direction::Older => Position::start_of(Timestamp(frontier.0 + 1)),
            Direction::Newer => Position::start_of(frontier).before(),
        };
        is_before(self.direction, self.start, position).then_some(position)
    }

    /// Keeps what is certain.
    fn out_of_time(&mut self, position: Position) -> End {
        let found = self.hits.len();
        self.hits.retain(|row| is_before(self.direction, row.position(), position));
        self.uncertain = found - self.hits.len();
        End::OutOfTime(position)
    }

    /// When time is really up: what is certain, or nothing at all.
    fn stopped(&mut self, stopped: Stopped, frontier: Option<Timestamp>) -> Result<End, SearchError> {
        match (stopped, frontier.and_then(|at| self.certain_up_to(at))) {
            (Stopped::TimedOut, Some(position)) => Ok(self.out_of_time(position)),
            (stopped, _) => Err(stopped.into()),
        }
    }
}

/// What the walk looks for: the part of the time range that lies behind the start.
fn aim(query: &Query, expr: &Expr, start: Position, direction: Direction) -> Aim {
    let window = query.window();
    let mut from = window.from.unwrap_or(Timestamp(MICROS_MIN));
    let mut to = window.to.unwrap_or(Timestamp::MAX);
    match direction {
        Direction::Older => to = to.min(Timestamp(start.timestamp.0 + 1)),
        Direction::Newer => from = from.max(start.timestamp),
    }
    Aim { need: need(expr), from, to, direction }
}

/// Whether a walk meets one place before the other.
fn is_before(direction: Direction, one: Position, other: Position) -> bool {
    match direction {
        Direction::Older => one > other,
        Direction::Newer => one < other,
    }
}
