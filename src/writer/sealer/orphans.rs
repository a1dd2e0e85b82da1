//! Blocks that a dead writer left open. In: rows as they stand in the table. Out: the signatures that the writer would have made.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row, Transaction, types::ToSql};

use crate::{
    index::{
        block::sign_row,
        group::Signed,
        signature::{Signature, UNITS},
        span::{BlockSpan, Unit, write_units},
    },
    record::{Timestamp, rows::RowText},
    writer::session::WRITER_LOCKS,
};

/// Blocks of dead writers that are signed in one transaction.
const ORPHANS_MAX: i64 = 64;

const WRITERS: &str = "select distinct writer from open_blocks";

/// Signs blocks of one writer that is gone; false if there is none.
pub(super) async fn sign_orphans(client: &mut Client) -> Result<bool, tokio_postgres::Error> {
    for row in client.query(WRITERS, &[]).await? {
        let writer: i32 = row.get(0);
        let transaction = client.transaction().await?;
        // If its backend has ended, the blocks are final; nobody gets this number again.
        let statement = "select pg_try_advisory_xact_lock($1, $2)";
        if !transaction.query_one(statement, &[&WRITER_LOCKS, &writer]).await?.get::<_, bool>(0) {
            continue;
        }
        let statement = "select o.leaf, o.block, o.level, l.name from open_blocks o left join leaves l using (leaf) \
            where o.writer = $1 order by o.leaf, o.block limit $2 for update of o skip locked";
        let orphans = transaction.query(statement, &[&writer, &ORPHANS_MAX]).await?;
        for orphan in &orphans {
            sign_orphan(&transaction, orphan).await?;
        }
        transaction.commit().await?;
        if !orphans.is_empty() {
            log::info!("signed {} blocks that writer {writer} left open", orphans.len());
            return Ok(true);
        }
    }
    Ok(false)
}

async fn sign_orphan(transaction: &Transaction<'_>, orphan: &Row) -> Result<(), tokio_postgres::Error> {
    let (leaf, block, level): (i32, i32, i16) =
        (orphan.get("leaf"), orphan.get("block"), orphan.get("level"));
    let statement = "delete from open_blocks where leaf = $1 and block = $2";
    transaction.execute(statement, &[&leaf, &block]).await?;
    let Some(name) = orphan.get::<_, Option<String>>("name") else { return Ok(()) };
    let statement = format!(
        "select block & 7 as unit, timestamp, resource_id, trace_id, span_id, \"commit\", message, metadata \
         from \"{name}\" where block between $1 and $1 + 7 order by block"
    );
    let rows = transaction.query(&statement, &[&(block << 3)]).await?;
    let Some(signed) = sign_rows(block, level, &rows) else { return Ok(()) };
    let mut units = Vec::new();
    write_units(&signed.span.units, &mut units);
    let statement = "insert into signatures (leaf, block, level, units, bits, value_hashes) values ($1, $2, $3, $4, $5, $6)";
    let values: [&(dyn ToSql + Sync); 6] = [&leaf, &block, &level, &units, &signed.signature, &signed.values];
    transaction.execute(statement, &values).await?;
    Ok(())
}

/// The signature of rows as they stand in the table; None without rows.
fn sign_rows(number: i32, level: i16, rows: &[Row]) -> Option<Signed> {
    let mut signature = Signature::default();
    let mut known: BTreeMap<usize, Unit> = BTreeMap::new();
    for row in rows {
        let unit = row.get::<_, i32>("unit") as usize;
        let at = Timestamp::from(row.get::<_, chrono::DateTime<chrono::Utc>>("timestamp"));
        known.entry(unit).and_modify(|unit| unit.add(at)).or_insert(Unit::of(at));
        let text = RowText {
            resource_id: row.get("resource_id"),
            trace_id: row.get("trace_id"),
            span_id: row.get("span_id"),
            commit: row.get("commit"),
            message: row.get("message"),
            metadata: row.get("metadata"),
        };
        sign_row(&mut signature, unit, &text);
    }
    let (last, any) = known.last_key_value()?;
    let empty = Unit { rows: 0, ..*any };
    let units = (0..=(*last).min(UNITS - 1)).map(|unit| known.get(&unit).copied().unwrap_or(empty)).collect();
    Some(Signed::new(BlockSpan { number, level, units }, signature))
}
