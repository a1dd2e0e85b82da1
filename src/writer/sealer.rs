//! What the index needs done behind the writer's back. In: signatures, blocks that a dead writer left open, counts by minute. Out: groups,
//! signatures, fewer rows of counts. One process at a time, any with the write role; each step is one transaction, so it is done once or
//! not at all, and it waits for nobody: the writer never touches what is sealed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_postgres::{Client, Config, Row, Transaction};

use super::{error::describe, session::WRITER_LOCKS};
use crate::{
    db,
    index::{
        block::sign_row,
        group::{FORMAT, Group, Signed},
        signature::{Signature, UNITS},
        span::{BlockSpan, Unit, read_directory, read_units, write_directory, write_units},
    },
    metrics::Metrics,
    record::{Timestamp, rows::RowText},
};

const ROUND: Duration = Duration::from_secs(1);
/// How often counts by minute are looked at; they are added up when so many have come since, which a histogram would have to read.
const COMPACT_EVERY: Duration = Duration::from_secs(10);
const COUNTS_MAX: i64 = 2_000;
/// Blocks of dead writers that are signed in one transaction.
const ORPHANS_MAX: i64 = 64;

const TAKE_TURN: &str = "select pg_try_advisory_lock(7313, 1)";
const WRITERS: &str = "select distinct writer from open_blocks";
const RIPE: &str = "\
select leaf, count(*) as blocks
from signatures
group by leaf
having count(*) >= $1 or max(signed_at) < now() - $2 * interval '1 millisecond'";
const TAKE_SIGNATURES: &str = "\
delete from signatures
where leaf = $1 and block in (select block from signatures where leaf = $1 order by block limit $2)
returning block, level, units, signature";
const TAKE_GROUP: &str = "\
delete from groups
where leaf = $1 and grp = (select grp from groups where leaf = $1 and width <= $2 and width + $2 <= $3 order by width limit 1)
returning grp, directory, slices";
const INSERT_GROUP: &str = "\
insert into groups (leaf, width, from_at, to_at, format, blocks, replaced, directory, slices)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
/// Repeated minutes are put together; whoever counts sees the rows before or the rows after.
const COMPACT: &str = "\
with many as (
  select minute from minute_counts where minute < $1 group by minute, level having count(*) > 1
), gone as (
  delete from minute_counts where minute in (select minute from many) returning minute, level, n
)
insert into minute_counts (minute, level, n) select minute, level, sum(n) from gone group by minute, level having sum(n) <> 0";

/// When signatures are sealed.
#[derive(Debug, Clone, Copy)]
pub struct SealConfig {
    /// Blocks of a group (`SEAL_BLOCKS`).
    pub blocks: usize,
    /// A leaf that got no signature for so long is sealed as it is (`SEAL_IDLE_MS`).
    pub idle: Duration,
}

