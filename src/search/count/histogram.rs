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

/// Counts the hits of each bucket.
pub async fn count(counting: &mut Counting<'_>, buckets: &Buckets) -> Result<Histogram, SearchError> {
    let range = buckets.range;
    let mut tally = Tally { levels: vec![Levels::default(); buckets.len()] };
    let minutes = whole_minutes(range);
    let levels = levels_alone(counting.expr).filter(|_| buckets.are_of_minutes() && !minutes.is_empty());
    let Some(levels) = levels else {
        let reach = rows(counting, buckets, range, &mut tally).await?;
        return Ok(tally.finish(buckets, reach, |bucket| match reach {
            Reach::Whole => Some(Is::Exact),
            Reach::BackTo(at) if buckets.start(bucket) >= at => Some(Is::Exact),
            Reach::BackTo(at) if buckets.start(bucket + 1) > at => Some(Is::AtLeast),
            Reach::BackTo(_) => None,
        }));
    };
    let middle = Range { from: Timestamp(minutes.start * MINUTE), to: Timestamp(minutes.end * MINUTE) };
    for row in counting.session.statement(&sql::minutes(buckets, minutes, &levels)).await? {
        tally.add(&row)?;
    }
    // The minutes that the range cuts; each lies in a single bucket.
    let newest = Range { from: middle.to, to: range.to };
    let oldest = Range { from: range.from, to: middle.from };
    let after = rows(counting, buckets, newest, &mut tally).await?;
    let before = rows(counting, buckets, oldest, &mut tally).await?;
    let reach = if after == Reach::Whole { before } else { after };
    let last = buckets.len() - 1;
    let is_cut = |bucket| bucket == last && after != Reach::Whole || bucket == 0 && before != Reach::Whole;
    Ok(tally.finish(buckets, reach, |bucket| Some(Is::exact_if(!is_cut(bucket)))))
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

/// Those that lie in the range from beginning to end.
fn whole_minutes(range: Range) -> std::ops::Range<i64> {
    -(-range.from.0).div_euclid(MINUTE)..range.to.0.div_euclid(MINUTE)
}

impl Tally {
    fn add(&mut self, row: &tokio_postgres::Row) -> Result<(), SearchError> {
        let bucket: i32 = row.try_get("bucket")?;
        let level: i16 = row.try_get("level")?;
        let records: i64 = row.try_get("records")?;
        let place = usize::try_from(bucket).ok().and_then(|bucket| self.levels.get_mut(bucket));
        let (Some(levels), Some(level)) = (place, Level::from_number(level)) else {
            return Err(SearchError::Internal { cause: format!("counted level {level} in bucket {bucket}") });
        };
        levels.add(level, records.max(0) as u64);
        Ok(())
    }

    fn finish(self, buckets: &Buckets, reach: Reach, is: impl Fn(usize) -> Option<Is>) -> Histogram {
        let counted = |(at, levels)| is(at).map(|is| Bucket { from: buckets.start(at), levels, is });
        let counted: Vec<Bucket> = self.levels.into_iter().enumerate().filter_map(counted).collect();
        let count = counted.iter().map(|bucket| bucket.levels.sum()).sum();
        Histogram {
            range: buckets.range,
            width: buckets.width,
            buckets: counted,
            total: Count { count, is: reach.is() },
            searched_back_to: reach.back_to(),
        }
    }
}
