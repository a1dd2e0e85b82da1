//! What this process knows of the index: leaves, groups, and the signatures that are not sealed yet, which it keeps turned, ready to be
//! probed. In: a snapshot of the database at the beginning of each search. Out: a [`Snapshot`]: all that the index holds in it.
//!
//! Transactions do not commit in the order of their numbers. So each refresh asks for everything whose transaction is not older than
//! the oldest that was still running at the refresh before, and takes what it knows already a second time. Refreshes take turns, and a
//! snapshot begins when its turn has come: each sees at least what the one before saw, so what was sealed may leave the memory, and
//! whoever still searches holds on to what it was given.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{TryStreamExt, future};
use tokio_postgres::types::ToSql;

use super::{
    as_of::AsOf,
    error::SearchError,
    session::{Session, Stopped},
    sql,
    statement::Time,
};
use crate::{
    index::{
        group::FORMAT,
        probe::Whole,
        signature::BITS,
        span::{BlockSpan, read_directory, read_units},
    },
    record::Timestamp,
};

/// Blocks of a chunk in memory: one byte a bit.
const CHUNK_BLOCKS: usize = 8;

/// Directories kept in memory, about 1 MB each.
const DIRECTORIES_MAX: usize = 192;

/// Shared by all searches of the process.
#[derive(Default)]
pub struct Catalogue {
    known: tokio::sync::Mutex<Known>,
    /// By leaf and group; a group never changes.
    directories: Mutex<HashMap<(i32, i32), Directory>>,
}

/// The blocks of a group in the order of its bits.
pub type Directory = Arc<Vec<Option<BlockSpan>>>;

/// The index as one snapshot of the database has it.
pub struct Snapshot {
    /// That snapshot.
    pub as_of: AsOf,
    /// In the order of time.
    pub leaves: Arc<Vec<Arc<LeafView>>>,
    pub open: Vec<OpenBlock>,
}

/// One leaf.
#[derive(Clone)]
pub struct LeafView {
    pub number: i32,
    pub name: String,
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub groups: Vec<Arc<GroupHead>>,
    pub chunks: Vec<Arc<Chunk>>,
}

/// What is known of a group without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupHead {
    pub number: i32,
    pub width: usize,
    pub from: Timestamp,
    /// Inclusive.
    pub to: Timestamp,
}

/// Up to eight blocks whose signatures are not sealed, bit by bit.
#[derive(Clone)]
pub struct Chunk {
    pub blocks: Vec<Option<BlockSpan>>,
    slices: Vec<u8>,
}

/// A block without a signature: searched always.
#[derive(Debug, Clone, Copy)]
pub struct OpenBlock {
    pub leaf: i32,
    pub number: i32,
    pub level: i16,
}

#[derive(Default)]
struct Known {
    /// Everything older was seen.
    watermark: u64,
    leaves: BTreeMap<Timestamp, Arc<LeafView>>,
    /// Where a leaf begins, by its number.
    begins: HashMap<i32, Timestamp>,
    /// `leaves` holds what `view` does not: also after a refresh that broke off.
    is_changed: bool,
    /// The same as `leaves`, for the searches.
    view: Arc<Vec<Arc<LeafView>>>,
}

const WATERMARK: &str = "select pg_snapshot_xmin(s)::text, s::text from pg_current_snapshot() s";
const LEAVES: &str = "select leaf, name, from_at, to_at from leaves where xact >= $1::text::xid8";
const DROPPED: &str = "select leaf from dropped_leaves where xact >= $1::text::xid8";
/// The blocks matter only to who may have them in memory.
const GROUPS: &str = "\
select leaf, grp, width, format, from_at, to_at, case when $1 = '0' then null else blocks end as blocks, replaced
from groups
where xact >= $1::text::xid8";
/// A transaction that runs for long, such as the sealer's, holds the watermark back; so what is new is named first, and of that only what
/// is not known yet is fetched.
const SIGNED: &str = "select leaf, block from signatures where xact >= $1::text::xid8";
const SIGNATURES: &str = "\
select s.leaf, s.block, s.level, s.units, s.signature
from unnest($1::int[], $2::int[]) as u (leaf, block)
join signatures s using (leaf, block)";
const OPEN: &str = "select leaf, block, level from open_blocks";

