//! A record as one line of a list, with its fields as text behind it. In: a row. Out: structs that templates only branch and loop over. It
//! is lean, because a list has hundreds of them: what can be done with a field comes when the record is opened. Pure.

use super::{
    fields::{LINK_BYTES_MAX, fields, value_of},
    links::{self, Links, is_level, name},
    message::{Block, Piece, blocks, first_line},
    text::{shown, shown_name},
    when::{Form, Zone, show},
};
use crate::search::{expr::Field, row::Row};

/// Bytes of a message that a list shows; the record's own page shows all.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// Characters of the one line that is shown before a record is opened.
const LINE_CHARS_MAX: usize = 600;
/// Fields that a list shows, and the bytes of one.
const FIELDS_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 4 << 10;
/// Characters up to which names make their column wider.
const NAME_CHARS_MAX: usize = 32;

/// What a list needs to know beside its rows.
pub struct List<'a> {
    pub links: &'a Links,
    pub columns: &'a [Field],
    pub zone: Zone,
}

pub struct Line {
    pub id: String,
    /// Its page, from which there is a way back to the list.
    pub href: String,
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
    /// A line for each, name and value: twenty tags less than a list of them, in each of hundreds of rows.
    pub fields: String,
    /// Fields that are not shown, or not whole.
    pub fields_rest: usize,
    pub trace_href: Option<String>,
}

pub struct Cell {
    pub text: String,
    pub href: Option<String>,
}

impl Line {
    pub fn new(row: &Row, list: &List<'_>) -> Self {
        let links = list.links;
        let id = row.id.to_string();
        let cut = row.message.floor_char_boundary(MESSAGE_BYTES_MAX);
        let all = fields(row);
        let is_fit = |(_, value): &&(Field, String)| value.len() <= VALUE_BYTES_MAX;
        let fitting: Vec<_> = all.iter().filter(is_fit).take(FIELDS_MAX).collect();
        let mut shown_fields: Vec<(String, String)> =
            fitting.iter().map(|(field, value)| (shown_name(&name(field)), shown(value))).collect();
        shown_fields.extend(row.client_id.as_deref().map(|value| ("clientId".to_owned(), shown(value))));
        Self {
            href: links.of_record(&id),
            time: show(row.timestamp, list.zone, Form::Full),
            datetime: row.timestamp.to_string(),
            level: row.level.name(),
            level_href: links.only(&is_level(row.level)),
            resource: shown(&row.resource_id),
            resource_href: links.only_value(&Field::ResourceId, &row.resource_id),
            cells: list.columns.iter().map(|column| Cell::new(links, column, &all)).collect(),
            text: first_line(&row.message, LINE_CHARS_MAX).pieces,
            message: blocks(&row.message[..cut]),
            message_rest: row.message.len() - cut,
            fields_rest: all.len() - fitting.len(),
            fields: lines(&shown_fields),
            trace_href: row.trace_id.as_deref().map(links::trace),
            id,
        }
    }
}

/// Names and values in two columns; what a value has after its first line stands below it.
fn lines(fields: &[(String, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(NAME_CHARS_MAX);
    let line = |(name, value): &(String, String)| {
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        format!("{name:width$}  {value}\n")
    };
    fields.iter().map(line).collect()
}

impl Cell {
    fn new(links: &Links, column: &Field, fields: &[(Field, String)]) -> Self {
        let value = value_of(fields, column);
        let href = value.filter(|value| value.len() <= LINK_BYTES_MAX).map(|v| links.only_value(column, v));
        Self { text: shown(value.unwrap_or("")).chars().take(200).collect(), href }
    }
}

#[cfg(test)]
mod tests {
    use super::{lines, shown_name};

    #[test]
    fn a_value_stays_beside_its_name() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = [field("traceId", "a"), field("metadata.stack", "at x\ntraceId  b"), field("no", "1")];
        let text = "\
traceId         a
metadata.stack  at x
                traceId  b
no              1
";
        assert_eq!(lines(&fields), text);
        let long = "n".repeat(40);
        assert_eq!(lines(&[field(&long, "1"), field("b", "2")]), format!("{long}  1\n{:32}  2\n", "b"));
        assert_eq!(lines(&[]), "");
        assert_eq!(shown_name("metadata.a\ntraceId\tb\u{202e}"), "metadata.a␊traceId␉b<U+202E>");
    }
}
