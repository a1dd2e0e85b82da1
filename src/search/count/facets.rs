//! The most frequent values of fields among the hits. In: a [`Counting`], a time range and fields. Out: values with their counts. Each
//! count that is listed is true; with very many different values, those that were met first are the ones that are listed.

use std::{collections::HashMap, time::Instant};

use super::{
    Count, Counting, Is, Levels, Range, buckets::Buckets, histogram, levels_alone, pass::Reach, paths::paths,
    sql,
};
use crate::{
    record::Timestamp,
    search::{error::SearchError, expr::Field},
};

pub const FACETS_MAX: usize = 10;
/// Different values of a field that are kept in memory, up to 256 bytes each.
const DISTINCT_MAX: usize = 20_000;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facet {
    Level,
    Field(Field),
    /// The paths that metadata has.
    Keys,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facets {
    pub range: Range,
    /// In the order in which they were asked for.
    pub facets: Vec<(Facet, Values)>,
    pub total: Count,
    /// The facets that are not exact were counted over everything from here on, and some of what is before.
    pub searched_back_to: Option<Timestamp>,
}

/// Values of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// The most frequent first.
    pub top: Vec<(String, u64)>,
    /// Records with another value; one with two of them counts twice.
    pub other: u64,
    /// Different values.
    pub distinct: Count,
    pub is: Is,
}

/// Counts of one field in the making.
#[derive(Default)]
struct Tally {
    values: HashMap<String, u64>,
    /// Of values that are not kept.
    other: u64,
}

/// Counts the values of each field, at most `values_max` are listed.
pub async fn count(
    counting: &mut Counting<'_>,
    range: Range,
    facets: &[Facet],
    values_max: usize,
) -> Result<Facets, SearchError> {
    // 1. Levels alone need no rows.
    let by_minutes = match levels_alone(counting.expr) {
        Some(_) => Some(histogram::count(counting, &Buckets::one(range)).await?),
        None => None,
    };
    // 2. Everything else in two passes: what needs the metadata takes many times as long and must not keep the others from their end.
    let of_rows = |facet: &&Facet| by_minutes.is_none() || **facet != Facet::Level;
    let (slow, quick): (Vec<Facet>, Vec<Facet>) =
        facets.iter().filter(of_rows).cloned().partition(Facet::needs_metadata);
    let due = counting.due;
    if !slow.is_empty() {
        counting.due = Instant::now() + due.saturating_duration_since(Instant::now()) / 2;
    }
    let quick = match quick.is_empty() && (by_minutes.is_some() || !slow.is_empty()) {
        true => None,
        false => Some(Pass::run(counting, range, quick).await?),
    };
    counting.due = due;
    let slow = match slow.is_empty() {
        true => None,
        false => Some(Pass::run(counting, range, slow).await?),
    };
    // 3. All together, in the order of the question.
    let passes = || quick.iter().chain(&slow);
    let hits = passes().next().map(|pass| Count { count: pass.hits, is: pass.reach.is() });
    // The later of two moments is what both have reached.
    let searched_back_to = passes().filter_map(|pass| pass.reach.back_to()).max();
    let mut counted: Vec<(Facet, Values)> =
        quick.into_iter().chain(slow).flat_map(|pass| pass.finish(values_max)).collect();
    let facets = facets.iter().map(|facet| {
        let values = match &by_minutes {
            Some(histogram) if *facet == Facet::Level => of_levels(histogram, values_max),
            _ => {
                let place = counted.iter().position(|(counted, _)| counted == facet);
                let none = || Tally::default().finish(values_max, Is::Exact);
                place.map_or_else(none, |place| counted.swap_remove(place).1)
            }
        };
        (facet.clone(), values)
    });
    let facets = facets.collect();
    let total = match (&by_minutes, hits) {
        (Some(histogram), _) => histogram.total,
        (None, hits) => hits.unwrap_or(Count { count: 0, is: Is::Exact }),
    };
    let of_levels = by_minutes.and_then(|histogram| histogram.searched_back_to);
    Ok(Facets { range, facets, total, searched_back_to: searched_back_to.or(of_levels) })
}

