//! Groups: the signatures of up to 4,096 blocks turned by 90 degrees, so that the few bits a search needs stand together. In: signed
//! blocks. Out: 95,808 slices of one bit a block. Slice n of width w begins at byte n * w; because the eight bits of a byte of a
//! signature follow each other, so do the eight units of a token. Pure.

use super::{
    signature::{BITS, BYTES, Signature},
    span::BlockSpan,
    values::{self, Buckets, HASHES_MAX},
};

pub const BLOCKS_MAX: usize = 4_096;
/// Of hashes, gram lengths and layouts in this folder.
pub const FORMAT: i16 = 3;

/// A block and its signature.
#[derive(Debug, Clone)]
pub struct Signed {
    pub span: BlockSpan,
    pub signature: Vec<u8>,
    /// The list of its values; None if it was signed by an earlier release.
    pub values: Option<Vec<u8>>,
}

impl Signed {
    pub fn new(span: BlockSpan, signature: Signature) -> Self {
        let (signature, values) = signature.into_parts();
        Self { span, signature, values: Some(values) }
    }
}

/// A group as the table keeps it.
pub struct Group {
    pub directory: Vec<Option<BlockSpan>>,
    pub slices: Vec<u8>,
    /// The values of all its blocks; None if those of one are not known, or if they are too many.
    pub values: Option<Buckets>,
}

impl Group {
    /// Bytes of a slice.
    pub fn width(&self) -> usize {
        self.directory.len() / 8
    }

    /// Turns signatures; the last places stay empty if their number is no multiple of eight.
    pub fn turn(blocks: Vec<Signed>) -> Self {
        let width = blocks.len().div_ceil(8);
        let mut slices = vec![0; BITS * width];
        for (column, eight) in blocks.chunks(8).enumerate() {
            turn_eight(eight.iter().map(|block| block.signature.as_slice()), width, column, &mut slices);
        }
        let values = values_of(&blocks);
        let mut directory: Vec<Option<BlockSpan>> =
            blocks.into_iter().map(|block| Some(block.span)).collect();
        directory.resize(width * 8, None);
        Self { directory, slices, values }
    }

    /// Puts two groups of a leaf side by side.
    pub fn joined(self, other: Self) -> Self {
        let (left, right) = (self.width(), other.width());
        let mut slices = Vec::with_capacity(self.slices.len() + other.slices.len());
        for bit in 0..BITS {
            slices.extend_from_slice(&self.slices[bit * left..][..left]);
            slices.extend_from_slice(&other.slices[bit * right..][..right]);
        }
        let directory = self.directory.into_iter().chain(other.directory).collect();
        let values = self.values.zip(other.values).and_then(|(left, right)| {
            let mut hashes = left.hashes()?;
            hashes.extend(right.hashes()?);
            (hashes.len() <= HASHES_MAX).then(|| Buckets::of(hashes))
        });
        Self { directory, slices, values }
    }

    pub fn blocks(&self) -> impl Iterator<Item = &BlockSpan> {
        self.directory.iter().flatten()
    }
}

fn values_of(blocks: &[Signed]) -> Option<Buckets> {
    let mut hashes = Vec::new();
    for block in blocks {
        let is_read = values::read_into(block.values.as_ref()?, &mut hashes);
        if !is_read || hashes.len() > HASHES_MAX {
            return None;
        }
    }
    Some(Buckets::of(hashes))
}

/// Turns up to eight signatures into one column of bytes.
pub fn turn_eight<'a>(
    signatures: impl Iterator<Item = &'a [u8]>,
    width: usize,
    column: usize,
    slices: &mut [u8],
) {
    let empty = [0; BYTES];
    let mut eight = [&empty[..]; 8];
    for (place, signature) in eight.iter_mut().zip(signatures) {
        *place = signature;
    }
    for byte in 0..BYTES {
        let square = u64::from_le_bytes(std::array::from_fn(|block| eight[block][byte]));
        if square == 0 {
            continue;
        }
        for (bit, turned) in transpose(square).to_le_bytes().into_iter().enumerate() {
            slices[(byte * 8 + bit) * width + column] = turned;
        }
    }
}

/// Turns one more signature into a column of eight blocks, at this place.
pub fn turn_one(signature: &[u8], place: usize, column: &mut [u8]) {
    for (slices, byte) in column.chunks_exact_mut(8).zip(signature).filter(|(_, byte)| **byte != 0) {
        let turned = (transpose(u64::from(*byte)) << place).to_le_bytes();
        slices.iter_mut().zip(turned).for_each(|(slice, bit)| *slice |= bit);
    }
}

/// Turns a square of 8 x 8 bits (Warren, Hacker's Delight, section 7-3).
fn transpose(mut square: u64) -> u64 {
    let mut swap = |shift: u32, mask: u64| {
        let different = (square ^ square >> shift) & mask;
        square ^= different ^ different << shift;
    };
    swap(7, 0x00aa_00aa_00aa_00aa);
    swap(14, 0x0000_cccc_0000_cccc);
    swap(28, 0x0000_0000_f0f0_f0f0);
    square
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::{
            signature::{Signature, Token},
            span::Unit,
        },
        record::Timestamp,
    };

    fn signed(number: i32) -> Signed {
        let mut signature = Signature::default();
        signature.add_message(&format!("message number {number} of this test"));
        signature.add_token(Token::of(&number.to_be_bytes()), number as usize % 8);
        let span = BlockSpan { number, level: 3, units: vec![Unit::of(Timestamp(i64::from(number)))] };
        Signed::new(span, signature)
    }

    fn assert_same_bits(group: &Group, blocks: &[Signed]) {
        let width = group.width();
        for (place, entry) in group.directory.iter().enumerate() {
            let block = entry.as_ref().and_then(|entry| blocks.iter().find(|block| block.span == *entry));
            for bit in 0..BITS {
                let turned = group.slices[bit * width + place / 8] >> (place % 8) & 1;
                let original = block.map_or(0, |block| block.signature[bit / 8] >> (bit % 8) & 1);
                assert_eq!(turned, original, "place {place}, bit {bit}");
            }
        }
    }

    #[test]
    fn every_bit_keeps_its_block() {
        let blocks: Vec<Signed> = (0..19).map(signed).collect();
        let group = Group::turn(blocks.clone());
        assert_eq!((group.width(), group.blocks().count()), (3, 19));
        assert_same_bits(&group, &blocks);
        let joined = Group::turn(blocks[..9].to_vec()).joined(Group::turn(blocks[9..].to_vec()));
        assert_eq!((joined.width(), joined.blocks().count()), (4, 19));
        assert_same_bits(&joined, &blocks);
        assert!(group.values.is_some() && joined.values == group.values);
        let mut old = blocks.clone();
        old[3].values = None;
        assert!(Group::turn(old[..9].to_vec()).values.is_none());
        assert!(Group::turn(old[..9].to_vec()).joined(Group::turn(old[9..].to_vec())).values.is_none());
        let mut one_by_one = vec![0; BITS];
        for (place, block) in blocks[..8].iter().enumerate() {
            turn_one(&block.signature, place, &mut one_by_one);
        }
        assert!(one_by_one == Group::turn(blocks[..8].to_vec()).slices);
    }

    #[test]
    fn transposing_twice_is_nothing() {
        for square in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef, 1 << 63, 0x80] {
            assert_eq!(transpose(transpose(square)), square);
        }
        assert_eq!(transpose(0b10), 1 << 8);
    }
}
