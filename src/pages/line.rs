//! A record as one line of a list. In: a row. Out: structs that templates only branch and loop over. It is lean, because a list has
//! hundreds of them: what a record has to say beyond its line, and what can be done with it, comes when it is opened. Pure.

use super::{
    fields::{LINK_BYTES_MAX, fields, value_of},
    links::{Links, is_level},
    message::{Piece, first_line},
    text::shown,
    when::{Form, Zone, show},
};
use crate::search::{expr::Field, row::Row};

/// Characters of a line.
const LINE_CHARS_MAX: usize = 600;
/// Bytes of a message that goes on behind its line that the browser's own search finds.
const BEYOND_BYTES_MAX: usize = 16 << 10;

/// What a list needs to know beside its rows.
pub struct List<'a> {
    pub links: &'a Links,
    pub columns: &'a [Field],
    pub zone: Zone,
    /// Whether messages are shown whole.
    pub wraps: bool,
}

pub struct Line {
    pub id: String,
    /// Its page, from which there is a way back to the list.
    pub href: String,
    pub time: String,
    /// The time in UTC, if it is shown in another zone.
    pub datetime: Option<String>,
    pub level: &'static str,
    pub level_href: String,
    pub resource: String,
    pub resource_href: String,
    pub cells: Vec<Cell>,
    /// The beginning of the message, on one line. It is a link, so there is always something to be seen.
    pub text: Vec<Piece>,
    /// A message that says more than its line, or where messages are shown whole what stands behind that; empty in most.
    pub beyond: String,
}

pub struct Cell {
    pub text: String,
    pub href: Option<String>,
}

impl Line {
    pub fn new(row: &Row, list: &List<'_>) -> Self {
        let links = list.links;
        let id = row.id.to_string();
        let all = if list.columns.is_empty() { Vec::new() } else { fields(row) };
        let line = first_line(&row.message, LINE_CHARS_MAX);
        let beyond = match (line.is_cut, list.wraps) {
            (false, _) => "",
            (true, false) => &row.message,
            (true, true) => line.rest,
        };
        let beyond = shown(&beyond[..beyond.floor_char_boundary(BEYOND_BYTES_MAX)]);
        let mut text = line.pieces;
        if text.is_empty() {
            text.push(Piece { text: "(blank)".to_owned(), class: None, href: None });
        }
        Self {
            href: links.of_record(&id),
            time: show(row.timestamp, list.zone, Form::Full),
            datetime: (list.zone != Zone::UTC).then(|| row.timestamp.to_string()),
            level: row.level.name(),
            level_href: links.only(&is_level(row.level)),
            resource: shown(&row.resource_id),
            resource_href: links.only_value(&Field::ResourceId, &row.resource_id),
            cells: list.columns.iter().map(|column| Cell::new(links, column, &all)).collect(),
            text,
            beyond,
            id,
        }
    }
}

impl Cell {
    fn new(links: &Links, column: &Field, fields: &[(Field, String)]) -> Self {
        let value = value_of(fields, column);
        let href = value.filter(|value| value.len() <= LINK_BYTES_MAX).map(|v| links.only_value(column, v));
        Self { text: shown(value.unwrap_or("")).chars().take(200).collect(), href }
    }
}
