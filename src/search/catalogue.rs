//! What this process knows of the index: leaves, groups, and the signatures that are not sealed yet, which it keeps turned, ready to be
//! probed. In: a snapshot of the database at the beginning of each search. Out: a [`Snapshot`]: all that the index holds in it.
//!
//! Transactions do not commit in the order of their numbers. So each refresh asks for everything whose transaction is not older than
//! the oldest that was still running at the refresh before, and takes what it knows already a second time. Refreshes take turns, and a
//! snapshot begins when its turn has come: each sees at least what the one before saw, so what was sealed may leave the memory, and
//! whoever still searches holds on to what it was given.

mod chunk;
mod directory;
mod kept;
mod known;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{TryStreamExt, future};
use tokio_postgres::{Row, types::ToSql};

use super::{
    as_of::{AsOf, StoredBefore},
    error::SearchError,
    session::{SILENCE_MAX, Session, Stopped},
    sql,
    statement::Time,
};
use crate::{
    index::{
        filling::{Filling, FillingBlocks},
        group::FORMAT,
        span::{BlockSpan, read_directory},
        values::Shape,
    },
    record::Timestamp,
};
pub use chunk::Chunk;
pub use directory::{Directory, Place};
use kept::KeptDirectories;
pub use kept::{Kept, Part, Piece};
use known::Known;

/// Signatures of one statement, 12 KiB each: far from what its own time limit allows.
const FETCHED_MAX: usize = 1_024;

/// When to come again if others have not learnt all that is new in time.
const BUSY: Duration = Duration::from_secs(2);

/// Shared by all searches of the process.
pub struct Catalogue {
    known: tokio::sync::Mutex<Known>,
    directories: KeptDirectories,
    pub kept: Kept,
    filling: Arc<FillingBlocks>,
}

/// The index as one snapshot of the database has it.
pub struct Snapshot {
    /// The moment of the answers from it: that snapshot, or the one before that was asked for.
    pub as_of: AsOf,
    /// Which of the rows that it sees are wanted; None for all.
    pub stored: Option<StoredBefore>,
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
    /// Blocks whose signatures cannot be read: searched always. They may be among the open ones as well, to be signed anew.
    pub unreadable: Vec<OpenBlock>,
}

/// What is known of a group without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupHead {
    pub number: i32,
    pub width: usize,
    pub from: Timestamp,
    /// Inclusive.
    pub to: Timestamp,
    pub blocks: u64,
    /// Where its values stand; None if it has no list of them.
    pub values: Option<Shape>,
}

/// A block without a signature: searched always, unless a writer of this process fills it.
#[derive(Clone)]
pub struct OpenBlock {
    pub leaf: i32,
    pub number: i32,
    pub level: i16,
    pub filling: Option<Arc<Filling>>,
}

const WATERMARK: &str =
    "select pg_snapshot_xmin(s)::text, s::text, incarnation() from pg_current_snapshot() s";
const LEAVES: &str = "select leaf, name, from_at, to_at from leaves where xact >= $1::text::xid8";
const DROPPED: &str = "select leaf from dropped_leaves where xact >= $1::text::xid8";
/// The blocks matter only to who has blocks in memory.
const GROUPS: &str = "\
select leaf, grp, width, format, from_at, to_at, case when $2 then null else blocks end as blocks, replaced,
  cardinality(blocks) as block_count, octet_length(value_hashes) as value_bytes, bucket_width
from groups
where xact >= $1::text::xid8";
/// A transaction that runs for long holds the watermark back; so what is new is named first, and of that only what
/// is not known yet is fetched.
const SIGNED: &str = "select leaf, block from signatures where xact >= $1::text::xid8";
const SIGNATURES: &str = "\
select s.leaf, s.block, s.level, s.units, s.bits
from unnest($1::int[], $2::int[]) as u (leaf, block)
join signatures s using (leaf, block)";
const OPEN: &str = "select leaf, block, level from open_blocks";

