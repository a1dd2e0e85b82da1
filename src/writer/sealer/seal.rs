//! Signatures become groups. In: signatures of a leaf that are enough, or that have waited for long enough. Out: one group instead.
//!
//! Reading and turning take a second or more beside a load, so they happen before the transaction that changes something: every search
//! lists again what is not older than the oldest transaction that writes. That transaction is one statement, and is rolled back unless
//! it deletes exactly what was read; so after a crash at any moment a block has its signature or is in one group, never both or neither.
//! What cannot be read is left where it is, where searches read its rows, and holds up nobody else.

use std::{collections::BTreeSet, time::Duration};

use futures_util::TryStreamExt;
use tokio::time::Instant;
use tokio_postgres::{Client, Row};

use super::SealConfig;
use crate::{
    index::{
        group::{FORMAT, Group, Signed},
        signature::{BITS, BYTES},
        span::{BlockSpan, read_directory, read_units, write_directory},
        values::{Buckets, Shape},
    },
    record::Timestamp,
};

const UNSEALED: &str = "\
select leaf, count(*) as blocks, max(signed_at) < now() - $1 * interval '1 millisecond' as is_idle
from signatures
group by leaf
order by leaf";
const SIGNATURES: &str = "\
select block, level, units, bits, value_hashes
from signatures
where leaf = $1 and block <> all ($2)
order by block
limit $3";
const GROUP: &str = "\
select grp, replaced, directory, slices, value_hashes, bucket_width
from groups
where leaf = $1 and width <= $2 and width + $2 <= $3 and grp <> all ($4)
order by width
limit 1";
/// The 32 MB of a group arrive before the statement begins, and with it the transaction's number.
const SEAL: &str = "\
with sealed as (
  delete from signatures where leaf = $1 and block = any ($6) returning block, xact
), joined as (
  delete from groups where leaf = $1 and grp = any ($7) returning grp, blocks, signed_by
), held as (
  select block, xact from sealed
  union all
  select u.block, u.xact from joined j cross join unnest(j.blocks, j.signed_by) as u (block, xact)
), made as (
  insert into groups (leaf, width, from_at, to_at, format, blocks, signed_by, replaced, directory, slices, value_hashes, bucket_width)
  select $1, $2::int, $3::bigint, $4::bigint, $5::smallint, coalesce(array_agg(block), '{}'), array_agg(xact),
    $7::int[] || $10::int[], $8::bytea, $9::bytea, $11::bytea, $12::int
  from held
)
select (select count(*) from sealed) as blocks, (select count(*) from joined) as groups";

/// What could not be read, each as leaf and number.
#[derive(Default)]
pub(super) struct Damaged {
    blocks: BTreeSet<(i32, i32)>,
    groups: BTreeSet<(i32, i32)>,
}

/// Signatures of one leaf.
struct Unsealed {
    leaf: i32,
    blocks: usize,
    is_idle: bool,
}

/// A group, and what it takes the place of.
struct Made {
    group: Group,
    /// Blocks that have signatures until now.
    blocks: Vec<i32>,
    /// Groups whose blocks move into this one.
    joined: Vec<i32>,
    /// What those had taken the place of: a process that has not searched since may know these alone.
    before: Vec<i32>,
}

/// Seals all that is ripe.
pub(super) async fn seal(
    client: &mut Client,
    sealing: SealConfig,
    damaged: &mut Damaged,
) -> Result<(), tokio_postgres::Error> {
    loop {
        let leaves = unsealed(client, sealing.idle).await?;
        let mut sealed = 0;
        for leaf in &leaves {
            if leaf.is_ripe(sealing.blocks, damaged) {
                sealed += seal_leaf(client, leaf, sealing.blocks, damaged).await?;
            }
        }
        if sealed == 0 {
            return Ok(());
        }
        // Their place is needed again soon.
        client.batch_execute("vacuum (truncate false) signatures").await?;
    }
}

async fn unsealed(client: &Client, idle: Duration) -> Result<Vec<Unsealed>, tokio_postgres::Error> {
    let idle = idle.as_millis() as f64;
    let rows = client.query(UNSEALED, &[&idle]).await?;
    let leaf = |row: &Row| Unsealed {
        leaf: row.get("leaf"),
        blocks: row.get::<_, i64>("blocks") as usize,
        is_idle: row.get("is_idle"),
    };
    Ok(rows.iter().map(leaf).collect())
}

impl Unsealed {
    fn is_ripe(&self, blocks: usize, damaged: &Damaged) -> bool {
        let readable = self.blocks.saturating_sub(of_leaf(&damaged.blocks, self.leaf).len());
        readable >= blocks || self.is_idle && readable > 0
    }
}

