//! What was read of groups and may be asked for again: by the histogram and the facets of the same page, by the next page, by whoever looks
//! for the same. In: parts that were read. Out: those that are still there. A group never changes and its number is never used again, so
//! none of them can be out of date.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use super::Directory;

/// Bytes of all parts: of a word in ten million records some 50 KB, of an id 40.
const BYTES_MAX: u64 = 64 << 20;
/// What a part takes beside its bytes.
const OVERHEAD: u64 = 128;
/// Typical bytes of a part.
const TYPICAL: u64 = 512;

/// Part of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    pub leaf: i32,
    pub group: i32,
    pub piece: Piece,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Slice of a bit of the signatures.
    Bit(u32),
    /// The eight slices of a byte.
    Byte(u16),
    /// The bucket of values that begins here.
    Bucket(i32),
}

/// The parts that were asked for last and most, of all searches of a process.
pub struct Kept(Cache<Part, Bytes, Size>);

#[derive(Clone)]
struct Size;

impl Weighter<Part, Bytes> for Size {
    fn weight(&self, _: &Part, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + OVERHEAD
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self(Cache::with_weighter((BYTES_MAX / (TYPICAL + OVERHEAD)) as usize, BYTES_MAX, Size))
    }
}

impl Kept {
    pub fn get(&self, part: Part) -> Option<Bytes> {
        self.0.get(&part)
    }

    pub fn clear(&self) {
        self.0.clear();
    }

    pub fn keep(&self, part: Part, bytes: Bytes) {
        self.0.insert(part, bytes);
    }
}

/// Blocks of all directories that are kept, about 300 bytes each: 192 groups of 4,096.
const BLOCKS_MAX: u64 = 192 << 12;
/// What a directory takes beside its blocks, in blocks.
const OVERHEAD_BLOCKS: u64 = 2;

/// Directories by leaf and group.
pub(super) struct KeptDirectories(Cache<(i32, i32), Arc<Directory>, InBlocks>);

#[derive(Clone)]
struct InBlocks;

impl Weighter<(i32, i32), Arc<Directory>> for InBlocks {
    fn weight(&self, _: &(i32, i32), directory: &Arc<Directory>) -> u64 {
        directory.blocks.len() as u64 + OVERHEAD_BLOCKS
    }
}

impl Default for KeptDirectories {
    fn default() -> Self {
        Self(Cache::with_weighter(1_024, BLOCKS_MAX, InBlocks))
    }
}

impl KeptDirectories {
    pub(super) fn get(&self, place: (i32, i32)) -> Option<Arc<Directory>> {
        self.0.get(&place)
    }

    pub(super) fn keep(&self, place: (i32, i32), directory: Arc<Directory>) {
        self.0.insert(place, directory);
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_directories_it_keeps_so_many_blocks() {
        let kept = KeptDirectories::default();
        for group in 0..400 {
            kept.keep((1, group), Arc::new(Directory::new(vec![None; 4_096])));
        }
        let there = (0..400).filter(|group| kept.get((1, *group)).is_some()).count();
        assert!((150..=192).contains(&there), "{there}");
        // Small ones by the thousand.
        for group in 0..4_000 {
            kept.keep((2, group), Arc::new(Directory::new(vec![None; 8])));
        }
        assert!(kept.get((2, 3_999)).is_some() && kept.get((1, 0)).is_none());
        kept.clear();
        assert!(kept.get((2, 3_999)).is_none());
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let kept = Kept::default();
        let part = |group| Part { leaf: 1, group, piece: Piece::Byte(7) };
        for group in 0..3 * 1024 {
            kept.keep(part(group), Bytes::from(vec![group as u8; 64 << 10]));
        }
        let there: Vec<i32> = (0..3 * 1024).filter(|group| kept.get(part(*group)).is_some()).collect();
        assert!((512..=1024).contains(&there.len()), "{}", there.len());
        assert!(
            there.iter().all(|group| kept.get(part(*group)).is_some_and(|bytes| bytes[0] == *group as u8))
        );
        assert!(kept.get(Part { piece: Piece::Bit(7), ..part(there[0]) }).is_none());
    }
}
