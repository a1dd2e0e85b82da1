//! The statements of a tail. In: two moments, conditions and places. Out: text and values. Pure.

use crate::{
    record::Timestamp,
    search::{
        as_of::{AsOf, StoredBefore},
        expr::Expr,
        sql::{Builder, rows_of},
        statement::{Statement, Value},
    },
};

/// Where records may be, and how many of them are wanted.
pub struct Place {
    /// Name of the table.
    pub leaf: String,
    pub units: Vec<i32>,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub rows_max: i64,
    /// Bytes of text and metadata; the row that goes over is still returned.
    pub bytes_max: i64,
}

/// The end of the last transaction that a snapshot sees as committed, of the last thousand; nothing if none was.
const LAST_COMMITTED: &str = "\
select x + 1 as xmax
from pg_snapshot_xmax($1::text::pg_snapshot) m (xmax)
cross join generate_series(m.xmax::text::bigint - 1, greatest(m.xmax::text::bigint - 1000, 3), -1) x
where pg_xact_status(x::text::xid8) = 'committed' and pg_visible_in_snapshot(x::text::xid8, $1::text::pg_snapshot)
limit 1";

/// Blocks that were signed since, with their group if they have one by now. A group is younger than the signatures in it.
const SIGNED: &str = "\
select leaf, block, null::int as grp
from signatures
where xact >= pg_snapshot_xmin($1::text::pg_snapshot)
  and not pg_visible_in_snapshot(xact, $1::text::pg_snapshot)
union all
select g.leaf, u.block, g.grp
from groups g
cross join unnest(g.blocks, g.signed_by) as u (block, xact)
where g.xact >= pg_snapshot_xmin($1::text::pg_snapshot)
  and not pg_visible_in_snapshot(g.xact, $1::text::pg_snapshot)
  and pg_visible_in_snapshot(u.xact, $1::text::pg_snapshot) is not true
limit $2";

pub fn last_committed(by: &AsOf) -> Statement {
    Statement { text: LAST_COMMITTED.to_owned(), values: vec![Value::Text(by.pg())] }
}

pub fn signed(since: &AsOf, blocks_max: i64) -> Statement {
    let values = vec![Value::Text(since.pg()), Value::Count(blocks_max)];
    Statement { text: SIGNED.to_owned(), values }
}

/// Rows that were not stored before, the last ones first: `age` counts transactions back from the present. `hits` says how many there
/// are and `first` the earliest time among them, whatever is returned. The units are fetched by their index inside of a CTE of narrow
/// rows, so that a burst is counted without being carried along.
pub fn stored_since(expr: &Expr, before: &StoredBefore, place: &Place) -> Statement {
    let mut builder = Builder::default();
    let units = builder.bind(Value::Numbers(place.units.clone()));
    let from = builder.bind(Value::Time(place.from));
    let to = builder.bind(Value::Time(place.to));
    let as_of = builder.text(before.as_of.pg());
    let now = builder.bind(Value::Count(before.now as i64));
    let conditions = builder.predicate(expr);
    let rows_max = builder.bind(Value::Count(place.rows_max));
    let bytes_max = builder.bind(Value::Count(place.bytes_max));
    let order = "age, timestamp desc, id desc";
    let text = format!(
        "\
with fresh as materialized (
  select s.ctid as place, ({now} - s.xmin::text::bigint) & 4294967295 as age, s.timestamp, s.id
  from \"{leaf}\" s
  where {rows}
    and not stored_before(s.xmin, {as_of}::text::pg_snapshot, {now})
    and {conditions}
), last as (
  select place, age, count(*) over () as hits, min(timestamp) over () as first
  from fresh
  order by {order}
  limit {rows_max}
)
select timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata, age, hits, first,
  (select n.client_id from record_names n where n.id = b.id) as client_id
from (
  select w.*, coalesce(sum(octet_length(message) + coalesce(octet_length(metadata), 0))
    over (order by {order} rows between unbounded preceding and 1 preceding), 0) as bytes_before
  from (
    select r.timestamp, r.id, r.level, r.resource_id, r.trace_id, r.span_id, r.\"commit\", r.message,
      r.metadata::jsonb::text as metadata, l.age, l.hits, l.first
    from last l
    join \"{leaf}\" r on r.ctid = l.place
  ) w
) b
where bytes_before < {bytes_max}
order by {order}",
        rows = rows_of(&units, &from, &to),
        leaf = place.leaf,
    );
    Statement { text, values: builder.values }
}
