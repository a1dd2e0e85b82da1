//! The statements of a deletion, on units of one leaf as a search reads them. In: conditions and places. Out: text and values. Pure.

use std::time::Duration;

use super::{
    Tally,
    order::{Action, Order},
};
use crate::{
    record::Timestamp,
    search::{
        sql::{Builder, rows_of},
        statement::{Statement, Value},
    },
};

/// Where records may be.
pub struct Place {
    /// Name of the table.
    pub leaf: String,
    pub units: Vec<i32>,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// The condition, and its values.
fn condition(order: &Order, place: &Place) -> (Builder, String) {
    let mut builder = Builder::default();
    let units = builder.bind(Value::Numbers(place.units.clone()));
    let from = builder.bind(Value::Time(place.from));
    let to = builder.bind(Value::Time(place.to));
    let conditions = builder.predicate(&order.query.filter.expr());
    let text = format!("{}\n    and {conditions}", rows_of(&units, &from, &to));
    (builder, text)
}

/// How many, and the newest five.
pub fn count(order: &Order, place: &Place) -> Statement {
    let (builder, condition) = condition(order, place);
    let text = format!(
        "\
select count(*) as records, (array_agg(s.id order by s.timestamp desc, s.id desc))[1:5] as sample
from \"{leaf}\" s
where {condition}",
        leaf = place.leaf
    );
    Statement { text, values: builder.values }
}

/// Deletes the rows and the names that clients gave them, and takes them from the counts.
pub fn delete(order: &Order, place: &Place) -> Statement {
    let (builder, condition) = condition(order, place);
    let text = format!(
        "\
with gone as (
  delete from \"{leaf}\" s
  where {condition}
  returning s.id, s.level, floor(extract(epoch from s.timestamp) / 60)::int as minute
), names as (
  delete from record_names n using gone g where n.id = g.id
), counted as (
  insert into minute_counts (minute, level, n) select minute, level, -count(*) from gone group by minute, level
)
select count(*) as records, null::uuid[] as sample from gone",
        leaf = place.leaf
    );
    Statement { text, values: builder.values }
}

/// The row that says who deleted what, or would have.
pub fn audit(order: &Order, tally: &Tally, took: Duration, client: &str) -> Statement {
    let text = "\
insert into deletions (filter, records, took_ms, client, dry_run, leaves)
values ($1, $2, $3, $4, $5::boolean, $6)";
    let values = vec![
        Value::Text(order.text()),
        Value::Count(tally.records as i64),
        Value::Count(took.as_millis() as i64),
        Value::Text(client.to_owned()),
        Value::Text((order.action == Action::Count).to_string()),
        Value::Numbers(tally.leaves.clone()),
    ];
    Statement { text: text.to_owned(), values }
}
