//! The way through the index. In: a [`Snapshot`], what a hit needs, a time range and a direction. Out: portions of units that may hold
//! hits, those with the newest rows first (or the oldest, when walking the other way), and how far everything has been seen.
//!
//! Leaves do not overlap, so they come one after the other. Within one, a heap holds the units that are known; the groups that could
//! hold a nearer one are opened first, a few at a time. Units of open blocks reach to the end of their leaf, because rows may be there.

use std::{
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::{
    catalogue::{Catalogue, GroupHead, LeafView, OpenBlock, Snapshot, damaged},
    cursor::Direction,
    session::{Session, Stopped},
    sql,
    statement::Statement,
};
use crate::{
    index::{
        need::Need,
        probe::{self, Fetched, Slices},
        signature::UNITS,
        span::BlockSpan,
    },
    record::Timestamp,
};

/// Groups that are opened with one statement at most.
const GROUPS_MAX: usize = 16;

/// What to look for, and where.
#[derive(Debug, Clone)]
pub struct Aim {
    pub need: Need,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub direction: Direction,
}

pub struct Walk<'a> {
    snapshot: &'a Snapshot,
    catalogue: &'a Catalogue,
    aim: Aim,
    leaves: VecDeque<Arc<LeafView>>,
    /// All groups that are still to come, in the order of the walk.
    groups: VecDeque<(i32, Arc<GroupHead>)>,
    opened: HashMap<(i32, i32), Vec<Candidate>>,
    open_next: usize,
    stage: Option<Stage>,
    pub blocks: Blocks,
    /// Blocks of which units were handed out: leaf, number.
    met: HashSet<(i32, i32)>,
}

/// How many blocks a walk has met: those whose rows were to be read, and those that the index ruled out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blocks {
    pub read: u64,
    pub skipped: u64,
}

/// The leaf where the walk is.
struct Stage {
    leaf: Arc<LeafView>,
    heap: BinaryHeap<Candidate>,
    /// Of this leaf, the nearest first.
    groups: VecDeque<Arc<GroupHead>>,
}

/// A unit that may hold a hit. Ordered by how near its nearest row can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    key: i64,
    /// What the column `block` holds.
    unit: i32,
    /// None for a unit of an open block: not known.
    rows: Option<u8>,
}

/// Units of one leaf that are to be read together.
pub struct Portion {
    pub leaf: Arc<LeafView>,
    pub units: Vec<i32>,
    /// Those of open blocks, of which nobody knows the size.
    open: Vec<i32>,
    /// Rows in the others.
    pub rows: u64,
}

impl Portion {
    /// The statement that counts the rows of open blocks, if there are any.
    pub fn count_open(&self) -> Option<Statement> {
        (!self.open.is_empty()).then(|| sql::count_rows(&self.leaf.name, self.open.clone()))
    }
}

impl<'a> Walk<'a> {
    pub fn new(snapshot: &'a Snapshot, catalogue: &'a Catalogue, aim: Aim) -> Self {
        let within = |leaf: &&Arc<LeafView>| leaf.from < aim.to && aim.from < leaf.to;
        let mut leaves: VecDeque<_> = snapshot.leaves.iter().filter(within).cloned().collect();
        if aim.direction == Direction::Older {
            leaves.make_contiguous().reverse();
        }
        let mut groups = VecDeque::new();
        for leaf in &leaves {
            let within = |group: &&Arc<GroupHead>| group.from < aim.to && aim.from <= group.to;
            let mut of_leaf: Vec<_> = leaf.groups.iter().filter(within).cloned().collect();
            of_leaf.sort_by_key(|group| std::cmp::Reverse(key(aim.direction, group.from, group.to)));
            groups.extend(of_leaf.into_iter().map(|group| (leaf.number, group)));
        }
        let (opened, blocks, met) = (HashMap::new(), Blocks::default(), HashSet::new());
        Self { snapshot, catalogue, aim, leaves, groups, opened, open_next: 1, stage: None, blocks, met }
    }

