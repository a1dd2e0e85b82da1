//! Body bytes to drafts. In: an inflated body and its format. Out: one call of the sink for each record, in order, with its index, its
//! size and either a draft or a fault; or [`Malformed`] when the body cannot be read at all. One bad record never costs the others.

use std::ops::ControlFlow;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::element::{Element, Unknown, describe};
use crate::record::rules::{Draft, Fault};

/// How the records stand in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object, or an array of objects.
    Json,
    /// An object a line; objects without line breaks between them, or over several lines, are read too.
    Ndjson,
    /// A header line with field names, then a record a row.
    Csv,
}

/// The body cannot be read: nothing of it was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{0}")]
    Syntax(String),
    #[error("the body holds no record")]
    Empty,
    #[error("at most {0} records in one request, got more")]
    TooMany(usize),
}

/// What the sink is told of each record.
pub struct Item<'a> {
    pub index: usize,
    /// Bytes the record takes as JSON, at least.
    pub bytes: usize,
    pub draft: Result<Draft<'a>, Fault>,
}

/// Takes one item; breaks when there are too many.
pub type Sink<'s> = dyn FnMut(Item<'_>) -> ControlFlow<()> + 's;

/// Reads all records of a body.
pub fn records(
    format: Format,
    body: &[u8],
    unknown: Unknown,
    records_max: usize,
    each: &mut dyn FnMut(Item<'_>),
) -> Result<(), Malformed> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut count = 0;
    let mut sink = |item: Item<'_>| {
        count += 1;
        if count > records_max {
            return ControlFlow::Break(());
        }
        each(item);
        ControlFlow::Continue(())
    };
    let outcome = match format {
        Format::Json => json(body, unknown, &mut sink),
        Format::Ndjson => ndjson(body, unknown, &mut sink),
        Format::Csv => super::csv::rows(body, unknown, &mut sink),
    };
    match (outcome, count) {
        (_, count) if count > records_max => Err(Malformed::TooMany(records_max)),
        (Err(error), _) => Err(error),
        (Ok(()), 0) => Err(Malformed::Empty),
        (Ok(()), _) => Ok(()),
    }
}

fn item(index: usize, element: Element<'_>, unknown: Unknown) -> Item<'_> {
    match element {
        Element::Object(fields) => Item { index, bytes: fields.bytes, draft: fields.sent(unknown) },
        Element::Other(kind) => Item {
            index,
            bytes: 0,
            draft: Err(Fault::new("record", format!("expected an object, got {kind}"))),
        },
    }
}

/// Stands for invalid UTF-8 in a mended body; a noncharacter that texts do not contain (Unicode 15, section 23.7).
const MARKS: [char; 3] = ['\u{10ffff}', '\u{10fffe}', '\u{fffff}'];

fn json(body: &[u8], unknown: Unknown, sink: &mut Sink<'_>) -> Result<(), Malformed> {
    if body.trim_ascii().is_empty() {
        return Err(Malformed::Empty);
    }
    match std::str::from_utf8(body) {
        Ok(text) => json_text(text, unknown, None, sink),
        Err(_) => {
            // Only the records that hold the invalid bytes are refused.
            let holds =
                |mark: &char| memchr::memmem::find(body, mark.encode_utf8(&mut [0; 4]).as_bytes()).is_some();
            let Some(mark) = MARKS.into_iter().find(|mark| !holds(mark)) else {
                return Err(Malformed::Syntax("the body is not UTF-8".into()));
            };
            let mut text = String::with_capacity(body.len());
            for chunk in body.utf8_chunks() {
                text.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    text.push(mark);
                }
            }
            json_text(&text, unknown, Some(mark), sink)
        }
    }
}

