//! A record as one line of JSON: the form in which it stands in the topic, readable with any Kafka tool.

use super::Record;

/// Appends the record and a newline.
pub fn write_line(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(b"{\"id\":\"");
    let mut uuid = [0; uuid::fmt::Hyphenated::LENGTH];
    out.extend_from_slice(record.id.0.hyphenated().encode_lower(&mut uuid).as_bytes());
    out.extend_from_slice(b"\",\"timestamp\":\"");
    out.extend_from_slice(record.timestamp.to_string().as_bytes());
    out.extend_from_slice(b"\",\"level\":\"");
    out.extend_from_slice(record.level.name().as_bytes());
    out.push(b'"');
    text(out, b",\"message\":", Some(&record.message));
    text(out, b",\"resourceId\":", Some(&record.resource_id));
    text(out, b",\"traceId\":", record.trace_id.as_deref());
    text(out, b",\"spanId\":", record.span_id.as_deref());
    text(out, b",\"commit\":", record.commit.as_deref());
    text(out, b",\"clientId\":", record.client_id.as_deref());
    if let Some(metadata) = &record.metadata {
        out.extend_from_slice(b",\"metadata\":");
        // The only raw line breaks in JSON text are white space between tokens.
        out.extend(metadata.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    }
    out.extend_from_slice(b"}\n");
}

fn text(out: &mut Vec<u8>, name: &[u8], value: Option<&str>) {
    let Some(value) = value else { return };
    out.extend_from_slice(name);
    let plain = value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, value).expect("a string is valid JSON and a Vec takes it");
    }
}