    /// The next units, at most `units_max`; None when everything was handed out.
    pub async fn next(
        &mut self,
        session: &mut Session,
        units_max: usize,
    ) -> Result<Option<Portion>, Stopped> {
        loop {
            let Some(stage) = &mut self.stage else {
                let Some(leaf) = self.leaves.pop_front() else { return Ok(None) };
                self.enter(leaf);
                continue;
            };
            let nearest = stage.groups.front().map(|group| key(self.aim.direction, group.from, group.to));
            match (stage.heap.peek(), nearest) {
                (None, None) => self.stage = None,
                (Some(top), Some(group)) if top.key > group => return Ok(Some(self.portion(units_max))),
                (Some(_), None) => return Ok(Some(self.portion(units_max))),
                (_, Some(_)) => self.open_group(session).await?,
            }
        }
    }

    /// No row that was not handed out is nearer than this; None if there is none at all.
    pub fn frontier(&self) -> Option<Timestamp> {
        let direction = self.aim.direction;
        let here = self.stage.as_ref().and_then(|stage| {
            let group = stage.groups.front().map(|group| key(direction, group.from, group.to));
            stage.heap.peek().map(|top| top.key).max(group)
        });
        let there = || self.leaves.front().map(|leaf| leaf_key(direction, leaf));
        here.or_else(there).map(|key| match direction {
            Direction::Older => Timestamp(key),
            Direction::Newer => Timestamp(-key),
        })
    }

    fn enter(&mut self, leaf: Arc<LeafView>) {
        let mut heap = BinaryHeap::new();
        let mut open: Vec<&OpenBlock> =
            self.snapshot.open.iter().filter(|open| open.leaf == leaf.number).collect();
        // Who has one in memory that is open as well takes it once.
        for block in &leaf.unreadable {
            if !open.iter().any(|open| open.number == block.number) {
                open.push(block);
            }
        }
        for open in open {
            if !self.aim.need.admits(open.level) {
                self.blocks.skipped += 1;
                continue;
            }
            let key = leaf_key(self.aim.direction, &leaf);
            heap.extend((0..UNITS as i32).map(|unit| Candidate {
                key,
                unit: open.number << 3 | unit,
                rows: None,
            }));
        }
        for chunk in &leaf.chunks {
            let found = candidates(&self.aim, &chunk.slices(), &chunk.blocks, &mut self.blocks);
            heap.extend(found);
        }
        let of_leaf = self.groups.iter().filter(|(number, _)| *number == leaf.number);
        let mut groups: VecDeque<_> = of_leaf.map(|(_, group)| group.clone()).collect();
        // Groups that were opened in advance may not be in the list any more.
        for known in &leaf.groups {
            if self.opened.contains_key(&(leaf.number, known.number)) {
                groups.push_back(known.clone());
            }
        }
        let nearest =
            |group: &Arc<GroupHead>| std::cmp::Reverse(key(self.aim.direction, group.from, group.to));
        groups.make_contiguous().sort_by_key(nearest);
        self.stage = Some(Stage { leaf, heap, groups });
    }

    /// Puts the candidates of the nearest group of this leaf into the heap.
    async fn open_group(&mut self, session: &mut Session) -> Result<(), Stopped> {
        let stage = self.stage.as_mut().expect("a group is opened in its leaf");
        let Some(group) = stage.groups.front() else { return Ok(()) };
        let place = (stage.leaf.number, group.number);
        if !self.opened.contains_key(&place) {
            let count = self.open_next.min(self.groups.len());
            let wanted: Vec<(i32, Arc<GroupHead>)> = self.groups.iter().take(count).cloned().collect();
            let found = read_groups(session, self.catalogue, &self.aim, &wanted, &mut self.blocks).await?;
            self.opened.extend(found);
            self.groups.drain(..count);
            self.open_next = (self.open_next * 2).min(GROUPS_MAX);
        }
        let stage = self.stage.as_mut().expect("the leaf is still the same");
        stage.groups.pop_front();
        stage.heap.extend(self.opened.remove(&place).unwrap_or_default());
        Ok(())
    }

