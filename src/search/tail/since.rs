//! One look: what was stored since a moment. In: the moment, a filter. Out: the last of its hits in the order in which they were stored,
//! how many there are beside them, and the moment of this look.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::sql::{self, Place};
use crate::{
    record::Timestamp,
    search::{
        State,
        as_of::{AsOf, StoredBefore},
        begin::{again_if_gone, turn},
        catalogue::Snapshot,
        cursor::{Direction, MICROS_MIN},
        error::SearchError,
        expr::Expr,
        find::UNITS_MAX,
        need::need,
        params::Query,
        row::Row,
        session::Session,
        statement::Time,
        walk::{Aim, Walk},
    },
};

/// A look that takes longer is given up, and the next one has the same beginning.
const TIME_MAX: Duration = Duration::from_secs(5);
/// How long it waits for other searches that are not quick, if it is none itself.
const LONG_WAIT_MAX: Duration = Duration::from_millis(500);
/// Blocks that were signed since: four million rows.
const BLOCKS_MAX: usize = 16_384;
/// Units that may hold hits: 262,144 rows, half a second.
const READ_UNITS_MAX: usize = 8_192;

/// What is followed.
pub struct Followed {
    pub query: Query,
    pub expr: Expr,
    pub size: Size,
}

/// How much is told at once.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub rows_max: usize,
    /// Bytes of text and metadata; the record that goes over is still told.
    pub bytes_max: i64,
}

/// A look.
pub struct Look {
    /// The snapshot that was looked at.
    pub seen: AsOf,
    /// Where the next look begins: the same, as it is after a crash of the server too.
    pub until: AsOf,
    pub found: Result<Stored, Lost>,
}

/// Hits that were stored since.
#[derive(Debug, Default)]
pub struct Stored {
    /// The first one that was stored first.
    pub rows: Vec<Row>,
    /// How many more there are; all of them were stored before these.
    pub skipped: u64,
    /// All of them are of this time or later.
    pub from: Option<Timestamp>,
}

/// Why nothing can be said about what was stored since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// More than a look may read.
    TooMuch,
    /// The store is not the one it was: it was set back to an earlier state.
    SetBack,
}

/// A hit, with how many transactions ago it was stored.
struct Hit {
    age: i64,
    row: Row,
}

pub async fn since(state: &State, followed: &Followed, after: &AsOf) -> Result<Look, SearchError> {
    let _turn = turn(state).await?;
    again_if_gone(state, async || {
        let (mut session, snapshot) = Session::open(state, Instant::now() + TIME_MAX).await?;
        let look = look(&mut session, state, &snapshot, followed, after).await;
        session.close().await;
        look
    })
    .await
}

/// The moment from which a tail goes on that begins with this snapshot. A transaction that was rolled back may leave no trace in the log
/// of the server, which gives its number out again after a crash; so nothing is said of those behind the last one that was committed.
pub async fn moment(session: &mut Session, seen: &AsOf) -> Result<AsOf, SearchError> {
    let rows = session.statement(&sql::last_committed(seen)).await?;
    let Some(row) = rows.first() else { return Ok(seen.clone()) };
    Ok(seen.before(row.try_get::<_, i64>("xmax")?.unsigned_abs()))
}

async fn look(
    session: &mut Session,
    state: &State,
    snapshot: &Snapshot,
    followed: &Followed,
    after: &AsOf,
) -> Result<Look, SearchError> {
    let seen = snapshot.as_of.clone();
    let until = moment(session, &seen).await?;
    let found = match StoredBefore::new(after, &seen) {
        Ok(before) => stored(session, state, snapshot, followed, &before).await?,
        Err(_) => Err(Lost::SetBack),
    };
    Ok(Look { seen, until, found })
}

