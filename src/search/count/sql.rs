//! The statements of the counts. In: where to count and the tree of conditions. Out: text and values; a value never stands in the text.
//! Buckets travel as the array of their starts, so no arithmetic of times is done in SQL. Pure.

use super::{
    Range,
    buckets::{Buckets, MINUTE},
    facets::Facet,
};
use crate::{
    record::{Level, Timestamp},
    search::{
        as_of::StoredBefore,
        expr::{Expr, Field},
        patterns::template::HEAD_CHARS,
        predicate::json_paths,
        sql::{Builder, rows_of},
        statement::{Statement, Value},
    },
};

/// Values longer than this are counted and not listed.
pub const VALUE_BYTES_MAX: usize = 256;

/// Units of a leaf, and the time range.
pub struct Place<'a> {
    pub leaf: &'a str,
    pub units: Vec<i32>,
    pub range: Range,
    /// None if whatever is seen is counted.
    pub stored: Option<&'a StoredBefore>,
}

/// First and last minute that has records within the bounds, or may have had them.
pub fn span(from: Option<Timestamp>, to: Option<Timestamp>, stored: Option<&StoredBefore>) -> Statement {
    let mut builder = Builder::default();
    let minute = |at: Timestamp| at.0.div_euclid(MINUTE);
    let first = builder.bind(Value::Count(from.map_or(i64::MIN, minute)));
    let last = builder.bind(Value::Count(to.map_or(i64::MAX, |to| minute(Timestamp(to.0 - 1)))));
    let stored = builder.stored(stored);
    let text = format!(
        "\
select min(minute), max(minute)
from minute_counts s
where minute between {first} and {last} and ({stored} or is_new is null)"
    );
    Statement { text, values: builder.values }
}

/// Minutes that are read one by one; of more, those of a bucket are added up first.
const MINUTES_MAX: i64 = 45_000;

/// The counts of whole minutes by level, in one row of three lists: to add up a day in SQL takes three times as long as to read it. A
/// minute may come more than once, and stands for its bucket.
pub fn minutes(
    buckets: &Buckets,
    minutes: &std::ops::Range<i64>,
    levels: &[Level],
    stored: Option<&StoredBefore>,
) -> Statement {
    let mut builder = Builder::default();
    let place = of_minutes(&mut builder, minutes, levels);
    let stored = builder.stored(stored);
    let (columns, groups) = match minutes.end - minutes.start > MINUTES_MAX {
        false => ("minute, level, n", String::new()),
        true => {
            let starts = buckets.starts().into_iter().map(|at| i32_of(at.0.div_euclid(MINUTE))).collect();
            let starts = builder.bind(Value::Numbers(starts));
            let columns = "min(minute) as minute, level, sum(n)::bigint as n";
            (columns, format!("\n  group by width_bucket(minute, {starts}), level"))
        }
    };
    let text = format!(
        "\
select coalesce(array_agg(minute), '{{}}'), coalesce(array_agg(level), '{{}}'), coalesce(array_agg(n), '{{}}')
from (
  select {columns}
  from minute_counts s
  where {place} and {stored}{groups}
) m"
    );
    Statement { text, values: builder.values }
}

/// Runs of minutes, the newest first, whose counts do not tell what was stored by then: they were added up since, or records that may have
/// come since are taken off.
pub fn unclear(
    minutes: &std::ops::Range<i64>,
    levels: &[Level],
    stored: &StoredBefore,
    runs_max: usize,
) -> Statement {
    let mut builder = Builder::default();
    let place = of_minutes(&mut builder, minutes, levels);
    let stored = builder.stored(Some(stored));
    let runs_max = builder.bind(Value::Count(runs_max as i64));
    let text = format!(
        "\
select min(minute), max(minute)
from (
  select minute, minute - row_number() over (order by minute) as run
  from (
    select distinct minute
    from minute_counts s
    where {place} and (is_new is null or n < 0) and not ({stored})
  ) m
) r
group by run
order by 1 desc
limit {runs_max}"
    );
    Statement { text, values: builder.values }
}

fn of_minutes(builder: &mut Builder, minutes: &std::ops::Range<i64>, levels: &[Level]) -> String {
    let first = builder.bind(Value::Count(minutes.start));
    let end = builder.bind(Value::Count(minutes.end));
    let mut place = format!("minute >= {first} and minute < {end}");
    // Of all levels the test would take a quarter of the time of a day by the minute.
    if levels.len() < Level::ALL.len() {
        let levels = builder.bind(Value::Levels(levels.iter().map(|level| *level as i16).collect()));
        place.push_str(&format!(" and level = any ({levels})"));
    }
    place
}

