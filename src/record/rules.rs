//! The rules of a record, in one place. In: a [`Draft`], texts as the client sent them. Out: a [`Record`] that Postgres will store,
//! or a [`Fault`] naming the field, the limit and what was seen. Limits count bytes of UTF-8.

use std::{borrow::Cow, time::Duration};

use validator::{Validate, ValidateArgs, ValidationError};

use super::{Level, Record, RecordId, Timestamp, id, metadata};

pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
pub const TEXT_BYTES_MAX: usize = 256;
pub const CLIENT_ID_BYTES_MAX: usize = 128;
/// How far ahead of our clock a record may be: clients' clocks drift, but a year ahead is a fault.
pub const AHEAD_MICROS_MAX: i64 = 24 * 3600 * 1_000_000;

/// When an event may have been, both ends included.
#[derive(Debug, Clone, Copy)]
pub struct EventTimes {
    /// None: since 1970. Older than this, retention would drop it.
    earliest: Option<Timestamp>,
    latest: Timestamp,
}

impl EventTimes {
    /// For records that were checked before.
    pub const ANY: Self = Self { earliest: None, latest: Timestamp::MAX };

    /// For records that come now; `age_max` is the retention.
    pub fn at(now: Timestamp, age_max: Option<Duration>) -> Self {
        let earliest = age_max.map(|age| Timestamp(now.0 - age.as_micros() as i64));
        Self { earliest, latest: Timestamp(now.0 + AHEAD_MICROS_MAX) }
    }
}

/// A record as it came: texts decoded, nothing checked.
#[derive(Debug, Default, Validate)]
#[validate(context = EventTimes)]
pub struct Draft<'a> {
    #[validate(required(message = "required, but missing"), custom(function = "known_level"))]
    pub level: Option<Cow<'a, str>>,
    #[validate(required(message = "required, but missing"), custom(function = "message_text"))]
    pub message: Option<Cow<'a, str>>,
    #[validate(required(message = "required, but missing"), custom(function = "resource_text"))]
    pub resource_id: Option<Cow<'a, str>>,
    #[validate(required(message = "required, but missing"), custom(function = "event_time", use_context))]
    pub timestamp: Option<Cow<'a, str>>,
    #[validate(custom(function = "short_text"))]
    pub trace_id: Option<Cow<'a, str>>,
    #[validate(custom(function = "short_text"))]
    pub span_id: Option<Cow<'a, str>>,
    #[validate(custom(function = "short_text"))]
    pub commit: Option<Cow<'a, str>>,
    #[validate(custom(function = "client_name"))]
    pub client_id: Option<Cow<'a, str>>,
    /// A JSON value as text, syntax known to be good.
    pub metadata: Option<Cow<'a, str>>,
    /// Fields that are not ours: name and JSON value, both as JSON text.
    pub extra: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Fields in the order in which their faults are named, as the client knows them and as the struct does.
const FIELD_NAMES: [(&str, &str); 8] = [
    ("level", "level"),
    ("message", "message"),
    ("resourceId", "resource_id"),
    ("timestamp", "timestamp"),
    ("traceId", "trace_id"),
    ("spanId", "span_id"),
    ("commit", "commit"),
    ("id", "client_id"),
];

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The client's name of the field; `record` if it is not about one.
    pub field: Cow<'static, str>,
    pub error: String,
}

impl Fault {
    pub fn new(field: impl Into<Cow<'static, str>>, error: impl Into<String>) -> Self {
        Self { field: field.into(), error: error.into() }
    }
}

/// How the id of a record comes about.
#[derive(Debug, Clone, Copy)]
pub enum IdSource {
    /// From the client's `id` if it sent one, else from the request and the record's index in it.
    Request { tenant: i16, seed: id::IdSeed, index: usize },
    /// It has one already: the record comes back from the topic.
    Known(RecordId),
}

