//! The leaf where a walk is. In: what is open in it, chunks and groups. Out: its units, the nearest first, as far as they are known.

use std::{
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use super::{Aim, Blocks, Portion, filled::Filled, groups::candidates, key, leaf_key, opened::Opened};
use crate::{
    index::{
        signature::UNITS,
        span::{BlockSpan, Unit},
    },
    search::{
        catalogue::{Chunk, GroupHead, LeafView, OpenBlock},
        cursor::Direction,
    },
};

pub(super) struct Stage {
    pub(super) leaf: Arc<LeafView>,
    heap: BinaryHeap<Candidate>,
    /// Those that were not looked into, with the key of their nearest row and their place in the leaf.
    pub(super) chunks: BinaryHeap<(i64, usize)>,
    /// Groups that were opened, and those with blocks that were not looked into, with the key of their nearest row and their place here.
    opened: Vec<Opened>,
    with_more: BinaryHeap<(i64, usize)>,
    /// Of this leaf, the nearest first.
    pub(super) groups: VecDeque<Arc<GroupHead>>,
}

/// A unit that may hold a hit. Ordered by how near its nearest row can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) key: i64,
    /// The key of its farthest row.
    pub(super) farthest: i64,
    /// What the column `block` holds.
    pub(super) unit: i32,
    /// None for a unit of an open block that another process fills: not known.
    pub(super) rows: Option<u8>,
}

impl Candidate {
    /// A unit of a block that is complete.
    pub(super) fn of(direction: Direction, block: &BlockSpan, unit: usize) -> Self {
        let Unit { rows, from, to } = block.units[unit];
        let farthest = match direction {
            Direction::Older => from.0,
            Direction::Newer => -to.0,
        };
        Self { key: key(direction, from, to), farthest, unit: block.unit_id(unit), rows: Some(rows) }
    }
}

impl Stage {
    pub(super) fn of(
        leaf: Arc<LeafView>,
        mut open: Vec<OpenBlock>,
        groups: VecDeque<Arc<GroupHead>>,
        aim: &Aim,
        blocks: &mut Blocks,
    ) -> Self {
        let mut heap = BinaryHeap::new();
        // Who has one in memory that is open as well takes it once.
        for block in &leaf.unreadable {
            if !open.iter().any(|open| open.number == block.number) {
                open.push(block.clone());
            }
        }
        for open in open {
            if let Some(filling) = &open.filling {
                heap.extend(candidates(aim, filling.as_ref(), &filling.blocks, blocks));
                continue;
            }
            if !aim.need.admits(open.level) {
                blocks.skipped += 1;
                continue;
            }
            let key = leaf_key(aim.direction, &leaf);
            let unit = |unit| Candidate { key, farthest: key, unit: open.number << 3 | unit, rows: None };
            heap.extend((0..UNITS as i32).map(unit));
        }
        let chunks = leaf.chunks.iter().enumerate();
        let within = chunks.filter(|(_, chunk)| chunk.from < aim.to && aim.from <= chunk.to);
        let nearest =
            |(place, chunk): (usize, &Arc<Chunk>)| (key(aim.direction, chunk.from, chunk.to), place);
        let chunks = within.map(nearest).collect();
        Self { leaf, heap, chunks, opened: Vec::new(), with_more: BinaryHeap::new(), groups }
    }

    /// Key of the nearest row that there can be.
    pub(super) fn nearest(&self, direction: Direction) -> Option<i64> {
        let within = self.nearest_within().map(|(nearest, _)| nearest);
        self.heap.peek().map(|top| top.key).max(within).max(self.nearest_group(direction))
    }

    /// Takes units that are nearer than any group that was not opened and no farther than `farthest`, until the portion has `units_max`, or
    /// those that should fill the page; true if it has these.
    pub(super) fn take(
        &mut self,
        aim: &Aim,
        farthest: i64,
        units_max: usize,
        filled: &mut Option<Filled>,
        portion: &mut Portion,
        blocks: &mut Blocks,
    ) -> bool {
        let group = self.nearest_group(aim.direction);
        let is_next = |top: &&Candidate| top.key >= farthest && group.is_none_or(|group| top.key > group);
        while portion.units.len() < units_max {
            self.look_within(aim, blocks);
            let Some(top) = self.heap.peek().filter(is_next) else { break };
            if filled.as_ref().is_some_and(|filled| filled.is_full_before(top.key)) {
                return true;
            }
            match top.rows {
                Some(known) => {
                    portion.rows += u64::from(known);
                    if let Some(filled) = filled {
                        filled.add(top.key, top.farthest, known);
                    }
                }
                None => portion.open.push(top.unit),
            }
            portion.units.push(top.unit);
            self.heap.pop();
        }
        false
    }

    /// The nearest group was opened; None if it holds no hit.
    pub(super) fn opened(&mut self, group: Option<Opened>) {
        self.groups.pop_front();
        let nearest = group.as_ref().and_then(Opened::nearest);
        if let (Some(group), Some(nearest)) = (group, nearest) {
            self.with_more.push((nearest, self.opened.len()));
            self.opened.push(group);
        }
    }

    /// Key of the nearest row of the chunks and blocks that were not looked into, and whether that is in a chunk.
    fn nearest_within(&self) -> Option<(i64, bool)> {
        let chunk = self.chunks.peek().map(|(nearest, _)| (*nearest, true));
        chunk.max(self.with_more.peek().map(|(nearest, _)| (*nearest, false)))
    }

    fn nearest_group(&self, direction: Direction) -> Option<i64> {
        self.groups.front().map(|group| key(direction, group.from, group.to))
    }

    /// Puts the candidates of the chunks and blocks into the heap that could hold a nearer unit than those that are there and than any
    /// group that was not opened.
    fn look_within(&mut self, aim: &Aim, blocks: &mut Blocks) {
        let group = self.nearest_group(aim.direction);
        while let Some((nearest, is_in_chunk)) = self.nearest_within()
            && self.heap.peek().is_none_or(|top| top.key <= nearest)
            && group.is_none_or(|group| group < nearest)
        {
            if is_in_chunk {
                let Some((_, place)) = self.chunks.pop() else { return };
                let chunk = &self.leaf.chunks[place];
                self.heap.extend(candidates(aim, &chunk.slices(), &chunk.blocks, blocks));
            } else {
                let Some((_, place)) = self.with_more.pop() else { return };
                let group = &mut self.opened[place];
                group.next(aim, &mut self.heap);
                self.with_more.extend(group.nearest().map(|nearest| (nearest, place)));
            }
        }
    }
}
