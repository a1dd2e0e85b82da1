//! The blocks of a group as a process keeps them. In: its directory. Out: the same, and in which order each way through time meets them. Pure.

use std::cmp::Reverse;

use crate::{index::span::BlockSpan, record::Timestamp, search::cursor::Direction};

/// Up to 4,096 blocks.
pub struct Directory {
    /// In the order of the group's bits.
    pub blocks: Vec<Option<BlockSpan>>,
    /// By the last time, the newest first.
    older: Vec<Place>,
    /// By the first time, the oldest first.
    newer: Vec<Place>,
}

/// Where a block stands in its group, and how far its rows reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub place: u32,
    pub from: Timestamp,
    /// Inclusive.
    pub to: Timestamp,
}

impl Directory {
    pub fn new(blocks: Vec<Option<BlockSpan>>) -> Self {
        let place = |(place, block): (usize, &Option<BlockSpan>)| {
            block.as_ref().map(|block| Place { place: place as u32, from: block.from(), to: block.to() })
        };
        let mut older: Vec<Place> = blocks.iter().enumerate().filter_map(place).collect();
        let mut newer = older.clone();
        older.sort_unstable_by_key(|place| Reverse(place.to));
        newer.sort_unstable_by_key(|place| place.from);
        Self { blocks, older, newer }
    }

    /// All blocks, those with the nearest rows first.
    pub fn nearest_first(&self, direction: Direction) -> &[Place] {
        match direction {
            Direction::Older => &self.older,
            Direction::Newer => &self.newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::span::Unit;

    #[test]
    fn each_way_meets_the_nearest_first() {
        let block = |number: i32, times: &[[i64; 2]]| {
            let unit = |[from, to]: &[i64; 2]| Unit { rows: 32, from: Timestamp(*from), to: Timestamp(*to) };
            Some(BlockSpan { number, level: 3, units: times.iter().map(unit).collect() })
        };
        let blocks =
            vec![block(7, &[[5, 6], [1, 9]]), None, block(8, &[[2, 8]]), block(9, &[[0, 3], [3, 4]])];
        let directory = Directory::new(blocks);
        let places = |direction| -> Vec<u32> {
            directory.nearest_first(direction).iter().map(|place| place.place).collect()
        };
        assert_eq!(places(Direction::Older), [0, 2, 3]);
        assert_eq!(places(Direction::Newer), [3, 0, 2]);
        let first = directory.nearest_first(Direction::Older)[0];
        assert_eq!(first, Place { place: 0, from: Timestamp(1), to: Timestamp(9) });
    }
}
