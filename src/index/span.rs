//! What the index knows of a block beside its signature: its number, its level, and for each unit the number of rows and the first and
//! last time. In: blocks. Out: about 65 bytes each, as the tables keep them, and back. Pure.

use super::signature::UNITS;
use crate::record::Timestamp;

/// One unit of a block: up to 32 rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    pub rows: u8,
    pub from: Timestamp,
    /// Time of the last row, inclusive.
    pub to: Timestamp,
}

/// A block that receives no more rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSpan {
    pub number: i32,
    pub level: i16,
    /// One to eight.
    pub units: Vec<Unit>,
}

impl Unit {
    pub fn of(at: Timestamp) -> Self {
        Self { rows: 1, from: at, to: at }
    }

    pub fn add(&mut self, at: Timestamp) {
        self.rows += 1;
        self.from = self.from.min(at);
        self.to = self.to.max(at);
    }
}

impl BlockSpan {
    /// What the table `records` holds in `block` for a unit of this block.
    pub fn unit_id(&self, unit: usize) -> i32 {
        self.number << 3 | unit as i32
    }

    pub fn from(&self) -> Timestamp {
        self.units.iter().map(|unit| unit.from).min().unwrap_or(Timestamp::MAX)
    }

    pub fn to(&self) -> Timestamp {
        self.units.iter().map(|unit| unit.to).max().unwrap_or(Timestamp(0))
    }
}

/// Appends the units: rows, then times as differences to the time before, seven bits a byte.
pub fn write_units(units: &[Unit], out: &mut Vec<u8>) {
    out.push(units.len() as u8);
    let mut before = 0;
    for unit in units {
        out.push(unit.rows);
        write_signed(unit.from.0 - before, out);
        write_signed(unit.to.0 - unit.from.0, out);
        before = unit.from.0;
    }
}

pub fn read_units(bytes: &mut &[u8]) -> Option<Vec<Unit>> {
    let count = usize::from(read_byte(bytes)?);
    if !(1..=UNITS).contains(&count) {
        return None;
    }
    let mut before = 0_i64;
    let mut units = Vec::with_capacity(count);
    for _ in 0..count {
        let rows = read_byte(bytes)?;
        let from = before.checked_add(read_signed(bytes)?)?;
        let to = from.checked_add(read_signed(bytes)?)?;
        units.push(Unit { rows, from: Timestamp(from), to: Timestamp(to) });
        before = from;
    }
    Some(units)
}

/// The directory of a group: one entry for each place, None where a place is empty.
pub fn write_directory(blocks: &[Option<BlockSpan>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(blocks.len() * 60);
    for block in blocks {
        match block {
            None => out.push(0),
            Some(block) => {
                out.push(block.level as u8);
                write_signed(i64::from(block.number), &mut out);
                write_units(&block.units, &mut out);
            }
        }
    }
    out
}

pub fn read_directory(mut bytes: &[u8]) -> Option<Vec<Option<BlockSpan>>> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        blocks.push(match read_byte(&mut bytes)? {
            0 => None,
            level => {
                let number = i32::try_from(read_signed(&mut bytes)?).ok()?;
                Some(BlockSpan { number, level: i16::from(level), units: read_units(&mut bytes)? })
            }
        });
    }
    Some(blocks)
}

fn write_signed(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn read_signed(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = read_byte(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

fn read_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        pub(crate) fn a_block()(
            number in 0..1_i32 << 28,
            level in 1_i16..=6,
            units in proptest::collection::vec((1_u8..=32, 0..=Timestamp::MAX.0, 0..4_000_000_000_i64), 1..=8),
        ) -> BlockSpan {
            let unit = |(rows, from, length): (u8, i64, i64)| Unit { rows, from: Timestamp(from), to: Timestamp(from + length) };
            BlockSpan { number, level, units: units.into_iter().map(unit).collect() }
        }
    }

    proptest! {
        #[test]
        fn directories_come_back(blocks in proptest::collection::vec(proptest::option::of(a_block()), 0..20)) {
            prop_assert_eq!(read_directory(&write_directory(&blocks)), Some(blocks));
        }

        #[test]
        fn foreign_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_directory(&bytes); // must not panic
        }
    }

    #[test]
    fn an_ordinary_block_takes_65_bytes() {
        let unit = |n: i64| Unit {
            rows: 32,
            from: Timestamp(1_700_000_000_000_000 + n * 276_480),
            to: Timestamp(1_700_000_000_000_000 + n * 276_480 + 267_840),
        };
        let block = BlockSpan { number: 4_000, level: 3, units: (0..8).map(unit).collect() };
        assert_eq!(write_directory(&[Some(block)]).len(), 65);
    }
}
