//! Days as they are written: `2026-01-31`, `31 Jan 2026`, `Jan 31`, `31.01.2026`, `01/31/2026`, `20260131`, `yesterday`, `monday`, `Jan 2026`. In:
//! tokens. Out: a day, or the first and the last of a period; what year is meant where none is given depends on what stands around it. Pure.

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};

use super::reader::Reader;

/// A day, perhaps without its year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    Date(NaiveDate),
    OfYear { month: u32, day: u32 },
    OfWeek(Weekday),
}

/// Days from the first to before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) first: NaiveDate,
    pub(super) end: NaiveDate,
}

const MONTHS: &[(&str, u32)] = &[
    ("jan", 1),
    ("january", 1),
    ("feb", 2),
    ("february", 2),
    ("mar", 3),
    ("march", 3),
    ("apr", 4),
    ("april", 4),
    ("may", 5),
    ("jun", 6),
    ("june", 6),
    ("jul", 7),
    ("july", 7),
    ("aug", 8),
    ("august", 8),
    ("sep", 9),
    ("sept", 9),
    ("september", 9),
    ("oct", 10),
    ("october", 10),
    ("nov", 11),
    ("november", 11),
    ("dec", 12),
    ("december", 12),
];

const WEEKDAYS: &[(&str, Weekday)] = &[
    ("mon", Weekday::Mon),
    ("monday", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("tues", Weekday::Tue),
    ("tuesday", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("wednesday", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("thur", Weekday::Thu),
    ("thurs", Weekday::Thu),
    ("thursday", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("friday", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("saturday", Weekday::Sat),
    ("sun", Weekday::Sun),
    ("sunday", Weekday::Sun),
];

/// What may stand between the parts of a date.
const PARTING: &str = "-/.";

impl Day {
    /// The last such day that is not after `limit`; None for a day that never is.
    pub(super) fn last_until(self, limit: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Date(date) => Some(date),
            Self::OfYear { month, day } => (0..=8)
                .filter_map(|years| NaiveDate::from_ymd_opt(limit.year() - years, month, day))
                .find(|date| *date <= limit),
            Self::OfWeek(weekday) => {
                limit.checked_sub_days(Days::new(u64::from(limit.weekday().days_since(weekday))))
            }
        }
    }

    /// The first such day that is not before `limit`.
    pub(super) fn first_from(self, limit: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Date(date) => Some(date),
            Self::OfYear { month, day } => (0..=8)
                .filter_map(|years| NaiveDate::from_ymd_opt(limit.year() + years, month, day))
                .find(|date| *date >= limit),
            Self::OfWeek(weekday) => {
                limit.checked_add_days(Days::new(u64::from(weekday.days_since(limit.weekday()))))
            }
        }
    }
}

impl Period {
    pub(super) fn day(first: NaiveDate) -> Option<Self> {
        Some(Self { first, end: first.succ_opt()? })
    }

    /// The week of a day, from its Monday on, or so many before it.
    pub(super) fn week(day: NaiveDate, back: u32) -> Option<Self> {
        let days = day.weekday().num_days_from_monday() + 7 * back;
        let first = day.checked_sub_days(Days::new(u64::from(days)))?;
        Some(Self { first, end: first.checked_add_days(Days::new(7))? })
    }

    /// The month or the year of a day, or so many before it.
    pub(super) fn months_around(day: NaiveDate, months: u32, back: u32) -> Option<Self> {
        let first = if months == 12 { day.with_ordinal(1)? } else { day.with_day(1)? };
        Self::months(first.checked_sub_months(Months::new(months * back))?, months)
    }

    pub(super) fn months(first: NaiveDate, months: u32) -> Option<Self> {
        Some(Self { first, end: first.checked_add_months(Months::new(months))? })
    }
}

/// A day; the day of the week before a date says nothing more.
pub(super) fn read(reader: &mut Reader<'_>, today: NaiveDate) -> Option<Day> {
    let weekday = reader.word(WEEKDAYS);
    let date = reader.attempt(|reader| {
        if weekday.is_some() {
            reader.sign(",");
        }
        named(reader, today)
            .or_else(|| reader.attempt(year_first))
            .or_else(|| reader.attempt(day_first))
            .or_else(|| reader.attempt(month_first))
            .or_else(|| reader.attempt(compact))
            .or_else(|| reader.attempt(with_points))
            .or_else(|| reader.attempt(with_slashes))
    });
    date.or(weekday.map(Day::OfWeek))
}

pub(super) fn weekday(reader: &mut Reader<'_>) -> Option<Weekday> {
    reader.word(WEEKDAYS)
}

/// A month or a year: `2026-01`, `Jan 2026`, `2026`.
pub(super) fn period(reader: &mut Reader<'_>) -> Option<Period> {
    let in_numbers = |reader: &mut Reader<'_>| {
        let year = year(reader)?;
        reader.glued_sign("-")?;
        let month = reader.glued_number(2..=2)?.parse().ok()?;
        if reader.sees(0, ":") { None } else { Period::months(NaiveDate::from_ymd_opt(year, month, 1)?, 1) }
    };
    let in_words = |reader: &mut Reader<'_>| {
        let month = reader.word(MONTHS)?;
        reader.glued_sign(PARTING);
        Period::months(NaiveDate::from_ymd_opt(year(reader)?, month, 1)?, 1)
    };
    let of_year = |reader: &mut Reader<'_>| {
        let year = year(reader).filter(|year| (1970..2100).contains(year))?;
        if reader.sees(0, ":") { None } else { Period::months(NaiveDate::from_ymd_opt(year, 1, 1)?, 12) }
    };
    reader.attempt(in_numbers).or_else(|| reader.attempt(in_words)).or_else(|| reader.attempt(of_year))
}

