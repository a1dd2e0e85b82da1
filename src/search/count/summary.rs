//! Hits by hour, resource and level. In: a [`Counting`] and a time range. Out: a line for each hour and resource that has hits, the rarer
//! resources together as one.

use std::collections::{BTreeMap, HashMap};

use super::{
    Count, Counting, Is, Levels, Range,
    buckets::{Buckets, Width},
    pass::Reach,
    sql,
};
use crate::{
    record::{Level, Timestamp},
    search::error::SearchError,
};

/// Microseconds.
pub const HOUR: i64 = 3_600_000_000;
/// Hours of one summary: a month.
pub const HOURS_MAX: i64 = 31 * 24;
/// Resources that are listed by name.
const RESOURCES_MAX: usize = 100;
/// Resources that are kept in memory, each with a line an hour.
const RESOURCES_KEPT_MAX: usize = 1_000;

pub struct Summary {
    pub range: Range,
    /// By hour, the resources with the most hits first.
    pub hours: Vec<Line>,
    pub total: Count,
    /// Everything from here on was counted; None for the whole range. Hours before are absent.
    pub searched_back_to: Option<Timestamp>,
}

pub struct Line {
    pub from: Timestamp,
    /// None for all resources that are not listed by name.
    pub resource_id: Option<String>,
    pub levels: Levels,
    pub is: Is,
}

/// Hits of one resource by hour.
type Hours = BTreeMap<usize, Levels>;

#[derive(Default)]
struct Tally {
    resources: HashMap<String, Hours>,
    other: Hours,
}

/// Counts the hits of each hour and resource.
pub async fn count(counting: &mut Counting<'_>, range: Range) -> Result<Summary, SearchError> {
    let buckets = Buckets::new(range, Width::Of(HOUR))?;
    let mut tally = Tally::default();
    let expr = counting.expr;
    let take = |row: &tokio_postgres::Row| tally.add(row);
    let reach = counting.pass(range, |place| sql::resources(place, expr, &buckets), take).await?;
    // 1. Hours that were not reached are not told of.
    let back_to = reach.back_to().unwrap_or(range.from);
    let is_reached = |hour: &usize| buckets.start(hour + 1) > back_to;
    let mut resources: Vec<(Option<String>, Hours)> =
        tally.resources.into_iter().map(|(name, hours)| (Some(name), hours)).collect();
    for (_, hours) in &mut resources {
        hours.retain(|hour, _| is_reached(hour));
    }
    tally.other.retain(|hour, _| is_reached(hour));
    // 2. Those with the most hits by name, all others together.
    let sum = |hours: &Hours| hours.values().map(Levels::sum).sum::<u64>();
    resources.sort_by_cached_key(|(name, hours)| (std::cmp::Reverse(sum(hours)), name.clone()));
    let mut other = tally.other;
    for (_, hours) in resources.drain(RESOURCES_MAX.min(resources.len())..) {
        for (hour, levels) in hours {
            levels.iter().for_each(|(level, records)| other.entry(hour).or_default().add(level, records));
        }
    }
    resources.push((None, other));
    // 3. A line each, by hour.
    let is = |hour: usize| Is::exact_if(reach == Reach::Whole || buckets.start(hour) >= back_to);
    let mut hours: Vec<Line> = Vec::new();
    for (resource_id, of_resource) in resources {
        hours.extend(of_resource.into_iter().map(|(hour, levels)| Line {
            from: buckets.start(hour),
            resource_id: resource_id.clone(),
            levels,
            is: is(hour),
        }));
    }
    hours.sort_by_key(|line| line.from);
    let count = hours.iter().map(|line| line.levels.sum()).sum();
    Ok(Summary { range, hours, total: Count { count, is: reach.is() }, searched_back_to: reach.back_to() })
}

impl Tally {
    fn add(&mut self, row: &tokio_postgres::Row) -> Result<(), SearchError> {
        let (hour, level): (i32, i16) = (row.try_get("bucket")?, row.try_get("level")?);
        let (name, records): (String, i64) = (row.try_get("resource_id")?, row.try_get("records")?);
        let level = Level::from_number(level)
            .ok_or_else(|| SearchError::Internal { cause: format!("a row has the level {level}") })?;
        let is_kept = self.resources.len() < RESOURCES_KEPT_MAX || self.resources.contains_key(&name);
        let hours = if is_kept { self.resources.entry(name).or_default() } else { &mut self.other };
        hours.entry(hour as usize).or_default().add(level, records as u64);
        Ok(())
    }
}