    fn portion(&mut self, units_max: usize) -> Portion {
        let direction = self.aim.direction;
        let stage = self.stage.as_mut().expect("a portion is of a leaf");
        let nearest = stage.groups.front().map(|group| key(direction, group.from, group.to));
        let (mut units, mut open, mut rows) = (Vec::new(), Vec::new(), 0);
        while units.len() < units_max {
            let Some(top) = stage.heap.peek().filter(|top| nearest.is_none_or(|group| top.key > group))
            else {
                break;
            };
            match top.rows {
                Some(known) => rows += u64::from(known),
                None => open.push(top.unit),
            }
            units.push(top.unit);
            self.met.insert((stage.leaf.number, top.unit >> 3));
            stage.heap.pop();
        }
        self.blocks.read = self.met.len() as u64;
        Portion { leaf: stage.leaf.clone(), units, open, rows }
    }
}

/// Candidates of some groups, by leaf and group.
async fn read_groups(
    session: &mut Session,
    catalogue: &Catalogue,
    aim: &Aim,
    wanted: &[(i32, Arc<GroupHead>)],
    blocks: &mut Blocks,
) -> Result<Vec<((i32, i32), Vec<Candidate>)>, Stopped> {
    let directories = catalogue.directories(session, wanted).await?;
    let (mut bits, mut bytes) = (Vec::new(), Vec::new());
    aim.need.places(&mut bits, &mut bytes);
    for places in [&mut bits, &mut bytes] {
        places.sort_unstable();
        places.dedup();
    }
    let mut slices: HashMap<(i32, i32), Fetched> = HashMap::new();
    for (leaf, group) in wanted {
        let empty = Fetched { width: group.width, bits: HashMap::new(), bytes: HashMap::new() };
        slices.insert((*leaf, group.number), empty);
    }
    if !bits.is_empty() || !bytes.is_empty() {
        let groups = wanted.iter().map(|(leaf, group)| (*leaf, group.number));
        for row in session.statement(&sql::slices(groups, &bits, &bytes)).await? {
            let place = (row.try_get("leaf")?, row.try_get("grp")?);
            let number = row.try_get::<_, i32>("place")? as u16;
            let slice: Vec<u8> = row.try_get("slice")?;
            let fetched = slices.get_mut(&place).ok_or_else(|| damaged("a slice of no group"))?;
            match row.try_get("is_byte")? {
                true => fetched.bytes.insert(number, slice),
                false => fetched.bits.insert(number, slice),
            };
        }
    }
    let found = wanted.iter().zip(directories).map(|((leaf, group), directory)| {
        let place = (*leaf, group.number);
        (place, candidates(aim, &slices[&place], &directory, blocks))
    });
    Ok(found.collect())
}

/// Units within the time range that may hold a hit.
fn candidates(
    aim: &Aim,
    slices: &impl Slices,
    spans: &[Option<BlockSpan>],
    blocks: &mut Blocks,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut last = None;
    let mut offered = 0;
    probe::candidates(&aim.need, slices, spans, |place, unit| {
        let Some(block) = &spans[place] else { return };
        let span = block.units[unit];
        if span.from < aim.to && aim.from <= span.to {
            offered += u64::from(last.replace(place) != Some(place));
            let key = key(aim.direction, span.from, span.to);
            found.push(Candidate { key, unit: block.unit_id(unit), rows: Some(span.rows) });
        }
    });
    blocks.skipped += spans.iter().flatten().count() as u64 - offered;
    found
}

/// Larger is nearer.
fn key(direction: Direction, from: Timestamp, to: Timestamp) -> i64 {
    match direction {
        Direction::Older => to.0,
        Direction::Newer => -from.0,
    }
}

fn leaf_key(direction: Direction, leaf: &LeafView) -> i64 {
    key(direction, leaf.from, Timestamp(leaf.to.0 - 1))
}
