//! What is new. In: a moment, or a commit that marks one, and kinds that were met. Out: for each kind whether any record of it is older.
//! That is decided by records, not by the pattern alone: the pattern says where to look, the template of what is found there decides.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    filter::filter,
    steps::{Step, Steps},
    tally::{Head, Kind},
    template::Template,
};
use crate::{
    record::Timestamp,
    search::{
        count::{Counting, Range, sql},
        cursor::{Direction, MICROS_MIN},
        error::SearchError,
        expr::{Expr, Field},
        filter::{Bound, Match},
        statement::Time,
    },
};

/// Kinds that the index is asked for, one by one.
const ASKED_MAX: usize = 200;
/// Records just before the moment that are looked at first: most kinds that are old are among them.
const BEFORE_MAX: usize = 32_768;
/// The least time for one kind.
const ASK_TIME_MIN: Duration = Duration::from_millis(20);

/// What is asked for, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since(pub String);

/// Where that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    At(Timestamp),
    /// No record has such a commit.
    NeverSeen,
    /// The time was up.
    Unknown,
}

/// Whether a kind is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// It has records from the moment on and none before.
    New,
    Old,
    /// The time was up.
    Unknown,
}

impl Age {
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Old => "old",
            Self::Unknown => "unknown",
        }
    }
}

/// Everything before a moment.
fn before(at: Timestamp) -> Range {
    let from = Timestamp(MICROS_MIN);
    Range { from, to: at.max(from) }
}

impl Since {
    /// A moment is itself. Anything else is a commit, with a star at its end the beginning of one; only if there is none, an age.
    pub async fn begins(
        &self,
        counting: &mut Counting<'_>,
        now: Timestamp,
    ) -> Result<Beginning, SearchError> {
        let bound = Bound::parse(&self.0);
        if let Some(Bound::At(at)) = bound {
            return Ok(Beginning::At(at));
        }
        let commit = Expr::is(Field::Commit, vec![Match::parse(&self.0)]);
        let due = counting.due;
        Ok(match (within(counting, &commit, due, oldest).await?, bound) {
            (Beginning::NeverSeen, Some(age)) => Beginning::At(age.moment(now)),
            (seen, _) => seen,
        })
    }
}

/// Decides for each kind, in this order, how old it is; when it fails, what was decided by then stands in `ages`.
pub async fn decide(
    counting: &mut Counting<'_>,
    at: Timestamp,
    kinds: &[(Template, Kind)],
    ages: &mut [Age],
) -> Result<(), SearchError> {
    let mut open = HashMap::new();
    for (place, (template, kind)) in kinds.iter().enumerate() {
        if kind.first < at {
            ages[place] = Age::Old;
        } else {
            open.insert(template, place);
        }
    }
    // 1. Most of the old ones have a record shortly before.
    let due = Instant::now() + counting.due.saturating_duration_since(Instant::now()) / 3;
    let expr = counting.expr;
    within(counting, expr, due, async |counting| look_before(counting, at, &mut open, ages).await).await?;
    // 2. Each of the others is asked for, with its share of the time.
    let mut places: Vec<usize> = open.into_values().collect();
    places.sort_unstable();
    let count = places.len().min(ASKED_MAX);
    for (done, place) in places.into_iter().take(count).enumerate() {
        let now = Instant::now();
        if now >= counting.due {
            break;
        }
        let share = (counting.due - now) / (count - done) as u32;
        let due = counting.due.min(now + share.max(ASK_TIME_MIN));
        let template = &kinds[place].0;
        let expr = Expr::all([counting.expr.clone(), filter(template)]);
        ages[place] =
            within(counting, &expr, due, async |counting| age(counting, at, template).await).await?;
    }
    Ok(())
}

/// Looks at the records just before the moment: what is met is old.
async fn look_before(
    counting: &mut Counting<'_>,
    at: Timestamp,
    open: &mut HashMap<&Template, usize>,
    ages: &mut [Age],
) -> Result<(), SearchError> {
    let expr = counting.expr;
    let mut steps = Steps::new(counting, before(at), Direction::Older);
    let mut seen = 0;
    while seen < BEFORE_MAX && !open.is_empty() {
        let Step::Rows(rows) = steps.next(counting, |place| sql::heads(place, expr)).await? else { break };
        seen += rows.len();
        for row in &rows {
            if let Some(place) = open.remove(&Head::read(row)?.template) {
                ages[place] = Age::Old;
            }
        }
    }
    Ok(())
}

/// Whether any record before the moment is of this kind; the expression holds its pattern.
async fn age(counting: &mut Counting<'_>, at: Timestamp, template: &Template) -> Result<Age, SearchError> {
    let expr = counting.expr;
    let mut steps = Steps::new(counting, before(at), Direction::Older);
    loop {
        match steps.next(counting, |place| sql::heads(place, expr)).await? {
            Step::Rows(rows) => {
                for row in &rows {
                    if Head::read(row)?.template == *template {
                        return Ok(Age::Old);
                    }
                }
            }
            Step::End => return Ok(Age::New),
            Step::OutOfTime => return Ok(Age::Unknown),
        }
    }
}

/// The time of the oldest hit.
async fn oldest(counting: &mut Counting<'_>) -> Result<Beginning, SearchError> {
    let expr = counting.expr;
    let range = Range { from: Timestamp(MICROS_MIN), to: Timestamp::MAX };
    let mut steps = Steps::new(counting, range, Direction::Newer);
    let mut oldest: Option<Timestamp> = None;
    loop {
        if let (Some(oldest), Some(frontier)) = (oldest, steps.frontier())
            && oldest <= frontier
        {
            return Ok(Beginning::At(oldest));
        }
        match steps.next(counting, |place| sql::oldest(place, expr)).await? {
            Step::Rows(rows) => {
                for row in &rows {
                    let found: Option<Time> = row.try_get("oldest")?;
                    oldest = found.map(|found| found.0).into_iter().chain(oldest).min();
                }
            }
            Step::End => return Ok(oldest.map_or(Beginning::NeverSeen, Beginning::At)),
            Step::OutOfTime => return Ok(Beginning::Unknown),
        }
    }
}

/// Looks for something else in the same snapshot, until `due`.
async fn within<T>(
    counting: &mut Counting<'_>,
    expr: &Expr,
    due: Instant,
    look: impl AsyncFnOnce(&mut Counting<'_>) -> Result<T, SearchError>,
) -> Result<T, SearchError> {
    let mut other = Counting {
        session: &mut *counting.session,
        snapshot: counting.snapshot,
        catalogue: counting.catalogue,
        expr,
        due,
        rows_read: 0,
    };
    let found = look(&mut other).await;
    let rows_read = other.rows_read;
    counting.rows_read += rows_read;
    found
}
