//! The only place that assembles SQL from a filter. In: a [`Filter`] and where to read. Out: statement text and its parameters. A value
//! never stands in the text, so the number of different texts is bounded by the shapes of filters, not by what people type. Pure.

use super::{
    cursor::{Direction, Position},
    filter::Filter,
    statement::{Statement, Value},
};
use crate::record::Timestamp;

/// Rows to read: a time range and the place behind which to begin.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub after: Position,
    pub direction: Direction,
}

/// How much to take at most.
#[derive(Debug, Clone, Copy)]
pub struct Take {
    /// Rows to read.
    pub chunk: i64,
    /// Hits to return.
    pub hits: i64,
    /// Bytes of text and metadata; the hit that goes over is still returned.
    pub bytes: i64,
}

/// What a statement that finds hits returns, in this order; then `hits`, how many it found (it may return fewer for their bytes),
/// and `rows_read`.
const COLUMNS: &str =
    "timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata, client_id";

/// One row by its id: the milliseconds in front of the id say where it is.
pub const ONE: &str = "\
select timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata::text as metadata, client_id
from logs
where timestamp >= $1 and timestamp < $2 and id = $3";

/// Leaves of a time range.
pub const LEAVES: &str = "\
select from_at, to_at
from leaves
where to_at > $1 and from_at < $2
order by from_at";

/// Raises 2201B for what is no regular expression.
pub const CHECK_REGEX: &str = "select '' ~ $1";

/// Collects the values of a statement.
#[derive(Default)]
pub struct Builder {
    pub values: Vec<Value>,
}

impl Builder {
    /// Takes a value and names it in the text.
    pub fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    pub fn text(&mut self, text: impl Into<String>) -> String {
        self.bind(Value::Text(text.into()))
    }

    fn span(&mut self, span: Span) -> String {
        let from = self.bind(Value::Time(span.from));
        let to = self.bind(Value::Time(span.to));
        let at = self.bind(Value::Time(span.after.timestamp));
        let id = self.bind(Value::Id(span.after.id));
        let compare = match span.direction {
            Direction::Older => "<",
            Direction::Newer => ">",
        };
        format!("timestamp >= {from} and timestamp < {to} and (timestamp, id) {compare} ({at}, {id})")
    }
}

/// Reads at most `take.chunk` rows in order and stops at the last hit it needs: the numbered sub-select is fed lazily by the index
/// (timestamp, id), so `rows_read` is what was really read.
pub fn hits(filter: &Filter, span: Span, take: Take) -> Statement {
    let mut builder = Builder::default();
    let order = order(span.direction);
    let place = builder.span(span);
    let chunk = builder.bind(Value::Count(take.chunk));
    let conditions = builder.predicate(&filter.expr());
    let hits = builder.bind(Value::Count(take.hits));
    let bytes = builder.bind(Value::Count(take.bytes));
    let text = format!(
        "\
select {COLUMNS}, hits, rows_read
from (
  select h.*, count(*) over () as hits, max(n) over () as rows_read, {size} as bytes_before
  from (
    select s.timestamp, s.id, s.level, s.resource_id, s.trace_id, s.span_id, s.\"commit\", s.message, s.metadata::text as metadata, s.client_id, s.n
    from (
      select {COLUMNS}, row_number() over (order by {order}) as n
      from logs
      where {place}
      order by {order}
      limit {chunk}
    ) s
    where {conditions}
    order by {order}
    limit {hits}
  ) h
) b
where bytes_before < {bytes}
order by {order}",
        size = size_before(order),
    );
    Statement { text, values: builder.values }
}

/// Where the chunk that [`hits`] read has its end, and how many rows it has; no row if there are none.
pub fn chunk_end(span: Span, chunk: i64) -> Statement {
    let mut builder = Builder::default();
    let order = order(span.direction);
    let place = builder.span(span);
    let chunk = builder.bind(Value::Count(chunk));
    let text = format!(
        "\
select timestamp, id, n
from (
  select timestamp, id, row_number() over (order by {order}) as n
  from logs
  where {place}
  order by {order}
  limit {chunk}
) s
order by n desc
limit 1"
    );
    Statement { text, values: builder.values }
}

/// Rows of one trace, which has an index of its own: reads all of them up to `take.chunk`, then filters. The first row always comes,
/// with the number of rows read, and without a hit its other columns are null. The time bounds stand outside: beside trace_id, and
/// before a leaf has statistics, Postgres reads the whole time index for them (255 ms instead of 0.1 at 1M rows).
pub fn trace_hits(filter: &Filter, trace_id: &str, span: Span, take: Take) -> Statement {
    let mut builder = Builder::default();
    let order = order(span.direction);
    let trace_id = builder.text(trace_id);
    let place = builder.span(span);
    let chunk = builder.bind(Value::Count(take.chunk));
    let conditions = builder.predicate(&filter.expr());
    let hits = builder.bind(Value::Count(take.hits));
    let bytes = builder.bind(Value::Count(take.bytes));
    let text = format!(
        "\
with t as materialized (
  select {COLUMNS}
  from logs
  where trace_id = {trace_id}
  limit {chunk}
)
select {COLUMNS}, coalesce(hits, 0) as hits, rows_read
from (select count(*) as rows_read from t) r
left join (
  select h.*, count(*) over () as hits, {size} as bytes_before
  from (
    select s.timestamp, s.id, s.level, s.resource_id, s.trace_id, s.span_id, s.\"commit\", s.message, s.metadata::text as metadata, s.client_id
    from t s
    where {place} and {conditions}
    order by {order}
    limit {hits}
  ) h
) b on bytes_before < {bytes}
order by {order}",
        size = size_before(order),
    );
    Statement { text, values: builder.values }
}

fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Older => "timestamp desc, id desc",
        Direction::Newer => "timestamp, id",
    }
}

fn size_before(order: &str) -> String {
    format!(
        "coalesce(sum(octet_length(message) + coalesce(octet_length(metadata), 0)) over (order by {order} rows between unbounded preceding and 1 preceding), 0)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::filter::{Match, tests::a_filter};
    use proptest::prelude::*;
    use uuid::Uuid;

    const SPAN: Span = Span {
        from: Timestamp(0),
        to: Timestamp(1),
        after: Position { timestamp: Timestamp(1), id: Uuid::nil() },
        direction: Direction::Older,
    };
    const TAKE: Take = Take { chunk: 1000, hits: 51, bytes: 8 << 20 };

    fn marked(text: &str) -> Match {
        Match::Exact(format!("MARK{text}"))
    }

    proptest! {
        #[test]
        fn a_value_never_stands_in_the_text(filter in a_filter(), text in "[^\\x00]{1,20}", path in "[^\\x00]{1,20}") {
            let filter = Filter {
                message: filter.message.map(|m| format!("MARK{m}")),
                regex: Some(format!("MARK{text}")),
                resource_id: Some(marked(&text)),
                metadata: vec![(format!("MARK{path}"), marked(&text))],
                ..filter
            };
            for statement in [hits(&filter, SPAN, TAKE), trace_hits(&filter, "MARK", SPAN, TAKE)] {
                prop_assert!(!statement.text.contains("MARK"));
                prop_assert!(statement.text.is_ascii());
                for at in 1..=statement.values.len() {
                    let name = format!("${at}");
                    prop_assert!(statement.text.contains(&name));
                }
            }
        }
    }
}
