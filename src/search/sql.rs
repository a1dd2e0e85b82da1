//! The statements of a search. In: a tree of conditions and where to read. Out: statement text and its parameters. A value
//! never stands in the text, so the number of different texts is bounded by the shapes of filters, not by what people type. Pure.

use uuid::Uuid;

use super::{
    as_of::StoredBefore,
    cursor::{Direction, Position},
    expr::Expr,
    statement::{Statement, Value},
};
use crate::record::Timestamp;

/// Units of each leaf, which is the name of a table.
pub type Places = Vec<(String, Vec<i32>)>;

/// Where hits may be and what is wanted of them.
#[derive(Debug, Clone)]
pub struct Reading {
    pub places: Places,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// The place behind which to begin, if that is not one end of the time range.
    pub after: Option<Position>,
    pub direction: Direction,
    pub stored: Option<StoredBefore>,
    /// Hits to return.
    pub hits: i64,
    /// Bytes of text and metadata; the hit that goes over is still returned.
    pub bytes: i64,
}

/// What of a row is read; `client_id` and the text of `metadata` come only for hits that are returned.
const COLUMNS: &str = "timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata";

/// Raises 2201B for what is no regular expression.
pub const CHECK_REGEX: &str = "select '' ~ $1";

/// The condition on where a row of `s` stands and of when it is, `from` inclusive, `to` exclusive. The times are compared by functions, not
/// by operators: the planner would take an operator to the index on `timestamp` and read a whole leaf.
pub fn rows_of(units: &str, from: &str, to: &str) -> String {
    format!(
        "s.block = any ({units}) and timestamptz_ge(s.timestamp, {from}) and timestamptz_lt(s.timestamp, {to})"
    )
}

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

    /// The condition on the transaction of a row of `s`; true if whatever is seen is wanted.
    pub fn stored(&mut self, before: Option<&StoredBefore>) -> String {
        let Some(StoredBefore { as_of, now }) = before else { return "true".to_owned() };
        let as_of = self.bind(Value::Snapshot(as_of.clone()));
        let now = self.bind(Value::Count(*now as i64));
        format!("stored_before(s.xmin, {as_of}, {now})")
    }

    /// Values that all places of a reading have in common, and the condition that they make in each of them, by its units.
    fn within(&mut self, reading: &Reading) -> impl Fn(&str) -> String + use<> {
        let from = self.bind(Value::Time(reading.from));
        let to = self.bind(Value::Time(reading.to));
        let after = reading.after.map_or_else(String::new, |after| {
            let at = self.bind(Value::Time(after.timestamp));
            let id = self.bind(Value::Id(after.id));
            let compare = match reading.direction {
                Direction::Older => "<",
                Direction::Newer => ">",
            };
            format!(" and (s.timestamp, s.id) {compare} ({at}, {id})")
        });
        move |units| rows_of(units, &from, &to) + &after
    }
}

