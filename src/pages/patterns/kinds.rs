//! One kind of messages as a row of the table. In: a pattern and the search around it. Out: structs that the template only branches and loops
//! over. Pure.

use super::search;
use crate::{
    pages::{
        text::{grouped, shown},
        when::{Form, Moment, Zone},
    },
    record::Level,
    search::{
        count::Levels,
        expr::Expr,
        patterns::{
            Pattern, filter,
            mask::Mask,
            read::Asked,
            since::Age,
            template::{self, Piece},
        },
    },
};

/// Width of a bar of levels.
const BAR_WIDTH: u64 = 72;

pub struct PatternView {
    pub id: String,
    pub pieces: Vec<PieceView>,
    pub is_open: bool,
    pub is_empty: bool,
    pub badge: Option<&'static str>,
    pub count: String,
    pub share: String,
    pub bar: Vec<BarView>,
    pub levels: String,
    pub first: Moment,
    pub last: Moment,
    pub example: String,
    pub only: Option<String>,
    pub hide: Option<String>,
}

pub struct PieceView {
    pub text: String,
    pub is_mask: bool,
}

/// A part of the bar of levels.
pub struct BarView {
    pub level: &'static str,
    pub x: String,
    pub width: String,
}

impl PatternView {
    pub fn new(pattern: &Pattern, asked: &Asked, records: u64, zone: Zone) -> Self {
        let Pattern { template, kind, age } = pattern;
        let count = kind.count();
        let query = &asked.query;
        let narrowed = |q: Option<Expr>| {
            let mut query = query.clone();
            query.filter.q = Some(q?);
            Some(search(&query))
        };
        let q = query.filter.q.as_ref();
        Self {
            id: template.id(),
            pieces: template.pieces().filter_map(PieceView::new).collect(),
            is_open: template.end == template::End::Open,
            is_empty: template.text().trim().is_empty(),
            badge: age.and_then(|age| match age {
                Age::New => Some("new"),
                Age::Unknown => Some("new?"),
                Age::Old => None,
            }),
            count: grouped(count),
            share: share(count, records),
            bar: bar(&kind.levels),
            levels: kind
                .levels
                .iter()
                .map(|(level, records)| format!("{level} {}", grouped(records)))
                .collect::<Vec<_>>()
                .join(", "),
            first: Moment::new(kind.first, zone, Form::Second),
            last: Moment::new(kind.last, zone, Form::Second),
            example: format!("/logs/{}", kind.example),
            only: narrowed(filter::only(q, template)),
            hide: narrowed(filter::hide(q, template)),
        }
    }
}

impl PieceView {
    fn new(piece: Piece<'_>) -> Option<Self> {
        match piece {
            Piece::Mask(Mask::Colour) => None,
            Piece::Mask(mask) => {
                let name = mask.placeholder().trim_matches(['<', '>']);
                Some(Self { text: name.to_owned(), is_mask: true })
            }
            Piece::Text(text) => Some(Self { text: shown(text), is_mask: false }),
        }
    }
}

/// A part of all records; never 0 % of what there is, nor 100 % of what is not all.
fn share(count: u64, records: u64) -> String {
    let percent = count as f64 / records.max(1) as f64 * 100.0;
    match percent {
        _ if count == records => "100 %".to_owned(),
        percent if percent < 0.1 => "< 0.1 %".to_owned(),
        percent => format!("{:.1} %", percent.min(99.9)),
    }
}

/// The levels side by side, the worst first; each that there is can be seen.
fn bar(levels: &Levels) -> Vec<BarView> {
    let sum = levels.sum().max(1) as f64;
    let present: Vec<(Level, u64)> = levels.iter().collect();
    let room = (BAR_WIDTH - present.len() as u64) as f64;
    let mut x = 0.0;
    let parts = present.into_iter().rev().map(|(level, records)| {
        let width = 1.0 + records as f64 / sum * room;
        let part = BarView { level: level.name(), x: format!("{x:.1}"), width: format!("{width:.1}") };
        x += width;
        part
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_rounded_to_nothing_or_to_all() {
        for (count, of, text) in [
            (0, 0, "100 %"),
            (1, 1, "100 %"),
            (1, 3, "33.3 %"),
            (1, 100_000, "< 0.1 %"),
            (99_999, 100_000, "99.9 %"),
        ] {
            assert_eq!(share(count, of), text);
        }
    }

    #[test]
    fn a_bar_shows_each_level_and_fills_its_width() {
        let mut levels = Levels::default();
        levels.add(Level::Info, 100_000);
        levels.add(Level::Fatal, 1);
        let parts = bar(&levels);
        assert_eq!((parts[0].level, parts[0].x.as_str(), parts[0].width.as_str()), ("fatal", "0.0", "1.0"));
        assert_eq!((parts[1].level, parts[1].x.as_str(), parts[1].width.as_str()), ("info", "1.0", "71.0"));
        assert!(bar(&Levels::default()).is_empty());
    }
}