async fn stored(
    session: &mut Session,
    state: &State,
    snapshot: &Snapshot,
    followed: &Followed,
    before: &StoredBefore,
) -> Result<Result<Stored, Lost>, SearchError> {
    // 1. Where it can be: in open blocks, and in those that were signed since.
    let signed = session.statement(&sql::signed(&before.as_of, BLOCKS_MAX as i64 + 1)).await?;
    if signed.len() > BLOCKS_MAX {
        return Ok(Err(Lost::TooMuch));
    }
    let (mut blocks, mut groups): (HashMap<i32, HashSet<i32>>, _) = (HashMap::new(), HashSet::new());
    for row in &signed {
        let leaf = row.try_get("leaf")?;
        blocks.entry(leaf).or_default().insert(row.try_get("block")?);
        groups.extend(row.try_get::<_, Option<i32>>("grp")?.map(|group| (leaf, group)));
    }
    let narrowed = snapshot.narrowed(&blocks, &groups);
    for open in &narrowed.open {
        blocks.entry(open.leaf).or_default().insert(open.number);
    }
    // 2. What of it may hold hits, and the hits.
    let window = followed.query.window();
    let aim = Aim {
        need: need(&followed.expr),
        from: window.from.unwrap_or(Timestamp(MICROS_MIN)),
        to: window.to.unwrap_or(Timestamp::MAX),
        direction: Direction::Older,
    };
    let (from, to) = (aim.from, aim.to);
    let mut walk = Walk::new(&narrowed, &state.catalogue, aim);
    let mut harvest = Harvest::default();
    let mut units_read = 0;
    while let Some(mut portion) = walk.next(session, UNITS_MAX).await? {
        // A group holds older blocks too.
        let leaf = &portion.leaf;
        portion.units.retain(|unit| blocks.get(&leaf.number).is_some_and(|of| of.contains(&(unit >> 3))));
        if portion.units.is_empty() {
            continue;
        }
        units_read += portion.units.len();
        if units_read > READ_UNITS_MAX {
            return Ok(Err(Lost::TooMuch));
        }
        if units_read > UNITS_MAX && !session.may_go_on(Instant::now() + LONG_WAIT_MAX).await {
            return Err(SearchError::Busy { retry_after: LONG_WAIT_MAX });
        }
        let Size { rows_max, bytes_max } = followed.size;
        let leaf = leaf.name.clone();
        let place = Place { leaf, units: portion.units, from, to, rows_max: rows_max as i64, bytes_max };
        let rows = session.statement(&sql::stored_since(&followed.expr, before, &place)).await?;
        harvest.add(&rows, followed.size)?;
    }
    Ok(Ok(harvest.stored()))
}

/// Hits of one portion after the other; the last ones stay.
#[derive(Default)]
struct Harvest {
    /// The last one first.
    hits: Vec<Hit>,
    all: u64,
    from: Option<Timestamp>,
}

impl Harvest {
    fn add(&mut self, rows: &[tokio_postgres::Row], size: Size) -> Result<(), SearchError> {
        let Some(first) = rows.first() else { return Ok(()) };
        self.all += first.try_get::<_, i64>("hits")?.unsigned_abs();
        let from = first.try_get::<_, Time>("first")?.0;
        self.from = Some(self.from.map_or(from, |known| known.min(from)));
        for row in rows {
            self.hits.push(Hit { age: row.try_get("age")?, row: Row::read(row)? });
        }
        self.hits.sort_by_key(|hit| (hit.age, std::cmp::Reverse(hit.row.position())));
        let mut bytes = 0;
        let fitting = self.hits.iter().take(size.rows_max).take_while(|hit| {
            let fits = bytes < size.bytes_max;
            bytes += hit.row.bytes();
            fits
        });
        self.hits.truncate(fitting.count());
        Ok(())
    }

    fn stored(self) -> Stored {
        let skipped = self.all - self.hits.len() as u64;
        let rows = self.hits.into_iter().rev().map(|hit| hit.row).collect();
        Stored { rows, skipped, from: self.from }
    }
}