fn i32_of(minute: i64) -> i32 {
    minute.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Hits by bucket and level.
pub fn histogram(place: &Place<'_>, expr: &Expr, buckets: &Buckets) -> Statement {
    let mut to = Builder::default();
    let starts = to.bind(Value::Times(buckets.starts()));
    let hits = hits(&mut to, "timestamp, level", place, expr);
    let text = format!(
        "\
select width_bucket(timestamp, {starts}) - 1 as bucket, level, count(*) as records
from (
{hits}
) h
group by 1, 2"
    );
    Statement { text, values: to.values }
}

/// Hits by bucket, resource and level.
pub fn resources(place: &Place<'_>, expr: &Expr, buckets: &Buckets) -> Statement {
    let mut to = Builder::default();
    let starts = to.bind(Value::Times(buckets.starts()));
    let hits = hits(&mut to, "timestamp, level, resource_id", place, expr);
    let text = format!(
        "\
select width_bucket(timestamp, {starts}) - 1 as bucket, resource_id, level, count(*) as records
from (
{hits}
) h
group by 1, 2, 3"
    );
    Statement { text, values: to.values }
}

/// What tells of which kind each hit is: how its message begins.
pub fn heads(place: &Place<'_>, expr: &Expr) -> Statement {
    let mut to = Builder::default();
    let columns = format!("id, timestamp, level, \"commit\", left(message, {HEAD_CHARS}) as head");
    let text = hits(&mut to, &columns, place, expr);
    Statement { text, values: to.values }
}

/// The time of the oldest hit.
pub fn oldest(place: &Place<'_>, expr: &Expr) -> Statement {
    let mut to = Builder::default();
    let hits = hits(&mut to, "timestamp", place, expr);
    let text = format!("select min(timestamp) as oldest\nfrom (\n{hits}\n) h");
    Statement { text, values: to.values }
}

/// Values of each field with their counts, each value of a record once; `field` is the number of the field, null the number of hits. A
/// value that is too long to be listed is null. For [`Facet::Keys`] the metadata of each record.
pub fn facets(place: &Place<'_>, expr: &Expr, facets: &[Facet]) -> Statement {
    let mut to = Builder::default();
    let values_of_metadata = facets.iter().any(|facet| matches!(facet, Facet::Field(Field::Metadata(_))));
    let jsonb = if values_of_metadata { ", metadata::jsonb as metadata" } else { "" };
    let text = if facets.contains(&Facet::Keys) { ", metadata as metadata_text" } else { "" };
    let columns = format!("level, resource_id, trace_id, span_id, \"commit\"{jsonb}{text}");
    let hits = hits(&mut to, &columns, place, expr);
    let counted: String = facets
        .iter()
        .enumerate()
        .map(|(number, facet)| format!("\nunion all\n{}", counted(&mut to, number, facet)))
        .collect();
    let text = format!(
        "\
with h as materialized (
{hits}
)
select null::int as field, null::text as value, count(*) as records from h{counted}"
    );
    Statement { text, values: to.values }
}

/// The text of the JSON value `v`. A number is one value however it was written, as it is for who searches for it.
const TEXT_OF_VALUE: &str = "case jsonb_typeof(v) when 'number' then trim_scale(v::numeric)::text when 'null' then 'null' else v #>> '{}' end";

/// The values of one field with their counts; each value of a record counts once.
fn counted(to: &mut Builder, number: usize, facet: &Facet) -> String {
    let column = |column: &str| {
        format!(
            "select case when octet_length({column}) <= {VALUE_BYTES_MAX} then {column} end as value from h where {column} is not null"
        )
    };
    let id = |column: &str| format!("select id_text({column}) as value from h where {column} is not null");
    let values = match facet {
        Facet::Keys => {
            return format!("select {number}, metadata_text, 1 from h where metadata_text is not null");
        }
        Facet::Level => "select level_name(level) as value from h".to_owned(),
        Facet::Field(Field::ResourceId) => column("resource_id"),
        Facet::Field(Field::Commit) => column("\"commit\""),
        Facet::Field(Field::TraceId) => id("trace_id"),
        Facet::Field(Field::SpanId) => id("span_id"),
        Facet::Field(Field::Metadata(path)) => {
            let found: Vec<String> = json_paths(path)
                .into_iter()
                .map(|path| format!("select jsonb_path_query(metadata, {}) as v", to.bind(Value::Path(path))))
                .collect();
            let found = found.join("\n    union all ");
            format!(
                "\
  select d.value from h cross join lateral (
    select distinct case when octet_length(t.text) <= {VALUE_BYTES_MAX} then t.text end as value
    from ({found}) p
    cross join lateral (select {TEXT_OF_VALUE} as text) t
    where jsonb_typeof(v) not in ('object', 'array')
  ) d"
            )
        }
    };
    format!("select {number}, value, count(*) from (\n{values}\n) v group by 2")
}

/// Hits in some units of a leaf; as in a search, fetched by the units' index whatever stands around it.
fn hits(to: &mut Builder, columns: &str, place: &Place<'_>, expr: &Expr) -> String {
    let units = to.bind(Value::Numbers(place.units.clone()));
    let from = to.bind(Value::Time(place.range.from));
    let end = to.bind(Value::Time(place.range.to));
    let stored = to.stored(place.stored);
    let conditions = to.predicate(expr);
    format!(
        "\
  select {columns}
  from \"{leaf}\" s
  where {rows}
    and {stored}
    and {conditions}
  offset 0",
        rows = rows_of(&units, &from, &end),
        leaf = place.leaf,
    )
}
