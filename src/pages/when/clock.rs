//! Clock times and the offsets behind them: `14:00`, `14:00:30.5`, `14:00:00,123`, `2pm`, `noon`; `Z`, `UTC`, `+01:00`, `-0500`, `CET`,
//! `Europe/Berlin`. In: tokens. Out: microseconds of a day and how fine they are; where the clock hangs. Pure.

use chrono::FixedOffset;

use super::{
    Zone,
    age::micros,
    reader::Reader,
    tokens::Kind,
    zone::{abbreviated, offset_of_minutes},
};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A time of day, in microseconds from midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) at: i64,
    /// How long what was written lasts: `14:00` a minute, `14:00:00.5` a tenth of a second.
    pub(super) grain: i64,
}

/// Where the clock hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Zone(Zone),
    Offset(FixedOffset),
}

/// Zone names have at most this many words, signs and numbers.
const ZONE_TOKENS_MAX: usize = 12;

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Clock> {
    let named = reader.word(&[("noon", 12 * HOUR), ("midnight", 0)]);
    let named = named.map(|at| Clock { at, grain: MINUTE });
    named.or_else(|| reader.attempt(with_colons)).or_else(|| reader.attempt(of_the_hour))
}

/// `140000` or `1400` behind the `T` of a compact date.
pub(super) fn compact(reader: &mut Reader<'_>) -> Option<Clock> {
    let start = reader.position();
    let digits = reader.glued_number(4..=6).filter(|digits| digits.len() != 5)?;
    let number = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |part| part.parse().ok());
    let grain = if digits.len() == 6 { SECOND } else { MINUTE };
    let clock = of_parts(reader, start, [number(0..2)?, number(2..4)?, number(4..6)?], grain)?;
    Some(if grain == SECOND { with_fraction(reader, clock) } else { clock })
}

fn with_colons(reader: &mut Reader<'_>) -> Option<Clock> {
    let start = reader.position();
    let hour: i64 = reader.number(1..=2)?.parse().ok()?;
    reader.glued_sign(":")?;
    let minute = reader.glued_number(2..=2)?.parse().ok()?;
    let second = reader.attempt(|reader| {
        reader.glued_sign(":")?;
        reader.glued_number(2..=2)?.parse().ok()
    });
    let hour = match half(reader) {
        Some(half) => of_half(reader, start, hour, half)?,
        None => hour,
    };
    match second {
        None => of_parts(reader, start, [hour, minute, 0], MINUTE),
        Some(second) => {
            let clock = of_parts(reader, start, [hour, minute, second], SECOND)?;
            Some(with_fraction(reader, clock))
        }
    }
}

/// `2pm`.
fn of_the_hour(reader: &mut Reader<'_>) -> Option<Clock> {
    let start = reader.position();
    let hour = reader.number(1..=2)?.parse().ok()?;
    let half = half(reader)?;
    let hour = of_half(reader, start, hour, half)?;
    of_parts(reader, start, [hour, 0, 0], HOUR)
}

fn half(reader: &mut Reader<'_>) -> Option<i64> {
    reader.word(&[("am", 0), ("pm", 12)])
}

fn of_half(reader: &mut Reader<'_>, start: usize, hour: i64, half: i64) -> Option<i64> {
    if (1..=12).contains(&hour) {
        Some(hour % 12 + half)
    } else {
        reader.complain(start, "is no time of day")
    }
}

fn of_parts(
    reader: &mut Reader<'_>,
    start: usize,
    [hour, minute, second]: [i64; 3],
    grain: i64,
) -> Option<Clock> {
    let at = hour * HOUR + minute * MINUTE + second * SECOND;
    // 24:00 is the end of a day, :60 a leap second.
    if at <= DAY && minute < 60 && second <= 60 {
        Some(Clock { at, grain })
    } else {
        reader.complain(start, "is no time of day")
    }
}