impl<'a> Draft<'a> {
    /// Applies every rule. Returns the record and how many U+0000 were replaced.
    pub fn check(mut self, times: EventTimes, id_source: IdSource) -> Result<(Record<'a>, usize), Fault> {
        let mut nuls = 0;
        for text in self.texts() {
            nuls += replace_nuls(text);
        }
        self.validate_with_args(&times).map_err(|errors| first_fault(&errors))?;
        let metadata = metadata::merge(self.metadata, &self.extra);
        let metadata = match metadata {
            Some(text) => {
                let checked = metadata::check(text)?;
                nuls += checked.nuls;
                Some(checked.text)
            }
            None => None,
        };
        let required = "a required field was checked";
        let timestamp = Timestamp::parse(&self.timestamp.expect(required)).expect("the time was checked");
        let id = match (id_source, &self.client_id) {
            (IdSource::Known(id), _) => id,
            (IdSource::Request { tenant, .. }, Some(name)) => id::from_client_id(tenant, timestamp, name),
            (IdSource::Request { seed, index, .. }, None) => seed.record(timestamp, index),
        };
        let record = Record {
            id,
            timestamp,
            level: Level::parse(&self.level.expect(required)).expect("the level was checked"),
            resource_id: self.resource_id.expect(required),
            trace_id: self.trace_id,
            span_id: self.span_id,
            commit: self.commit,
            message: self.message.expect(required),
            metadata,
            client_id: self.client_id,
        };
        Ok((record, nuls))
    }

    fn texts(&mut self) -> impl Iterator<Item = &mut Cow<'a, str>> {
        [
            &mut self.level,
            &mut self.message,
            &mut self.resource_id,
            &mut self.timestamp,
            &mut self.trace_id,
            &mut self.span_id,
            &mut self.commit,
            &mut self.client_id,
        ]
        .into_iter()
        .flatten()
    }
}

/// Postgres cannot hold U+0000 in text. A borrowed JSON text cannot hold one either: it would have been an escape.
fn replace_nuls(text: &mut Cow<'_, str>) -> usize {
    let nuls = text.bytes().filter(|byte| *byte == 0).count();
    if nuls > 0 {
        *text = Cow::Owned(text.replace('\0', "\u{fffd}"));
    }
    nuls
}

fn first_fault(errors: &validator::ValidationErrors) -> Fault {
    let errors = errors.field_errors();
    for (shown, name) in FIELD_NAMES {
        if let Some(error) = errors.get(name).and_then(|errors| errors.first()) {
            let text = error.message.as_deref().unwrap_or("is not valid");
            return Fault::new(shown, text);
        }
    }
    Fault::new("record", "is not valid")
}

fn refuse(code: &'static str, message: String) -> ValidationError {
    ValidationError::new(code).with_message(message.into())
}

fn bytes_at_most(text: &str, max: usize) -> Result<(), ValidationError> {
    if text.len() > max {
        return Err(refuse("length", format!("at most {max} bytes, got {}", text.len())));
    }
    Ok(())
}

fn not_empty(text: &str, max: usize) -> Result<(), ValidationError> {
    if text.is_empty() {
        return Err(refuse("length", "must not be empty".into()));
    }
    bytes_at_most(text, max)
}

fn known_level(text: &str) -> Result<(), ValidationError> {
    match Level::parse(text) {
        Some(_) => Ok(()),
        None => Err(refuse("level", format!("expected {}, got `{}`", Level::EXPECTED, excerpt(text)))),
    }
}

fn message_text(text: &str) -> Result<(), ValidationError> {
    not_empty(text, MESSAGE_BYTES_MAX)
}

fn resource_text(text: &str) -> Result<(), ValidationError> {
    not_empty(text, TEXT_BYTES_MAX)
}

fn short_text(text: &str) -> Result<(), ValidationError> {
    bytes_at_most(text, TEXT_BYTES_MAX)
}

fn client_name(text: &str) -> Result<(), ValidationError> {
    not_empty(text, CLIENT_ID_BYTES_MAX)
}

