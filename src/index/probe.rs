//! Which units may hold a hit. In: a [`Need`] and the bits of many blocks. Out: one bit a unit. The bits come from memory or from slices
//! that were fetched; one that is missing counts as all ones, so that nothing is ruled out by accident. Pure.

use std::collections::HashMap;

use bytes::Bytes;

use super::{need::Need, signature::UNITS, span::BlockSpan};

/// Bits of some blocks, bit by bit.
pub trait Slices {
    /// Bytes of a slice: an eighth of the blocks.
    fn width(&self) -> usize;
    /// Slice of a bit; None if it is not at hand.
    fn bit(&self, bit: u32) -> Option<&[u8]>;
    /// The eight slices of a byte, one after the other.
    fn byte(&self, byte: u16) -> Option<&[u8]>;
}

/// All slices in one piece, as a group's `slices` are.
pub struct Whole<'a> {
    pub width: usize,
    pub slices: &'a [u8],
}

/// The slices that were asked for.
#[derive(Default)]
pub struct Fetched {
    pub width: usize,
    pub bits: HashMap<u32, Bytes>,
    pub bytes: HashMap<u16, Bytes>,
}

impl Slices for Whole<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn bit(&self, bit: u32) -> Option<&[u8]> {
        self.slices.get(bit as usize * self.width..)?.get(..self.width)
    }

    fn byte(&self, byte: u16) -> Option<&[u8]> {
        self.slices.get(usize::from(byte) * UNITS * self.width..)?.get(..UNITS * self.width)
    }
}

impl Slices for Fetched {
    fn width(&self) -> usize {
        self.width
    }

    fn bit(&self, bit: u32) -> Option<&[u8]> {
        self.bits.get(&bit).map(Bytes::as_ref).filter(|slice| slice.len() == self.width)
    }

    fn byte(&self, byte: u16) -> Option<&[u8]> {
        self.bytes.get(&byte).map(Bytes::as_ref).filter(|slice| slice.len() == UNITS * self.width)
    }
}

/// Units that may hold a hit, as (place of the block in `blocks`, unit).
pub fn candidates(
    need: &Need,
    slices: &impl Slices,
    blocks: &[Option<BlockSpan>],
    mut found: impl FnMut(usize, usize),
) {
    let width = slices.width();
    let bits = units(need, slices, blocks);
    for (place, block) in blocks.iter().enumerate() {
        let Some(block) = block else { continue };
        for unit in 0..block.units.len() {
            if is_set(&bits[unit * width..], place) {
                found(place, unit);
            }
        }
    }
}

/// The bit of a place in the slice at the front.
pub fn is_set(slices: &[u8], place: usize) -> bool {
    slices[place / 8] >> (place % 8) & 1 == 1
}

/// Whether it may hold a hit, one bit a unit: for each unit a slice of all places.
pub fn units(need: &Need, slices: &impl Slices, blocks: &[Option<BlockSpan>]) -> Vec<u8> {
    let width = slices.width();
    let every = |byte: u8| vec![byte; width * UNITS];
    match need {
        Need::Anything => every(0xff),
        Need::Nothing => every(0),
        Need::Levels(_) => {
            let mut one = vec![0; width];
            for (place, block) in blocks.iter().enumerate() {
                if block.as_ref().is_some_and(|block| need.admits(block.level)) {
                    one[place / 8] |= 1 << (place % 8);
                }
            }
            one.repeat(UNITS)
        }
        Need::Grams(bits) => {
            let mut one = vec![0xff; width];
            let _ = bits.iter().filter_map(|bit| slices.bit(*bit)).all(|slice| and(&mut one, slice));
            one.repeat(UNITS)
        }
        Need::Token(token) => {
            let mut all = every(0xff);
            let _ = token.0.iter().filter_map(|byte| slices.byte(*byte)).all(|slice| and(&mut all, slice));
            all
        }
        Need::All(parts) => {
            let mut all = every(0xff);
            let _ = parts.iter().all(|part| and(&mut all, &units(part, slices, blocks)));
            all
        }
        Need::Any(parts) => {
            let mut any = every(0);
            for part in parts {
                any.iter_mut().zip(units(part, slices, blocks)).for_each(|(to, from)| *to |= from);
            }
            any
        }
    }
}

/// False if nothing is left, so that no more has to be looked at.
fn and(to: &mut [u8], from: &[u8]) -> bool {
    to.iter_mut().zip(from).fold(0, |left, (to, from)| {
        *to &= from;
        left | *to
    }) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::{
            group::{Group, Signed},
            signature::Signature,
            span::Unit,
            tokens::{self, Field},
        },
        record::{Level, Timestamp},
    };

    /// Block n: level by n, and in unit u the resource `r{n}.{u}` and the message `word{n} shared`.
    fn group() -> Group {
        let signed = |number: i32| {
            let mut signature = Signature::default();
            signature.add_message(&format!("word{number} shared"));
            for unit in 0..8 {
                signature.add_token(tokens::resource(format!("r{number}.{unit}").as_bytes()), unit);
            }
            let units = vec![Unit::of(Timestamp(0)); 8];
            let span = BlockSpan { number, level: (number % 6 + 1) as i16, units };
            Signed::new(span, signature)
        };
        Group::turn((0..20).map(signed).collect())
    }

    fn found(need: &Need, slices: &impl Slices, group: &Group) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        candidates(need, slices, &group.directory, |place, unit| all.push((place, unit)));
        all
    }

    #[test]
    fn finds_blocks_and_units() {
        let group = group();
        let whole = Whole { width: group.width(), slices: &group.slices };
        let resource = |name: &str| Need::field(Field::ResourceId, name);
        assert_eq!(found(&resource("r7.3"), &whole, &group), [(7, 3)]);
        assert_eq!(found(&Need::substring("WORD12 sh"), &whole, &group).len(), 8);
        assert_eq!(found(&Need::substring("shared"), &whole, &group).len(), 160);
        assert_eq!(found(&Need::levels(&[Level::Trace]), &whole, &group).len(), 4 * 8);
        let both = Need::all(vec![resource("r7.3"), Need::substring("word8")]);
        assert_eq!(found(&both, &whole, &group), []);
        let either = Need::any(vec![resource("r7.3"), resource("r8.1")]);
        assert_eq!(found(&either, &whole, &group), [(7, 3), (8, 1)]);
        assert_eq!(found(&Need::Nothing, &whole, &group), []);
        assert_eq!(found(&Need::Anything, &whole, &group).len(), 160);
    }

    #[test]
    fn a_missing_slice_rules_nothing_out() {
        let group = group();
        let none = Fetched { width: group.width(), ..Fetched::default() };
        assert_eq!(found(&Need::substring("word7"), &none, &group).len(), 160);
        let short = HashMap::from([(tokens::resource(b"r7.3").0[0], Bytes::from_static(&[0; 5]))]);
        let short = Fetched { width: group.width(), bytes: short, ..Fetched::default() };
        assert_eq!(found(&Need::field(Field::ResourceId, "r7.3"), &short, &group).len(), 160);
    }
}
