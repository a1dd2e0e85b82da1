//! Times as people type them, and times as pages show them. In: a typed or pasted text, a time zone, and what is "now". Out: a [`Span`],
//! or a fault that points into the text; moments as text, marks for an axis. Pure.
//!
//! ```text
//! text ─tokens→ words, numbers, signs ─point→ points ─extent→ moments ─→ Span
//! ```
//!
//! What is typed means: an age, everything since then (`15m`, `2 days ago`); a day, a week, a minute, the whole of it (`yesterday`,
//! `14:00`); a moment to the second or better, a minute before and after it; a range, from its beginning until before its end, where an
//! end that is a day or has a fraction is part of the range.

mod age;
mod axis;
mod clock;
mod day;
mod extent;
mod point;
mod reader;
mod show;
mod tokens;
mod zone;

use self::{
    extent::{Extent, Instant, Meaning, Reading, around},
    point::Point,
    reader::Reader,
};
use crate::{
    record::Timestamp,
    search::{filter::Bound, params::Fault},
};

pub use self::{
    axis::{axis, label},
    show::{Form, Moment, relative, show, write},
    zone::Zone,
};

/// A time range; a side that is None is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Inclusive.
    pub from: Option<Bound>,
    /// Exclusive.
    pub to: Option<Bound>,
}

/// What was typed.
enum Typed {
    All,
    One(Point),
    Since(Point),
    Before(Point),
    Until(Point),
    Range(Point, Point),
}

/// Reads a time range; faults name the field `t`.
pub fn read(text: &str, zone: Zone, now: Timestamp) -> Result<Span, Fault> {
    let mut reader = Reader::new(text, zone, now)?;
    let typed = typed(&mut reader).ok_or_else(|| reader.fault())?;
    let span = meaning(typed, Reading { zone, now })
        .ok_or_else(|| reader.fault_of_all("this is beyond the calendar"))?;
    let moment = |bound: Bound| bound.moment(now);
    match (span.from.map(moment), span.to.map(moment)) {
        (Some(from), Some(to)) if from >= to => {
            let error = format!("the range begins at {from} and ends at {to}, so nothing is in it");
            Err(reader.fault_of_all(&error))
        }
        _ => Ok(span),
    }
}

fn typed(reader: &mut Reader<'_>) -> Option<Typed> {
    let typed = reader
        .attempt(all)
        .or_else(|| reader.attempt(between))
        .or_else(|| reader.attempt(half_open))
        .or_else(|| reader.attempt(range))
        .or_else(|| reader.attempt(|reader| to_the_end(reader).map(Typed::One)))
        .or_else(|| reader.attempt(two_moments))?;
    Some(typed)
}

fn all(reader: &mut Reader<'_>) -> Option<Typed> {
    match reader.is_word(&["all", "any", "everything"]) {
        true => {
            reader.is_word(&["time"]);
            reader.is_at_end().then_some(Typed::All)
        }
        false => None,
    }
}

/// `between A and B`, `from A to B`.
fn between(reader: &mut Reader<'_>) -> Option<Typed> {
    if reader.is_word(&["between", "from"]) { range(reader) } else { None }
}

/// `since A`, `before A`, `until A`, `A ..`, `.. A`.
fn half_open(reader: &mut Reader<'_>) -> Option<Typed> {
    if reader.is_word(&["since", "from", "after"]) {
        return to_the_end(reader).map(Typed::Since);
    }
    if reader.is_word(&["before"]) {
        return to_the_end(reader).map(Typed::Before);
    }
    if reader.is_word(&["until", "till"]) || dots(reader).is_some() {
        return to_the_end(reader).map(Typed::Until);
    }
    let since = point::read(reader)?;
    dots(reader)?;
    reader.is_at_end().then_some(Typed::Since(since))
}

fn range(reader: &mut Reader<'_>) -> Option<Typed> {
    let first = point::read(reader)?;
    let is_parted = reader.is_word(&["to", "until", "till", "and", "through"])
        || dots(reader).is_some()
        || reader.sign("-–—/~→…").is_some();
    if !is_parted {
        return None;
    }
    // The head of an arrow.
    reader.glued_sign(">");
    to_the_end(reader).map(|second| Typed::Range(first, second))
}

/// Two whole moments with nothing but a comma between them, as tables are pasted.
fn two_moments(reader: &mut Reader<'_>) -> Option<Typed> {
    let is_whole = |point: &Point| match point {
        Point::Instant(_) => true,
        Point::Written(written) => written.day.is_some() && written.clock.is_some(),
        Point::Now | Point::Ago(_) | Point::Period(_) => false,
    };
    let first = point::read(reader).filter(is_whole)?;
    reader.sign(",;");
    to_the_end(reader).filter(is_whole).map(|second| Typed::Range(first, second))
}

fn dots(reader: &mut Reader<'_>) -> Option<()> {
    reader.attempt(|reader| {
        reader.sign(".")?;
        reader.glued_sign(".")?;
        reader.glued_sign(".");
        Some(())
    })
}

fn to_the_end(reader: &mut Reader<'_>) -> Option<Point> {
    point::read(reader).filter(|_| reader.is_at_end())
}

fn meaning(typed: Typed, reading: Reading) -> Option<Span> {
    let (from, to) = match typed {
        Typed::All => (None, None),
        Typed::One(point) => match reading.one(point)? {
            Meaning::Ago(bound) => (Some(bound), None),
            Meaning::Now => sides(around(Instant { at: reading.now, grain: clock::SECOND }.extent())),
            Meaning::Extent(extent) if extent.is_instant => sides(around(extent)),
            Meaning::Extent(extent) => sides(extent),
        },
        Typed::Since(point) => (Some(start(reading.one(point)?, reading)), None),
        Typed::Before(point) => (None, Some(start(reading.one(point)?, reading))),
        Typed::Until(point) => (None, end(reading.one(point)?)),
        Typed::Range(first, second) => {
            let (first, second) = reading.two(first, second)?;
            let from = start(first, reading);
            let to = match second {
                // An end that is the beginning: the whole of it is meant.
                Meaning::Extent(extent) if Bound::At(extent.end) == from => Some(Bound::At(extent.to)),
                second => end(second),
            };
            (Some(from), to)
        }
    };
    Some(Span { from, to })
}

fn sides(extent: Extent) -> (Option<Bound>, Option<Bound>) {
    (Some(Bound::At(extent.from)), Some(Bound::At(extent.to)))
}

fn start(meaning: Meaning, reading: Reading) -> Bound {
    match meaning {
        Meaning::Now => Bound::At(reading.now),
        Meaning::Ago(bound) => bound,
        Meaning::Extent(extent) => Bound::At(extent.from),
    }
}

fn end(meaning: Meaning) -> Option<Bound> {
    match meaning {
        Meaning::Now => None,
        Meaning::Ago(bound) => Some(bound),
        Meaning::Extent(extent) => Some(Bound::At(extent.end)),
    }
}

#[cfg(test)]
mod tests;