fn event_time(text: &str, times: &EventTimes) -> Result<(), ValidationError> {
    let Some(at) = Timestamp::parse(text) else {
        return Err(refuse(
            "timestamp",
            format!("expected RFC 3339 such as 2023-09-15T08:00:00Z, got `{}`", excerpt(text)),
        ));
    };
    if at.0 < 0 {
        return Err(refuse("timestamp", format!("not before 1970, got `{}`", excerpt(text))));
    }
    if at > times.latest {
        return Err(refuse(
            "timestamp",
            format!("at most 24 hours ahead, not after {}, got `{}`", times.latest, excerpt(text)),
        ));
    }
    if let Some(earliest) = times.earliest.filter(|earliest| at < *earliest) {
        return Err(refuse(
            "timestamp",
            format!("older than what is kept, not before {earliest}, got `{}`", excerpt(text)),
        ));
    }
    Ok(())
}

/// The first 64 characters of what was seen, for error messages.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft<'static> {
        Draft {
            level: Some("error".into()),
            message: Some("Failed to connect to DB".into()),
            resource_id: Some("server-1234".into()),
            timestamp: Some("2023-09-15T08:00:00Z".into()),
            ..Draft::default()
        }
    }

    fn check(draft: Draft<'static>) -> Result<(Record<'static>, usize), Fault> {
        let now = Timestamp::parse("2025-12-31T00:00:00Z").unwrap();
        let times = EventTimes::at(now, Some(Duration::from_secs(1_000 * 86_400)));
        let seed = id::IdSeed::new(1, uuid::Uuid::nil(), 0);
        draft.check(times, IdSource::Request { tenant: 1, seed, index: 0 })
    }

    #[test]
    fn every_field_has_its_limit() {
        assert!(check(draft()).is_ok());
        let long = |n: usize| Some(Cow::Owned("x".repeat(n)));
        let cases: [(&str, Draft<'static>, &str); 13] = [
            ("level", Draft { level: None, ..draft() }, "required, but missing"),
            (
                "level",
                Draft { level: Some("loud".into()), ..draft() },
                "expected trace, debug, info, warn, error or fatal, got `loud`",
            ),
            ("message", Draft { message: Some("".into()), ..draft() }, "must not be empty"),
            ("message", Draft { message: long(65537), ..draft() }, "at most 65536 bytes, got 65537"),
            ("resourceId", Draft { resource_id: long(257), ..draft() }, "at most 256 bytes, got 257"),
            ("resourceId", Draft { resource_id: None, ..draft() }, "required, but missing"),
            (
                "timestamp",
                Draft { timestamp: Some("yesterday".into()), ..draft() },
                "expected RFC 3339 such as 2023-09-15T08:00:00Z, got `yesterday`",
            ),
            (
                "timestamp",
                Draft { timestamp: Some("1969-12-31T23:59:59Z".into()), ..draft() },
                "not before 1970, got `1969-12-31T23:59:59Z`",
            ),
            (
                "timestamp",
                Draft { timestamp: Some("2026-01-01T00:00:01Z".into()), ..draft() },
                "at most 24 hours ahead, not after 2026-01-01T00:00:00Z, got `2026-01-01T00:00:01Z`",
            ),
            (
                "timestamp",
                Draft { timestamp: Some("2023-04-05T23:59:59Z".into()), ..draft() },
                "older than what is kept, not before 2023-04-06T00:00:00Z, got `2023-04-05T23:59:59Z`",
            ),
            ("traceId", Draft { trace_id: long(257), ..draft() }, "at most 256 bytes, got 257"),
            ("id", Draft { client_id: long(129), ..draft() }, "at most 128 bytes, got 129"),
            (
                "metadata",
                Draft { metadata: Some("[1]".into()), ..draft() },
                "expected an object, got an array",
            ),
        ];
        for (field, draft, error) in cases {
            assert_eq!(check(draft).unwrap_err(), Fault::new(field, error));
        }
        assert!(check(Draft { message: long(65536), ..draft() }).is_ok());
    }

    #[test]
    fn nuls_are_replaced_and_counted() {
        let (record, nuls) = check(Draft {
            message: Some("a\0b\0".into()),
            metadata: Some(r#"{"k":"\u0000"}"#.into()),
            ..draft()
        })
        .unwrap();
        assert_eq!(record.message, "a\u{fffd}b\u{fffd}");
        assert_eq!(record.metadata.as_deref(), Some(r#"{"k":"\ufffd"}"#));
        assert_eq!(nuls, 3);
    }
}
