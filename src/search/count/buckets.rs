//! The buckets of a histogram. In: a time range and what was asked for. Out: buckets of equal, round width that begin at round times in
//! UTC (weeks on Monday) and cover the range; of the first and the last only what lies in the range is counted. Pure.

use super::Range;
use crate::{
    record::Timestamp,
    search::{cursor::MICROS_MIN, params::Fault},
};

pub const BUCKETS_MAX: usize = 2_000;
/// About as many bars as a page shows.
pub const BUCKETS_DEFAULT: usize = 60;

/// Microseconds.
pub const MINUTE: i64 = 60_000_000;
const MILLI: i64 = 1_000;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A Monday; every shorter width that divides a day divides the four days since 1970 as well.
const ORIGIN: i64 = 4 * DAY;

const ROUND: [i64; 27] = [
    MILLI,
    10 * MILLI,
    100 * MILLI,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    91 * DAY,
    182 * DAY,
    YEAR,
];

/// Where whole minutes make enough bars, no finer ones are chosen unasked: those would be counted row by row.
const MINUTES_ENOUGH: i64 = 10;

/// How wide a bucket is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Microseconds.
    Of(i64),
    /// So wide that there are at most about so many.
    About(usize),
    Default,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    pub range: Range,
    /// Microseconds.
    pub width: i64,
    /// Where the first begins, at or before `range.from`.
    first: i64,
}

impl Buckets {
    pub fn new(range: Range, width: Width) -> Result<Self, Fault> {
        let span = range.to.0 - range.from.0;
        let width = match width {
            Width::Of(width) => width,
            Width::About(count) => round(span, count),
            Width::Default if span >= MINUTES_ENOUGH * MINUTE => round(span, BUCKETS_DEFAULT).max(MINUTE),
            Width::Default => round(span, BUCKETS_DEFAULT),
        };
        // The year before the first has no name.
        let first = ((range.from.0 - ORIGIN).div_euclid(width) * width + ORIGIN).max(MICROS_MIN);
        let buckets = Self { range, width, first };
        // One more, where the range begins and ends within a bucket.
        if buckets.len() > BUCKETS_MAX + 1 {
            let error = format!(
                "makes {} buckets from {} to {}; at most {BUCKETS_MAX}",
                buckets.len(),
                range.from,
                range.to
            );
            return Err(Fault::new("bucket", error));
        }
        Ok(buckets)
    }

    /// All of the range in one.
    pub fn one(range: Range) -> Self {
        Self { range, width: (range.to.0 - range.from.0).max(1), first: range.from.0 }
    }

    /// 0 for an empty range.
    pub fn len(&self) -> usize {
        if self.range.from == self.range.to {
            return 0;
        }
        (self.range.to.0 - 1 - self.first).div_euclid(self.width) as usize + 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn start(&self, at: usize) -> Timestamp {
        Timestamp(self.first + at as i64 * self.width)
    }

    pub fn starts(&self) -> Vec<Timestamp> {
        (0..self.len()).map(|at| self.start(at)).collect()
    }

    /// The bucket in which a moment of the range lies.
    pub fn at(&self, moment: Timestamp) -> usize {
        (moment.0 - self.first).div_euclid(self.width) as usize
    }

    /// Whether no bucket but the first and the last ends within a minute.
    pub fn are_of_minutes(&self) -> bool {
        self.len() <= 1 || (self.width % MINUTE == 0)
    }
}

/// The narrowest round width of which `count` cover the span; beyond the round ones, whole years of 365 days.
fn round(span: i64, count: usize) -> i64 {
    let count = count as i64;
    let is_enough = |width: &i64| ceiling(span, *width) <= count;
    ROUND.into_iter().find(is_enough).unwrap_or_else(|| ceiling(span, count * YEAR) * YEAR)
}

fn ceiling(span: i64, width: i64) -> i64 {
    -(-span).div_euclid(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(from: &str, to: &str) -> Range {
        Range { from: Timestamp::parse(from).unwrap(), to: Timestamp::parse(to).unwrap() }
    }

    #[test]
    fn widths_are_round_and_begin_at_round_times() {
        let day = range("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z");
        for (window, width, seconds, first, count) in [
            (day, Width::Default, 1_800, "2026-01-02T00:00:00Z", 48),
            (day, Width::About(24), 3_600, "2026-01-02T00:00:00Z", 24),
            (day, Width::About(1), 86_400, "2026-01-02T00:00:00Z", 1),
            (day, Width::Of(7 * DAY), 604_800, "2025-12-29T00:00:00Z", 1),
            (
                range("2026-01-02T10:07:30Z", "2026-01-02T10:22:30Z"),
                Width::Default,
                60,
                "2026-01-02T10:07:00Z",
                16,
            ),
            (
                range("2026-01-02T10:07:30Z", "2026-01-02T10:08:30Z"),
                Width::Default,
                1,
                "2026-01-02T10:07:30Z",
                60,
            ),
            (
                range("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"),
                Width::Default,
                0,
                "2026-01-02T00:00:00Z",
                0,
            ),
            (
                range("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
                Width::About(10),
                1_000 * 365 * 86_400,
                "0001-01-01T00:00:00Z",
                10,
            ),
        ] {
            let buckets = Buckets::new(window, width).unwrap();
            assert_eq!(buckets.len(), count, "{window:?} {width:?}");
            if count == 0 || seconds > 604_800 {
                continue;
            }
            assert_eq!((buckets.width / SECOND, buckets.start(0).to_string().as_str()), (seconds, first));
        }
        let ages =
            Buckets::new(range("0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), Width::Default).unwrap();
        assert_eq!(ages.start(0).to_string(), "0000-01-01T00:00:00Z");
        assert_eq!(Buckets::new(day, Width::Of(1_000)).unwrap_err().field, "bucket");
    }

    proptest! {
        #[test]
        fn buckets_cover_their_range(from in 0_i64..4_000_000_000_000_000, span in 1_i64..400_000_000_000_000, count in 1_usize..=BUCKETS_MAX) {
            let range = Range { from: Timestamp(from), to: Timestamp(from + span) };
            for width in [Width::About(count), Width::Default] {
                let buckets = Buckets::new(range, width).unwrap();
                let last = buckets.len() - 1;
                prop_assert!(width == Width::Default || buckets.len() <= count + 1);
                prop_assert!(buckets.start(0) <= range.from && range.from < buckets.start(1));
                prop_assert!(buckets.start(last) < range.to && range.to <= buckets.start(last + 1));
                prop_assert_eq!((buckets.at(range.from), buckets.at(Timestamp(range.to.0 - 1))), (0, last));
            }
        }
    }
}
