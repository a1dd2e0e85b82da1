//! Where the rows of a batch go. In: a [`Batch`]. Out: for each target table its rows, for each row its place in the index, and what the
//! index changes. Rows of a level stand together, which is free and keeps a block on few pages.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use tokio_postgres::Client;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    batch::{Batch, Entry},
    commits::Sightings,
    error::{Failure, Phase, classify},
    leaves::{Leaf, Leaves},
};
use crate::index::{
    block::{Blocks, Changes, NUMBERS, TOGETHER_MICROS},
    signature::BLOCK_ROWS,
};

/// Up to so many leaves each get a COPY of their own; beyond, one COPY goes through the parent, which costs 5-15 %.
const LEAVES_DIRECT_MAX: usize = 4;

/// The rows of one COPY.
pub struct Target {
    pub table: String,
    /// Numbers of the leaves of which there are rows.
    pub leaves: Vec<i32>,
    /// Each with the number of its leaf.
    pub rows: Vec<(Entry, i32)>,
}

/// Rows of one leaf, sorted by level and time: 32 rows in the order in which somebody sends what happened long ago would make a unit that reaches
/// over all of it, and every page would read every unit. As many as fill a block stand by resource, if they are close in time: what goes into one
/// unit then lies on two or three pages of the table, not on ten.
pub type LeafRows = (Arc<Leaf>, Vec<Entry>);

/// Rows by leaf; leaves that are missing are made. In the order of time, so that two writers cannot wait for each other.
pub async fn by_leaf(
    leaves: &Leaves,
    client: &Client,
    batch: &Batch,
    entries: Vec<Entry>,
) -> Result<Vec<LeafRows>, Failure> {
    let mut groups: Vec<LeafRows> = Vec::new();
    for entry in entries {
        let at = batch.meta(entry).timestamp;
        if let Some((_, entries)) = groups.iter_mut().find(|(leaf, _)| leaf.from <= at && at < leaf.to) {
            entries.push(entry);
            continue;
        }
        let leaf = match leaves.find(at) {
            Some(leaf) => leaf,
            None => {
                let made = leaves.ensure(client, at).await;
                made.map_err(|error| match classify(&error, Phase::BeforeCommit) {
                    Failure::RowAtFault { reason, .. } => Failure::NotStored(reason),
                    failure => failure,
                })?
            }
        };
        groups.push((leaf, vec![entry]));
    }
    groups.sort_by_key(|(leaf, _)| leaf.from);
    for (_, entries) in &mut groups {
        let key = |entry: &Entry| {
            let meta = batch.meta(*entry);
            (meta.level, meta.timestamp)
        };
        entries.sort_by_key(key);
        for level in entries.chunk_by_mut(|one, other| batch.meta(*one).level == batch.meta(*other).level) {
            level.chunks_mut(BLOCK_ROWS).for_each(|rows| by_resource(batch, rows));
        }
    }
    Ok(groups)
}

fn by_resource(batch: &Batch, rows: &mut [Entry]) {
    let at = |entry: Option<&Entry>| entry.map_or(0, |entry| batch.meta(*entry).timestamp.0);
    if at(rows.last()) - at(rows.first()) <= TOGETHER_MICROS {
        rows.sort_by_cached_key(|entry| xxh3_64(batch.resource_id(*entry)));
    }
}

/// Sees to it that no leaf runs out of numbers for blocks while its rows are on their way to Postgres.
pub async fn supply(
    client: &Client,
    batch: &Batch,
    groups: &[LeafRows],
    blocks: &mut Blocks,
) -> Result<(), Failure> {
    for (leaf, entries) in groups {
        let bytes = entries.iter().map(|entry| batch.row(*entry).len()).sum();
        let lack = blocks.lack(leaf.number, entries.len(), bytes);
        if lack > 0 {
            blocks.supply(leaf.number, reserve(client, leaf, NUMBERS.max(lack as i32)).await?);
        }
    }
    Ok(())
}

/// What is copied where.
pub fn targets(groups: Vec<LeafRows>) -> Vec<Target> {
    let together = groups.len() > LEAVES_DIRECT_MAX;
    let mut targets: Vec<Target> = Vec::new();
    for (leaf, entries) in groups {
        let rows = entries.into_iter().map(|entry| (entry, leaf.number));
        match targets.last_mut() {
            Some(parent) if together => {
                parent.rows.extend(rows);
                parent.leaves.push(leaf.number);
            }
            _ => {
                let table = if together { "records".to_owned() } else { leaf.name.clone() };
                targets.push(Target { table, leaves: vec![leaf.number], rows: rows.collect() });
            }
        }
    }
    targets
}

/// Gives a row its place in a block of its leaf, and takes note of its commit while its texts are at hand.
pub fn into_block<'a>(
    batch: &'a Batch,
    (entry, leaf): (Entry, i32),
    blocks: &mut Blocks,
    changes: &mut Changes,
    seen: &mut Sightings<'a>,
) -> i32 {
    let meta = batch.meta(entry);
    let text = batch.text(entry);
    if let Some(commit) = text.commit {
        seen.add(commit, meta.timestamp, text.resource_id);
    }
    blocks.place(leaf, meta.level as i16, meta.timestamp, &text, changes)
}

/// After a COPY through the parent: whether its rows went into the leaves in whose blocks they were placed. Another may have been made
/// for the same range; the name of a leaf is its own, so a COPY of its own needs no look. The COPY's locks keep the answer true.
pub async fn check(client: &Client, target: &Target) -> Result<(), Failure> {
    if target.leaves.len() == 1 {
        return Ok(());
    }
    let statement = "select count(*) from leaves where leaf = any ($1)";
    let row = client.query_one(statement, &[&target.leaves]).await;
    let known: i64 = row.map_err(|error| classify(&error, Phase::BeforeCommit))?.get(0);
    if known == target.leaves.len() as i64 { Ok(()) } else { Err(Failure::LeafGone) }
}

/// Numbers of blocks that nobody else has or will have, whatever becomes of this batch.
async fn reserve(client: &Client, leaf: &Leaf, count: i32) -> Result<Range<i32>, Failure> {
    let statement = "update leaves set next_block = next_block + $2 where leaf = $1 returning next_block";
    let row = client.query_opt(statement, &[&leaf.number, &count]).await;
    let row = row.map_err(|error| classify(&error, Phase::BeforeCommit))?.ok_or(Failure::LeafGone)?;
    let next: i32 = row.get(0);
    Ok(next - count..next)
}

/// Rows of the batch by minute and level, for the histogram.
pub fn minute_counts(batch: &Batch, targets: &[Target]) -> BTreeMap<(i32, i16), i64> {
    let mut counts = BTreeMap::new();
    for (entry, _) in targets.iter().flat_map(|target| &target.rows) {
        let meta = batch.meta(*entry);
        *counts.entry((meta.timestamp.minute(), meta.level as i16)).or_default() += 1;
    }
    counts
}
