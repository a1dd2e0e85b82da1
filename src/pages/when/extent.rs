//! What points mean: from when to when each lasts. In: one point, or the two ends of a range, which lend each other what one of them
//! lacks. Out: moments. Pure.
//!
//! A clock time alone is the last one that is not more than an hour ahead; a day without its year, or a day of the week, is the last
//! one, or the first one behind the beginning of the range.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::{
    Zone,
    clock::{Clock, HOUR, MINUTE, Place, SECOND},
    day::{Day, Period},
    point::{Point, Written},
    zone::{at_offset, within},
};
use crate::{record::Timestamp, search::filter::Bound};

/// What was written in one piece and lasts so many microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    pub(super) at: Timestamp,
    pub(super) grain: i64,
}

/// From when to before when a point lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Where a range ends that ends at this point: behind a day, but at a clock time.
    pub(super) end: Timestamp,
    /// True for what is known to the second or better.
    pub(super) is_instant: bool,
}

/// The meaning of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Now,
    Ago(Bound),
    Extent(Extent),
}

/// A clock time further ahead than this was yesterday's. Clocks differ, and somebody may wait for it.
const AHEAD_MAX: i64 = HOUR;

/// Whose clock, and what it shows.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) zone: Zone,
    pub(super) now: Timestamp,
}

/// A day and its clock time.
#[derive(Clone, Copy)]
struct Dated {
    date: NaiveDate,
    clock: Option<Clock>,
    place: Place,
}

impl Reading {
    pub(super) fn one(self, point: Point) -> Option<Meaning> {
        match point {
            Point::Now => Some(Meaning::Now),
            Point::Ago(bound) => Some(Meaning::Ago(bound)),
            Point::Instant(instant) => Some(Meaning::Extent(instant.extent())),
            Point::Period(period) => Some(Meaning::Extent(self.period(period))),
            Point::Written(written) => Some(Meaning::Extent(self.last(written)?.extent()?)),
        }
    }

    pub(super) fn two(self, first: Point, second: Point) -> Option<(Meaning, Meaning)> {
        match (first, second) {
            (Point::Written(first), Point::Written(second)) => {
                let (first, second) = share_place(first, second);
                let first = self.before(first, second)?;
                let second = self.after(second, first)?;
                Some((Meaning::Extent(first.extent()?), Meaning::Extent(second.extent()?)))
            }
            (first, Point::Written(second)) => {
                let first = self.one(first)?;
                let from = match first {
                    Meaning::Now => self.now,
                    Meaning::Ago(bound) => bound.moment(self.now),
                    Meaning::Extent(extent) => extent.from,
                };
                let date = self.local(self.place(second), from).date();
                let second = match second.day {
                    None | Some(Day::Date(_)) => self.last(second)?,
                    Some(day) => self.dated(second, day.first_from(date)?),
                };
                Some((first, Meaning::Extent(second.extent()?)))
            }
            (first, second) => Some((self.one(first)?, self.one(second)?)),
        }
    }

    fn place(self, written: Written) -> Place {
        written.place.unwrap_or(Place::Zone(self.zone))
    }

    fn local(self, place: Place, at: Timestamp) -> NaiveDateTime {
        match place {
            Place::Zone(zone) => zone.local(at),
            Place::Offset(offset) => {
                within(at.0).datetime().naive_utc() + TimeDelta::seconds(i64::from(offset.local_minus_utc()))
            }
        }
    }

    fn dated(self, written: Written, date: NaiveDate) -> Dated {
        Dated { date, clock: written.clock, place: self.place(written) }
    }

    /// The last time that it was like this.
    fn last(self, written: Written) -> Option<Dated> {
        let today = self.local(self.place(written), self.now).date();
        let date = match written.day {
            // Tomorrow's, because somewhere it is tomorrow already.
            Some(day @ Day::OfYear { .. }) => day.last_until(today.succ_opt()?)?,
            Some(day) => day.last_until(today)?,
            None => {
                let start = self.dated(written, today).extent()?.from;
                if start.0 > self.now.0.saturating_add(AHEAD_MAX) { today.pred_opt()? } else { today }
            }
        };
        Some(self.dated(written, date))
    }

    /// The beginning of a range with this end.
    fn before(self, first: Written, second: Written) -> Option<Dated> {
        let Some(Day::Date(limit)) = second.day else { return self.last(first) };
        let date = match (first.day, first.clock, second.clock) {
            (Some(day), _, _) => day.last_until(limit)?,
            (None, Some(first), Some(second)) if first.at > second.at => limit.pred_opt()?,
            (None, _, _) => limit,
        };
        Some(self.dated(first, date))
    }

    /// The end of a range with this beginning.
    fn after(self, second: Written, first: Dated) -> Option<Dated> {
        let date = match (second.day, first.clock, second.clock) {
            (Some(day), _, _) => day.first_from(first.date)?,
            (None, Some(first_clock), Some(clock)) if clock.at < first_clock.at => first.date.succ_opt()?,
            (None, Some(_), _) => first.date,
            (None, None, _) => return self.last(second),
        };
        Some(self.dated(second, date))
    }

    fn period(self, period: Period) -> Extent {
        days(Place::Zone(self.zone), period)
    }
}

/// A place that only one of two has holds for both, unless the other has a date of its own.
fn share_place(first: Written, second: Written) -> (Written, Written) {
    if second.day.is_some() {
        return (first, second);
    }
    let place = first.place.or(second.place);
    (Written { place: first.place.or(place), ..first }, Written { place: second.place.or(place), ..second })
}

impl Instant {
    pub(super) fn extent(self) -> Extent {
        let to = within(self.at.0.saturating_add(self.grain));
        let end = if self.grain < SECOND { to } else { self.at };
        Extent { from: self.at, to, end, is_instant: self.grain <= SECOND }
    }
}

impl Dated {
    fn extent(self) -> Option<Extent> {
        let Some(clock) = self.clock else { return Some(days(self.place, Period::day(self.date)?)) };
        let local =
            |micros: i64| midnight(self.date).checked_add_signed(TimeDelta::microseconds(clock.at + micros));
        let from = first(self.place, local(0)?);
        let to = behind(self.place, local(clock.grain - 1)?);
        // A fraction was pasted: a range up to it holds it.
        let end = match self.place {
            _ if clock.grain < SECOND => to,
            Place::Zone(zone) if zone.skips(local(-1)?) => from,
            place => behind(place, local(-1)?),
        };
        Some(Extent { from, to, end, is_instant: clock.grain <= SECOND })
    }
}

fn days(place: Place, period: Period) -> Extent {
    let from = first(place, midnight(period.first));
    let to = first(place, midnight(period.end));
    Extent { from, to, end: to, is_instant: false }
}

fn midnight(date: NaiveDate) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN)
}

fn first(place: Place, local: NaiveDateTime) -> Timestamp {
    match place {
        Place::Zone(zone) => zone.first(local),
        Place::Offset(offset) => at_offset(local, offset),
    }
}

/// The moment behind a microsecond of the clock.
fn behind(place: Place, local: NaiveDateTime) -> Timestamp {
    let last = match place {
        Place::Zone(zone) => zone.last(local),
        Place::Offset(offset) => at_offset(local, offset),
    };
    within(last.0 + 1)
}

/// A moment with what happened around it.
pub(super) fn around(extent: Extent) -> Extent {
    let (from, to) = (within(extent.from.0 - MINUTE), within(extent.to.0.saturating_add(MINUTE)));
    Extent { from, to, end: to, is_instant: false }
}
