//! CSV rows to drafts. Header names are field names; `metadata.a.b` columns nest, a `metadata` column holds JSON, an empty cell is
//! absent, and two cells of one record cannot say the same. Quoting is RFC 4180's, but in a cell that does not begin with a
//! quotation mark there may be some.

use std::borrow::Cow;

use serde_json::{Map, Value, value::RawValue};

use super::{
    element::{Unknown, describe},
    parse::{Item, Malformed, Sink},
};
use crate::record::{
    metadata,
    rules::{Draft, Fault, excerpt},
};

/// Reads the header and hands each data row to the sink.
pub fn rows(body: &[u8], unknown: Unknown, sink: &mut Sink<'_>) -> Result<(), Malformed> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body);
    let syntax = |error: csv::Error| Malformed::Syntax(format!("not CSV: {error}"));
    let header = reader.headers().map_err(syntax)?.clone();
    let mut end = reader.position().byte() as usize;
    if let Some((_, fault)) = misquoted(&body[..end]) {
        return Err(Malformed::Syntax(format!("not CSV: in the header {fault}")));
    }
    let mut row = csv::ByteRecord::new();
    let mut index = 0;
    while reader.read_byte_record(&mut row).map_err(syntax)? {
        let start = std::mem::replace(&mut end, reader.position().byte() as usize);
        let draft = match misquoted(&body[start..end]) {
            None => draft(&header, &row, unknown),
            Some((cell, fault)) => Err(Fault::new(header.get(cell).map_or("record".into(), excerpt), fault)),
        };
        let escapes =
            row.as_slice().iter().filter(|byte| **byte < 0x20 || matches!(byte, b'"' | b'\\')).count();
        if sink(Item { index, bytes: row.as_slice().len() + 5 * escapes, draft }).is_break() {
            return Ok(());
        }
        index += 1;
    }
    Ok(())
}

/// What is wrong with the quotation marks of a row, and in which cell. A reader that took it as it is would make other cells of it, or, where
/// a mark is missing, of all rows that follow.
fn misquoted(row: &[u8]) -> Option<(usize, &'static str)> {
    enum At {
        Begin,
        Plain,
        Quoted,
        Mark,
    }
    memchr::memchr(b'"', row)?;
    let (mut at, mut cell) = (At::Begin, 0);
    for byte in row {
        at = match (at, byte) {
            (At::Begin, b'"') | (At::Mark, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::Mark,
            (At::Quoted, _) => At::Quoted,
            (At::Begin | At::Plain | At::Mark, b',') => {
                cell += 1;
                At::Begin
            }
            (At::Begin | At::Mark, b'\r' | b'\n') => At::Begin,
            (At::Mark, _) => return Some((cell, "more text follows the closing quotation mark")),
            (At::Begin | At::Plain, _) => At::Plain,
        };
    }
    matches!(at, At::Quoted)
        .then_some((cell, "a quotation mark opens here and none closes it up to the end of the body"))
}

fn draft<'a>(
    header: &'a csv::StringRecord,
    row: &'a csv::ByteRecord,
    unknown: Unknown,
) -> Result<Draft<'a>, Fault> {
    if row.len() != header.len() {
        let text = format!("expected {} cells as in the header, got {}", header.len(), row.len());
        return Err(Fault::new("record", text));
    }
    let mut draft = Draft::default();
    let mut nested = Map::new();
    for (name, cell) in header.iter().zip(row) {
        if cell.is_empty() {
            continue;
        }
        let name = name.trim();
        let cell = std::str::from_utf8(cell).map_err(|_| Fault::new(excerpt(name), "invalid UTF-8"))?;
        let text = Cow::Borrowed(cell);
        let is_free = match name {
            "level" => draft.level.replace(text).is_none(),
            "message" => draft.message.replace(text).is_none(),
            "resourceId" => draft.resource_id.replace(text).is_none(),
            "timestamp" => draft.timestamp.replace(text).is_none(),
            "traceId" => draft.trace_id.replace(text).is_none(),
            "spanId" => draft.span_id.replace(text).is_none(),
            "commit" => draft.commit.replace(text).is_none(),
            "id" => draft.client_id.replace(text).is_none(),
            "metadata" => {
                let raw: &RawValue = serde_json::from_str(cell)
                    .map_err(|error| Fault::new("metadata", format!("not JSON: {}", describe(&error))))?;
                draft.metadata.replace(Cow::Borrowed(raw.get())).is_none()
            }
            _ => match name.strip_prefix("metadata.") {
                Some(path) => {
                    // Counted before anything is built: building, writing and dropping a tree all recurse.
                    let depth = path.bytes().filter(|byte| *byte == b'.').count() + 1;
                    if depth > metadata::DEPTH_MAX {
                        let limit = metadata::DEPTH_MAX;
                        return Err(Fault::new(
                            "metadata",
                            format!("at most {limit} levels deep, got {depth}"),
                        ));
                    }
                    nest(&mut nested, path, cell)
                }
                None if unknown == Unknown::Reject => {
                    return Err(Fault::new(excerpt(name), "not a field of a record"));
                }
                None => nest_at(&mut nested, name, cell),
            },
        };
        if !is_free {
            return Err(Fault::new(excerpt(name), "another column has a value at the same place"));
        }
    }
    draft.metadata = draft.metadata.filter(|json| json != "null");
    let json = |value: &Value| Cow::Owned(value.to_string());
    draft.extra =
        nested.iter().map(|(name, value)| (json(&Value::from(name.as_str())), json(value))).collect();
    Ok(draft)
}

