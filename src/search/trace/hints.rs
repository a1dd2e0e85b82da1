//! What metadata says about spans. In: the text of a metadata object. Out: the names of parents and a duration, where senders usually
//! put them: as a key of its own, dotted or nested (`parent.spanId` is `{"parent.spanId": …}` or `{"parent": {"spanId": …}}`). Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Keys that can mean nothing but the parent's span id.
const PARENT_SPAN: [&str; 16] = [
    "parentSpanId",
    "parent_span_id",
    "parentSpanID",
    "parent.spanId",
    "parent.span_id",
    "span.parentSpanId",
    "span.parent_span_id",
    "span.parentId",
    "span.parent_id",
    "trace.parentSpanId",
    "trace.parent_span_id",
    "trace.parentId",
    "trace.parent_id",
    "otel.parentSpanId",
    "otel.parent_span_id",
    "context.parentSpanId",
];

/// Keys that mean it only if there is a span of that id: comments and folders have parents too.
const MAYBE_PARENT_SPAN: [&str; 3] = ["parentId", "parent_id", "parent.id"];

const PARENT_RESOURCE: [&str; 5] = [
    "parentResourceId",
    "parent_resource_id",
    "parent.resourceId",
    "parent.resource_id",
    "parentResource.id",
];

/// Keys that name their unit; a `duration` alone could be seconds or nanoseconds.
const MILLISECONDS: [&str; 11] = [
    "durationMs",
    "duration_ms",
    "durationMillis",
    "duration_millis",
    "elapsedMs",
    "elapsed_ms",
    "latencyMs",
    "latency_ms",
    "tookMs",
    "took_ms",
    "responseTimeMs",
];

/// One of these is in the text if any key is; most metadata needs no parsing.
const MARKS: [&str; 4] = ["arent", "Ms\"", "_ms\"", "illis\""];

/// A day: what is longer is no duration of a span, but somebody's clock.
const LASTED_MAX_MS: f64 = 86_400_000.0;

/// Bytes of an id: nothing longer is stored.
const ID_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    pub parent_span: Option<String>,
    /// The parent, if there is a span of this id.
    pub maybe_parent_span: Option<String>,
    pub parent_resource: Option<String>,
    /// Microseconds that what the record reports has taken.
    pub lasted: Option<i64>,
}

impl Hints {
    pub fn read(metadata: &str) -> Self {
        if !MARKS.iter().any(|mark| metadata.contains(mark)) {
            return Self::default();
        }
        let Ok(object) = serde_json::from_str::<BTreeMap<String, &RawValue>>(metadata) else {
            return Self::default();
        };
        let first = |names: &[&str]| names.iter().find_map(|name| id(value(&object, name)?));
        Self {
            parent_span: first(&PARENT_SPAN),
            maybe_parent_span: first(&MAYBE_PARENT_SPAN),
            parent_resource: first(&PARENT_RESOURCE),
            lasted: MILLISECONDS.iter().find_map(|name| micros(value(&object, name)?)),
        }
    }
}

/// The value under a name, or under its two steps.
fn value<'a>(object: &BTreeMap<String, &'a RawValue>, name: &str) -> Option<&'a str> {
    if let Some(value) = object.get(name) {
        return Some(value.get());
    }
    let (outer, inner) = name.split_once('.')?;
    let nested = object.get(outer)?.get();
    let nested: BTreeMap<String, &'a RawValue> = serde_json::from_str(nested).ok()?;
    nested.get(inner).map(|value| value.get())
}

/// A text or a whole number; an id of zeros is how some libraries write "none".
fn id(json: &str) -> Option<String> {
    let id = match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok()?,
        b'0'..=b'9' if json.bytes().all(|byte| byte.is_ascii_digit()) => json.to_owned(),
        _ => return None,
    };
    let is_one = !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().any(|byte| byte != b'0');
    is_one.then_some(id)
}

/// Microseconds of a number of milliseconds, or of a text that is nothing but such a number.
fn micros(json: &str) -> Option<i64> {
    let text: String = match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok()?,
        _ => json.to_owned(),
    };
    let is_number = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let ms: f64 = text.parse().ok().filter(|_| is_number)?;
    (ms > 0.0 && ms <= LASTED_MAX_MS).then_some((ms * 1_000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_senders_put_them() {
        let span = |text: &str| Hints::read(text).parent_span;
        assert_eq!(span(r#"{"parentSpanId": "a"}"#).as_deref(), Some("a"));
        assert_eq!(span(r#"{"parent_span_id": 17}"#).as_deref(), Some("17"));
        assert_eq!(span(r#"{"parent": {"spanId": "a"}}"#).as_deref(), Some("a"));
        assert_eq!(span(r#"{"parent.spanId": "a"}"#).as_deref(), Some("a"));
        assert_eq!(span(r#"{"parent": "x", "trace": {"parent_id": "a"}}"#).as_deref(), Some("a"));
        for none in [
            "{}",
            r#"{"parentSpanId": ""}"#,
            r#"{"parentSpanId": null}"#,
            r#"{"parentSpanId": "0000000000000000"}"#,
            r#"{"parentSpanId": 1.5}"#,
            r#"{"parentSpanId": ["a"]}"#,
            r#"{"x": {"y": {"parentSpanId": "a"}}}"#,
            r#"["parentSpanId"]"#,
        ] {
            assert_eq!(Hints::read(none), Hints::default(), "{none}");
        }
        let weak = Hints::read(r#"{"parentId": "7", "parentResourceId": "server-0987"}"#);
        assert_eq!((weak.parent_span, weak.maybe_parent_span.as_deref()), (None, Some("7")));
        assert_eq!(weak.parent_resource.as_deref(), Some("server-0987"));
    }

    #[test]
    fn a_duration_is_clearly_a_number() {
        let lasted = |text: &str| Hints::read(text).lasted;
        assert_eq!(lasted(r#"{"durationMs": 12.5}"#), Some(12_500));
        assert_eq!(lasted(r#"{"duration_ms": "250"}"#), Some(250_000));
        for none in ["-1", "0", "\"12 ms\"", "\"\"", "1e3", "true", "\"inf\"", "\"nan\"", "86400001", "[5]"] {
            assert_eq!(lasted(&format!(r#"{{"durationMs": {none}}}"#)), None, "{none}");
        }
        assert_eq!(lasted(r#"{"duration": 5}"#), None);
    }
}
