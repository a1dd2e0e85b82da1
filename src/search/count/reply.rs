//! What the counting addresses answer, as JSON. In: counts. Out: values to serialize. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde::{Serialize, Serializer};

use super::{Count, Is, Levels, facets::Facets, histogram::Histogram, read, summary::Summary};
use crate::{
    record::Timestamp,
    search::{as_of::AsOf, explain::Explained},
};

impl Serialize for Levels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(level, records)| (level.name(), records)))
    }
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Whole seconds without a fraction.
fn as_seconds<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match micros % 1_000_000 {
        0 => serializer.serialize_i64(micros / 1_000_000),
        _ => serializer.serialize_f64(*micros as f64 / 1e6),
    }
}

/// What an answer cost, as `/api/logs` says it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub rows_read: u64,
    pub ms: f64,
    pub complete: bool,
    pub searched_back_to: Option<String>,
}

impl Stats {
    pub fn new(rows_read: u64, took: Duration, is_complete: bool, back_to: Option<Timestamp>) -> Self {
        Self {
            rows_read,
            ms: (took.as_secs_f64() * 1e5).round() / 100.0,
            complete: is_complete,
            searched_back_to: back_to.map(|at| at.to_string()),
        }
    }
}

/// Reply of `GET /api/histogram`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistogramReply {
    #[serde(serialize_with = "as_text")]
    from: Timestamp,
    #[serde(serialize_with = "as_text")]
    to: Timestamp,
    #[serde(serialize_with = "as_seconds")]
    bucket_seconds: i64,
    buckets: Vec<BucketReply>,
    total: Count,
}

#[derive(Serialize)]
struct BucketReply {
    #[serde(serialize_with = "as_text")]
    from: Timestamp,
    count: u64,
    is: Is,
    levels: Levels,
}

/// Reply of `GET /api/facets`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FacetsReply {
    #[serde(serialize_with = "as_text")]
    from: Timestamp,
    #[serde(serialize_with = "as_text")]
    to: Timestamp,
    facets: BTreeMap<String, Vec<ValueReply>>,
    other: BTreeMap<String, u64>,
    distinct: BTreeMap<String, Count>,
    is: BTreeMap<String, Is>,
    total: Count,
}

#[derive(Serialize)]
struct ValueReply {
    value: String,
    count: u64,
}

/// Reply of `GET /api/summary`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryReply {
    #[serde(serialize_with = "as_text")]
    from: Timestamp,
    #[serde(serialize_with = "as_text")]
    to: Timestamp,
    hours: Vec<HourReply>,
    total: Count,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HourReply {
    #[serde(serialize_with = "as_text")]
    from: Timestamp,
    resource_id: Option<String>,
    levels: Levels,
    count: u64,
    is: Is,
}

/// Any of them, with its moment, what it cost and, if asked for, the statements.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply<T> {
    #[serde(flatten)]
    pub counts: T,
    pub as_of: AsOf,
    pub stats: Stats,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Vec<Explained>>,
}

impl From<Histogram> for HistogramReply {
    fn from(histogram: Histogram) -> Self {
        let buckets = histogram.buckets.into_iter().map(|bucket| BucketReply {
            from: bucket.from,
            count: bucket.levels.sum(),
            is: bucket.is,
            levels: bucket.levels,
        });
        Self {
            from: histogram.range.from,
            to: histogram.range.to,
            bucket_seconds: histogram.width,
            buckets: buckets.collect(),
            total: histogram.total,
        }
    }
}

impl From<Facets> for FacetsReply {
    fn from(counted: Facets) -> Self {
        let (mut facets, mut other) = (BTreeMap::new(), BTreeMap::new());
        let (mut distinct, mut is) = (BTreeMap::new(), BTreeMap::new());
        for (facet, values) in counted.facets {
            let name = read::name(&facet);
            let top = values.top.into_iter().map(|(value, count)| ValueReply { value, count });
            facets.insert(name.clone(), top.collect());
            other.insert(name.clone(), values.other);
            distinct.insert(name.clone(), values.distinct);
            is.insert(name, values.is);
        }
        let (from, to) = (counted.range.from, counted.range.to);
        Self { from, to, facets, other, distinct, is, total: counted.total }
    }
}

impl From<Summary> for SummaryReply {
    fn from(summary: Summary) -> Self {
        let hours = summary.hours.into_iter().map(|line| HourReply {
            from: line.from,
            resource_id: line.resource_id,
            levels: line.levels,
            count: line.levels.sum(),
            is: line.is,
        });
        Self { from: summary.range.from, to: summary.range.to, hours: hours.collect(), total: summary.total }
    }
}
