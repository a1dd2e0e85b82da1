//! The fields of a record with what a reader does with them: filter for a value, filter it out, make a column of it. In: a row and the
//! page around it. Out: structs that templates only branch and loop over. Pure.

use super::{
    explorer::view::COLUMNS_MAX,
    json_lines::leaves,
    links::{Links, name},
    message,
    text::{shown, shown_name},
};
use crate::search::{expr::Field, row::Row};

/// Bytes of a value for which there are links: addresses have an end.
pub const LINK_BYTES_MAX: usize = 2_000;

/// Fields of one record for which there are links: each has the state of the list in it.
const LINKED_MAX: usize = 100;

/// The fields that can be filtered for, with their values: those of the row itself, then the leaves of its metadata.
pub fn fields(row: &Row) -> Vec<(Field, String)> {
    let mut fields = vec![(Field::ResourceId, row.resource_id.clone())];
    let optional =
        [(Field::TraceId, &row.trace_id), (Field::SpanId, &row.span_id), (Field::Commit, &row.commit)];
    for (field, value) in optional {
        fields.extend(value.clone().filter(|value| !value.is_empty()).map(|value| (field, value)));
    }
    let metadata = row.metadata.as_ref().map_or_else(Vec::new, |text| leaves(text.get()));
    fields.extend(metadata.into_iter().map(|(path, value)| (Field::Metadata(path), value)));
    fields
}

/// The value of one field.
pub fn value_of<'a>(fields: &'a [(Field, String)], wanted: &Field) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == wanted).map(|(_, value)| value.as_str())
}

/// A field on the page of a record, or in a row of a list that was opened.
pub struct FieldView {
    pub name: String,
    pub value: String,
    /// The address that the value is, if it is one.
    pub href: Option<String>,
    /// None for what cannot be filtered for.
    pub links: Option<FieldLinks>,
}

pub struct FieldLinks {
    pub only: String,
    pub not: String,
    pub column: Option<String>,
}

/// All of a record's fields; `columns` are those that the list around it has.
pub fn views(row: &Row, links: &Links, columns: &[Field]) -> Vec<FieldView> {
    let mut views: Vec<FieldView> = fields(row)
        .iter()
        .enumerate()
        .map(|(place, (field, value))| FieldView::new(links, columns, field, value, place < LINKED_MAX))
        .collect();
    let plain = |name: &str, value: &str| FieldView {
        name: name.to_owned(),
        value: shown(value),
        href: None,
        links: None,
    };
    views.extend(row.client_id.as_deref().map(|value| plain("clientId", value)));
    views.push(plain("id", &row.id.to_string()));
    views
}

impl FieldView {
    fn new(links: &Links, columns: &[Field], field: &Field, value: &str, may_link: bool) -> Self {
        // A key without letters cannot be named in a search.
        let has_name = !matches!(field, Field::Metadata(path) if path.is_empty());
        let is_linked = may_link && has_name && value.len() <= LINK_BYTES_MAX && !value.is_empty();
        let can_be_column =
            *field != Field::ResourceId && !columns.contains(field) && columns.len() < COLUMNS_MAX;
        let field_links = is_linked.then(|| FieldLinks {
            only: links.only_value(field, value),
            not: links.not_value(field, value),
            column: can_be_column.then(|| links.and("column", &name(field))),
        });
        Self {
            name: shown_name(&name(field)),
            value: shown(value),
            href: message::address(value),
            links: field_links,
        }
    }
}
