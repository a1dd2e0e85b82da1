//! Time zones. In: names of the IANA database, moments, local times. Out: local times, moments. Pure; the zones are in the binary.
//!
//! A local time that was skipped, because clocks went forward, is read by the offset before that: 02:30 becomes 03:30. One that
//! occurred twice, because clocks went back, means both: what begins at it begins at the first, what ends at it ends at the second.

use chrono::{FixedOffset, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::{
    record::Timestamp,
    search::{cursor::MICROS_MIN, params::Fault},
};

/// A time zone by its IANA name; UTC unless another is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl Zone {
    pub const UTC: Self = Self(Tz::UTC);

    /// Reads a name as the database spells it: `Europe/Berlin`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::named(text).ok_or_else(|| Fault::needed("tz", "a time zone like UTC or Europe/Berlin", text))
    }

    pub(super) fn named(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The names of all zones, for a list to choose from.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// What clocks show.
    pub(super) fn local(self, at: Timestamp) -> NaiveDateTime {
        let utc = within(at.0).datetime().naive_utc();
        utc + TimeDelta::seconds(i64::from(self.offset(at).local_minus_utc()))
    }

    pub(super) fn offset(self, at: Timestamp) -> FixedOffset {
        self.0.offset_from_utc_datetime(&within(at.0).datetime().naive_utc()).fix()
    }

    /// When clocks first show this.
    pub(super) fn first(self, local: NaiveDateTime) -> Timestamp {
        self.both(local).0
    }

    /// When clocks last show this.
    pub(super) fn last(self, local: NaiveDateTime) -> Timestamp {
        self.both(local).1
    }

    /// True if clocks never show this.
    pub(super) fn skips(self, local: NaiveDateTime) -> bool {
        self.0.offset_from_local_datetime(&local) == MappedLocalTime::None
    }

    fn both(self, local: NaiveDateTime) -> (Timestamp, Timestamp) {
        let (one, other) = match self.0.offset_from_local_datetime(&local) {
            MappedLocalTime::Single(offset) => (offset.fix(), offset.fix()),
            MappedLocalTime::Ambiguous(one, other) => (one.fix(), other.fix()),
            MappedLocalTime::None => {
                // No zone is a day away from UTC, so this is before the clocks changed.
                let before = local.checked_sub_signed(TimeDelta::days(1)).unwrap_or(local);
                let offset = self.0.offset_from_utc_datetime(&before).fix();
                (offset, offset)
            }
        };
        let (one, other) = (at_offset(local, one), at_offset(local, other));
        (one.min(other), one.max(other))
    }
}

/// The moment at which clocks of a fixed offset show this.
pub(super) fn at_offset(local: NaiveDateTime, offset: FixedOffset) -> Timestamp {
    let micros = local.and_utc().timestamp_micros();
    within(micros.saturating_sub(i64::from(offset.local_minus_utc()) * 1_000_000))
}

/// A moment that can be written as RFC 3339.
pub(super) fn within(micros: i64) -> Timestamp {
    Timestamp(micros.clamp(MICROS_MIN, Timestamp::MAX.0))
}

/// An offset of so many minutes, if clocks of some country were ever set like that.
pub(super) fn offset_of_minutes(minutes: i32) -> Option<FixedOffset> {
    let is_used = (-12 * 60..=14 * 60).contains(&minutes) && minutes % 15 == 0;
    if is_used { FixedOffset::east_opt(minutes * 60) } else { None }
}

/// What the abbreviations stand for that are found in logs and mean one thing.
pub(super) fn abbreviated(word: &str) -> Option<FixedOffset> {
    let hours = match word.to_ascii_uppercase().as_str() {
        "Z" | "UTC" | "GMT" | "WET" => 0,
        "WEST" | "CET" => 1,
        "CEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "JST" => 9,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    if hours == 0 { Some(Utc.fix()) } else { offset_of_minutes(hours * 60) }
}
