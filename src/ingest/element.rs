//! One JSON value of a request as a set of fields, each still JSON text borrowed from the body; nothing is decoded that need not be.
//! In: serde_json's tokens. Out: a [`Draft`] for the rules, or the fault of a field that has the wrong type.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::record::{
    RecordId, metadata,
    rules::{Draft, Fault, excerpt},
};

/// What stood where a record is expected.
pub enum Element<'a> {
    Object(Fields<'a>),
    /// Something else, with its article.
    Other(&'static str),
}

/// The fields of one object; of equal names the last one counts.
#[derive(Default)]
pub struct Fields<'a> {
    level: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    resource_id: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    trace_id: Option<&'a RawValue>,
    span_id: Option<&'a RawValue>,
    commit: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    client_id: Option<(&'a RawValue, &'a RawValue)>,
    extra: Vec<(&'a RawValue, &'a RawValue)>,
    /// Bytes of all names and values.
    pub bytes: usize,
}

/// What happens to fields that are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    Keep,
    Reject,
}

impl<'a> Fields<'a> {
    fn set(&mut self, name: &'a RawValue, value: &'a RawValue) {
        self.bytes += name.get().len() + value.get().len();
        let plain = if name.get().contains('\\') {
            serde_json::from_str::<String>(name.get()).map_or(Cow::Borrowed(""), Cow::Owned)
        } else {
            Cow::Borrowed(name.get().trim_matches('"'))
        };
        match &*plain {
            "level" => self.level = Some(value),
            "message" => self.message = Some(value),
            "resourceId" => self.resource_id = Some(value),
            "timestamp" => self.timestamp = Some(value),
            "traceId" => self.trace_id = Some(value),
            "spanId" => self.span_id = Some(value),
            "commit" => self.commit = Some(value),
            "metadata" => self.metadata = Some(value),
            "id" => self.id = Some(value),
            "clientId" => self.client_id = Some((name, value)),
            _ => self.extra.push((name, value)),
        }
    }

    /// The draft of a record that a client has sent.
    pub fn sent(mut self, unknown: Unknown) -> Result<Draft<'a>, Fault> {
        if let Some(pair) = self.client_id.take() {
            self.extra.push(pair); // a name of our replies, not of a request
        }
        if let (Unknown::Reject, Some((name, _))) = (unknown, self.extra.first()) {
            let name = serde_json::from_str(name.get()).unwrap_or_else(|_| name.get().to_owned());
            return Err(Fault::new(excerpt(&name), "not a field of a record"));
        }
        let client_id = text("id", self.id)?;
        self.draft(client_id)
    }

    /// The draft of a record that stands in the topic, and its id.
    pub fn queued(mut self) -> Result<(Draft<'a>, RecordId), Fault> {
        let id = text("id", self.id)?.ok_or_else(|| Fault::new("id", "required, but missing"))?;
        let id = uuid::Uuid::parse_str(&id)
            .map_err(|_| Fault::new("id", format!("expected a UUID, got `{}`", excerpt(&id))))?;
        let client_id = text("clientId", self.client_id.take().map(|(_, value)| value))?;
        Ok((self.draft(client_id)?, RecordId(id)))
    }

    fn draft(self, client_id: Option<Cow<'a, str>>) -> Result<Draft<'a>, Fault> {
        let borrowed = |raw: &'a RawValue| Cow::Borrowed(raw.get());
        let metadata = self.metadata.filter(|raw| raw.get() != "null");
        Ok(Draft {
            level: text("level", self.level)?,
            message: text("message", self.message)?,
            resource_id: text("resourceId", self.resource_id)?,
            timestamp: text("timestamp", self.timestamp)?,
            trace_id: text("traceId", self.trace_id)?,
            span_id: text("spanId", self.span_id)?,
            commit: text("commit", self.commit)?,
            client_id,
            metadata: metadata.map(borrowed),
            extra: self.extra.into_iter().map(|(name, value)| (borrowed(name), borrowed(value))).collect(),
        })
    }

    /// Whether any name or value contains `mark`.
    pub fn contains(&self, mark: char) -> bool {
        let known = [
            self.level,
            self.message,
            self.resource_id,
            self.timestamp,
            self.trace_id,
            self.span_id,
            self.commit,
            self.metadata,
            self.id,
        ];
        let pairs = self.extra.iter().copied().chain(self.client_id).flat_map(|(name, value)| [name, value]);
        known.into_iter().flatten().chain(pairs).any(|raw| raw.get().contains(mark))
    }
}

/// Decodes a string; `null` is absent. Without an escape it is the text between the quotes.
fn text<'a>(field: &'static str, raw: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(json) = raw.map(RawValue::get) else { return Ok(None) };
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if memchr::memchr(b'\\', inner.as_bytes()).is_none() => Ok(Some(Cow::Borrowed(inner))),
        Some(_) => match serde_json::from_str::<String>(json) {
            Ok(decoded) => Ok(Some(Cow::Owned(decoded))),
            Err(error) => {
                let reason = metadata::string_fault(json).unwrap_or_else(|| describe(&error));
                Err(Fault::new(field, format!("not a text: {reason}")))
            }
        },
        None if json == "null" => Ok(None),
        None => Err(Fault::new(field, format!("expected a string, got {}", metadata::kind(json)))),
    }
}

/// serde_json's message with the column only: a line of NDJSON has no other line.
pub fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.find(" at line ").unwrap_or(text.len());
    format!("{} (column {})", &text[..end], error.column())
}

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<&'de RawValue>()? {
            fields.set(name, map.next_value()?);
        }
        Ok(Element::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Element::Other("an array"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Element::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Element::Other("a string"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Element::Other("null"))
    }
}