impl Catalogue {
    /// Begins a transaction with `begin` and reads what the index holds in its snapshot.
    pub async fn begin(
        &self,
        client: &deadpool_postgres::Object,
        begin: &str,
    ) -> Result<Snapshot, SearchError> {
        let leaves = client.prepare_cached(LEAVES).await?;
        let dropped = client.prepare_cached(DROPPED).await?;
        let groups = client.prepare_cached(GROUPS).await?;
        let open = client.prepare_cached(OPEN).await?;
        let watermark = client.prepare_cached(WATERMARK).await?;
        let signed = client.prepare_cached(SIGNED).await?;
        let mut known = self.known.lock().await;
        if known.watermark == 0 {
            // A first refresh that broke off must not leave anything behind: the next one asks for no more than what is new.
            *known = Known::default();
        }
        let since = known.watermark.to_string();
        let since: [&(dyn ToSql + Sync); 1] = [&since];
        // One round trip: the statements follow each other on the wire.
        let (begun, (watermark, leaves, dropped), (groups, open), signed) = future::join4(
            client.batch_execute(begin),
            future::join3(
                client.query_one(&watermark, &[]),
                client.query(&leaves, &since),
                client.query(&dropped, &since),
            ),
            future::join(client.query(&groups, &since), client.query(&open, &[])),
            client.query(&signed, &since),
        )
        .await;
        begun?;
        for row in leaves? {
            known.learn_leaf(row.try_get(0)?, row.try_get(1)?, time(&row, 2)?, time(&row, 3)?);
        }
        for row in groups? {
            if row.try_get::<_, i16>("format")? != FORMAT {
                return Err(damaged("a group in the format of another version"));
            }
            let head = GroupHead {
                number: row.try_get("grp")?,
                width: row.try_get::<_, i32>("width")? as usize,
                from: Timestamp(row.try_get("from_at")?),
                to: Timestamp(row.try_get("to_at")?),
            };
            known.learn_group(
                row.try_get("leaf")?,
                head,
                &row.try_get::<_, Option<Vec<i32>>>("blocks")?.unwrap_or_default(),
                &row.try_get::<_, Vec<i32>>("replaced")?,
            );
        }
        let (leaves, blocks) = known.unknown_of(&signed?)?;
        let unknown: [&(dyn ToSql + Sync); 2] = [&leaves, &blocks];
        let mut signatures = match blocks.is_empty() {
            true => None,
            false => {
                let statement = client.prepare_cached(SIGNATURES).await?;
                Some(Box::pin(client.query_raw(&statement, unknown).await?))
            }
        };
        while let Some(signatures) = &mut signatures
            && let Some(row) = signatures.try_next().await?
        {
            let units = read_units(&mut row.try_get("units")?).ok_or_else(|| damaged("units of a block"))?;
            let span = BlockSpan { number: row.try_get("block")?, level: row.try_get("level")?, units };
            known.learn_block(row.try_get("leaf")?, span, row.try_get("signature")?);
        }
        for row in dropped? {
            known.forget_leaf(row.try_get(0)?);
        }
        if known.is_changed {
            known.is_changed = false;
            known.view = Arc::new(known.leaves.values().cloned().collect());
        }
        let watermark = watermark?;
        let as_of = AsOf::from_pg(watermark.try_get(1)?).ok_or_else(|| damaged("a snapshot"))?;
        let oldest: &str = watermark.try_get(0)?;
        known.watermark = oldest.parse().map_err(|_| damaged("a transaction's number"))?;
        let open = open?
            .iter()
            .map(|row| {
                Ok(OpenBlock { leaf: row.try_get(0)?, number: row.try_get(1)?, level: row.try_get(2)? })
            })
            .collect::<Result<_, tokio_postgres::Error>>()?;
        Ok(Snapshot { as_of, leaves: known.view.clone(), open })
    }

    /// The directories of these groups, in their order.
    pub async fn directories(
        &self,
        session: &mut Session,
        groups: &[(i32, Arc<GroupHead>)],
    ) -> Result<Vec<Directory>, Stopped> {
        let mut missing = Vec::new();
        {
            let cached = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
            let is_missing = |place: &(i32, i32)| !cached.contains_key(place);
            missing.extend(groups.iter().map(|(leaf, group)| (*leaf, group.number)).filter(is_missing));
        }
        let mut fresh = HashMap::new();
        if !missing.is_empty() {
            for row in session.statement(&sql::directories(missing.into_iter())).await? {
                let directory = read_directory(row.try_get("directory")?);
                let directory = directory.ok_or_else(|| damaged("the directory of a group"))?;
                fresh.insert((row.try_get("leaf")?, row.try_get("grp")?), Arc::new(directory));
            }
        }
        let mut cached = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.len() + fresh.len() > DIRECTORIES_MAX {
            cached.retain(|place, _| groups.iter().any(|(leaf, group)| (*leaf, group.number) == *place));
        }
        cached.extend(fresh);
        let directory = |(leaf, group): &(i32, Arc<GroupHead>)| {
            let known = cached.get(&(*leaf, group.number)).cloned();
            known.ok_or_else(|| Stopped::Failed(damaged("a group without a directory")))
        };
        groups.iter().map(directory).collect()
    }

    /// Reads everything anew at the next search.
    pub async fn forget(&self) {
        *self.known.lock().await = Known::default();
    }
}

impl Known {
    fn learn_leaf(&mut self, number: i32, name: String, from: Timestamp, to: Timestamp) {
        if self.begins.contains_key(&number) {
            return;
        }
        self.is_changed = true;
        let (groups, chunks) = (Vec::new(), Vec::new());
        self.begins.insert(number, from);
        self.leaves.insert(from, Arc::new(LeafView { number, name, from, to, groups, chunks }));
    }

