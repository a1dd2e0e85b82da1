//! Groups messages by kind. In: what is [`Asked`] for. Out: [`Patterns`]: the kinds of the hits with their counts, newest records first
//! until everything is read or the time is up, and which of them are new since a commit or a moment.
//!
//! ```text
//! message ─template→ Template ─tally→ Kind ─filter→ /^…/ that finds it again
//! ```
//!
//! One session, one snapshot. What is new is a part of its own: when it fails or ends early, the counts stand all the same.

pub mod filter;
mod http;
pub mod mask;
pub mod read;
pub mod reply;
pub mod since;
pub mod steps;
pub mod tally;
pub mod template;

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use self::{
    read::{Asked, Order, Shows},
    since::{Age, Beginning},
    steps::{Step, Steps},
    tally::{Kind, Tally},
    template::Template,
};
use super::{
    State,
    begin::{again_if_gone, check_regexes, turn},
    count::{Count, Counting, Range, pass::Reach, sql},
    cursor::Direction,
    error::SearchError,
    explain::{self, Explained},
    logged,
    session::Session,
};
use crate::record::Timestamp;
pub(super) use http::routes;

/// How long it takes unless asked otherwise by `budget`.
const BUDGET: Duration = Duration::from_secs(1);
/// Commits that are listed.
const COMMITS_MAX: usize = 10;

/// The kinds of the hits.
pub struct Patterns {
    pub range: Range,
    /// In the order that was asked for, what is new in front.
    pub patterns: Vec<Pattern>,
    /// What is not listed, because there are more than were asked for.
    pub more: More,
    /// Records of kinds that there was no memory for.
    pub other: u64,
    /// Kinds.
    pub distinct: Count,
    /// Records.
    pub total: Count,
    /// The most frequent commits of the hits.
    pub commits: Vec<(String, u64)>,
    pub since: Option<Begun>,
    pub reach: Reach,
    pub rows_read: u64,
    pub took: Duration,
    pub explain: Option<Vec<Explained>>,
}

pub struct Pattern {
    pub template: Template,
    pub kind: Kind,
    /// If that was asked for, and where it begins is known.
    pub age: Option<Age>,
}

/// Kinds that are not listed, and their records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct More {
    pub patterns: usize,
    pub records: u64,
}

/// How many kinds are new, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    pub at: Beginning,
    pub new: usize,
    /// Kinds of which the time did not suffice to tell.
    pub unknown: usize,
}

/// Finds the kinds of all hits.
pub async fn find(state: &State, asked: &Asked) -> Result<Patterns, SearchError> {
    let _turn = turn(state).await?;
    again_if_gone(state, async || find_once(state, asked).await).await
}

async fn find_once(state: &State, asked: &Asked) -> Result<Patterns, SearchError> {
    let started = Instant::now();
    let (mut session, snapshot) = Session::open(state, started + state.time_max).await?;
    session.explains(asked.query.explains);
    let expr = asked.query.filter.expr();
    let mut counting = Counting {
        session: &mut session,
        snapshot: &snapshot,
        catalogue: &state.catalogue,
        expr: &expr,
        due: started,
        rows_read: 0,
    };
    let found = match check_regexes(counting.session, &expr).await {
        Ok(()) => group(&mut counting, asked, started).await,
        Err(error) => Err(error),
    };
    let rows_read = counting.rows_read;
    let took = started.elapsed();
    let explain = explain::explain(&mut session).await;
    session.close().await;
    state.metrics.search_rows_read.inc_by(rows_read);
    Ok(Patterns { rows_read, took, explain, ..found? })
}