fn json_text(text: &str, unknown: Unknown, mark: Option<char>, sink: &mut Sink<'_>) -> Result<(), Malformed> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Records { unknown, mark, array: text.trim_start().starts_with('['), sink };
    let outcome = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    outcome.map_err(|error| {
        let hint = if text.trim_start().starts_with('{') && error.to_string().starts_with("trailing") {
            "; several objects are application/x-ndjson, or an array"
        } else {
            ""
        };
        Malformed::Syntax(format!("not JSON: {error}{hint}"))
    })
}

/// Hands the elements of an array, or the one object, to the sink.
struct Records<'s, 'f> {
    unknown: Unknown,
    mark: Option<char>,
    array: bool,
    sink: &'s mut Sink<'f>,
}

impl Records<'_, '_> {
    fn hand_over(&mut self, index: usize, element: Element<'_>) -> ControlFlow<()> {
        let spoilt = |element: &Element<'_>| match (element, self.mark) {
            (Element::Object(fields), Some(mark)) => fields.contains(mark),
            _ => false,
        };
        if spoilt(&element) {
            let draft = Err(Fault::new("record", "invalid UTF-8"));
            return (self.sink)(Item { index, bytes: 0, draft });
        }
        (self.sink)(item(index, element, self.unknown))
    }
}

impl<'de> DeserializeSeed<'de> for Records<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        if self.array {
            return deserializer.deserialize_seq(self);
        }
        let element: Element<'de> = serde::de::Deserialize::deserialize(deserializer)?;
        let _ = self.hand_over(0, element);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(element) = seq.next_element::<Element<'de>>()? {
            if self.hand_over(index, element).is_break() {
                return Err(serde::de::Error::custom("too many records"));
            }
            index += 1;
        }
        Ok(())
    }
}

/// How often an object that does not end on its line is tried over the following lines; bounds the work of a hostile body.
const MULTILINE_FAILURES_MAX: usize = 8;