pub(super) fn with_fraction(reader: &mut Reader<'_>, clock: Clock) -> Clock {
    let digits = reader.attempt(|reader| {
        reader.glued_sign(".,")?;
        reader.glued_number(1..=30)
    });
    let Some(digits) = digits else { return clock };
    let fraction = i64::try_from(micros(digits)).expect("less than a million");
    let places = u32::try_from(digits.len().min(6)).expect("at most six");
    Clock { at: clock.at + fraction, grain: 10_i64.pow(6 - places) }
}

/// Whether a `-` behind the clock may begin an offset: only a date and a full time are followed by one, anything else by a second time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Minus {
    Offset,
    Range,
}

pub(super) fn place(reader: &mut Reader<'_>, minus: Minus) -> Option<Place> {
    let place = reader.attempt(|reader| named(reader, minus));
    let place = place.or_else(|| reader.attempt(|reader| offset(reader, minus)).map(Place::Offset))?;
    // What Go, Java and JavaScript write behind an offset: a name, a zone in brackets, a remark.
    reader.attempt(|reader| reader.any_word().and_then(abbreviated));
    reader.attempt(|reader| {
        reader.glued_sign("[")?;
        reader.longest(ZONE_TOKENS_MAX, Zone::named)?;
        reader.glued_sign("]")
    });
    reader.attempt(remark);
    reader.attempt(|reader| {
        (reader.is_word(&["m"]) && reader.glued_sign("=").is_some()).then_some(())?;
        reader.sign("+-")?;
        reader.number(1..=20)?;
        reader.sign(".")?;
        reader.number(1..=20)
    });
    Some(place)
}

/// `UTC`, `GMT+1`, `CET`, `Europe/Berlin`.
fn named(reader: &mut Reader<'_>, minus: Minus) -> Option<Place> {
    let short = reader.attempt(|reader| {
        let offset = abbreviated(reader.any_word()?)?;
        // `EST5EDT` is a zone.
        let goes_on = reader.peek(0).is_some_and(|token| token.kind == Kind::Number && token.is_glued);
        if goes_on { None } else { Some(offset) }
    });
    if let Some(short) = short {
        let more = reader.attempt(|reader| offset(reader, minus)).filter(|_| short.local_minus_utc() == 0);
        return Some(Place::Offset(more.unwrap_or(short)));
    }
    reader.peek(0).filter(|token| token.kind == Kind::Word)?;
    let zone = reader.longest(ZONE_TOKENS_MAX, Zone::named);
    zone.or_else(|| reader.attempt(unknown_zone)).map(Place::Zone)
}

/// What looks like a zone and is none.
fn unknown_zone(reader: &mut Reader<'_>) -> Option<Zone> {
    let start = reader.position();
    reader.any_word()?;
    reader.glued_sign("/")?;
    reader.any_word()?;
    reader.complain(start, "is no time zone")
}

/// `+01:00`, `+0100`, `+01`.
fn offset(reader: &mut Reader<'_>, minus: Minus) -> Option<FixedOffset> {
    let sign = if reader.sign("+").is_some() { 1 } else { reader.sign("-").map(|_| -1)? };
    let digits = reader.glued_number(1..=4).filter(|digits| digits.len() != 3)?;
    let minutes = reader.attempt(|reader| {
        reader.glued_sign(":").filter(|_| digits.len() <= 2)?;
        reader.glued_number(2..=2)
    });
    // Behind a minus, more digits mean that it was another time, or another date.
    let more = if digits.len() <= 2 && minutes.is_none() { ":-/." } else { ":" };
    let goes_on = reader.peek(0).is_some_and(|token| token.is_glued) && reader.sees(0, more);
    if sign < 0 && (goes_on || minus == Minus::Range) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    let (hours, minutes) = match digits.len() {
        4 => (number / 100, number % 100),
        _ => (number, minutes.unwrap_or("0").parse().ok()?),
    };
    offset_of_minutes(sign * (hours * 60 + minutes)).filter(|_| minutes < 60)
}

/// `(Central European Standard Time)`.
fn remark(reader: &mut Reader<'_>) -> Option<()> {
    reader.sign("(")?;
    while reader.any_word().is_some() {}
    reader.sign(")").map(|_| ())
}