/// Seals up to `blocks_max` signatures of one leaf; how many it were.
async fn seal_leaf(
    client: &mut Client,
    unsealed: &Unsealed,
    blocks_max: usize,
    damaged: &mut Damaged,
) -> Result<usize, tokio_postgres::Error> {
    let started = Instant::now();
    let leaf = unsealed.leaf;
    // 1. Read and turn.
    let mut signed = read(client, leaf, blocks_max, damaged).await?;
    if signed.is_empty() {
        return Ok(0);
    }
    signed.sort_by_key(|block| block.span.to());
    let blocks: Vec<i32> = signed.iter().map(|block| block.span.number).collect();
    let count = blocks.len();
    let turned = tokio::task::spawn_blocking(|| Group::turn(signed)).await;
    let group = turned.expect("signatures of the right length can be turned");
    let mut made = Made { group, blocks, joined: Vec::new(), before: Vec::new() };
    // 2. A leaf that is idle has few: they join what was sealed before, as long as that is no larger, so a block moves seldom.
    if unsealed.blocks < blocks_max {
        made = join(client, leaf, blocks_max, made, damaged).await?;
    }
    // 3. Put it in their place.
    let read = started.elapsed();
    if !replace(client, leaf, &made).await? {
        log::warn!("signatures of leaf {leaf} were taken away while they were turned; they are sealed later");
        return Ok(0);
    }
    let took = started.elapsed();
    log::info!(
        "sealed {count} blocks of leaf {leaf} and {} groups in {took:?}, of it {:?} writing",
        made.joined.len(),
        took - read
    );
    Ok(count)
}

/// Signatures of a leaf that can be read.
async fn read(
    client: &Client,
    leaf: i32,
    blocks_max: usize,
    damaged: &mut Damaged,
) -> Result<Vec<Signed>, tokio_postgres::Error> {
    let known = of_leaf(&damaged.blocks, leaf);
    let limit = blocks_max as i64;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&leaf, &known, &limit];
    let mut rows = Box::pin(client.query_raw(SIGNATURES, values).await?);
    let mut signed = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let block: i32 = row.get("block");
        match read_signed(&row) {
            Some(readable) => signed.push(readable),
            None if damaged.blocks.insert((leaf, block)) => {
                log::error!(
                    "the signature of block {block} of leaf {leaf} cannot be read; it stays, and every search reads the block's rows"
                );
            }
            None => {}
        }
    }
    Ok(signed)
}

fn read_signed(row: &Row) -> Option<Signed> {
    let units = read_units(&mut row.get("units"))?;
    let span = BlockSpan { number: row.get("block"), level: row.get("level"), units };
    let signature: Vec<u8> = row.get("bits");
    let values = row.get("value_hashes");
    (signature.len() == BYTES).then_some(Signed { span, signature, values })
}

/// Puts groups of the leaf that are no larger beside the new one.
async fn join(
    client: &Client,
    leaf: i32,
    blocks_max: usize,
    mut made: Made,
    damaged: &mut Damaged,
) -> Result<Made, tokio_postgres::Error> {
    loop {
        let (width, width_max) = (made.group.width() as i32, blocks_max as i32 / 8);
        let mut left_alone = of_leaf(&damaged.groups, leaf);
        left_alone.extend(&made.joined);
        let Some(row) = client.query_opt(GROUP, &[&leaf, &width, &width_max, &left_alone]).await? else {
            return Ok(made);
        };
        let number: i32 = row.get("grp");
        let Some(group) = read_group(&row) else {
            log::error!("group {number} of leaf {leaf} cannot be read; it stays as it is");
            damaged.groups.insert((leaf, number));
            continue;
        };
        made.joined.push(number);
        made.before.extend(row.get::<_, Vec<i32>>("replaced"));
        made.group = group.joined(made.group);
    }
}

fn read_group(row: &Row) -> Option<Group> {
    let directory = read_directory(row.get("directory"))?;
    let group = Group { directory, slices: row.get("slices"), values: read_values(row) };
    (group.slices.len() == BITS * group.width()).then_some(group)
}

/// The values of a group; without them it is looked into by every search.
fn read_values(row: &Row) -> Option<Buckets> {
    let bytes: Vec<u8> = row.get::<_, Option<_>>("value_hashes")?;
    let shape = Shape::of(row.get::<_, Option<_>>("bucket_width")?, bytes.len())?;
    Some(Buckets { bytes, shape })
}

/// Writes the group and deletes what is in it; false if that was not all there any more, and nothing was changed.
async fn replace(client: &mut Client, leaf: i32, made: &Made) -> Result<bool, tokio_postgres::Error> {
    let group = &made.group;
    let from = group.blocks().map(BlockSpan::from).min().unwrap_or(Timestamp(0)).0;
    let to = group.blocks().map(BlockSpan::to).max().unwrap_or(Timestamp::MAX).0;
    let directory = write_directory(&group.directory);
    let width = group.width() as i32;
    let (hashes, bucket) = group.values.as_ref().map(|values| (&values.bytes, values.shape.width())).unzip();
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
        &leaf,
        &width,
        &from,
        &to,
        &FORMAT,
        &made.blocks,
        &made.joined,
        &directory,
        &group.slices,
        &made.before,
        &hashes,
        &bucket,
    ];
    let transaction = client.transaction().await?;
    let gone = transaction.query_one(SEAL, &values).await?;
    let gone: (i64, i64) = (gone.get("blocks"), gone.get("groups"));
    if gone != (made.blocks.len() as i64, made.joined.len() as i64) {
        transaction.rollback().await?;
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

fn of_leaf(damaged: &BTreeSet<(i32, i32)>, leaf: i32) -> Vec<i32> {
    damaged.range((leaf, i32::MIN)..=(leaf, i32::MAX)).map(|(_, number)| *number).collect()
}