impl Snapshot {
    /// Blocks whose signatures are in memory.
    pub fn blocks_in_memory(&self) -> usize {
        let chunks = self.leaves.iter().flat_map(|leaf| &leaf.chunks);
        chunks.map(|chunk| chunk.blocks.iter().flatten().count()).sum()
    }

    /// Of what has a signature only these blocks, by leaf, and these groups; open blocks stay. For who knows that nothing else matters.
    pub fn narrowed(&self, blocks: &HashMap<i32, HashSet<i32>>, groups: &HashSet<(i32, i32)>) -> Self {
        let none = HashSet::new();
        let leaves = self.leaves.iter().filter_map(|leaf| {
            let blocks = blocks.get(&leaf.number).unwrap_or(&none);
            let is_open = self.open.iter().any(|open| open.leaf == leaf.number);
            (is_open || !blocks.is_empty()).then(|| Arc::new(leaf.narrowed(blocks, groups)))
        });
        let (as_of, stored) = (self.as_of.clone(), self.stored.clone());
        Self { as_of, stored, leaves: Arc::new(leaves.collect()), open: self.open.clone() }
    }
}

impl LeafView {
    fn narrowed(&self, blocks: &HashSet<i32>, groups: &HashSet<(i32, i32)>) -> Self {
        let is_wanted = |block: &BlockSpan| blocks.contains(&block.number);
        let chunks = self.chunks.iter().filter(|chunk| chunk.blocks.iter().flatten().any(is_wanted));
        let chunks = chunks.map(|chunk| {
            let mut chunk = chunk.clone();
            if !chunk.blocks.iter().flatten().all(is_wanted) {
                Arc::make_mut(&mut chunk).forget(|block| !is_wanted(block));
            }
            chunk
        });
        Self {
            name: self.name.clone(),
            groups: self
                .groups
                .iter()
                .filter(|group| groups.contains(&(self.number, group.number)))
                .cloned()
                .collect(),
            chunks: chunks.collect(),
            unreadable: self
                .unreadable
                .iter()
                .filter(|block| blocks.contains(&block.number))
                .cloned()
                .collect(),
            ..*self
        }
    }
}

impl Catalogue {
    pub fn new(filling: Arc<FillingBlocks>) -> Self {
        let (known, directories, kept) = (Default::default(), KeptDirectories::default(), Kept::default());
        Self { known, directories, kept, filling }
    }

