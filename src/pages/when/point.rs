//! Points in time as they are typed or pasted. In: tokens. Out: a [`Point`]; what it lacks is filled in by [`super::extent`]. Pure.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::{
    age::{self, Age},
    clock::{self, Clock, HOUR, MINUTE, Minus, Place, SECOND},
    day::{self, Day, Period},
    extent::Instant,
    reader::Reader,
    zone::within,
};
use crate::search::filter::Bound;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Now,
    Ago(Bound),
    /// Counted from 1970.
    Instant(Instant),
    Period(Period),
    Written(Written),
}

/// A day or a clock time, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) day: Option<Day>,
    pub(super) clock: Option<Clock>,
    /// None for the reader's own.
    pub(super) place: Option<Place>,
}

/// A point, perhaps in brackets or quotes.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Point> {
    while reader.sign("[(\"'<").is_some() {}
    let point = reader
        .attempt(relative)
        .or_else(|| reader.attempt(calendar))
        .or_else(|| reader.attempt(in_one).map(Point::Written))
        .or_else(|| reader.attempt(counted))
        .or_else(|| reader.attempt(day_and_clock).map(Point::Written))
        .or_else(|| day::period(reader).map(Point::Period))
        .or_else(|| reader.attempt(clock_and_day).map(Point::Written))?;
    while reader.sign("])\"'>").is_some() {}
    Some(point)
}

/// `now`, `now-15m`, `15m`, `-15m`, `2 days ago`, `last 2h`, `last hour`.
fn relative(reader: &mut Reader<'_>) -> Option<Point> {
    if reader.is_word(&["now"]) {
        let age = reader.attempt(|reader| {
            reader.sign("-")?;
            age::read(reader)
        });
        return age.map_or(Some(Point::Now), |age| ago(reader, age));
    }
    let age = if reader.is_word(&["last", "past", "previous"]) {
        age::read(reader).or_else(|| age::read_one(reader))?
    } else {
        reader.sign("-");
        let age = age::read(reader)?;
        reader.is_word(&["ago", "back"]);
        age
    };
    ago(reader, age)
}

fn ago(reader: &Reader<'_>, age: Age) -> Option<Point> {
    match age {
        Age::Length(bound) => Some(Point::Ago(bound)),
        Age::Months(months) => {
            let local = reader.zone.local(reader.now).checked_sub_months(chrono::Months::new(months))?;
            Some(Point::Ago(Bound::At(reader.zone.first(local))))
        }
    }
}

/// `this week`, `last month`, `last friday`.
fn calendar(reader: &mut Reader<'_>) -> Option<Point> {
    let back = reader.word(&[("this", 0), ("current", 0), ("last", 1), ("past", 1), ("previous", 1)])?;
    let now = reader.zone.local(reader.now);
    let today = now.date();
    if back == 1
        && let Some(weekday) = day::weekday(reader)
    {
        let date = Day::OfWeek(weekday).last_until(today.pred_opt()?)?;
        return Some(Point::Period(Period::day(date)?));
    }
    match reader.any_word()?.to_ascii_lowercase().as_str() {
        "week" => Some(Point::Period(Period::week(today, back)?)),
        "month" => Some(Point::Period(Period::months_around(today, 1, back)?)),
        "year" => Some(Point::Period(Period::months_around(today, 12, back)?)),
        "day" => Some(Point::Period(Period::day(today)?)),
        "hour" => Some(Point::Written(this(today, now.time(), HOUR))),
        "minute" => Some(Point::Written(this(today, now.time(), MINUTE))),
        _ => None,
    }
}

