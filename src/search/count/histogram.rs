//! Hits over time. In: a [`Counting`] and buckets. Out: their counts by level, from the counts of minutes where the level alone decides,
//! row by row where it does not.

use super::{
    Count, Counting, Is, Levels, Range,
    buckets::{Buckets, MINUTE},
    levels_alone,
    pass::Reach,
    sql,
};
use crate::{
    record::{Level, Timestamp},
    search::error::SearchError,
};

/// How many hits there are, over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    pub range: Range,
    /// Microseconds of a bucket.
    pub width: i64,
    /// In the order of time, the empty ones too; those that were not reached are absent, not zero.
    pub buckets: Vec<Bucket>,
    /// The sum of the buckets.
    pub total: Count,
    /// Everything from here on was counted; None for the whole range.
    pub searched_back_to: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    pub from: Timestamp,
    pub levels: Levels,
    pub is: Is,
}

/// The counts in the making, a place for each bucket.
struct Tally {
    levels: Vec<Levels>,
}

/// A stretch of the range and where its counts come from.
enum Part {
    /// The counts of these minutes.
    Minutes(Minutes),
    Rows(Range),
}

type Minutes = std::ops::Range<i64>;

/// Runs of minutes that are counted row by row for themselves; those before are counted row by row together.
const RUNS_MAX: usize = 16;

/// Counts the hits of each bucket.
pub async fn count(counting: &mut Counting<'_>, buckets: &Buckets) -> Result<Histogram, SearchError> {
    let mut tally = Tally { levels: vec![Levels::default(); buckets.len()] };
    let levels = levels_alone(counting.expr).filter(|_| buckets.are_of_minutes()).unwrap_or_default();
    let mut missed = Vec::new();
    for part in parts(counting, buckets.range, &levels).await? {
        match part {
            Part::Minutes(minutes) => {
                let statement = sql::minutes(buckets, &minutes, &levels, counting.snapshot.stored.as_ref());
                for row in counting.session.statement(&statement).await? {
                    tally.add_minutes(buckets, &row)?;
                }
            }
            Part::Rows(range) => match rows(counting, buckets, range, &mut tally).await? {
                Reach::Whole => {}
                Reach::BackTo(to) => missed.push(Range { from: range.from, to }),
            },
        }
    }
    Ok(tally.finish(buckets, &missed))
}

/// The stretches of a range, the newest first.
async fn parts(
    counting: &mut Counting<'_>,
    range: Range,
    levels: &[Level],
) -> Result<Vec<Part>, SearchError> {
    // 1. Minutes that lie in the range from beginning to end; those that it cuts are counted by their rows.
    let whole = -(-range.from.0).div_euclid(MINUTE)..range.to.0.div_euclid(MINUTE);
    if levels.is_empty() || whole.is_empty() {
        return Ok(vec![Part::Rows(range)]);
    }
    let mut parts = vec![Part::Rows(Range { from: start(whole.end), to: range.to })];
    // 2. Among them, those whose counts are of now and not of then.
    let mut end = whole.end;
    if let Some(stored) = &counting.snapshot.stored {
        let runs = counting.session.statement(&sql::unclear(&whole, levels, stored, RUNS_MAX)).await?;
        for (at, run) in runs.iter().enumerate() {
            let (first, last): (i32, i32) = (run.try_get(0)?, run.try_get(1)?);
            let first = if at + 1 == RUNS_MAX { whole.start } else { i64::from(first) };
            let after = i64::from(last) + 1;
            parts.push(Part::Minutes(after..end));
            parts.push(Part::Rows(Range { from: start(first), to: start(after) }));
            end = first;
        }
    }
    parts.push(Part::Minutes(whole.start..end));
    parts.push(Part::Rows(Range { from: range.from, to: start(whole.start) }));
    Ok(parts)
}

fn start(minute: i64) -> Timestamp {
    Timestamp(minute * MINUTE)
}

async fn rows(
    counting: &mut Counting<'_>,
    buckets: &Buckets,
    range: Range,
    tally: &mut Tally,
) -> Result<Reach, SearchError> {
    let expr = counting.expr;
    counting.pass(range, |place| sql::histogram(place, expr, buckets), |row| tally.add(row)).await
}

fn beyond(what: &str, at: i32, level: i16) -> SearchError {
    SearchError::Internal { cause: format!("counted level {level} in {what} {at}") }
}

impl Tally {
    fn add(&mut self, row: &tokio_postgres::Row) -> Result<(), SearchError> {
        let bucket: i32 = row.try_get("bucket")?;
        let level: i16 = row.try_get("level")?;
        let records: i64 = row.try_get("records")?;
        let place = usize::try_from(bucket).ok().and_then(|bucket| self.levels.get_mut(bucket));
        let Some((levels, level)) = place.zip(Level::from_number(level)) else {
            return Err(beyond("bucket", bucket, level));
        };
        levels.add(level, records.max(0) as u64);
        Ok(())
    }

    /// Takes lists of minutes, levels and records, of which some take others off again.
    fn add_minutes(&mut self, buckets: &Buckets, row: &tokio_postgres::Row) -> Result<(), SearchError> {
        let (minutes, levels): (Vec<i32>, Vec<i16>) = (row.try_get(0)?, row.try_get(1)?);
        let records: Vec<i64> = row.try_get(2)?;
        let mut sums = vec![[0_i64; Level::ALL.len()]; self.levels.len()];
        for ((minute, level), records) in minutes.into_iter().zip(levels).zip(records) {
            let place = sums.get_mut(buckets.at(start(minute.into())));
            let Some((sums, level)) = place.zip(Level::from_number(level)) else {
                return Err(beyond("minute", minute, level));
            };
            sums[level as usize - 1] += records;
        }
        for (levels, sums) in self.levels.iter_mut().zip(sums) {
            for (level, records) in Level::ALL.into_iter().zip(sums) {
                levels.add(level, records.max(0) as u64);
            }
        }
        Ok(())
    }

    /// `missed` is what was not counted, the newest first.
    fn finish(self, buckets: &Buckets, missed: &[Range]) -> Histogram {
        let is = |at: usize| {
            let from = buckets.start(at).max(buckets.range.from);
            let to = buckets.start(at + 1).min(buckets.range.to);
            let is_missed = |missed: &Range| missed.from <= from && to <= missed.to;
            let is_cut = |missed: &Range| missed.from < to && from < missed.to;
            (!missed.iter().any(is_missed)).then(|| Is::exact_if(!missed.iter().any(is_cut)))
        };
        let counted = |(at, levels)| is(at).map(|is| Bucket { from: buckets.start(at), levels, is });
        let counted: Vec<Bucket> = self.levels.into_iter().enumerate().filter_map(counted).collect();
        let count = counted.iter().map(|bucket| bucket.levels.sum()).sum();
        Histogram {
            range: buckets.range,
            width: buckets.width,
            buckets: counted,
            total: Count { count, is: Is::exact_if(missed.is_empty()) },
            searched_back_to: missed.first().map(|missed| missed.to),
        }
    }
}
