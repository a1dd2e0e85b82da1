//! Places between rows. In: the row where a page ended. Out: an opaque text for the next request, and back. A cursor also remembers
//! when the first page was asked for, so that `from=15m` means the same fifteen minutes on every page, and what was stored by then, so
//! that every page is of the same records. Pure.

use uuid::Uuid;

use super::as_of::AsOf;
use crate::record::Timestamp;

/// First microsecond of the year 0: what RFC 3339 can write.
pub const MICROS_MIN: i64 = -62_167_219_200_000_000;

/// A place in the order (timestamp, id): a row, or where one could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub timestamp: Timestamp,
    pub id: Uuid,
}

/// Which way a page runs from its position, which it does not include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Older,
    Newer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub direction: Direction,
    pub position: Position,
    /// What relative bounds count back from.
    pub asked_at: Timestamp,
    /// The moment of the first page; without it, whatever is stored.
    pub as_of: Option<AsOf>,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Version (upper half) and direction, two times, one id: a multiple of three, so that base64 needs no padding.
const BYTES: usize = 33;
const VERSION: u8 = 1;

impl Position {
    /// Before every row of `timestamp`.
    pub fn start_of(timestamp: Timestamp) -> Self {
        Self { timestamp, id: Uuid::nil() }
    }

    /// The place just before this one, so that a walk upwards from it includes this row.
    pub fn before(self) -> Self {
        match self.id.as_u128().checked_sub(1) {
            Some(id) => Self { id: Uuid::from_u128(id), ..self },
            None => Self { timestamp: Timestamp(self.timestamp.0 - 1), id: Uuid::max() },
        }
    }

    /// The place just after this one.
    pub fn after(self) -> Self {
        match self.id.as_u128().checked_add(1) {
            Some(id) => Self { id: Uuid::from_u128(id), ..self },
            None => Self::start_of(Timestamp(self.timestamp.0 + 1)),
        }
    }
}

impl Cursor {
    /// 44 characters of base64url, then the moment behind a dot.
    pub fn write(&self) -> String {
        let direction = match self.direction {
            Direction::Older => 0,
            Direction::Newer => 1,
        };
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION << 4 | direction);
        bytes.extend_from_slice(&self.position.timestamp.0.to_be_bytes());
        bytes.extend_from_slice(self.position.id.as_bytes());
        bytes.extend_from_slice(&self.asked_at.0.to_be_bytes());
        let mut text = String::with_capacity(BYTES / 3 * 4);
        for three in bytes.chunks_exact(3) {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for shift in [18, 12, 6, 0] {
                text.push(ALPHABET[(bits >> shift & 63) as usize] as char);
            }
        }
        if let Some(as_of) = &self.as_of {
            text.push('.');
            text.push_str(&as_of.to_string());
        }
        text
    }

    /// None for what we did not write.
    pub fn parse(text: &str) -> Option<Self> {
        let (place, as_of) = match text.split_once('.') {
            Some((place, as_of)) => (place, Some(AsOf::parse(as_of)?)),
            None => (text, None),
        };
        if place.len() != BYTES / 3 * 4 {
            return None;
        }
        let mut bytes = Vec::with_capacity(BYTES);
        for four in place.as_bytes().chunks_exact(4) {
            let mut bits = 0_u32;
            for letter in four {
                let six = ALPHABET.iter().position(|known| known == letter)?;
                bits = bits << 6 | six as u32;
            }
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
        let direction = match bytes[0] {
            byte if byte == VERSION << 4 => Direction::Older,
            byte if byte == VERSION << 4 | 1 => Direction::Newer,
            _ => return None,
        };
        let time = |at: usize| {
            let micros = i64::from_be_bytes(bytes[at..at + 8].try_into().ok()?);
            (MICROS_MIN..=Timestamp::MAX.0).contains(&micros).then_some(Timestamp(micros))
        };
        let id = Uuid::from_slice(&bytes[9..25]).ok()?;
        Some(Self { direction, position: Position { timestamp: time(1)?, id }, asked_at: time(25)?, as_of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::as_of::tests::an_as_of;
    use proptest::{option, prelude::*};

    proptest! {
        #[test]
        fn comes_back(micros in MICROS_MIN..=Timestamp::MAX.0, id: u128, asked in 0..=Timestamp::MAX.0, newer: bool, as_of in option::of(an_as_of())) {
            let cursor = Cursor {
                direction: if newer { Direction::Newer } else { Direction::Older },
                position: Position { timestamp: Timestamp(micros), id: Uuid::from_u128(id) },
                asked_at: Timestamp(asked),
                as_of,
            };
            prop_assert_eq!(Cursor::parse(&cursor.write()), Some(cursor.clone()));
            prop_assert!(cursor.position.before() < cursor.position && cursor.position < cursor.position.after());
            prop_assert_eq!(cursor.position.before().after(), cursor.position);
        }

        #[test]
        fn foreign_text_is_refused_or_means_itself(text in "[A-Za-z0-9_=é.-]{0,60}") {
            if let Some(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(cursor.write(), text);
            }
        }
    }
}
