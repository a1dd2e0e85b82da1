//! Signatures that are not sealed, as a process keeps them: eight blocks together, bit by bit. In: blocks, one after the other. Out:
//! slices of one byte, and how far the rows reach.

use crate::{
    index::{group::turn_one, probe::Whole, signature::BITS, span::BlockSpan},
    record::Timestamp,
};

/// One byte a bit.
const BLOCKS_MAX: usize = 8;

/// Up to eight blocks.
#[derive(Clone)]
pub struct Chunk {
    pub blocks: Vec<Option<BlockSpan>>,
    slices: Vec<u8>,
    /// Time of the first row; blocks that are sealed meanwhile leave it as it is.
    pub from: Timestamp,
    /// Of the last row, inclusive.
    pub to: Timestamp,
}

impl Chunk {
    pub fn of(span: BlockSpan, signature: &[u8]) -> Self {
        let (blocks, slices) = (Vec::with_capacity(BLOCKS_MAX), vec![0; BITS]);
        let mut chunk = Self { blocks, slices, from: span.from(), to: span.to() };
        chunk.add(span, signature);
        chunk
    }

    pub(super) fn is_full(&self) -> bool {
        self.blocks.len() >= BLOCKS_MAX
    }

    pub(super) fn add(&mut self, span: BlockSpan, signature: &[u8]) {
        let place = self.blocks.len();
        turn_one(signature, place, &mut self.slices);
        self.from = self.from.min(span.from());
        self.to = self.to.max(span.to());
        self.blocks.push(Some(span));
    }

    /// Their places stay empty.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&BlockSpan) -> bool) {
        for block in &mut self.blocks {
            *block = block.take().filter(|block| !is_gone(block));
        }
    }

    pub fn slices(&self) -> Whole<'_> {
        Whole { width: 1, slices: &self.slices }
    }
}
