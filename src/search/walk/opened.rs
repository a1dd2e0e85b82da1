//! A group whose bits are known. In: its directory and the slices that a walk needs. Out: its units that may hold a hit, a block at a time,
//! those with the nearest rows first: there may be 32,768, and a page of a common word needs two of them.

use std::sync::Arc;

use super::{Aim, Blocks, key, stage::Candidate};
use crate::{
    index::{
        probe::{self, Slices},
        signature::UNITS,
    },
    search::catalogue::Directory,
};

pub(super) struct Opened {
    directory: Arc<Directory>,
    width: usize,
    /// One a unit.
    bits: Vec<u8>,
    /// Blocks that were not handed out, the nearest last: the key of their nearest row, and their place.
    left: Vec<(i64, u32)>,
}

impl Opened {
    pub(super) fn new(
        aim: &Aim,
        slices: &impl Slices,
        directory: Arc<Directory>,
        blocks: &mut Blocks,
    ) -> Self {
        let width = slices.width();
        let bits = probe::units(&aim.need, slices, &directory.blocks);
        // One bit a block.
        let mut any = vec![0; width];
        for unit in bits.chunks_exact(width) {
            any.iter_mut().zip(unit).for_each(|(any, unit)| *any |= unit);
        }
        let all = directory.nearest_first(aim.direction);
        let may_hold = all.iter().rev().filter(|block| {
            probe::is_set(&any, block.place as usize) && block.from < aim.to && aim.from <= block.to
        });
        let left: Vec<_> =
            may_hold.map(|block| (key(aim.direction, block.from, block.to), block.place)).collect();
        blocks.skipped += (all.len() - left.len()) as u64;
        Self { directory, width, bits, left }
    }

    /// Key of the nearest row that there can be in what was not handed out.
    pub(super) fn nearest(&self) -> Option<i64> {
        self.left.last().map(|(nearest, _)| *nearest)
    }

    /// Hands out the units of the next block.
    pub(super) fn next(&mut self, aim: &Aim, to: &mut impl Extend<Candidate>) {
        let Some((_, place)) = self.left.pop() else { return };
        let place = place as usize;
        let Some(block) = &self.directory.blocks[place] else { return };
        let units = block.units.iter().enumerate().take(UNITS).filter(|(unit, span)| {
            probe::is_set(&self.bits[unit * self.width..], place) && span.from < aim.to && aim.from <= span.to
        });
        to.extend(units.map(|(unit, _)| Candidate::of(aim.direction, block, unit)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::{
            need::Need,
            probe::Whole,
            span::{BlockSpan, Unit},
        },
        record::Timestamp,
        search::cursor::Direction,
    };

    /// Five blocks, not in the order of time, in eight places; the units of each lie 15 apart.
    fn directory() -> Arc<Directory> {
        let unit = |from: i64| Unit { rows: 32, from: Timestamp(from), to: Timestamp(from + 9) };
        let block = |(number, from): (usize, i64)| {
            Some(BlockSpan { number: number as i32, level: 3, units: vec![unit(from + 15), unit(from)] })
        };
        let mut blocks: Vec<_> = [60, 0, 120, 30, 90].into_iter().enumerate().map(block).collect();
        blocks.resize(8, None);
        Arc::new(Directory::new(blocks))
    }

    #[test]
    fn blocks_come_by_time_and_each_unit_of_the_range_once() {
        for (direction, expected) in [
            (Direction::Older, [(114, 33), (84, 0), (84, 1), (54, 24)]),
            (Direction::Newer, [(-30, 24), (-60, 1), (-60, 0), (-90, 33)]),
        ] {
            let aim = Aim { need: Need::anything(), from: Timestamp(44), to: Timestamp(105), direction };
            let mut blocks = Blocks::default();
            let slices = Whole { width: 1, slices: &[] };
            let mut opened = Opened::new(&aim, &slices, directory(), &mut blocks);
            assert_eq!(blocks.skipped, 2);
            let mut seen = Vec::new();
            while let Some(nearest) = opened.nearest() {
                let mut units: Vec<Candidate> = Vec::new();
                opened.next(&aim, &mut units);
                assert!(units.iter().all(|unit| unit.key <= nearest && unit.rows == Some(32)));
                units.sort_unstable_by_key(|unit| std::cmp::Reverse(unit.key));
                seen.extend(units.iter().map(|unit| (nearest, unit.unit)));
            }
            assert_eq!(seen, expected, "{direction:?}");
        }
    }
}
