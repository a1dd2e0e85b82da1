//! What `GET /api/patterns` answers, as JSON. In: [`Patterns`]. Out: values to serialize. Pure.

use serde::{Serialize, Serializer};

use super::{
    Begun, Pattern, Patterns,
    filter::pattern,
    read::Asked,
    since::{Age, Beginning},
};
use crate::{
    record::Timestamp,
    search::{
        count::{Count, Levels, reply::Stats},
        explain::Explained,
    },
};

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatternsReply {
    #[serde(serialize_with = "as_text")]
    from: Timestamp,
    #[serde(serialize_with = "as_text")]
    to: Timestamp,
    patterns: Vec<PatternReply>,
    more: MoreReply,
    other: u64,
    distinct: Count,
    total: Count,
    commits: Vec<CommitReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<SinceReply>,
    stats: Stats,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Vec<Explained>>,
}

#[derive(Serialize)]
struct PatternReply {
    id: String,
    template: String,
    count: u64,
    /// Of the records that were read.
    share: f64,
    levels: Levels,
    #[serde(serialize_with = "as_text")]
    first: Timestamp,
    #[serde(serialize_with = "as_text")]
    last: Timestamp,
    example: String,
    regex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<&'static str>,
}

#[derive(Serialize)]
struct MoreReply {
    patterns: usize,
    records: u64,
}

#[derive(Serialize)]
struct CommitReply {
    value: String,
    count: u64,
}

#[derive(Serialize)]
struct SinceReply {
    asked: String,
    at: Option<String>,
    is: &'static str,
    new: usize,
    unknown: usize,
}

impl PatternsReply {
    pub fn new(asked: &Asked, found: Patterns) -> Self {
        let back_to = found.reach.back_to();
        let records = found.total.count;
        let since = asked.since.as_ref().zip(found.since);
        Self {
            from: found.range.from,
            to: found.range.to,
            patterns: found.patterns.into_iter().map(|pattern| PatternReply::new(pattern, records)).collect(),
            more: MoreReply { patterns: found.more.patterns, records: found.more.records },
            other: found.other,
            distinct: found.distinct,
            total: found.total,
            commits: found.commits.into_iter().map(|(value, count)| CommitReply { value, count }).collect(),
            since: since.map(|(since, begun)| SinceReply::new(since.0.clone(), begun)),
            stats: Stats::new(found.rows_read, found.took, back_to.is_none(), back_to),
            explain: found.explain,
        }
    }
}

impl PatternReply {
    fn new(Pattern { template, kind, age }: Pattern, records: u64) -> Self {
        let count = kind.count();
        Self {
            id: template.id(),
            template: template.text().to_owned(),
            count,
            share: (count as f64 / records.max(1) as f64 * 1e6).round() / 1e6,
            levels: kind.levels,
            first: kind.first,
            last: kind.last,
            example: kind.example.to_string(),
            regex: pattern(&template),
            age: age.map(Age::name),
        }
    }
}

impl SinceReply {
    fn new(asked: String, Begun { at, new, unknown }: Begun) -> Self {
        let (is, at) = match at {
            Beginning::At(at) => ("known", Some(at.to_string())),
            Beginning::NeverSeen => ("neverSeen", None),
            Beginning::Unknown => ("unknown", None),
        };
        Self { asked, at, is, new, unknown }
    }
}
