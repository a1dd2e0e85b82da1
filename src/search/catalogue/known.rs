//! What a process has learnt of the index, and how it learns. In: leaves, groups and signatures in any order, some of them known already.
//! Out: the view that searches hold on to. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{GroupHead, LeafView, OpenBlock, chunk::Chunk};
use crate::{
    index::{
        signature::BYTES,
        span::{BlockSpan, read_units},
    },
    record::Timestamp,
};

#[derive(Default)]
pub(super) struct Known {
    /// Everything older was seen.
    pub(super) watermark: u64,
    /// Of which life of the server all this is; None if that had no name.
    pub(super) incarnation: Option<String>,
    leaves: BTreeMap<Timestamp, Arc<LeafView>>,
    /// Where a leaf begins, by its number.
    begins: HashMap<i32, Timestamp>,
    /// Blocks that are in `leaves` and not in a group, by leaf.
    hot: HashMap<i32, HashSet<i32>>,
    /// `leaves` holds what `view` does not: also after a refresh that broke off.
    is_changed: bool,
    /// The same as `leaves`, for the searches.
    view: Arc<Vec<Arc<LeafView>>>,
}

impl Known {
    pub(super) fn learn_leaf(&mut self, number: i32, name: String, from: Timestamp, to: Timestamp) {
        if self.begins.contains_key(&number) {
            return;
        }
        self.is_changed = true;
        let (groups, chunks, unreadable) = (Vec::new(), Vec::new(), Vec::new());
        self.begins.insert(number, from);
        let leaf = LeafView { number, name, from, to, groups, chunks, unreadable };
        self.leaves.insert(from, Arc::new(leaf));
    }

    pub(super) fn forget_leaf(&mut self, number: i32) {
        let Some(begin) = self.begins.remove(&number) else { return };
        self.hot.remove(&number);
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

    pub(super) fn learn_group(&mut self, leaf: i32, head: GroupHead, blocks: &[i32], replaced: &[i32]) {
        let number = leaf;
        let Some(leaf) = self.leaf(number) else { return };
        if leaf.groups.iter().any(|known| known.number == head.number) {
            return;
        }
        leaf.groups.retain(|known| !replaced.contains(&known.number));
        leaf.groups.push(Arc::new(head));
        let sealed: HashSet<i32> = blocks.iter().copied().collect();
        let is_sealed = |block: &BlockSpan| sealed.contains(&block.number);
        leaf.chunks.retain_mut(|chunk| {
            if chunk.blocks.iter().flatten().all(is_sealed) {
                return false;
            }
            if chunk.blocks.iter().flatten().any(is_sealed) {
                Arc::make_mut(chunk).forget(is_sealed);
            }
            true
        });
        leaf.unreadable.retain(|block| !sealed.contains(&block.number));
        if let Some(hot) = self.hot.get_mut(&number) {
            hot.retain(|block| !sealed.contains(block));
        }
        self.is_changed = true;
    }

    /// Whether all this is of another history: numbers that were given out since may have been given out before. Without a name it may well be.
    pub(super) fn is_foreign(&self, oldest: u64, incarnation: Option<&str>) -> bool {
        let is_same = incarnation.is_some() && self.incarnation.as_deref() == incarnation;
        self.watermark > 0 && (!is_same || oldest < self.watermark)
    }

    /// Whether no block is in memory that could be in a group.
    pub(super) fn is_cold(&self) -> bool {
        self.hot.values().all(HashSet::is_empty)
    }

    /// Whether a block with a signature is in memory.
    pub(super) fn has(&self, leaf: i32, block: i32) -> bool {
        self.hot.get(&leaf).is_some_and(|hot| hot.contains(&block))
    }

    /// A block whose signature cannot be read may hold anything.
    pub(super) fn learn_block(&mut self, block: OpenBlock, mut units: &[u8], signature: &[u8]) {
        if let (Some(units), BYTES) = (read_units(&mut units), signature.len()) {
            let span = BlockSpan { number: block.number, level: block.level, units };
            return self.learn_span(block.leaf, span, signature);
        }
        let (number, place) = (block.leaf, block.number);
        let Some(leaf) = self.leaf(number) else { return };
        leaf.unreadable.push(block);
        self.hot.entry(number).or_default().insert(place);
        self.is_changed = true;
    }

    /// A block with its signature.
    pub(super) fn learn_span(&mut self, leaf: i32, span: BlockSpan, signature: &[u8]) {
        let (number, block) = (leaf, span.number);
        let Some(leaf) = self.leaf(number) else { return };
        match leaf.chunks.last_mut() {
            Some(last) if !last.is_full() => Arc::make_mut(last).add(span, signature),
            _ => leaf.chunks.push(Arc::new(Chunk::of(span, signature))),
        }
        self.hot.entry(number).or_default().insert(block);
        self.is_changed = true;
    }

    /// Everything as it is now.
    pub(super) fn view(&mut self) -> Arc<Vec<Arc<LeafView>>> {
        if self.is_changed {
            self.is_changed = false;
            self.view = Arc::new(self.leaves.values().cloned().collect());
        }
        self.view.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::span::{Unit, write_units};

    #[test]
    fn what_is_of_another_history_is_told() {
        let mut known = Known::default();
        assert!(!known.is_foreign(5, None), "nothing is known yet");
        known.watermark = 10;
        assert!(known.is_foreign(11, None), "without names nobody can tell");
        known.incarnation = Some("one".into());
        assert!(!known.is_foreign(10, Some("one")));
        assert!(known.is_foreign(9, Some("one")), "numbers of transactions have gone back");
        assert!(known.is_foreign(11, Some("other")) && known.is_foreign(11, None));
    }

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

    /// A refresh broke off; when the next one comes, some of what it learnt is sealed, and a group was joined into another.
    #[test]
    fn what_was_learnt_before_a_refresh_broke_off_is_not_known_twice() {
        let mut known = Known::default();
        let (from, to) = (Timestamp(0), Timestamp(9));
        let group = |number| GroupHead { number, width: 1, from, to, blocks: 8, values: None };
        let mut units = Vec::new();
        write_units(&[Unit::of(Timestamp(5))], &mut units);
        assert!(known.is_cold());
        known.learn_leaf(1, "leaf".into(), Timestamp(0), Timestamp(10));
        known.learn_group(1, group(1), &[], &[]);
        for number in 0..20 {
            let damaged: &[u8] = if number == 3 { &[] } else { &[0; BYTES] };
            known.learn_block(OpenBlock { leaf: 1, number, level: 3, filling: None }, &units, damaged);
        }
        assert!(!known.is_cold() && known.has(1, 3) && !known.has(1, 20));
        let sealed: Vec<i32> = (0..10).collect();
        known.learn_group(1, group(2), &sealed, &[1]);
        let view = known.view();
        let blocks: Vec<i32> = view[0]
            .chunks
            .iter()
            .flat_map(|chunk| chunk.blocks.iter().flatten())
            .map(|block| block.number)
            .collect();
        assert_eq!(blocks, (10..20).collect::<Vec<_>>());
        assert_eq!((view[0].groups.len(), view[0].unreadable.len()), (1, 0));
        assert!(!known.has(1, 3) && known.has(1, 10));
    }
}
