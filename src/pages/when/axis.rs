//! Marks of a time axis. In: a range, the width of its buckets, a zone. Out: round moments of that zone with short labels. Pure.

use chrono::{Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::{
    Zone,
    clock::{DAY, HOUR, MINUTE, SECOND},
};
use crate::record::Timestamp;

/// What lies between two marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Part of a day, in microseconds.
    Clock(i64),
    /// From Mondays on, if it is a week.
    Days(i64),
    Months(i64),
}

const STEPS: [Step; 39] = [
    Step::Clock(1),
    Step::Clock(10),
    Step::Clock(100),
    Step::Clock(1_000),
    Step::Clock(2_000),
    Step::Clock(5_000),
    Step::Clock(10_000),
    Step::Clock(20_000),
    Step::Clock(50_000),
    Step::Clock(100_000),
    Step::Clock(200_000),
    Step::Clock(500_000),
    Step::Clock(SECOND),
    Step::Clock(2 * SECOND),
    Step::Clock(5 * SECOND),
    Step::Clock(10 * SECOND),
    Step::Clock(15 * SECOND),
    Step::Clock(30 * SECOND),
    Step::Clock(MINUTE),
    Step::Clock(2 * MINUTE),
    Step::Clock(5 * MINUTE),
    Step::Clock(10 * MINUTE),
    Step::Clock(15 * MINUTE),
    Step::Clock(30 * MINUTE),
    Step::Clock(HOUR),
    Step::Clock(2 * HOUR),
    Step::Clock(3 * HOUR),
    Step::Clock(6 * HOUR),
    Step::Clock(12 * HOUR),
    Step::Days(1),
    Step::Days(7),
    Step::Months(1),
    Step::Months(3),
    Step::Months(12),
    Step::Months(60),
    Step::Months(120),
    Step::Months(600),
    Step::Months(1_200),
    Step::Months(12_000),
];
const MONTH: i64 = 30 * DAY;
/// No axis has room for more.
const MARKS_MAX: usize = 1_000;

/// Round moments from `from` to before `to`, no closer than `width` microseconds, at most `labels_max` of them, with their labels.
pub fn axis(
    from: Timestamp,
    to: Timestamp,
    width: i64,
    zone: Zone,
    labels_max: usize,
) -> Vec<(Timestamp, String)> {
    let marks_max = labels_max.min(MARKS_MAX);
    let range = i128::from(to.0) - i128::from(from.0);
    if marks_max == 0 || range <= 0 {
        return Vec::new();
    }
    let fits = |step: &Step| {
        let length = i128::from(step.length());
        length >= i128::from(width) && range / length < marks_max as i128
    };
    let Some(step) = STEPS.into_iter().find(fits) else { return Vec::new() };
    let mut marks = Vec::new();
    let mut at = from;
    // Clocks that change make a walk longer, not endless.
    for _ in 0..4 * marks_max + 8 {
        let local = zone.local(at);
        let floor = step.floor(local);
        if floor == local {
            marks.push((at, label(at, step.length(), zone)));
        }
        let Some(next) = step.after(floor) else { break };
        // One is right while clocks run evenly, the sooner one when they change before.
        let evenly =
            next.signed_duration_since(local).num_microseconds().map(|micros| at.0.saturating_add(micros));
        let next = [evenly.map(Timestamp), Some(zone.first(next))]
            .into_iter()
            .flatten()
            .filter(|next| *next > at)
            .min();
        match next.filter(|next| *next < to) {
            Some(next) => at = next,
            None => break,
        }
    }
    marks.truncate(marks_max);
    marks
}

/// A moment as short as marks so many microseconds apart allow: `14:05:00.250`, `14:05:30`, `14:05`, `31 Jan`, `Jan 2026`, `2026`.
/// Midnight is its day, also among clock times.
pub fn label(at: Timestamp, step: i64, zone: Zone) -> String {
    let local = zone.local(at);
    let form = match step {
        ..1_000 => "%H:%M:%S%.6f",
        1_000..SECOND => "%H:%M:%S%.3f",
        SECOND..MINUTE => "%H:%M:%S",
        MINUTE..DAY if local.num_seconds_from_midnight() > 0 => "%H:%M",
        MINUTE..MONTH => "%-d %b",
        MONTH.. if step < 12 * MONTH => "%b %Y",
        _ => "%Y",
    };
    local.format(form).to_string()
}

impl Step {
    /// Microseconds, about.
    fn length(self) -> i64 {
        match self {
            Self::Clock(micros) => micros,
            Self::Days(days) => days * DAY,
            Self::Months(months) => months * MONTH,
        }
    }

    /// The last mark that is not after this.
    fn floor(self, local: NaiveDateTime) -> NaiveDateTime {
        let date = local.date();
        let date_of_mark = match self {
            Self::Clock(micros) => {
                let since = local.signed_duration_since(date.and_time(NaiveTime::MIN));
                let since = since.num_microseconds().unwrap_or(0);
                return date.and_time(NaiveTime::MIN) + TimeDelta::microseconds(since - since % micros);
            }
            Self::Days(7) => date - TimeDelta::days(i64::from(date.weekday().num_days_from_monday())),
            Self::Days(_) => date,
            Self::Months(months) => {
                let month = i64::from(date.year()) * 12 + i64::from(date.month0());
                let month = month - month.rem_euclid(months);
                let year = i32::try_from(month.div_euclid(12)).unwrap_or(0);
                let of_year = u32::try_from(month.rem_euclid(12)).unwrap_or(0) + 1;
                NaiveDate::from_ymd_opt(year, of_year, 1).unwrap_or(date)
            }
        };
        date_of_mark.and_time(NaiveTime::MIN)
    }

    fn after(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Clock(micros) => local.checked_add_signed(TimeDelta::microseconds(micros)),
            Self::Days(days) => local.checked_add_signed(TimeDelta::days(days)),
            Self::Months(months) => local.checked_add_months(Months::new(u32::try_from(months).ok()?)),
        }
    }
}