    /// Begins a transaction with `begin` and reads what the index holds in its snapshot, until `deadline` at most if it has to wait for
    /// others that do the same. A process that starts has a lot to learn, so it is silence that ends this, not the time it takes; and what
    /// was learnt stays, whatever ends it.
    pub async fn begin(
        &self,
        client: &deadpool_postgres::Object,
        begin: &str,
        deadline: Instant,
    ) -> Result<Snapshot, SearchError> {
        let mut known = match tokio::time::timeout_at(deadline.into(), self.known.lock()).await {
            Ok(known) => known,
            Err(_) => return Err(SearchError::Busy { retry_after: BUSY }),
        };
        // 1. What is new, without the signatures; all of it, if what is known is of another history.
        let since = known.watermark.to_string();
        let mut new = answered(news(client, begin, &since, known.is_cold())).await??;
        let (oldest, incarnation) = new.origin()?;
        if known.is_foreign(oldest, incarnation.as_deref()) {
            self.start_over(&mut known);
            let since = known.watermark.to_string();
            new = answered(news(client, "", &since, known.is_cold())).await??;
        }
        known.incarnation = incarnation;
        let New { watermark, leaves, dropped, groups, open, signed } = new;
        for row in leaves {
            known.learn_leaf(row.try_get(0)?, row.try_get(1)?, time(&row, 2)?, time(&row, 3)?);
        }
        for row in groups {
            if row.try_get::<_, i16>("format")? != FORMAT {
                return Err(damaged("a group in the format of another version"));
            }
            let head = GroupHead {
                number: row.try_get("grp")?,
                width: row.try_get::<_, i32>("width")? as usize,
                from: Timestamp(row.try_get("from_at")?),
                to: Timestamp(row.try_get("to_at")?),
                blocks: row.try_get::<_, i32>("block_count")?.unsigned_abs().into(),
                values: shape(&row)?,
            };
            known.learn_group(
                row.try_get("leaf")?,
                head,
                &row.try_get::<_, Option<Vec<i32>>>("blocks")?.unwrap_or_default(),
                &row.try_get::<_, Vec<i32>>("replaced")?,
            );
        }
        // 2. Those signatures that are not known.
        fetch(client, &mut known, &signed, &self.filling).await?;
        for row in dropped {
            known.forget_leaf(row.try_get(0)?);
        }
        let as_of = AsOf::from_pg(watermark.try_get(1)?).ok_or_else(|| damaged("a snapshot"))?;
        known.watermark = oldest;
        let open = open
            .iter()
            .map(|row| {
                let (leaf, number): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
                let filling = self.filling.get(leaf, number);
                Ok(OpenBlock { leaf, number, level: row.try_get(2)?, filling })
            })
            .collect::<Result<_, tokio_postgres::Error>>()?;
        Ok(Snapshot { as_of, stored: None, leaves: known.view(), open })
    }

    /// The directories of these groups, in their order.
    pub async fn directories(
        &self,
        session: &mut Session,
        groups: &[(i32, Arc<GroupHead>)],
    ) -> Result<Vec<Arc<Directory>>, Stopped> {
        let places = || groups.iter().map(|(leaf, group)| (*leaf, group.number));
        // What is kept now may be gone when the rest is there.
        let mut found: HashMap<_, _> =
            places().filter_map(|place| Some((place, self.directories.get(place)?))).collect();
        let missing: Vec<_> = places().filter(|place| !found.contains_key(place)).collect();
        if !missing.is_empty() {
            for row in session.statement(&sql::directories(missing.into_iter())).await? {
                let directory = read_directory(row.try_get("directory")?);
                let directory = directory.ok_or_else(|| damaged("the directory of a group"))?;
                let place = (row.try_get("leaf")?, row.try_get("grp")?);
                let directory = Arc::new(Directory::new(directory));
                self.directories.keep(place, directory.clone());
                found.insert(place, directory);
            }
        }
        let directory = |place| {
            let known = found.get(&place).cloned();
            known.ok_or_else(|| Stopped::Failed(damaged("a group without a directory")))
        };
        places().map(directory).collect()
    }

    /// Reads everything anew at the next search.
    pub async fn forget(&self) {
        *self.known.lock().await = Known::default();
    }

    /// Numbers of groups and blocks may have been given out again.
    fn start_over(&self, known: &mut Known) {
        if known.incarnation.is_some() {
            log::info!("Postgres crashed, was replaced or was restored: the index is learnt anew");
        }
        *known = Known::default();
        self.directories.clear();
        self.kept.clear();
        self.filling.clear();
    }

    /// Whether this incarnation of the server can be told from the next one.
    pub async fn is_named(&self) -> bool {
        self.known.lock().await.incarnation.is_some()
    }
}

/// The answers to what is asked at the beginning of each search.
struct New {
    watermark: Row,
    leaves: Vec<Row>,
    dropped: Vec<Row>,
    groups: Vec<Row>,
    open: Vec<Row>,
    signed: Vec<Row>,
}

impl New {
    /// The oldest transaction that runs, and which incarnation of the server this is; None if it has no name yet.
    fn origin(&self) -> Result<(u64, Option<String>), SearchError> {
        let oldest: &str = self.watermark.try_get(0)?;
        let oldest = oldest.parse().map_err(|_| damaged("a transaction's number"))?;
        Ok((oldest, self.watermark.try_get(2)?))
    }
}

