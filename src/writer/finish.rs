//! The last message of a batch: what the index and the counts change, new commits, `advance()` and COMMIT. In: numbers and a few texts.
//! Out: SQL text, because one simple-query message can hold many statements; only numbers, UUIDs, hex digits and the topic (checked by
//! config.rs) stand in it. Pure.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
};

use uuid::Uuid;

use super::{
    batch::{Batch, ids_hash},
    commits::First,
};
use crate::index::block::Changes;

pub fn sql(
    topic: &str,
    batch: &Batch,
    changes: &Changes,
    writer: i32,
    counts: &BTreeMap<(i32, i16), i64>,
    commits: &[First<'_>],
) -> String {
    let mut sql = String::with_capacity(1_024);
    if !changes.opened.is_empty() {
        let _ = write!(
            sql,
            "insert into open_blocks (leaf, block, level, writer) select l, b, v, {writer} from unnest("
        );
        let opened = || changes.opened.iter();
        array(&mut sql, "int", opened().map(|(leaf, ..)| leaf));
        sql.push_str(", ");
        array(&mut sql, "int", opened().map(|(_, block, _)| block));
        sql.push_str(", ");
        array(&mut sql, "smallint", opened().map(|(.., level)| level));
        sql.push_str(") as u (l, b, v); ");
    }
    if !changes.closed.is_empty() {
        sql.push_str("delete from open_blocks o using unnest(");
        array(&mut sql, "int", changes.closed.iter().map(|(leaf, _)| leaf));
        sql.push_str(", ");
        array(&mut sql, "int", changes.closed.iter().map(|(_, block)| block));
        sql.push_str(") as u (l, b) where o.leaf = u.l and o.block = u.b; ");
    }
    if !counts.is_empty() {
        sql.push_str("insert into minute_counts (minute, level, n) select * from unnest(");
        array(&mut sql, "int", counts.keys().map(|(minute, _)| minute));
        sql.push_str(", ");
        array(&mut sql, "smallint", counts.keys().map(|(_, level)| level));
        sql.push_str(", ");
        array(&mut sql, "bigint", counts.values());
        sql.push_str("); ");
    }
    if !commits.is_empty() {
        sql.push_str(
            "insert into commits (\"commit\", first_at, first_resource) \
            select convert_from(decode(c, 'hex'), 'utf8'), 'epoch'::timestamptz + t * interval '1 microsecond', \
            convert_from(decode(r, 'hex'), 'utf8') from unnest(",
        );
        array(&mut sql, "text", commits.iter().map(|first| Hex(first.commit)));
        sql.push_str(", ");
        array(&mut sql, "bigint", commits.iter().map(|first| first.at.0));
        sql.push_str(", ");
        array(&mut sql, "text", commits.iter().map(|first| Hex(first.resource)));
        sql.push_str(
            ") as u (c, t, r) on conflict (tenant, \"commit\") \
            do update set first_at = excluded.first_at, first_resource = excluded.first_resource \
            where excluded.first_at < commits.first_at; ",
        );
    }
    advance(&mut sql, topic, batch);
    sql.push_str("; commit");
    sql
}

fn advance(sql: &mut String, topic: &str, batch: &Batch) {
    let _ = write!(sql, "select advance('{topic}', ");
    let advances = || batch.advances.iter();
    array(sql, "int", advances().map(|advance| advance.partition));
    sql.push_str(", ");
    array(sql, "bigint", advances().map(|advance| advance.from));
    sql.push_str(", ");
    array(sql, "bigint", advances().map(|advance| advance.to));
    sql.push_str(", ");
    array(sql, "bigint", advances().map(|advance| advance.epoch));
    sql.push_str(", ");
    let last_key = |key: Option<Uuid>| key.map_or_else(|| "null".to_owned(), |key| key.to_string());
    array(sql, "uuid", advances().map(|advance| last_key(advance.last_key)));
    sql.push_str(", ");
    array(sql, "smallint", batch.keys().map(|(key, _)| key.tenant));
    sql.push_str(", ");
    array(sql, "uuid", batch.keys().map(|(key, _)| key.key));
    sql.push_str(", ");
    array(sql, "smallint", batch.keys().map(|(key, _)| key.part));
    sql.push_str(", ");
    array(sql, "bigint", batch.keys().map(|(key, _)| key.body_hash));
    sql.push_str(", ");
    array(sql, "int", batch.keys().map(|(_, rows)| rows.len()));
    sql.push_str(", ");
    array(sql, "bigint", batch.keys().map(|(key, _)| key.received_at.0));
    sql.push_str(", ");
    array(sql, "bigint", batch.keys().map(|(_, rows)| ids_hash(rows)));
    sql.push(')');
}

/// A text of a client as hex digits, two a byte.
struct Hex<'a>(&'a str);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn array<T: Display>(sql: &mut String, kind: &str, values: impl Iterator<Item = T>) {
    sql.push_str("'{");
    for (at, value) in values.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(sql, "{comma}{value}");
    }
    let _ = write!(sql, "}}'::{kind}[]");
}