async fn group(
    counting: &mut Counting<'_>,
    asked: &Asked,
    started: Instant,
) -> Result<Patterns, SearchError> {
    let budget = asked.query.budget.unwrap_or(BUDGET);
    // 1. Where what is new begins, within a quarter of the time.
    counting.due = started + budget / 4;
    let at = match &asked.since {
        None => None,
        Some(since) => match since.begins(counting, asked.query.asked_at).await {
            Ok(at) => Some(at),
            Err(error) => Some(Beginning::Unknown.despite(error, counting).await?),
        },
    };
    // 2. The kinds; all of the time, unless it is needed to tell which are new.
    counting.due = started + if at.is_some() { budget / 5 * 3 } else { budget };
    let range = counting.range(&asked.query).await?;
    let (tally, reach) = tally(counting, range).await?;
    // 3. Which are new.
    counting.due = started + budget;
    let (other, records) = (tally.other, tally.records);
    let commits = most_frequent(tally.commits);
    let mut kinds: Vec<(Template, Kind)> = tally.kinds.into_iter().collect();
    kinds.sort_by_cached_key(|(template, kind)| (Reverse(kind.count()), template.text().to_owned()));
    let mut ages = vec![Age::Unknown; kinds.len()];
    if let Some(Beginning::At(at)) = at
        && let Err(error) = since::decide(counting, at, &kinds, &mut ages).await
    {
        Beginning::Unknown.despite(error, counting).await?;
    }
    let is_known = matches!(at, Some(Beginning::At(_)));
    let patterns = kinds.into_iter().zip(ages).map(|((template, kind), age)| Pattern {
        template,
        kind,
        age: is_known.then_some(age),
    });
    let mut patterns: Vec<Pattern> = patterns.collect();
    // 4. In order, and no more than were asked for.
    let of_age = |age: Age| patterns.iter().filter(|pattern| pattern.age == Some(age)).count();
    let since = at.map(|at| Begun { at, new: of_age(Age::New), unknown: of_age(Age::Unknown) });
    let is = reach.is();
    let distinct =
        Count { count: patterns.len() as u64, is: if other == 0 { is } else { super::count::Is::AtLeast } };
    let more = arrange(&mut patterns, asked);
    Ok(Patterns {
        range,
        patterns,
        more,
        other,
        distinct,
        total: Count { count: records, is },
        commits,
        since,
        reach,
        rows_read: 0,
        took: Duration::ZERO,
        explain: None,
    })
}

/// Reads hits, the newest first, until all are read or the time is up.
async fn tally(counting: &mut Counting<'_>, range: Range) -> Result<(Tally, Reach), SearchError> {
    let expr = counting.expr;
    let mut steps = Steps::new(counting, range, Direction::Older);
    let mut tally = Tally::default();
    loop {
        let frontier = steps.frontier().map_or(range.from, |frontier| Timestamp(frontier.0 + 1));
        match steps.next(counting, |place| sql::heads(place, expr)).await? {
            Step::Rows(rows) => rows.iter().try_for_each(|row| tally.add(row))?,
            Step::End => return Ok((tally, Reach::Whole)),
            Step::OutOfTime => return Ok((tally, Reach::BackTo(frontier.clamp(range.from, range.to)))),
        }
    }
}

impl Beginning {
    /// This in the place of what failed, unless the whole search has to begin again; what follows can be run.
    async fn despite(self, error: SearchError, counting: &mut Counting<'_>) -> Result<Self, SearchError> {
        if matches!(error, SearchError::LeafGone) || !counting.session.mend().await {
            return Err(error);
        }
        logged(&error);
        Ok(self)
    }
}

/// Sorts them and cuts the list; gives what was cut off.
fn arrange(patterns: &mut Vec<Pattern>, asked: &Asked) -> More {
    if asked.shows == Shows::New {
        patterns.retain(|pattern| pattern.age == Some(Age::New));
    }
    match asked.order {
        // They are sorted by count already.
        Order::Count => {}
        Order::First => patterns.sort_by_key(|pattern| Reverse(pattern.kind.first)),
    }
    patterns.sort_by_key(|pattern| pattern.age != Some(Age::New));
    let rest = patterns.split_off(asked.query.limit.min(patterns.len()));
    More { patterns: rest.len(), records: rest.iter().map(|pattern| pattern.kind.count()).sum() }
}

fn most_frequent(commits: std::collections::HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut commits: Vec<(String, u64)> = commits.into_iter().collect();
    commits.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    commits.truncate(COMMITS_MAX);
    commits
}
