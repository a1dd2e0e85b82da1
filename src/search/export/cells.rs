//! The cells of a record in CSV. In: a row and the columns that were chosen. Out: texts, safe for spreadsheets. Pure.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula, whoever wrote the log line. Such a
//! cell gets a `'` in front, and so does one that begins with `'`: who takes one `'` away from the front of a cell has the text again.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use super::format::Column;
use crate::search::row::Row;

pub fn safe(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// In the order of the header; what a record does not have is empty.
pub fn of<'a>(row: &'a Row, columns: &[Column]) -> Vec<Cow<'a, str>> {
    let optional = |text: &'a Option<String>| text.as_deref().map_or(Cow::Borrowed(""), safe);
    let metadata = row.metadata.as_ref().map_or("", |metadata| metadata.get());
    let mut cells = vec![
        Cow::Owned(row.timestamp.to_string()),
        Cow::Borrowed(row.level.name()),
        safe(&row.resource_id),
        safe(&row.message),
        optional(&row.trace_id),
        optional(&row.span_id),
        optional(&row.commit),
        Cow::Owned(row.id.to_string()),
        optional(&row.client_id),
        Cow::Borrowed(metadata),
    ];
    if !columns.is_empty() {
        cells
            .extend(at_paths(metadata, columns).into_iter().map(|text| Cow::Owned(safe(&text).into_owned())));
    }
    cells
}

/// The values at each path; where an array gives several, with commas between them.
fn at_paths(metadata: &str, columns: &[Column]) -> Vec<String> {
    let mut found = vec![None::<String>; columns.len()];
    let mut take = |path: &str, value: String| {
        for (_, found) in columns.iter().zip(&mut found).filter(|(column, _)| column.path == path) {
            match found {
                Some(values) => values.extend([", ", &value]),
                None => *found = Some(value.clone()),
            }
        }
    };
    visit("", metadata, &mut take);
    found.into_iter().map(Option::unwrap_or_default).collect()
}

/// Hands on every value that is no object and no array, with its dotted path. Metadata is at most 32 deep.
fn visit(path: &str, text: &str, take: &mut impl FnMut(&str, String)) {
    match text.as_bytes().first() {
        Some(b'{') => {
            for (name, inner) in serde_json::from_str::<BTreeMap<String, &RawValue>>(text).unwrap_or_default()
            {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                visit(&path, inner.get(), take);
            }
        }
        Some(b'[') => {
            for inner in serde_json::from_str::<Vec<&RawValue>>(text).unwrap_or_default() {
                visit(path, inner.get(), take);
            }
        }
        Some(b'"') => take(path, serde_json::from_str(text).unwrap_or_default()),
        Some(_) => take(path, text.to_owned()),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "\na", "'a", "'"] {
            let cell = safe(text);
            assert_eq!(cell.strip_prefix('\''), Some(text));
        }
        for text in ["", "a=1", " =1", "\"=1\"", "{\"a\":1}"] {
            assert_eq!(safe(text), text);
        }
    }

    #[test]
    fn values_at_paths() {
        let metadata = r#"{"user": {"id": 4.20, "name": "a\tb"}, "user.id": "=x", "tags": ["a", ["b", {"c": null}]], "n": -1}"#;
        let columns = |paths: &[&str]| -> Vec<Column> {
            paths.iter().map(|path| Column { path: (*path).to_owned() }).collect()
        };
        let found =
            at_paths(metadata, &columns(&["user.id", "user.name", "tags", "tags.c", "user", "n", "absent"]));
        assert_eq!(found, ["4.20, =x", "a\tb", "a, b", "null", "", "-1", ""]);
        assert_eq!(at_paths("", &columns(&["a"])), [""]);
    }
}
