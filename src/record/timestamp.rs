//! Event time: microseconds since 1970 in UTC, read from RFC 3339 with any offset.

use std::fmt;

use chrono::{DateTime, Datelike, TimeZone, Utc};

/// Microseconds since 1970-01-01T00:00:00Z. Digits beyond the microsecond are cut off, here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Microseconds between 1970-01-01 and 2000-01-01, the epoch of Postgres' binary format.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl Timestamp {
    /// Last microsecond of the year 9999: what RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    pub fn now() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// Reads RFC 3339; the usual form `YYYY-MM-DDTHH:MM:SS[.fraction]Z` takes a path of its own.
    pub fn parse(text: &str) -> Option<Self> {
        parse_utc(text.as_bytes())
            .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_micros())))
    }

    /// Microseconds since 2000-01-01, as Postgres' binary timestamptz counts.
    pub fn postgres_micros(self) -> i64 {
        self.0 - POSTGRES_EPOCH_MICROS
    }

    pub fn from_postgres_micros(micros: i64) -> Self {
        Self(micros + POSTGRES_EPOCH_MICROS)
    }

    /// Whole minutes since 1970.
    pub fn minute(self) -> i32 {
        self.0.div_euclid(60_000_000) as i32
    }

    pub fn datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; a fraction only if there is one, to the microsecond: `2023-09-15T08:00:00Z`, `…:00.250Z`, `…:00.250001Z`.
    /// Written by hand, because every record passes here on its way to Kafka.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000) as u32);
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |at: usize, digits: usize, mut value: u32| {
            for place in (at..at + digits).rev() {
                text[place] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, second_of_day / 3600);
        put(14, 2, second_of_day / 60 % 60);
        put(17, 2, second_of_day % 60);
        put(20, 6, micros);
        let end = match micros {
            0 => 19,
            _ if micros.is_multiple_of(1000) => 23,
            _ => 26,
        };
        text[end] = b'Z';
        f.write_str(std::str::from_utf8(&text[..=end]).expect("digits are ASCII"))
    }
}

/// Year, month and day of a day counted from 1970-01-01, for the years 0 to 9999 (Howard Hinnant, as in [`parse_utc`]).
fn civil(days: i64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

/// Start of the calendar unit that holds `at`: `months` 1 for a month, 12 for a year.
pub fn calendar_floor(at: DateTime<Utc>, months: u32) -> DateTime<Utc> {
    let month = if months == 12 { 1 } else { at.month() };
    Utc.with_ymd_and_hms(at.year(), month, 1, 0, 0, 0).single().expect("the first of a month exists in UTC")
}

fn parse_utc(text: &[u8]) -> Option<Timestamp> {
    let (clock, zone) = text.split_at_checked(19)?;
    let fraction = zone.strip_suffix(b"Z")?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, expected)| clock[*at] != *expected) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        clock[range]
            .iter()
            .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if day > month_days[month as usize - 1] {
        return None;
    }
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            (0..6).fold(0, |sum, at| sum * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0')))
        }
        _ => return None,
    };
    // Days from civil, with the year beginning in March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let march_year = year - i64::from(month <= 2);
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(Timestamp(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_of_one_moment() {
        let moment = Timestamp(1_694_764_800_000_000);
        for text in [
            "2023-09-15T08:00:00Z",
            "2023-09-15T08:00:00.000000999Z",
            "2023-09-15T10:00:00+02:00",
            "2023-09-15t08:00:00z",
            "2023-09-14T18:30:00.000-13:30",
        ] {
            assert_eq!(Timestamp::parse(text), Some(moment), "{text}");
        }
        assert_eq!(moment.to_string(), "2023-09-15T08:00:00Z");
        assert_eq!(Timestamp(moment.0 + 1).to_string(), "2023-09-15T08:00:00.000001Z");
        assert_eq!(Timestamp(moment.0 + 250_000).to_string(), "2023-09-15T08:00:00.250Z");
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "now",
            "infinity",
            "2023-09-15",
            "2023-09-15T08:00:00",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-09-15T24:00:00Z",
            "2023-09-15T08:00:61Z",
            "2023-09-15T08:00:00.Z",
            "1694764800",
            "10000-01-01T00:00:00Z",
            "2023-09-15T08:00:00+25:00",
            "２０23-09-15T08:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_chrono(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let moment = Timestamp(micros);
            let text = moment.to_string();
            prop_assert_eq!(parse_utc(text.as_bytes()), Some(moment));
            prop_assert_eq!(DateTime::parse_from_rfc3339(&text).unwrap().timestamp_micros(), micros);
        }
    }
}