fn year(reader: &mut Reader<'_>) -> Option<i32> {
    reader.number(4..=4)?.parse().ok()
}

fn named(reader: &mut Reader<'_>, today: NaiveDate) -> Option<Day> {
    let days = reader.word(&[("today", 0_i64), ("yesterday", -1), ("tomorrow", 1)])?;
    today.checked_add_signed(chrono::TimeDelta::days(days)).map(Day::Date)
}

/// `2026-01-31`, `2026/01/31`, `2026.01.31`.
fn year_first(reader: &mut Reader<'_>) -> Option<Day> {
    let start = reader.position();
    let year = year(reader)?;
    let parting = reader.glued_sign(PARTING)?;
    let month = reader.glued_number(1..=2)?.parse().ok()?;
    reader.glued_sign(parting.encode_utf8(&mut [0; 4]))?;
    let day = reader.glued_number(1..=2)?.parse().ok()?;
    date(reader, start, year, month, day)
}

/// `31 Jan 2026`, `31-Jan-2026`, `31/Jan/2026`, `31st January`.
fn day_first(reader: &mut Reader<'_>) -> Option<Day> {
    let start = reader.position();
    let day = reader.number(1..=2)?.parse().ok()?;
    reader.is_word(&["st", "nd", "rd", "th"]);
    reader.glued_sign(PARTING);
    let month = reader.word(MONTHS)?;
    let year = reader.attempt(|reader| {
        reader.sign(",").or_else(|| reader.glued_sign(PARTING));
        year_behind(reader)
    });
    match year {
        Some(year) => date(reader, start, year, month, day),
        None => of_year(reader, start, month, day),
    }
}

/// `Jan 31`, `Jan 31, 2026`, `January 31st 2026`.
fn month_first(reader: &mut Reader<'_>) -> Option<Day> {
    let start = reader.position();
    let month = reader.word(MONTHS)?;
    reader.glued_sign(PARTING);
    let day = reader.number(1..=2)?.parse().ok()?;
    reader.is_word(&["st", "nd", "rd", "th"]);
    let year = reader.attempt(|reader| {
        reader.sign(",").or_else(|| reader.glued_sign(PARTING));
        year_behind(reader)
    });
    match year {
        Some(year) => date(reader, start, year, month, day),
        None => of_year(reader, start, month, day),
    }
}

/// `20260131`.
fn compact(reader: &mut Reader<'_>) -> Option<Day> {
    let start = reader.position();
    let digits = reader.number(8..=8)?;
    let number = |range: std::ops::Range<usize>| digits[range].parse::<u32>().ok();
    let year = i32::try_from(number(0..4)?).ok()?;
    date(reader, start, year, number(4..6)?, number(6..8)?)
}

/// `31.01.2026`.
fn with_points(reader: &mut Reader<'_>) -> Option<Day> {
    let start = reader.position();
    let day = reader.number(1..=2)?.parse().ok()?;
    reader.glued_sign(".")?;
    let month = reader.glued_number(1..=2)?.parse().ok()?;
    reader.glued_sign(".")?;
    let year = reader.glued_number(4..=4)?.parse().ok()?;
    date(reader, start, year, month, day)
}

/// `31/01/2026` and `01/31/2026`: some read the day first and some the month, so only one of them may be possible.
fn with_slashes(reader: &mut Reader<'_>) -> Option<Day> {
    let start = reader.position();
    let first: u32 = reader.number(1..=2)?.parse().ok()?;
    let sign = reader.glued_sign("/-")?;
    let second: u32 = reader.glued_number(1..=2)?.parse().ok()?;
    reader.glued_sign(&sign.to_string())?;
    let year = reader.glued_number(4..=4)?.parse().ok()?;
    match (first, second) {
        (13.., _) => date(reader, start, year, second, first),
        (1..=12, 1..=12) if first != second => {
            reader.complain(start, "may be two days: write the year first, or the name of the month")
        }
        _ => date(reader, start, year, first, second),
    }
}

/// The day with the year that stands behind the time, as `date` and C write it.
pub(super) fn with_year_behind(reader: &mut Reader<'_>, month: u32, day: u32) -> Option<Day> {
    let start = reader.position();
    match reader.attempt(year_behind) {
        Some(year) => date(reader, start, year, month, day),
        None => Some(Day::OfYear { month, day }),
    }
}

/// A year that is not the beginning of another date.
fn year_behind(reader: &mut Reader<'_>) -> Option<i32> {
    let year = year(reader)?;
    let goes_on = reader.peek(0).is_some_and(|token| token.is_glued) && reader.sees(0, "-/.");
    let is_date = goes_on && reader.peek(1).is_some_and(|token| token.is_glued && token.text.len() <= 2);
    if is_date { None } else { Some(year) }
}

fn date(reader: &mut Reader<'_>, start: usize, year: i32, month: u32, day: u32) -> Option<Day> {
    match NaiveDate::from_ymd_opt(year, month, day).filter(|date| date.year() > 0) {
        Some(date) => Some(Day::Date(date)),
        None => reader.complain(start, "is no day of the calendar"),
    }
}

fn of_year(reader: &mut Reader<'_>, start: usize, month: u32, day: u32) -> Option<Day> {
    // A leap year has every day.
    match NaiveDate::from_ymd_opt(2024, month, day) {
        Some(_) => Some(Day::OfYear { month, day }),
        None => reader.complain(start, "is no day of the calendar"),
    }
}
