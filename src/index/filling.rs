//! Blocks that are being filled, as the writers of this process have them, for its searches. In: what a batch is about to commit. Out: bits and units
//! of a block that nobody has signed yet, or has signed just now. Without them a search reads every row of an open block, and fetches each signature
//! from the database; so does whoever searches in another process.
//!
//! A batch is made known before it is committed, and a search looks when it has its snapshot. So it is told of every row that its snapshot sees, and
//! perhaps of more: of a batch that is not committed yet, or never will be. More is no harm, because the index is a superset.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{probe::Slices, signature::UNITS, span::BlockSpan};

/// Signed blocks that are kept until a search learns them, 12 KiB each: those of a second or two at full speed.
const SIGNED_MAX: usize = 1_024;

/// For each byte of a signature its eight bits, one a unit.
const SPREAD: [[u8; UNITS]; 256] = spread();

/// A block as it was when its last batch was about to be committed.
pub struct Filling {
    /// The only one.
    pub blocks: [Option<BlockSpan>; 1],
    pub signature: Box<[u8]>,
    writer: i32,
    is_signed: bool,
}

impl Slices for Filling {
    fn width(&self) -> usize {
        1
    }

    fn bit(&self, bit: u32) -> Option<&[u8]> {
        let byte = self.signature.get((bit >> 3) as usize)?;
        Some(&SPREAD[usize::from(*byte)][(bit & 7) as usize..][..1])
    }

    fn byte(&self, byte: u16) -> Option<&[u8]> {
        let byte = self.signature.get(usize::from(byte))?;
        Some(&SPREAD[usize::from(*byte)])
    }
}

/// Those of all writers of a process, by leaf and number.
#[derive(Default)]
pub struct FillingBlocks(Mutex<State>);

#[derive(Default)]
struct State {
    blocks: HashMap<(i32, i32), Arc<Filling>>,
    /// In the order in which they were signed; some were learnt since.
    signed: VecDeque<(i32, i32)>,
}

impl FillingBlocks {
    /// A block got rows that are about to be committed.
    pub fn open(&self, writer: i32, leaf: i32, span: &BlockSpan, signature: &[u8]) {
        let filling = Arc::new(Filling::of(writer, span, signature, false));
        self.lock().blocks.insert((leaf, span.number), filling);
    }

    /// A block gets no more rows, if its batch is committed.
    pub fn signed(&self, writer: i32, leaf: i32, span: &BlockSpan, signature: &[u8]) {
        let filling = Arc::new(Filling::of(writer, span, signature, true));
        let mut state = self.lock();
        state.blocks.insert((leaf, span.number), filling);
        state.signed.push_back((leaf, span.number));
        if state.signed.len() > SIGNED_MAX
            && let Some(oldest) = state.signed.pop_front()
        {
            state.blocks.remove(&oldest);
        }
    }

    /// A block that a snapshot has among its open ones.
    pub fn get(&self, leaf: i32, block: i32) -> Option<Arc<Filling>> {
        self.lock().blocks.get(&(leaf, block)).cloned()
    }

    /// A block that a snapshot has among its signed ones; it is not kept any longer.
    pub fn learn(&self, leaf: i32, block: i32) -> Option<Arc<Filling>> {
        let mut state = self.lock();
        let is_signed = state.blocks.get(&(leaf, block)).is_some_and(|filling| filling.is_signed);
        if is_signed { state.blocks.remove(&(leaf, block)) } else { None }
    }

    /// Numbers of blocks may have been given out again.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// The writer ends, or does not know how a batch ended.
    pub fn forget(&self, writer: i32) {
        self.lock().blocks.retain(|_, filling| filling.writer != writer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filling {
    fn of(writer: i32, span: &BlockSpan, signature: &[u8], is_signed: bool) -> Self {
        Self { blocks: [Some(span.clone())], signature: signature.into(), writer, is_signed }
    }
}

const fn spread() -> [[u8; UNITS]; 256] {
    let mut table = [[0; UNITS]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut unit = 0;
        while unit < UNITS {
            table[byte][unit] = (byte >> unit & 1) as u8;
            unit += 1;
        }
        byte += 1;
    }
    table
}
