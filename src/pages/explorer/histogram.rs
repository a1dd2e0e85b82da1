//! The histogram as a picture whose bars are links. In: counts over time. Out: numbers for an SVG, in percent of its width and in pixels of
//! its height, so that it needs no script and no style of its own. Pure.

use crate::{
    pages::{
        links::Links,
        text::{count, grouped, shown},
        when::{Form, Zone, axis, show},
    },
    record::{Level, Timestamp},
    search::{
        count::{Is, histogram::Histogram},
        deploys::{Deploy, Deploys},
        expr::Field,
    },
};

/// Pixels.
const HEIGHT: f64 = 84.0;
/// A bar with at least one record can be seen.
const PART_MIN: f64 = 1.5;
/// Marks on the time axis.
const TICKS_MAX: usize = 10;

pub struct Picture {
    /// `12,345 records`.
    pub total: String,
    /// What is not exact, and why.
    pub note: Option<String>,
    pub bars: Vec<Bar>,
    pub ticks: Vec<Tick>,
    pub marks: Vec<Mark>,
    /// The most that one bar holds.
    pub max: String,
    /// How wide a bar is.
    pub width: String,
    /// For dragging: both ends in microseconds since 1970.
    pub from: i64,
    pub to: i64,
    /// Where the first bucket begins, which may be before, and the width of each.
    pub first: i64,
    pub step: i64,
    /// By level, worst first.
    pub levels: Vec<Legend>,
}

pub struct Bar {
    /// Percent.
    pub x: String,
    pub width: String,
    pub parts: Vec<Part>,
    /// In words.
    pub title: String,
    /// Zooms in.
    pub href: String,
}

pub struct Part {
    pub level: &'static str,
    /// Pixels.
    pub y: String,
    pub height: String,
}

pub struct Tick {
    pub x: String,
    pub text: String,
    pub anchor: &'static str,
}

/// Something that happened, such as the first record of a commit.
pub struct Mark {
    pub x: String,
    pub title: String,
    pub href: String,
}

pub struct Legend {
    pub level: &'static str,
    pub count: String,
    pub href: String,
}

impl Picture {
    pub fn new(histogram: &Histogram, links: &Links, zone: Zone) -> Self {
        let moment = |at| show(at, zone, Form::Full);
        let range = histogram.range;
        let span = (range.to.0 - range.from.0).max(1) as f64;
        let percent = |at: Timestamp| {
            let at = at.0.clamp(range.from.0, range.to.0);
            (at - range.from.0) as f64 * 100.0 / span
        };
        let max = histogram.buckets.iter().map(|bucket| bucket.levels.sum()).max().unwrap_or(0);
        let mut sums = [0_u64; 6];
        let bars =
            histogram.buckets.iter().filter(|bucket| bucket.levels.sum() > 0 || bucket.is != Is::Exact);
        let bars = bars
            .map(|bucket| {
                let end = Timestamp(bucket.from.0 + histogram.width);
                let (from, to) = (bucket.from.max(range.from), end.min(range.to));
                let (x, right) = (percent(from), percent(to));
                let mut top = HEIGHT;
                let mut parts = Vec::new();
                for (level, records) in bucket.levels.iter() {
                    sums[level as usize - 1] += records;
                    let height = (records as f64 * (HEIGHT - 12.0) / max.max(1) as f64).max(PART_MIN);
                    top -= height;
                    parts.push(Part {
                        level: level.name(),
                        y: format!("{:.1}", top.max(0.0)),
                        height: format!("{height:.1}"),
                    });
                }
                let words: Vec<String> = bucket
                    .levels
                    .iter()
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .map(|(level, records)| format!("{} {level}", grouped(records)))
                    .collect();
                let is = if bucket.is == Is::Exact { "" } else { "at least " };
                let words = if words.is_empty() { "0".to_owned() } else { words.join(", ") };
                Bar {
                    x: format!("{x:.3}%"),
                    // A gap of a tenth between bars.
                    width: format!("{:.3}%", ((right - x) * 0.9).max(0.15)),
                    parts,
                    title: format!("{} to {}: {is}{words}", moment(from), moment(to)),
                    href: links.with_range(Some(&from.to_string()), Some(&to.to_string())),
                }
            })
            .collect();
        let levels = Level::ALL
            .into_iter()
            .rev()
            .map(|level| (level, sums[level as usize - 1]))
            .filter(|(_, sum)| *sum > 0)
            .map(|(level, sum)| Legend {
                level: level.name(),
                count: count(sum, histogram.total.is),
                href: links.only(&crate::pages::links::is_level(level)),
            })
            .collect();
        let note =
            histogram.searched_back_to.map(|at| format!("all counted back to {}, some before", moment(at)));
        let records = if histogram.total.count == 1 { "record" } else { "records" };
        Self {
            total: format!("{} {records}", count(histogram.total.count, histogram.total.is)),
            note,
            bars,
            ticks: ticks(histogram, zone, percent),
            marks: Vec::new(),
            max: grouped(max),
            width: width_in_words(histogram.width),
            from: range.from.0,
            to: range.to.0,
            first: histogram.buckets.first().map_or(range.from.0, |bucket| bucket.from.0),
            step: histogram.width.max(1),
            levels,
        }
    }
}

impl Picture {
    /// Marks where commits were seen first.
    pub fn mark(&mut self, deploys: &Deploys, links: &Links, zone: Zone) {
        let span = (self.to - self.from).max(1) as f64;
        let mark = |deploy: &Deploy| Mark {
            x: format!("{:.3}%", (deploy.first_at.0 - self.from) as f64 * 100.0 / span),
            title: format!(
                "first record of commit {} at {}, from {}",
                shown(&deploy.commit),
                show(deploy.first_at, zone, Form::Full),
                shown(&deploy.resource)
            ),
            href: links.only_value(&Field::Commit, &deploy.commit),
        };
        self.marks = deploys.deploys.iter().map(mark).collect();
    }
}

/// Marks at round times, the first and the last not so near to an end that their texts would stand out of the picture.
fn ticks(histogram: &Histogram, zone: Zone, percent: impl Fn(Timestamp) -> f64) -> Vec<Tick> {
    let range = histogram.range;
    axis(range.from, range.to, 1, zone, TICKS_MAX)
        .into_iter()
        .map(|(at, text)| {
            let x = percent(at);
            let anchor = match x {
                ..5.0 => "start",
                95.0.. => "end",
                _ => "middle",
            };
            Tick { x: format!("{x:.2}%"), text, anchor }
        })
        .collect()
}

/// `5 min`, `1 h`.
fn width_in_words(micros: i64) -> String {
    let units =
        [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms")];
    let fitting = units.into_iter().find(|(unit, _)| micros >= *unit && micros % unit == 0);
    fitting.map_or_else(|| format!("{micros} µs"), |(unit, name)| format!("{} {name}", micros / unit))
}
