//! The time axis of a trace. In: its first and last moment. Out: places on it in percent, and the marks above it. Pure.

use crate::{record::Timestamp, search::trace::tree::Extent};

/// Marks at most, the one at the beginning included.
const MARKS_MAX: i64 = 7;
/// A mark further right has no room for its text.
const MARK_PERCENT_MAX: f64 = 93.0;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

pub struct Axis {
    from: i64,
    micros: i64,
}

pub struct Mark {
    pub x: String,
    pub label: String,
}

/// A piece of the axis, as attributes of an SVG element.
pub struct Bar {
    pub x: String,
    pub width: String,
}

impl Axis {
    pub fn new(whole: Extent) -> Self {
        Self { from: whole.from.0, micros: (whole.to.0 - whole.from.0).max(1) }
    }

    /// Microseconds after the beginning.
    pub fn after(&self, at: Timestamp) -> i64 {
        at.0 - self.from
    }

    pub fn x(&self, at: Timestamp) -> String {
        percent(self.share(at))
    }

    /// Which of so many equal pieces of the axis holds the moment.
    pub fn slot(&self, at: Timestamp, slots: usize) -> usize {
        ((self.share(at) * slots as f64) as usize).min(slots - 1)
    }

    pub fn bar(&self, extent: Extent) -> Bar {
        let (from, to) = (self.share(extent.from), self.share(extent.to));
        Bar { x: percent(from), width: percent(to - from) }
    }

    /// Round moments, from the beginning on.
    pub fn marks(&self) -> Vec<Mark> {
        let step = step(self.micros);
        let mark = |at: i64| Mark { x: percent(at as f64 / self.micros as f64), label: lasting(at) };
        let fits = |at: &i64| *at as f64 / self.micros as f64 * 100.0 <= MARK_PERCENT_MAX;
        (0..MARKS_MAX).map(|number| number * step).take_while(fits).map(mark).collect()
    }

    fn share(&self, at: Timestamp) -> f64 {
        ((at.0 - self.from) as f64 / self.micros as f64).clamp(0.0, 1.0)
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The smallest round step with which the marks are not too many.
fn step(micros: i64) -> i64 {
    let decimal = (0..8).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power)));
    let decimal = decimal.take_while(|step| *step < 10 * SECOND);
    let seconds = [10, 15, 30].map(|seconds| seconds * SECOND);
    let clock = [1, 2, 5, 10, 20, 30].map(|minutes| minutes * MINUTE);
    let hours = [1, 2, 6, 12].map(|hours| hours * HOUR);
    let days = (0..6).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power) * DAY));
    let mut all = decimal.chain(seconds).chain(clock).chain(hours).chain(days);
    all.find(|step| micros / step < MARKS_MAX).unwrap_or(DAY * 1_000_000)
}

/// A length of time in the unit that suits it, to three digits.
pub fn lasting(micros: i64) -> String {
    let short = |number: f64, unit: &str| {
        let decimals = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
        let text = format!("{number:.decimals$}");
        let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{text} {unit}")
    };
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match micros {
        ..=0 => "0".to_owned(),
        1..1_000 => format!("{micros} µs"),
        1_000..SECOND => short(micros as f64 / 1e3, "ms"),
        SECOND..MINUTE => short(micros as f64 / 1e6, "s"),
        MINUTE..HOUR => two(micros / MINUTE, "min", micros % MINUTE / SECOND, "s"),
        HOUR..DAY => two(micros / HOUR, "h", micros % HOUR / MINUTE, "min"),
        _ => two(micros / DAY, "d", micros % DAY / HOUR, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (micros, text) in [
            (0, "0"),
            (830, "830 µs"),
            (1_000, "1 ms"),
            (12_345, "12.3 ms"),
            (250_000, "250 ms"),
            (999_999, "1000 ms"),
            (1_230_000, "1.23 s"),
            (59_000_000, "59 s"),
            (123_000_000, "2 min 3 s"),
            (3_600_000_000, "1 h"),
            (90_061_000_000, "1 d 1 h"),
        ] {
            assert_eq!(lasting(micros), text);
        }
    }

    #[test]
    fn marks_are_round_and_few() {
        let marks = |micros| -> Vec<String> {
            let axis = Axis::new(Extent { from: Timestamp(5), to: Timestamp(5 + micros) });
            axis.marks().into_iter().map(|mark| mark.label).collect()
        };
        assert_eq!(marks(1_000_000), ["0", "200 ms", "400 ms", "600 ms", "800 ms"]);
        assert_eq!(marks(0), ["0"]);
        assert_eq!(marks(5 * MINUTE), ["0", "1 min", "2 min", "3 min", "4 min"]);
        assert_eq!(marks(3 * HOUR), ["0", "30 min", "1 h", "1 h 30 min", "2 h", "2 h 30 min"]);
        for power in 0..18 {
            let count = marks(10_i64.pow(power) * 7 / 2).len();
            assert!((2..=7).contains(&count), "{count} marks on 3.5e{power}");
        }
    }

    #[test]
    fn places() {
        let axis = Axis::new(Extent { from: Timestamp(0), to: Timestamp(300) });
        assert_eq!((axis.x(Timestamp(100)), axis.x(Timestamp(300))), ("33.333%".into(), "100%".into()));
        assert_eq!((axis.slot(Timestamp(0), 10), axis.slot(Timestamp(300), 10)), (0, 9));
        let bar = axis.bar(Extent { from: Timestamp(75), to: Timestamp(150) });
        assert_eq!((bar.x, bar.width), ("25%".into(), "25%".into()));
        let moment = Axis::new(Extent { from: Timestamp(7), to: Timestamp(7) });
        assert_eq!(moment.x(Timestamp(7)), "0%");
    }
}