/// Runs until it is aborted.
pub async fn run(config: Config, sealing: SealConfig, metrics: Arc<Metrics>) {
    loop {
        if let Err(error) = keep_sealing(&config, sealing, &metrics).await {
            log::debug!("sealer: {}", describe(&error));
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn keep_sealing(
    config: &Config,
    sealing: SealConfig,
    metrics: &Metrics,
) -> Result<(), tokio_postgres::Error> {
    let mut client = db::connect(config).await?;
    let mut compacted = None::<Instant>;
    let mut counts_before = 0;
    loop {
        let is_our_turn: bool = client.query_one(TAKE_TURN, &[]).await?.get(0);
        if is_our_turn {
            while sign_orphans(&mut client).await? {}
            while seal_one(&mut client, sealing).await? {}
            if compacted.is_none_or(|last| last.elapsed() >= COMPACT_EVERY) {
                counts_before = compact(&client, counts_before).await?;
                // Every search reads it whole, and every batch leaves dead rows in it: a minute of them is too many.
                client.batch_execute("vacuum (truncate false) open_blocks").await?;
                compacted = Some(Instant::now());
            }
            client.execute("select pg_advisory_unlock(7313, 1)", &[]).await?;
        }
        let unsealed = client.query_one("select count(*) from signatures", &[]).await?;
        metrics.unsealed_blocks.set(unsealed.get(0));
        tokio::time::sleep(ROUND).await;
    }
}

/// Signs blocks of one writer that is gone; false if there is none.
async fn sign_orphans(client: &mut Client) -> Result<bool, tokio_postgres::Error> {
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
        "select block & 7 as unit, timestamp, resource_id, trace_id, span_id, \"commit\", message, metadata::text as metadata \
         from \"{name}\" where block between $1 and $1 + 7 order by block"
    );
    let rows = transaction.query(&statement, &[&(block << 3)]).await?;
    let Some(signed) = sign_rows(block, level, &rows) else { return Ok(()) };
    let mut units = Vec::new();
    write_units(&signed.span.units, &mut units);
    let statement =
        "insert into signatures (leaf, block, level, units, signature) values ($1, $2, $3, $4, $5)";
    transaction.execute(statement, &[&leaf, &block, &level, &units, &signed.signature]).await?;
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
    Some(Signed { span: BlockSpan { number, level, units }, signature: signature.bytes().to_vec() })
}

/// Seals signatures of one leaf; false if none are ripe.
async fn seal_one(client: &mut Client, sealing: SealConfig) -> Result<bool, tokio_postgres::Error> {
    let (blocks, idle) = (sealing.blocks as i64, sealing.idle.as_millis() as f64);
    let Some(ripe) = client.query(RIPE, &[&blocks, &idle]).await?.into_iter().next() else {
        return Ok(false);
    };
    let leaf: i32 = ripe.get("leaf");
    let is_full = ripe.get::<_, i64>("blocks") >= blocks;
    let started = Instant::now();
    let transaction = client.transaction().await?;
    let rows = transaction.query(TAKE_SIGNATURES, &[&leaf, &blocks]).await?;
    let Some(mut signed) = rows.iter().map(read_signed).collect::<Option<Vec<_>>>() else {
        log::error!("a signature of leaf {leaf} cannot be read; it is not sealed");
        return Ok(false);
    };
    drop(rows);
    signed.sort_by_key(|block| block.span.to());
    let count = signed.len();
    let mut group = Group::turn(signed);
    // A leaf that is idle has few: they join what was sealed before, as long as that is no larger, so a block moves seldom.
    let mut replaced: Vec<i32> = Vec::new();
    loop {
        let width_max = if is_full { 0 } else { sealing.blocks as i32 / 8 };
        let Some(row) =
            transaction.query_opt(TAKE_GROUP, &[&leaf, &(group.width() as i32), &width_max]).await?
        else {
            break;
        };
        let Some(directory) = read_directory(row.get("directory")) else {
            log::error!("the directory of a group of leaf {leaf} cannot be read; it stays as it is");
            return Ok(false);
        };
        group = Group { directory, slices: row.get("slices") }.joined(group);
        replaced.push(row.get("grp"));
    }
    insert_group(&transaction, leaf, &group, &replaced).await?;
    transaction.commit().await?;
    // Their place is needed again soon.
    client.batch_execute("vacuum (truncate false) signatures").await?;
    log::info!(
        "sealed {count} blocks of leaf {leaf} and {} groups in {:?}",
        replaced.len(),
        started.elapsed()
    );
    Ok(true)
}

async fn insert_group(
    transaction: &Transaction<'_>,
    leaf: i32,
    group: &Group,
    replaced: &[i32],
) -> Result<(), tokio_postgres::Error> {
    let from = group.blocks().map(BlockSpan::from).min().unwrap_or(Timestamp(0)).0;
    let to = group.blocks().map(BlockSpan::to).max().unwrap_or(Timestamp::MAX).0;
    let blocks: Vec<i32> = group.blocks().map(|block| block.number).collect();
    let directory = write_directory(&group.directory);
    let width = group.width() as i32;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [&leaf, &width, &from, &to, &FORMAT, &blocks, &replaced, &directory, &group.slices];
    transaction.execute(INSERT_GROUP, &values).await?;
    Ok(())
}

fn read_signed(row: &Row) -> Option<Signed> {
    let units = read_units(&mut row.get("units"))?;
    let span = BlockSpan { number: row.get("block"), level: row.get("level"), units };
    Some(Signed { span, signature: row.get("signature") })
}

/// Adds up counts if many have come since there were `before`; how many there are now.
async fn compact(client: &Client, before: i64) -> Result<i64, tokio_postgres::Error> {
    let count = async || Ok(client.query_one("select count(*) from minute_counts", &[]).await?.get(0));
    let now = count().await?;
    if now < before + COUNTS_MAX {
        return Ok(before.min(now));
    }
    // The present minute is still growing.
    client.execute(COMPACT, &[&Timestamp::now().minute()]).await?;
    count().await
}