/// One round trip: the statements follow each other on the wire.
async fn news(
    client: &deadpool_postgres::Object,
    begin: &str,
    since: &String,
    is_cold: bool,
) -> Result<New, tokio_postgres::Error> {
    let leaves = client.prepare_cached(LEAVES).await?;
    let dropped = client.prepare_cached(DROPPED).await?;
    let groups = client.prepare_cached(GROUPS).await?;
    let open = client.prepare_cached(OPEN).await?;
    let watermark = client.prepare_cached(WATERMARK).await?;
    let signed = client.prepare_cached(SIGNED).await?;
    let since: [&(dyn ToSql + Sync); 1] = [since];
    let since_or_cold: [&(dyn ToSql + Sync); 2] = [since[0], &is_cold];
    let (begun, (watermark, leaves, dropped), (groups, open), signed) = future::join4(
        client.batch_execute(begin),
        future::join3(
            client.query_one(&watermark, &[]),
            client.query(&leaves, &since),
            client.query(&dropped, &since),
        ),
        future::join(client.query(&groups, &since_or_cold), client.query(&open, &[])),
        client.query(&signed, &since),
    )
    .await;
    begun?;
    Ok(New {
        watermark: watermark?,
        leaves: leaves?,
        dropped: dropped?,
        groups: groups?,
        open: open?,
        signed: signed?,
    })
}

/// Learns the blocks that are signed and not known.
async fn fetch(
    client: &deadpool_postgres::Object,
    known: &mut Known,
    signed: &[Row],
    filling: &FillingBlocks,
) -> Result<(), SearchError> {
    let (mut leaves, mut blocks) = (Vec::new(), Vec::new());
    for row in signed {
        let (leaf, block): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
        if known.has(leaf, block) {
            continue;
        }
        if let Some(Filling { blocks: [Some(span)], signature, .. }) = filling.learn(leaf, block).as_deref() {
            known.learn_span(leaf, span.clone(), signature);
        } else {
            leaves.push(leaf);
            blocks.push(block);
        }
    }
    if blocks.is_empty() {
        return Ok(());
    }
    let statement = answered(client.prepare_cached(SIGNATURES)).await??;
    for (leaves, blocks) in leaves.chunks(FETCHED_MAX).zip(blocks.chunks(FETCHED_MAX)) {
        let unknown: [&(dyn ToSql + Sync); 2] = [&leaves, &blocks];
        let mut signatures = Box::pin(answered(client.query_raw(&statement, unknown)).await??);
        while let Some(row) = answered(signatures.try_next()).await?? {
            let (leaf, number) = (row.try_get("leaf")?, row.try_get("block")?);
            let block = OpenBlock { leaf, number, level: row.try_get("level")?, filling: None };
            known.learn_block(block, row.try_get("units")?, row.try_get("bits")?);
        }
    }
    Ok(())
}

/// What comes before the server has been silent for too long.
async fn answered<T>(answer: impl Future<Output = T>) -> Result<T, SearchError> {
    let silent = |_| SearchError::unavailable("Postgres does not answer");
    tokio::time::timeout(SILENCE_MAX, answer).await.map_err(silent)
}

fn shape(group: &Row) -> Result<Option<Shape>, tokio_postgres::Error> {
    let width: Option<i32> = group.try_get("bucket_width")?;
    let bytes: Option<i32> = group.try_get("value_bytes")?;
    Ok(width.zip(bytes).and_then(|(width, bytes)| Shape::of(width, bytes as usize)))
}

fn time(row: &Row, column: usize) -> Result<Timestamp, tokio_postgres::Error> {
    Ok(row.try_get::<_, Time>(column)?.0)
}

pub fn damaged(what: &str) -> SearchError {
    SearchError::Internal { cause: format!("the index is damaged: {what}") }
}
