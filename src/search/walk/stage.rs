//! The leaf where a walk is. In: what is open in it, chunks and groups. Out: its units, the nearest first, as far as they are known.

use std::{
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use super::{Aim, Blocks, Portion, groups::candidates, key, leaf_key};
use crate::{
    index::signature::UNITS,
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
    /// Of this leaf, the nearest first.
    pub(super) groups: VecDeque<Arc<GroupHead>>,
}

/// A unit that may hold a hit. Ordered by how near its nearest row can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) key: i64,
    /// What the column `block` holds.
    pub(super) unit: i32,
    /// None for a unit of an open block: not known.
    pub(super) rows: Option<u8>,
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
                open.push(*block);
            }
        }
        for open in open {
            if !aim.need.admits(open.level) {
                blocks.skipped += 1;
                continue;
            }
            let key = leaf_key(aim.direction, &leaf);
            let unit = |unit| Candidate { key, unit: open.number << 3 | unit, rows: None };
            heap.extend((0..UNITS as i32).map(unit));
        }
        let chunks = leaf.chunks.iter().enumerate();
        let within = chunks.filter(|(_, chunk)| chunk.from < aim.to && aim.from <= chunk.to);
        let nearest =
            |(place, chunk): (usize, &Arc<Chunk>)| (key(aim.direction, chunk.from, chunk.to), place);
        let chunks = within.map(nearest).collect();
        Self { leaf, heap, chunks, groups }
    }

    /// Key of the nearest row that there can be.
    pub(super) fn nearest(&self, direction: Direction) -> Option<i64> {
        let chunk = self.chunks.peek().map(|(nearest, _)| *nearest);
        self.heap.peek().map(|top| top.key).max(chunk).max(self.nearest_group(direction))
    }

    /// Takes units that are nearer than any group that was not opened and no farther than `farthest`, until the portion has `units_max`.
    pub(super) fn take(
        &mut self,
        aim: &Aim,
        farthest: i64,
        units_max: usize,
        portion: &mut Portion,
        blocks: &mut Blocks,
    ) {
        let group = self.nearest_group(aim.direction);
        let is_next = |top: &&Candidate| top.key >= farthest && group.is_none_or(|group| top.key > group);
        while portion.units.len() < units_max {
            self.look_into_chunks(aim, blocks);
            let Some(top) = self.heap.peek().filter(is_next) else { break };
            match top.rows {
                Some(known) => portion.rows += u64::from(known),
                None => portion.open.push(top.unit),
            }
            portion.units.push(top.unit);
            self.heap.pop();
        }
    }

    /// The group whose candidates are in the heap from now on.
    pub(super) fn opened(&mut self, candidates: Vec<Candidate>) {
        self.groups.pop_front();
        self.heap.extend(candidates);
    }

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