/// Puts a cell at the end of a dotted path; false if another stands there or in the way.
fn nest(map: &mut Map<String, Value>, path: &str, cell: &str) -> bool {
    match path.split_once('.') {
        None => nest_at(map, path, cell),
        Some((step, rest)) => match map.entry(step).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => nest(inner, rest, cell),
            _ => false,
        },
    }
}

fn nest_at(map: &mut Map<String, Value>, name: &str, cell: &str) -> bool {
    map.insert(name.to_owned(), Value::from(cell)).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::parse::{Format, records};

    #[test]
    fn columns_nest_and_empty_cells_are_absent() {
        let body = "level,message,metadata.a.b,metadata.a.c,metadata,colour,traceId\n\
            info,\"two\nlines, \"\"quoted\"\"\",1,,\"{\"\"k\"\":[1]}\",red,\n\
            info,short\n\
            warn,x,,,{,,t\n";
        let mut seen = Vec::new();
        records(Format::Csv, body.as_bytes(), Unknown::Keep, 10, &mut |item| {
            seen.push(item.draft.map(|draft| {
                assert_eq!(draft.trace_id, None);
                let extra: Vec<_> =
                    draft.extra.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                (draft.message.unwrap().into_owned(), draft.metadata.unwrap().into_owned(), extra.join(","))
            }));
        })
        .unwrap();
        let good = (
            "two\nlines, \"quoted\"".to_owned(),
            "{\"k\":[1]}".to_owned(),
            r#""a":{"b":"1"},"colour":"red""#.to_owned(),
        );
        assert_eq!(seen[0], Ok(good));
        assert_eq!(seen[1], Err(Fault::new("record", "expected 7 cells as in the header, got 2")));
        assert!(seen[2].as_ref().unwrap_err().error.starts_with("not JSON: EOF"));
    }

    #[test]
    fn a_quotation_mark_too_few_or_too_many_is_a_fault() {
        let outcome = |body: &str| {
            let mut seen = Vec::new();
            let read = records(Format::Csv, body.as_bytes(), Unknown::Keep, 10, &mut |item| {
                let message = item.draft.map(|draft| draft.message.unwrap().into_owned());
                seen.push(message.map_err(|fault| format!("{}: {}", fault.field, fault.error)));
            });
            read.map(|()| seen).map_err(|error| error.to_string())
        };
        let open = "a quotation mark opens here and none closes it up to the end of the body";
        let more = "more text follows the closing quotation mark";
        for (rows, expected) in [
            ("info,\"a\"\ninfo,\"b\ninfo,c\n", vec![Ok("a"), Err(format!("message: {open}"))]),
            ("\"info,b\ninfo,c", vec![Err(format!("level: {open}"))]),
            ("info,\"a\"b\ninfo,c\n", vec![Err(format!("message: {more}")), Ok("c")]),
            ("info,\"a\" \ninfo,c\n", vec![Err(format!("message: {more}")), Ok("c")]),
            ("info,\"a\"\"b\"\r\n\r\n\"info\",\"c\nd,\"\"\"\r\n", vec![Ok("a\"b"), Ok("c\nd,\"")]),
            ("info,5\" pipe\ninfo,a\"\"b\ninfo,\"\"\"c\"", vec![Ok("5\" pipe"), Ok("a\"\"b"), Ok("\"c")]),
            ("info,\"\"\"", vec![Err(format!("message: {open}"))]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|it| it.map(str::to_owned)).collect();
            assert_eq!(outcome(&format!("level,message\n{rows}")), Ok(expected), "{rows}");
        }
        assert_eq!(outcome("level,\"message\ninfo,a\n"), Err(format!("not CSV: in the header {open}")));
    }

    #[test]
    fn two_cells_of_one_place_are_refused() {
        let outcome = |header: &str, row: &str| {
            let mut seen = Vec::new();
            let body = format!("{header}\n{row}\n");
            records(Format::Csv, body.as_bytes(), Unknown::Keep, 10, &mut |item| {
                seen.push(item.draft.map(drop).map_err(|fault| fault.field.into_owned()));
            })
            .unwrap();
            seen.pop().unwrap()
        };
        for (header, row, field) in [
            ("level,level", "info,warn", "level"),
            ("level,level", "info,", ""),
            ("metadata.a,metadata.a.b", "1,2", "metadata.a.b"),
            ("metadata.a.b,metadata.a", "1,2", "metadata.a"),
            ("metadata.a.b,metadata.a", "1,", ""),
            ("metadata.a,metadata.a", "1,1", "metadata.a"),
            ("colour,metadata.colour", "red,blue", "metadata.colour"),
            ("metadata,metadata", "{},null", "metadata"),
            ("metadata.a.b,metadata.a.c", "1,2", ""),
        ] {
            let expected = if field.is_empty() { Ok(()) } else { Err(field.to_owned()) };
            assert_eq!(outcome(header, row), expected, "{header} {row}");
        }
    }

    #[test]
    fn a_deep_path_costs_a_record_and_no_stack() {
        for (steps, good) in [(32, true), (33, false), (200_000, false)] {
            let body = format!("level,metadata.{}a\ninfo,1\n", "a.".repeat(steps - 1));
            let mut seen = Vec::new();
            records(Format::Csv, body.as_bytes(), Unknown::Keep, 10, &mut |item| {
                seen.push(item.draft.is_ok())
            })
            .unwrap();
            assert_eq!(seen, [good], "{steps} steps");
        }
    }

    #[test]
    fn a_header_alone_holds_no_record() {
        let outcome = records(Format::Csv, b"level,message\n", Unknown::Keep, 10, &mut |_| ());
        assert_eq!(outcome, Err(Malformed::Empty));
    }
}
