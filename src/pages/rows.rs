//! Records as pages show them. In: a row. Out: structs that templates only branch and loop over. Pure.

use super::{
    json_lines::{self, JsonLine},
    links::{self, Links},
    text::{moment, shown},
};
use crate::search::row::Row;

/// Bytes of a message and lines of metadata that a row of the list shows; the record's own page shows all.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
const METADATA_LINES_MAX: usize = 60;

/// A record as a row of the list shows it, or its own page.
pub struct RecordView {
    pub id: String,
    pub time: String,
    pub datetime: String,
    pub level: &'static str,
    pub level_href: String,
    pub resource: String,
    pub resource_href: String,
    pub message: String,
    /// Bytes of the message that are not shown.
    pub message_rest: usize,
    pub fields: Vec<FieldView>,
    pub client_id: Option<String>,
    pub metadata: Vec<JsonLine>,
    /// Lines of metadata that are not shown.
    pub metadata_rest: usize,
    pub trace_href: Option<String>,
    pub context_href: String,
}

pub struct FieldView {
    pub name: &'static str,
    pub value: String,
    pub href: String,
}

/// How much of a record is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Row,
    Whole,
}

impl RecordView {
    pub fn new(row: &Row, links: &Links, extent: Extent) -> Self {
        let cut = match extent {
            Extent::Row => row.message.floor_char_boundary(MESSAGE_BYTES_MAX),
            Extent::Whole => row.message.len(),
        };
        let mut metadata = metadata(row, links);
        let metadata_rest = match extent {
            Extent::Row => metadata.len().saturating_sub(METADATA_LINES_MAX),
            Extent::Whole => 0,
        };
        metadata.truncate(metadata.len() - metadata_rest);
        Self {
            id: row.id.to_string(),
            time: moment(row.timestamp),
            datetime: row.timestamp.to_string(),
            level: row.level.name(),
            level_href: links.with("level", row.level.name()),
            resource: shown(&row.resource_id),
            resource_href: links.with_value("resourceId", &row.resource_id),
            message: shown(&row.message[..cut]),
            message_rest: row.message.len() - cut,
            fields: fields(row, links),
            client_id: row.client_id.as_deref().map(shown),
            metadata,
            metadata_rest,
            trace_href: row.trace_id.as_deref().filter(|trace| !trace.is_empty()).map(links::trace),
            context_href: links::context(&row.id.to_string(), &[]),
        }
    }
}

fn fields(row: &Row, links: &Links) -> Vec<FieldView> {
    let mut fields = vec![
        FieldView::new("level", row.level.name(), links),
        FieldView::new("resourceId", &row.resource_id, links),
    ];
    let optional = [("traceId", &row.trace_id), ("spanId", &row.span_id), ("commit", &row.commit)];
    for (name, value) in optional {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            fields.push(FieldView::new(name, value, links));
        }
    }
    fields
}

fn metadata(row: &Row, links: &Links) -> Vec<JsonLine> {
    let lines = |text: &str| json_lines::lines(text, &|path, value| links.with_value(path, value));
    row.metadata.as_ref().map_or_else(Vec::new, |text| lines(text.get()))
}

impl FieldView {
    fn new(name: &'static str, value: &str, links: &Links) -> Self {
        Self { name, value: shown(value), href: links.with_value(name, value) }
    }
}