    fn forget_leaf(&mut self, number: i32) {
        let Some(begin) = self.begins.remove(&number) else { return };
        // A leaf that was made again for the same range stays.
        let is_same = self.leaves.get(&begin).is_some_and(|leaf| leaf.number == number);
        if is_same {
            self.leaves.remove(&begin);
            self.is_changed = true;
        }
    }

    /// To change a leaf, which searches that run may hold as it is.
    fn leaf(&mut self, number: i32) -> Option<&mut LeafView> {
        let begin = self.begins.get(&number)?;
        self.leaves.get_mut(begin).map(Arc::make_mut)
    }

    fn learn_group(&mut self, leaf: i32, head: GroupHead, blocks: &[i32], replaced: &[i32]) {
        let Some(leaf) = self.leaf(leaf) else { return };
        if leaf.groups.iter().any(|known| known.number == head.number) {
            return;
        }
        leaf.groups.retain(|known| !replaced.contains(&known.number));
        leaf.groups.push(Arc::new(head));
        let sealed: HashSet<i32> = blocks.iter().copied().collect();
        leaf.chunks.retain_mut(|chunk| {
            let is_sealed =
                |block: &Option<BlockSpan>| block.as_ref().is_none_or(|block| sealed.contains(&block.number));
            if chunk.blocks.iter().all(is_sealed) {
                return false;
            }
            if chunk.blocks.iter().flatten().any(|block| sealed.contains(&block.number)) {
                let chunk = Arc::make_mut(chunk);
                for block in chunk.blocks.iter_mut().filter(|block| is_sealed(block)) {
                    *block = None;
                }
            }
            true
        });
        self.is_changed = true;
    }

    /// Leaves and numbers of the blocks that are not in memory yet.
    fn unknown_of(
        &self,
        signed: &[tokio_postgres::Row],
    ) -> Result<(Vec<i32>, Vec<i32>), tokio_postgres::Error> {
        let mut in_memory: HashMap<i32, HashSet<i32>> = HashMap::new();
        let (mut leaves, mut blocks) = (Vec::new(), Vec::new());
        for row in signed {
            let (leaf, block): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
            let known = in_memory.entry(leaf).or_insert_with(|| self.numbers(leaf));
            if !known.contains(&block) {
                leaves.push(leaf);
                blocks.push(block);
            }
        }
        Ok((leaves, blocks))
    }

    fn numbers(&self, leaf: i32) -> HashSet<i32> {
        let leaf = self.begins.get(&leaf).and_then(|begin| self.leaves.get(begin));
        let chunks = leaf.into_iter().flat_map(|leaf| &leaf.chunks);
        chunks.flat_map(|chunk| chunk.blocks.iter().flatten()).map(|block| block.number).collect()
    }

    fn learn_block(&mut self, leaf: i32, span: BlockSpan, signature: &[u8]) {
        let Some(leaf) = self.leaf(leaf) else { return };
        match leaf.chunks.last_mut() {
            Some(last) if last.blocks.len() < CHUNK_BLOCKS => Arc::make_mut(last).add(span, signature),
            _ => {
                let mut chunk = Chunk { blocks: Vec::with_capacity(CHUNK_BLOCKS), slices: vec![0; BITS] };
                chunk.add(span, signature);
                leaf.chunks.push(Arc::new(chunk));
            }
        }
        self.is_changed = true;
    }
}

impl Chunk {
    fn add(&mut self, span: BlockSpan, signature: &[u8]) {
        let place = self.blocks.len();
        for (byte, eight) in signature.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            for (bit, slice) in self.slices[byte * 8..][..8].iter_mut().enumerate() {
                *slice |= (eight >> bit & 1) << place;
            }
        }
        self.blocks.push(Some(span));
    }

    pub fn slices(&self) -> Whole<'_> {
        Whole { width: 1, slices: &self.slices }
    }
}

fn time(row: &tokio_postgres::Row, column: usize) -> Result<Timestamp, tokio_postgres::Error> {
    Ok(row.try_get::<_, Time>(column)?.0)
}

pub fn damaged(what: &str) -> SearchError {
    SearchError::Internal { cause: format!("the index is damaged: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between two searches a leaf is dropped, and rows that come late make another of the same range.
    #[test]
    fn a_leaf_that_is_made_anew_is_not_forgotten_with_the_old_one() {
        let mut known = Known::default();
        let (from, to) = (Timestamp(0), Timestamp(10));
        known.learn_leaf(1, "old".into(), from, to);
        known.learn_leaf(2, "new".into(), from, to);
        known.forget_leaf(1);
        let names: Vec<&str> = known.leaves.values().map(|leaf| leaf.name.as_str()).collect();
        assert_eq!(names, ["new"]);
        assert!(known.leaf(2).is_some());
        known.forget_leaf(2);
        assert!(known.leaves.is_empty());
    }
}