/// Facets that are counted together.
struct Pass {
    facets: Vec<Facet>,
    tallies: Vec<Tally>,
    hits: u64,
    reach: Reach,
}

impl Pass {
    async fn run(counting: &mut Counting<'_>, range: Range, facets: Vec<Facet>) -> Result<Self, SearchError> {
        let mut tallies: Vec<Tally> = facets.iter().map(|_| Tally::default()).collect();
        let mut hits = 0;
        let expr = counting.expr;
        let take = |row: &tokio_postgres::Row| {
            let field: Option<i32> = row.try_get("field")?;
            let records: i64 = row.try_get("records")?;
            let Some(field) = field.map(|field| field as usize) else {
                hits += records as u64;
                return Ok(());
            };
            match facets[field] {
                Facet::Keys => tallies[field].add_paths(row.try_get("value")?)?,
                _ => tallies[field].add(row.try_get("value")?, records as u64),
            }
            Ok(())
        };
        let reach = counting.pass(range, |place| sql::facets(place, expr, &facets), take).await?;
        Ok(Self { facets, tallies, hits, reach })
    }

    fn finish(self, values_max: usize) -> Vec<(Facet, Values)> {
        let is = self.reach.is();
        let tallies = self.tallies.into_iter().map(|tally| tally.finish(values_max, is));
        self.facets.into_iter().zip(tallies).collect()
    }
}

impl Facet {
    fn needs_metadata(&self) -> bool {
        matches!(self, Self::Keys | Self::Field(Field::Metadata(_)))
    }
}

fn of_levels(histogram: &histogram::Histogram, values_max: usize) -> Values {
    let mut sum = Levels::default();
    for bucket in &histogram.buckets {
        for (level, records) in bucket.levels.iter() {
            sum.add(level, records);
        }
    }
    let values = sum.iter().map(|(level, records)| (level.name().to_owned(), records)).collect();
    Tally { values, other: 0 }.finish(values_max, histogram.total.is)
}

impl Tally {
    /// A value that is kept has been kept since it was met first, so its count is whole.
    fn add(&mut self, value: Option<String>, records: u64) {
        match value {
            Some(value) if self.values.len() < DISTINCT_MAX || self.values.contains_key(&value) => {
                *self.values.entry(value).or_default() += records;
            }
            _ => self.other += records,
        }
    }

    /// Takes each path of a record's metadata once, and those that are too long to be listed as one.
    fn add_paths(&mut self, metadata: &str) -> Result<(), SearchError> {
        let paths = paths(metadata);
        let paths = paths
            .map_err(|error| SearchError::Internal { cause: format!("metadata is no JSON: {error}") })?;
        let mut is_long = false;
        for path in paths {
            match path.len() <= sql::VALUE_BYTES_MAX {
                true => self.add(Some(path), 1),
                false => is_long = true,
            }
        }
        if is_long {
            self.add(None, 1);
        }
        Ok(())
    }

    fn finish(self, values_max: usize, is: Is) -> Values {
        let is_all = self.other == 0;
        let distinct = Count { count: self.values.len() as u64, is: if is_all { is } else { Is::AtLeast } };
        let mut top: Vec<(String, u64)> = self.values.into_iter().collect();
        top.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let rest: u64 = top.iter().skip(values_max).map(|(_, records)| records).sum();
        top.truncate(values_max);
        Values { top, other: self.other + rest, distinct, is }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_counted_as_other() {
        let mut tally = Tally::default();
        for n in 0..DISTINCT_MAX + 5 {
            tally.add(Some(n.to_string()), 1);
        }
        tally.add(Some("7".into()), 2);
        tally.add(None, 4);
        let values = tally.finish(2, Is::Exact);
        assert_eq!(values.top, [("7".to_owned(), 3), ("0".to_owned(), 1)]);
        assert_eq!(values.other, DISTINCT_MAX as u64 - 2 + 5 + 4);
        assert_eq!(values.distinct, Count { count: DISTINCT_MAX as u64, is: Is::AtLeast });
    }
}
