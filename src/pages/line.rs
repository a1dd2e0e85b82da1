//! A record as one line of a list, with all its fields behind it. In: a row. Out: structs that templates only branch and loop over. Pure.

use super::{
    explorer::view::COLUMNS_MAX,
    json_lines::leaves,
    links::{self, Links, is_level, name},
    message::{Block, Piece, blocks, first_line},
    text::shown,
    when::{Form, Zone, show},
};
use crate::search::{expr::Field, row::Row};

/// Bytes of a message that a list shows; the record's own page shows all.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// Characters of the one line that is shown before a record is opened.
const LINE_CHARS_MAX: usize = 600;
/// Metadata values that a list shows.
const LEAVES_MAX: usize = 100;
/// Bytes of a value for which there are links: addresses have an end.
const LINK_BYTES_MAX: usize = 2_000;

/// What a list needs to know beside its rows.
pub struct List<'a> {
    pub links: &'a Links,
    pub columns: &'a [Field],
    pub zone: Zone,
}

pub struct Line {
    pub id: String,
    pub time: String,
    pub datetime: String,
    pub level: &'static str,
    pub level_href: String,
    pub resource: String,
    pub resource_href: String,
    pub cells: Vec<Cell>,
    /// The beginning of the message, on one line.
    pub text: Vec<Piece>,
    pub message: Vec<Block>,
    /// Bytes of the message that are not shown.
    pub message_rest: usize,
    pub fields: Vec<FieldLine>,
    /// Metadata values that are not shown.
    pub fields_rest: usize,
    pub trace_href: Option<String>,
}

pub struct Cell {
    pub text: String,
    pub href: Option<String>,
}

pub struct FieldLine {
    pub name: String,
    pub value: String,
    pub links: Option<FieldLinks>,
}

pub struct FieldLinks {
    pub only: String,
    pub not: String,
    pub column: Option<String>,
}

impl Line {
    pub fn new(row: &Row, list: &List<'_>) -> Self {
        let links = list.links;
        let cut = row.message.floor_char_boundary(MESSAGE_BYTES_MAX);
        let metadata = row.metadata.as_ref().map_or_else(Vec::new, |text| leaves(text.get()));
        let mut fields = vec![FieldLine::new(list, &Field::ResourceId, &row.resource_id)];
        let optional =
            [(Field::TraceId, &row.trace_id), (Field::SpanId, &row.span_id), (Field::Commit, &row.commit)];
        for (field, value) in optional {
            fields.extend(value.as_deref().map(|value| FieldLine::new(list, &field, value)));
        }
        for (path, value) in metadata.iter().take(LEAVES_MAX) {
            fields.push(FieldLine::new(list, &Field::Metadata(path.clone()), value));
        }
        let plain =
            |name: &str, value: &str| FieldLine { name: name.to_owned(), value: shown(value), links: None };
        fields.extend(row.client_id.as_deref().map(|value| plain("clientId", value)));
        fields.push(plain("id", &row.id.to_string()));
        Self {
            id: row.id.to_string(),
            time: show(row.timestamp, list.zone, Form::Full),
            datetime: row.timestamp.to_string(),
            level: row.level.name(),
            level_href: links.only(&is_level(row.level)),
            resource: shown(&row.resource_id),
            resource_href: links.only_value(&Field::ResourceId, &row.resource_id),
            cells: list.columns.iter().map(|column| Cell::new(links, column, row, &metadata)).collect(),
            text: first_line(&row.message, LINE_CHARS_MAX).pieces,
            message: blocks(&row.message[..cut]),
            message_rest: row.message.len() - cut,
            fields,
            fields_rest: metadata.len().saturating_sub(LEAVES_MAX),
            trace_href: row.trace_id.as_deref().map(links::trace),
        }
    }
}

impl Cell {
    fn new(links: &Links, column: &Field, row: &Row, metadata: &[(String, String)]) -> Self {
        let value = match column {
            Field::ResourceId => Some(row.resource_id.as_str()),
            Field::TraceId => row.trace_id.as_deref(),
            Field::SpanId => row.span_id.as_deref(),
            Field::Commit => row.commit.as_deref(),
            Field::Metadata(path) => {
                metadata.iter().find(|(known, _)| known == path).map(|(_, value)| value.as_str())
            }
        };
        let href = value.filter(|value| value.len() <= LINK_BYTES_MAX).map(|v| links.only_value(column, v));
        Self { text: shown(value.unwrap_or("")).chars().take(200).collect(), href }
    }
}

impl FieldLine {
    fn new(list: &List<'_>, field: &Field, value: &str) -> Self {
        let links = list.links;
        let is_linked = value.len() <= LINK_BYTES_MAX && !value.is_empty();
        let can_be_column =
            *field != Field::ResourceId && !list.columns.contains(field) && list.columns.len() < COLUMNS_MAX;
        let field_links = is_linked.then(|| FieldLinks {
            only: links.only_value(field, value),
            not: links.not_value(field, value),
            column: can_be_column.then(|| links.and("column", &name(field))),
        });
        Self { name: name(field), value: shown(value), links: field_links }
    }
}
