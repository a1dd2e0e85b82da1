//! Ages: `15m`, `1h30m`, `2 days`, `1.5 hours`, `3 months`. In: tokens. Out: how long that is. Pure.

use super::reader::Reader;
use crate::search::filter::{Bound, Unit};

/// How long before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Length(Bound),
    /// Months of the calendar, which differ in length.
    Months(u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Length(Unit),
    Months(u32),
}

const WORDS: &[(&str, Word)] = &[
    ("s", Word::Length(Unit::Seconds)),
    ("sec", Word::Length(Unit::Seconds)),
    ("secs", Word::Length(Unit::Seconds)),
    ("second", Word::Length(Unit::Seconds)),
    ("seconds", Word::Length(Unit::Seconds)),
    ("m", Word::Length(Unit::Minutes)),
    ("min", Word::Length(Unit::Minutes)),
    ("mins", Word::Length(Unit::Minutes)),
    ("minute", Word::Length(Unit::Minutes)),
    ("minutes", Word::Length(Unit::Minutes)),
    ("h", Word::Length(Unit::Hours)),
    ("hr", Word::Length(Unit::Hours)),
    ("hrs", Word::Length(Unit::Hours)),
    ("hour", Word::Length(Unit::Hours)),
    ("hours", Word::Length(Unit::Hours)),
    ("d", Word::Length(Unit::Days)),
    ("day", Word::Length(Unit::Days)),
    ("days", Word::Length(Unit::Days)),
    ("w", Word::Length(Unit::Weeks)),
    ("wk", Word::Length(Unit::Weeks)),
    ("week", Word::Length(Unit::Weeks)),
    ("weeks", Word::Length(Unit::Weeks)),
    ("mo", Word::Months(1)),
    ("month", Word::Months(1)),
    ("months", Word::Months(1)),
    ("y", Word::Months(12)),
    ("year", Word::Months(12)),
    ("years", Word::Months(12)),
];

/// Whole numbers of a unit, and what they are multiplied by to become seconds.
const SECONDS: [(Unit, u64); 5] = [
    (Unit::Weeks, 604_800),
    (Unit::Days, 86_400),
    (Unit::Hours, 3_600),
    (Unit::Minutes, 60),
    (Unit::Seconds, 1),
];

/// Digits of a number, and the largest number that a link can say.
const DIGITS_MAX: usize = 9;
const AMOUNT_MAX: u64 = 999_999_999;
const MONTHS_MAX: u32 = 12_000;

/// An age of one or more parts.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Age> {
    let start = reader.position();
    let (mut seconds, mut parts) = (0_u64, Vec::new());
    while parts.len() < SECONDS.len() {
        let Some((millionths, word)) = reader.attempt(part) else { break };
        match word {
            Word::Length(unit) => {
                let unit_seconds = SECONDS.iter().find(|(known, _)| *known == unit)?.1;
                let (whole, millionths) = (millionths / 1_000_000, millionths % 1_000_000);
                if !(millionths * unit_seconds).is_multiple_of(1_000_000) {
                    return reader.complain(start, "is finer than a second");
                }
                seconds += whole * unit_seconds + millionths * unit_seconds / 1_000_000;
            }
            Word::Months(each) if parts.is_empty() => {
                let months = u32::try_from(millionths / 1_000_000).ok()?.checked_mul(each);
                return match months.filter(|months| *months <= MONTHS_MAX && millionths % 1_000_000 == 0) {
                    Some(months) => Some(Age::Months(months)),
                    None => reader.complain(start, "is no whole number of months, or too long ago"),
                };
            }
            Word::Months(_) => return None,
        }
        parts.push((millionths, word));
    }
    let bound = match parts.as_slice() {
        [] => return None,
        [(millionths, Word::Length(unit))] if millionths % 1_000_000 == 0 => {
            Bound::Ago { amount: u32::try_from(millionths / 1_000_000).ok()?, unit: *unit }
        }
        _ => match of_seconds(seconds) {
            Some(bound) => bound,
            None => return reader.complain(start, "is too long ago"),
        },
    };
    Some(Age::Length(bound))
}

/// The unit behind `last` that needs no number: `last hour`.
pub(super) fn read_one(reader: &mut Reader<'_>) -> Option<Age> {
    let one: &[(&str, Unit)] =
        &[("second", Unit::Seconds), ("minute", Unit::Minutes), ("hour", Unit::Hours), ("day", Unit::Days)];
    let unit = reader.word(one)?;
    Some(Age::Length(Bound::Ago { amount: 1, unit }))
}

fn of_seconds(seconds: u64) -> Option<Bound> {
    let (unit, each) = SECONDS.into_iter().find(|(_, each)| seconds.is_multiple_of(*each))?;
    let amount = Some(seconds / each).filter(|amount| *amount <= AMOUNT_MAX)?;
    Some(Bound::Ago { amount: u32::try_from(amount).ok()?, unit })
}

/// A number in millionths, and its unit.
fn part(reader: &mut Reader<'_>) -> Option<(u64, Word)> {
    let millionths = match reader.is_word(&["a", "an", "one"]) {
        true => 1_000_000,
        false => {
            let whole: u64 = reader.number(1..=DIGITS_MAX)?.parse().ok()?;
            let fraction = reader.attempt(|reader| {
                reader.glued_sign(".,")?;
                reader.glued_number(1..=6)
            });
            whole * 1_000_000 + fraction.map_or(0, micros)
        }
    };
    Some((millionths, reader.word(WORDS)?))
}

/// Digits behind the point, to the sixth.
pub(super) fn micros(digits: &str) -> u64 {
    (0..6).fold(0, |sum, at| sum * 10 + digits.as_bytes().get(at).map_or(0, |digit| u64::from(digit - b'0')))
}
