//! Moments and spans as text. In: moments, a zone. Out: what a page shows; what is written for a span is read as that span. Pure.

use chrono::{NaiveDateTime, Timelike};

use super::{Span, Zone, zone::within};
use crate::{record::Timestamp, search::filter::Bound};

/// How a moment is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `2026-01-31 14:00:00.123456`
    Full,
    /// `2026-01-31 14:00:00`
    Second,
    /// `2026-01-31 14:00`
    Minute,
    /// `14:00:00.123456`
    Clock,
    /// `Sat 31 Jan 2026`
    Day,
    /// `2026-01-31 14:00:00.123456 +01:00`, which means one moment even when clocks go back.
    Offset,
    /// `2026-01-31 13:00:00.123456 UTC`, whatever the zone.
    Utc,
}

/// A moment as text, in a zone.
pub fn show(at: Timestamp, zone: Zone, form: Form) -> String {
    let local = zone.local(at);
    match form {
        Form::Full => local.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
        Form::Second => local.format("%Y-%m-%d %H:%M:%S").to_string(),
        Form::Minute => local.format("%Y-%m-%d %H:%M").to_string(),
        Form::Clock => local.format("%H:%M:%S%.6f").to_string(),
        Form::Day => local.format("%a %-d %b %Y").to_string(),
        Form::Offset => format!("{} {}", local.format("%Y-%m-%d %H:%M:%S%.6f"), zone.offset(at)),
        Form::Utc => format!("{} UTC", show(at, Zone::UTC, Form::Full)),
    }
}

/// A moment in a page: as it is shown, and in UTC for machines.
pub struct Moment {
    pub datetime: String,
    pub text: String,
}

impl Moment {
    pub fn new(at: Timestamp, zone: Zone, form: Form) -> Self {
        Self { datetime: at.to_string(), text: show(at, zone, form) }
    }
}

/// How long ago, or how far ahead, in the largest unit that fits: `3 min ago`, `in 2 h`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.0.saturating_sub(at.0).unsigned_abs() / 1_000_000;
    let (amount, unit) = match seconds {
        0 => return "now".to_owned(),
        1..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..86_400 => (seconds / 3_600, "h"),
        86_400..5_184_000 => (seconds / 86_400, "d"),
        5_184_000..63_072_000 => (seconds / 2_592_000, "months"),
        _ => (seconds / 31_536_000, "years"),
    };
    if at < now { format!("{amount} {unit} ago") } else { format!("in {amount} {unit}") }
}

/// A text that [`super::read`] reads as this span, for the field in which it can be edited.
pub fn write(span: Span, zone: Zone) -> String {
    match (span.from, span.to) {
        (None, None) => "all".to_owned(),
        (Some(from @ Bound::Ago { .. }), None) => from.write(),
        (Some(from), None) => format!("since {}", begin(from, zone)),
        (None, Some(to)) => format!("before {}", begin(to, zone)),
        (Some(Bound::At(from)), Some(Bound::At(to))) => between(from, to, zone),
        (Some(from), Some(to)) => format!("{} - {}", begin(from, zone), end(to, zone)),
    }
}

fn between(from: Timestamp, to: Timestamp, zone: Zone) -> String {
    let (first, last) = (zone.local(from), zone.local(to));
    let is_midnight = |at: Timestamp, local: NaiveDateTime| {
        local.num_seconds_from_midnight() == 0 && local.nanosecond() == 0 && zone.first(local) == at
    };
    if to > from && is_midnight(from, first) && is_midnight(to, last) {
        let until = last.date().pred_opt().unwrap_or_default();
        return match first.date() == until {
            true => first.date().to_string(),
            false => format!("{} - {until}", first.date()),
        };
    }
    let end = end(Bound::At(to), zone);
    let end = match is_plain(from, zone) && is_plain(within(to.0 - 1), zone) && from < to {
        true => end.strip_prefix(&first.date().to_string()).map_or(end.as_str(), str::trim_start),
        false => end.as_str(),
    };
    format!("{} - {end}", begin(Bound::At(from), zone))
}

/// True if clocks show what they show at this moment only once.
fn is_plain(at: Timestamp, zone: Zone) -> bool {
    let local = zone.local(at);
    zone.first(local) == zone.last(local)
}

fn begin(bound: Bound, zone: Zone) -> String {
    match bound {
        Bound::Ago { .. } => bound.write(),
        Bound::At(at) => moment(at, at, zone),
    }
}

/// The same as an end: one with a fraction is read as part of the range, so it is written a microsecond earlier.
fn end(bound: Bound, zone: Zone) -> String {
    match bound {
        Bound::Ago { .. } => bound.write(),
        Bound::At(at) if at.0.rem_euclid(1_000_000) == 0 => moment(at, within(at.0 - 1), zone),
        Bound::At(at) => {
            let last = within(at.0 - 1);
            let offset = if is_plain(last, zone) { String::new() } else { format!(" {}", zone.offset(last)) };
            format!("{}{offset}", zone.local(last).format("%Y-%m-%d %H:%M:%S%.6f"))
        }
    }
}

/// A moment as short as it can be; with its offset if clocks show the same as at `decisive` twice.
fn moment(at: Timestamp, decisive: Timestamp, zone: Zone) -> String {
    let local = zone.local(at);
    let is_plain = is_plain(decisive, zone);
    let form = match (local.nanosecond(), local.second()) {
        (0, 0) if is_plain => "%Y-%m-%d %H:%M",
        (0, _) => "%Y-%m-%d %H:%M:%S",
        _ => "%Y-%m-%d %H:%M:%S%.6f",
    };
    let offset = if is_plain { String::new() } else { format!(" {}", zone.offset(at)) };
    format!("{}{offset}", local.format(form))
}
