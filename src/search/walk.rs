//! The way through the index. In: a [`Snapshot`], what a hit needs, a time range and a direction. Out: portions of units that may hold
//! hits, those with the newest rows first (or the oldest, when walking the other way), and how far everything has been seen.
//!
//! Leaves do not overlap, so they come one after the other. Within one, a heap holds the units that are known; the chunks and groups that
//! could hold a nearer one are looked into first: chunks, which are in memory, one at a time, groups a few at a time. Units of open blocks
//! reach to the end of their leaf, because rows may be there.

use std::{
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::{
    catalogue::{Catalogue, Chunk, GroupHead, LeafView, OpenBlock, Snapshot, damaged},
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
    /// Those that were not looked into, with the key of their nearest row and their place in the leaf.
    chunks: BinaryHeap<(i64, usize)>,
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
            stage.look_into_chunks(&self.aim, &mut self.blocks);
            let nearest = stage.nearest_group(self.aim.direction);
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
            let chunk = stage.chunks.peek().map(|(nearest, _)| *nearest);
            stage.heap.peek().map(|top| top.key).max(chunk).max(stage.nearest_group(direction))
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
        let (aim, chunks) = (&self.aim, leaf.chunks.iter().enumerate());
        let within = chunks.filter(|(_, chunk)| chunk.from < aim.to && aim.from <= chunk.to);
        let nearest =
            |(place, chunk): (usize, &Arc<Chunk>)| (key(aim.direction, chunk.from, chunk.to), place);
        let chunks = within.map(nearest).collect();
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
        self.stage = Some(Stage { leaf, heap, chunks, groups });
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
        let nearest = stage.nearest_group(direction);
        let (mut units, mut open, mut rows) = (Vec::new(), Vec::new(), 0);
        while units.len() < units_max {
            stage.look_into_chunks(&self.aim, &mut self.blocks);
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

impl Stage {
    fn nearest_group(&self, direction: Direction) -> Option<i64> {
        self.groups.front().map(|group| key(direction, group.from, group.to))
    }

    /// Puts the candidates of the chunks into the heap that could hold a nearer unit than those that are there and than any group.
    fn look_into_chunks(&mut self, aim: &Aim, blocks: &mut Blocks) {
        let group = self.nearest_group(aim.direction);
        while let Some((nearest, place)) = self.chunks.peek()
            && self.heap.peek().is_none_or(|top| top.key <= *nearest)
            && group.is_none_or(|group| group < *nearest)
        {
            let chunk = &self.leaf.chunks[*place];
            self.heap.extend(candidates(aim, &chunk.slices(), &chunk.blocks, blocks));
            self.chunks.pop();
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::{signature::BYTES, span::Unit},
        search::as_of::AsOf,
    };

    const CHUNKS: usize = 40;

    /// One leaf of forty chunks, each a block whose two units follow those of the block before.
    fn snapshot() -> Snapshot {
        let unit =
            |at: usize| Unit { rows: 32, from: Timestamp(at as i64 * 10), to: Timestamp(at as i64 * 10 + 9) };
        let chunk = |n: usize| {
            let span = BlockSpan { number: n as i32, level: 3, units: vec![unit(2 * n), unit(2 * n + 1)] };
            Arc::new(Chunk::of(span, &[0xff; BYTES]))
        };
        let leaf = LeafView {
            number: 1,
            name: "records_1".into(),
            from: Timestamp(0),
            to: Timestamp(10_000),
            groups: Vec::new(),
            chunks: (0..CHUNKS).map(chunk).collect(),
            unreadable: Vec::new(),
        };
        Snapshot {
            as_of: AsOf::parse("1-1-").unwrap(),
            stored: None,
            leaves: Arc::new(vec![Arc::new(leaf)]),
            open: Vec::new(),
        }
    }

    #[test]
    fn chunks_are_looked_into_when_their_turn_comes() {
        let (snapshot, catalogue) = (snapshot(), Catalogue::default());
        for direction in [Direction::Older, Direction::Newer] {
            let aim = Aim { need: Need::anything(), from: Timestamp(100), to: Timestamp(700), direction };
            let mut walk = Walk::new(&snapshot, &catalogue, aim);
            let leaf = walk.leaves.pop_front().unwrap();
            walk.enter(leaf);
            let mut handed_out = Vec::new();
            let mut left = Vec::new();
            loop {
                let before = walk.frontier();
                let units = walk.portion(7).units;
                let Some(before) = before else {
                    assert_eq!(units, [] as [i32; 0]);
                    break;
                };
                let at = |unit: &i32| i64::from(unit >> 3) * 20 + i64::from(unit & 7) * 10;
                let is_behind = |unit: &i32| match direction {
                    Direction::Older => at(unit) + 9 <= before.0,
                    Direction::Newer => at(unit) >= before.0,
                };
                assert!(units.iter().all(is_behind), "{units:?} are nearer than {before:?}");
                handed_out.extend(units.iter().map(at));
                left.push(walk.stage.as_ref().unwrap().chunks.len());
            }
            // Sixty units of thirty chunks lie in the range; the first seven are in four chunks.
            assert_eq!(left[0], 26, "chunks that need not be looked into yet");
            let mut expected: Vec<i64> = (10..70).map(|unit| unit * 10).collect();
            if direction == Direction::Older {
                expected.reverse();
            }
            assert_eq!(handed_out, expected);
        }
    }
}