/// Hits in some units, in order. The units are fetched by their index inside of an `offset 0`, or the planner walks through time
/// instead. `hits` says how many there are, up to `reading.hits`; those beyond `reading.bytes` do not come.
pub fn hits(expr: &Expr, reading: &Reading) -> Statement {
    let mut builder = Builder::default();
    let order = order(reading.direction);
    let within = builder.within(reading);
    let conditions = builder.predicate(expr);
    let stored = builder.stored(reading.stored.as_ref());
    let hits = builder.bind(Value::Count(reading.hits));
    let bytes = builder.bind(Value::Count(reading.bytes));
    let places = reading.places.iter().map(|(leaf, units)| {
        let units = builder.bind(Value::Numbers(units.clone()));
        let place = within(&units);
        format!(
            "(
      select {COLUMNS}
      from \"{leaf}\" s
      where {place}
        and {stored}
        and {conditions}
      offset 0
    )"
        )
    });
    let places = places.collect::<Vec<_>>().join(" union all ");
    let text = format!(
        "\
select timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata::jsonb::text as metadata, hits,
  (select n.client_id from record_names n where n.id = b.id) as client_id
from (
  select h.*, count(*) over () as hits, {size} as bytes_before
  from (
    select {COLUMNS}
    from ({places}) f
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

/// How many rows some units of some leaves have.
pub fn count_rows(places: Vec<(&str, Vec<i32>)>) -> Statement {
    let mut builder = Builder::default();
    let counts = places.into_iter().map(|(leaf, units)| {
        let units = builder.bind(Value::Numbers(units));
        format!("(select count(*) from \"{leaf}\" where block = any ({units}))")
    });
    let text = format!("select {}", counts.collect::<Vec<_>>().join(" + "));
    Statement { text, values: builder.values }
}

/// The number that such a statement gives.
pub fn number(rows: &[tokio_postgres::Row]) -> Result<u64, tokio_postgres::Error> {
    Ok(rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?.unsigned_abs())
}

/// One record by its id, among the units that can hold it.
pub fn one(leaf: &str, units: Vec<i32>, id: Uuid) -> Statement {
    let text = format!(
        "\
select timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata::jsonb::text as metadata,
  (select n.client_id from record_names n where n.id = s.id) as client_id
from \"{leaf}\" s
where block = any ($1) and id = $2"
    );
    Statement { text, values: vec![Value::Numbers(units), Value::Id(id)] }
}

/// Directories of groups (leaf, number).
pub fn directories(groups: impl Iterator<Item = (i32, i32)>) -> Statement {
    let (leaves, numbers) = groups.unzip();
    let text = "\
select g.leaf, g.grp, g.directory
from unnest($1, $2) as u (leaf, grp)
join groups g using (leaf, grp)";
    Statement { text: text.to_owned(), values: vec![Value::Numbers(leaves), Value::Numbers(numbers)] }
}

/// Slices of groups (leaf, number): those of single bits and those of whole bytes of a signature. substring() on a value that is
/// stored out of line and not compressed fetches the chunks it needs and no others.
pub fn slices(groups: impl Iterator<Item = (i32, i32)>, bits: &[u32], bytes: &[u16]) -> Statement {
    let (leaves, numbers) = groups.unzip();
    let text = "\
select g.leaf, g.grp, p.place, p.is_byte,
  substring(g.slices from p.place * (case when p.is_byte then 8 else 1 end) * g.width + 1 for (case when p.is_byte then 8 else 1 end) * g.width) as slice
from unnest($1, $2) as u (leaf, grp)
join groups g using (leaf, grp)
cross join (
  select place, false as is_byte from unnest($3) as b (place)
  union all
  select place, true from unnest($4) as b (place)
) p";
    let bits = Value::Numbers(bits.iter().map(|place| *place as i32).collect());
    let bytes = Value::Numbers(bytes.iter().map(|place| i32::from(*place)).collect());
    let values = vec![Value::Numbers(leaves), Value::Numbers(numbers), bits, bytes];
    Statement { text: text.to_owned(), values }
}

/// Parts of the lists of values of groups: each the number that the caller gave it, leaf, group, its first byte and its length.
pub fn buckets(parts: impl Iterator<Item = [i32; 5]>) -> Statement {
    let mut columns: [Vec<i32>; 5] = Default::default();
    for part in parts {
        columns.iter_mut().zip(part).for_each(|(column, value)| column.push(value));
    }
    let text = "\
select u.part, substring(g.value_hashes from u.start + 1 for u.bytes) as bucket
from unnest($1, $2, $3, $4, $5) as u (part, leaf, grp, start, bytes)
join groups g using (leaf, grp)";
    Statement { text: text.to_owned(), values: columns.map(Value::Numbers).into() }
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
    use crate::search::{as_of::tests::an_as_of, expr::tests::an_expr};
    use proptest::{option, prelude::*};

    proptest! {
        #[test]
        fn every_value_has_a_name_in_the_text(
            expr in an_expr(),
            as_of in option::of(an_as_of()),
            is_later: bool,
        ) {
            let reading = Reading {
                places: vec![("records_20260101t000000".into(), vec![1, 2]), ("records_2026".into(), vec![3])],
                from: Timestamp(0),
                to: Timestamp(1),
                after: is_later.then_some(Position { timestamp: Timestamp(1), id: Uuid::nil() }),
                direction: Direction::Older,
                stored: as_of.map(|as_of| StoredBefore { as_of, now: 7 }),
                hits: 51,
                bytes: 8 << 20,
            };
            let statement = hits(&expr, &reading);
            prop_assert!(statement.text.is_ascii());
            for at in 1..=statement.values.len() {
                let name = format!("${at}");
                prop_assert!(statement.text.contains(&name));
            }
        }
    }
}