fn ndjson(body: &[u8], unknown: Unknown, sink: &mut Sink<'_>) -> Result<(), Malformed> {
    let whole = std::str::from_utf8(body).ok();
    let mut multiline_failures = 0;
    let mut index = 0;
    let mut at = 0;
    while at < body.len() {
        let line_end = memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |offset| at + offset);
        let line = &body[at..line_end];
        let start = at;
        at = line_end + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let text = match whole.map_or_else(|| std::str::from_utf8(line), |whole| Ok(&whole[start..line_end]))
        {
            Ok(text) => text,
            Err(error) => {
                let fault = Fault::new(
                    "record",
                    format!("invalid UTF-8 at byte {} of the line", error.valid_up_to() + 1),
                );
                if sink(Item { index, bytes: 0, draft: Err(fault) }).is_break() {
                    return Ok(());
                }
                index += 1;
                continue;
            }
        };
        let values = serde_json::Deserializer::from_str(text).into_iter::<Element<'_>>();
        let mut first = true;
        for value in values {
            let flow = match value {
                Ok(element) => sink(item(index, element, unknown)),
                Err(error) => {
                    let several_lines =
                        first && error.is_eof() && multiline_failures < MULTILINE_FAILURES_MAX;
                    match whole.filter(|_| several_lines).and_then(|whole| object_over_lines(&whole[start..]))
                    {
                        Some((element, length)) => {
                            at = start + length;
                            let flow = sink(item(index, element, unknown));
                            index += 1;
                            if flow.is_break() {
                                return Ok(());
                            }
                            break;
                        }
                        None => {
                            multiline_failures += usize::from(several_lines);
                            let fault = Fault::new("record", format!("not JSON: {}", describe(&error)));
                            sink(Item { index, bytes: 0, draft: Err(fault) })
                        }
                    }
                }
            };
            index += 1;
            first = false;
            if flow.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads one object that goes on over line ends; None if there is none. Returns its length too.
fn object_over_lines(text: &str) -> Option<(Element<'_>, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Element<'_>>();
    match values.next()? {
        Ok(element @ Element::Object(_)) => Some((element, values.byte_offset())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels of the drafts in order, or what was wrong.
    fn read(format: Format, body: &[u8]) -> Result<Vec<String>, Malformed> {
        let mut seen = Vec::new();
        records(format, body, Unknown::Keep, 5, &mut |item| {
            assert_eq!(item.index, seen.len());
            seen.push(match item.draft {
                Ok(draft) => draft.level.unwrap_or_default().into_owned(),
                Err(fault) => format!("{}: {}", fault.field, fault.error),
            });
        })?;
        Ok(seen)
    }

    #[test]
    fn arrays_and_objects() {
        let json = |body: &str| read(Format::Json, body.as_bytes());
        assert_eq!(json(r#" {"level":"a"} "#).unwrap(), ["a"]);
        assert_eq!(
            json(r#"[{"level":"a","level":"b"},7,[[1]],{"level":7},{"level":null,"x":[{}]}]"#).unwrap(),
            [
                "b",
                "record: expected an object, got a number",
                "record: expected an object, got an array",
                "level: expected a string, got a number",
                ""
            ]
        );
        assert_eq!(json("[]"), Err(Malformed::Empty));
        assert_eq!(json(" \n "), Err(Malformed::Empty));
        assert_eq!(json("[{},{},{},{},{},{}]"), Err(Malformed::TooMany(5)));
        let error = |body| json(body).unwrap_err().to_string();
        assert_eq!(error("[{},\n{]"), "not JSON: key must be a string at line 2 column 2");
        assert_eq!(
            error("{}{}"),
            "not JSON: trailing characters at line 1 column 3; several objects are application/x-ndjson, or an array"
        );
        assert_eq!(json("7").unwrap(), ["record: expected an object, got a number"]);
    }

    #[test]
    fn escapes_in_names_and_values() {
        let read = |body: &str| read(Format::Json, body.as_bytes()).unwrap();
        assert_eq!(read(r#"[{"lev\u0065l":"\u0061\n"}]"#), ["a\n"]);
        assert_eq!(read(r#"[{"level":"\ud800"},{"level":"b"},{"\ud800":1,"level":"c"}]"#)[1..], ["b", "c"]);
    }

    #[test]
    fn invalid_utf8_costs_one_record() {
        let body = b"[{\"level\":\"a\"},{\"level\":\"\xff\"},{\"level\":\"c\"}]";
        assert_eq!(read(Format::Json, body).unwrap(), ["a", "record: invalid UTF-8", "c"]);
        let body = b"{\"level\":\"a\"}\n{\"level\":\"\xff\"}\n{\"level\":\"c\"}";
        assert_eq!(
            read(Format::Ndjson, body).unwrap(),
            ["a", "record: invalid UTF-8 at byte 11 of the line", "c"]
        );
    }

    #[test]
    fn lines() {
        let lines = |body: &str| read(Format::Ndjson, body.as_bytes());
        assert_eq!(lines("\u{feff}{\"level\":\"a\"}\r\n\r\n \n{\"level\":\"b\"}").unwrap(), ["a", "b"]);
        assert_eq!(
            lines("{\"level\":\"a\"}{\"level\":\"b\"} {\"level\":\"c\"}\n{\"level\":\"d\"}").unwrap(),
            ["a", "b", "c", "d"]
        );
        assert_eq!(
            lines("{\n \"level\":\n\"a\"\n}{\n\"level\":\"b\"}\n{\"level\":\"c\"}\n").unwrap(),
            ["a", "b", "c"]
        );
        assert_eq!(
            lines("{\"level\":\"a\"}\n{\"level\":\n{\"level\":\"b\"}\nnope\n{\"level\":\"c\"}").unwrap(),
            [
                "a",
                "record: not JSON: EOF while parsing a value (column 9)",
                "b",
                "record: not JSON: expected ident (column 2)",
                "c"
            ]
        );
        assert_eq!(lines("\n\n"), Err(Malformed::Empty));
        assert_eq!(
            lines("7\n[1]").unwrap(),
            ["record: expected an object, got a number", "record: expected an object, got an array"]
        );
    }

    #[test]
    fn unknown_fields_can_be_refused() {
        let mut faults = Vec::new();
        let body = br#"{"level":"a","colour":1}"#;
        records(Format::Json, body, Unknown::Reject, 5, &mut |item| faults.push(item.draft.unwrap_err()))
            .unwrap();
        assert_eq!(faults, [Fault::new("colour", "not a field of a record")]);
    }
}