fn this(today: NaiveDate, now: NaiveTime, grain: i64) -> Written {
    let at = i64::from(now.num_seconds_from_midnight()) * SECOND;
    Written { day: Some(Day::Date(today)), clock: Some(Clock { at: at - at % grain, grain }), place: None }
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their digits: all mean a year from 1973 to 5138.
fn counted(reader: &mut Reader<'_>) -> Option<Point> {
    reader.sign("@");
    let digits = reader.number(9..=20)?;
    let number: i128 = digits.parse().ok()?;
    let (micros_each, grain) = match digits.len() {
        ..=11 => (1_000_000_000, SECOND),
        12..=14 => (1_000_000, 1_000),
        15..=17 => (1_000, 1),
        _ => (1, 1),
    };
    let fraction = reader.attempt(|reader| {
        reader.glued_sign(".")?;
        reader.glued_number(1..=9)
    });
    let nanos = number * micros_each
        + fraction.map_or(0, |digits| i128::from(age::micros(digits)) * micros_each / 1_000_000);
    let grain = match fraction {
        Some(digits) => (grain / 10_i64.pow(u32::try_from(digits.len().min(6)).expect("at most six"))).max(1),
        None => grain,
    };
    let at = within(i64::try_from(nanos / 1_000).ok()?);
    Some(Point::Instant(Instant { at, grain }))
}

/// `20260131140000`, where it is a day and a time of this century or the last.
fn in_one(reader: &mut Reader<'_>) -> Option<Written> {
    let digits =
        reader.number(14..=14).filter(|digits| digits.starts_with("19") || digits.starts_with("20"))?;
    let local = NaiveDateTime::parse_from_str(digits, "%Y%m%d%H%M%S").ok()?;
    let at = i64::from(local.num_seconds_from_midnight()) * SECOND;
    let clock = clock::with_fraction(reader, Clock { at, grain: SECOND });
    let place = clock::place(reader, Minus::Offset);
    Some(Written { day: Some(Day::Date(local.date())), clock: Some(clock), place })
}

fn day_and_clock(reader: &mut Reader<'_>) -> Option<Written> {
    let today = reader.zone.local(reader.now).date();
    let day = reader.attempt(|reader| day::read(reader, today)).or_else(|| reader.attempt(of_klog))?;
    let Some((clock, minus)) = reader.attempt(clock_behind) else {
        return Some(Written { day: Some(day), clock: None, place: None });
    };
    let place = clock::place(reader, minus);
    let day = match day {
        Day::OfYear { month, day } => day::with_year_behind(reader, month, day)?,
        Day::Date(_) | Day::OfWeek(_) => day,
    };
    Some(Written { day: Some(day), clock: Some(clock), place })
}

/// The clock time behind a day.
fn clock_behind(reader: &mut Reader<'_>) -> Option<(Clock, Minus)> {
    let is_joined = reader.peek(0).is_some_and(|token| token.is_glued) && reader.is_word(&["t"]);
    let clock = if is_joined {
        clock::read(reader).or_else(|| clock::compact(reader))?
    } else {
        reader.glued_sign(":_").or_else(|| reader.sign(",@"));
        reader.is_word(&["at"]);
        clock::read(reader)?
    };
    let is_full = is_joined || clock.grain <= SECOND;
    Some((clock, if is_full { Minus::Offset } else { Minus::Range }))
}

/// `14:00 yesterday`, or the clock time alone.
fn clock_and_day(reader: &mut Reader<'_>) -> Option<Written> {
    let today = reader.zone.local(reader.now).date();
    let clock = clock::read(reader)?;
    let place = clock::place(reader, Minus::Range);
    let day = reader.attempt(|reader| {
        reader.is_word(&["on"]);
        reader.sign(",");
        day::read(reader, today)
    });
    Some(Written { day, clock: Some(clock), place })
}

/// `I0131`: a letter for the level, month and day.
fn of_klog(reader: &mut Reader<'_>) -> Option<Day> {
    if !reader.is_word(&["i", "w", "e", "f", "d"]) {
        return None;
    }
    let digits = reader.glued_number(4..=4)?;
    let (month, day) = digits.split_at(2);
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    NaiveDate::from_ymd_opt(2024, month, day).map(|_| Day::OfYear { month, day })
}
