//! Metadata: one JSON object as text. In: text whose JSON syntax is known to be good (serde_json has skipped over it). Out: text that
//! Postgres' jsonb takes, without blanks between values, numbers and order untouched. The rules are jsonb's own, checked here so that an accepted record can always
//! be stored: no U+0000, no lone surrogates, no number that explodes on print.

use std::borrow::Cow;

use super::rules::{Fault, excerpt};

pub const BYTES_MAX: usize = 64 * 1024;
/// Objects and arrays inside each other; `metadata` itself is the first.
pub const DEPTH_MAX: usize = 32;
/// Digits a number may print with. jsonb keeps `1e131071` in 9 bytes and prints 131,072 digits.
pub const DIGITS_MAX: u64 = 400;

/// Largest exponent that a zero may carry.
const ZERO_EXPONENT_MAX: i64 = 100_000;

/// Text that passed, and how many U+0000 were replaced in it.
#[derive(Debug)]
pub struct Checked<'a> {
    pub text: Cow<'a, str>,
    pub nuls: usize,
}

/// Puts unknown fields under `metadata`. They stand in front: the last of two equal keys wins, so what `metadata` holds wins.
pub fn merge<'a>(
    metadata: Option<Cow<'a, str>>,
    extra: &[(Cow<'a, str>, Cow<'a, str>)],
) -> Option<Cow<'a, str>> {
    if extra.is_empty() {
        return metadata;
    }
    let own = metadata.as_deref().unwrap_or("{}");
    let Some(rest) = own.strip_prefix('{') else {
        return metadata; // not an object: `check` names the fault
    };
    let mut text = String::with_capacity(own.len() + 64);
    text.push('{');
    for (at, (name, value)) in extra.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push(':');
        text.push_str(value);
    }
    if !rest.trim_start().starts_with('}') {
        text.push(',');
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Applies the limits; replaces `\u0000` by `\ufffd`.
pub fn check(text: Cow<'_, str>) -> Result<Checked<'_>, Fault> {
    let fault = |error: String| Err(Fault::new("metadata", error));
    if !text.starts_with('{') {
        return fault(format!("expected an object, got {}", kind(&text)));
    }
    if text.len() > BYTES_MAX {
        return fault(format!("at most {BYTES_MAX} bytes, got {}", text.len()));
    }
    let bytes = text.as_bytes();
    let mut nuls = Vec::new();
    let mut blanks = 0;
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return fault(format!("at most {DEPTH_MAX} levels deep, got {}", depth_of(bytes)));
                }
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            b'"' => {
                at = string_end(bytes, at + 1, &mut nuls).map_err(|error| Fault::new("metadata", error))?
            }
            b'-' | b'0'..=b'9' => {
                let end = number_end(bytes, at);
                let digits = printed_digits(&bytes[at..end]);
                if digits > DIGITS_MAX {
                    let seen = excerpt(&text[at..end]);
                    return fault(format!(
                        "a number may print with at most {DIGITS_MAX} digits, `{seen}` has {digits}"
                    ));
                }
                at = end;
            }
            byte => {
                blanks += usize::from(byte.is_ascii_whitespace());
                at += 1;
            }
        }
    }
    let count = nuls.len();
    let text = if nuls.is_empty() { text } else { Cow::Owned(without_nuls(&text, &nuls)) };
    let text = if blanks == 0 { text } else { Cow::Owned(without_blanks(&text)) };
    Ok(Checked { text, nuls: count })
}

/// How many objects and arrays are inside each other.
fn depth_of(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// What is wrong with the escapes of a JSON string.
pub fn string_fault(json: &str) -> Option<String> {
    json.starts_with('"').then(|| string_end(json.as_bytes(), 1, &mut Vec::new()).err()).flatten()
}

/// What a JSON text is, with its article, for error messages.
pub fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Walks to the byte after the closing quote; notes where `\u0000` stands.
fn string_end(bytes: &[u8], mut at: usize, nuls: &mut Vec<usize>) -> Result<usize, String> {
    loop {
        match bytes[at] {
            b'"' => return Ok(at + 1),
            b'\\' if bytes[at + 1] == b'u' => {
                let unit = hex(bytes, at + 2)?;
                match unit {
                    0 => nuls.push(at),
                    0xd800..=0xdbff => {
                        let low = if bytes[at + 6..].starts_with(b"\\u") { hex(bytes, at + 8)? } else { 0 };
                        if !(0xdc00..=0xdfff).contains(&low) {
                            return Err(format!("lone surrogate `\\u{unit:04x}` is no character"));
                        }
                        at += 6;
                    }
                    0xdc00..=0xdfff => return Err(format!("lone surrogate `\\u{unit:04x}` is no character")),
                    _ => {}
                }
                at += 6;
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn hex(bytes: &[u8], at: usize) -> Result<u32, String> {
    let digits = bytes.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
    let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    unit.ok_or_else(|| "broken \\u escape".to_owned())
}

fn number_end(bytes: &[u8], at: usize) -> usize {
    let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    at + bytes[at..].iter().take_while(|byte| in_number(byte)).count()
}

/// Digits that Postgres prints for the number, which never uses an exponent.
fn printed_digits(number: &[u8]) -> u64 {
    let number = number.strip_prefix(b"-").unwrap_or(number);
    let exponent_at = number.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = number.split_at(exponent_at.unwrap_or(number.len()));
    let exponent = exponent.get(1..).map_or(0, |digits| {
        let (sign, digits) = match digits.first() {
            Some(b'-') => (-1, &digits[1..]),
            Some(b'+') => (1, &digits[1..]),
            _ => (1, digits),
        };
        let size = digits.iter().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1 << 40));
        sign * size
    });
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = mantissa.split_at(point.unwrap_or(mantissa.len()));
    let fraction_digits = fraction.len().saturating_sub(1) as i64;
    let zero = mantissa.iter().all(|byte| matches!(byte, b'0' | b'.'));
    // Zero prints as one digit, but Postgres refuses an exponent beyond a billion even there; ours ends long before.
    let before =
        if zero && exponent <= ZERO_EXPONENT_MAX { 1 } else { (whole.len() as i64 + exponent).max(1) };
    let after = (fraction_digits - exponent).max(0);
    (before + after) as u64
}

/// Without the blanks between values: it is stored as it is.
fn without_blanks(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            ' ' | '\n' | '\r' | '\t' if !in_string => continue,
            _ => {}
        }
        compact.push(letter);
    }
    compact
}

fn without_nuls(text: &str, nuls: &[usize]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for at in nuls {
        clean.push_str(&text[from..*at]);
        clean.push_str("\\ufffd");
        from = at + 6;
    }
    clean.push_str(&text[from..]);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        check(text.into()).unwrap_err().error
    }

    #[test]
    fn the_rules_of_jsonb() {
        for good in [
            "{}",
            r#"{"a":{"b":[1,-2.5e3,"x\\u0000",true,null]}}"#,
            r#"{"\ud83d\ude00":"\\"}"#,
            r#"{"n":1e399}"#,
            r#"{"n":0e99999}"#,
        ] {
            assert_eq!(check(good.into()).unwrap().text, good);
        }
        let blanks = "{ \"a b\" :\t[ 1 , \"x \\\" y\" ]\r\n}";
        assert_eq!(check(blanks.into()).unwrap().text, "{\"a b\":[1,\"x \\\" y\"]}");
        assert_eq!(error("7"), "expected an object, got a number");
        assert_eq!(error(r#"{"n":1e400}"#), "a number may print with at most 400 digits, `1e400` has 401");
        assert!(error(r#"{"n":1e-401}"#).contains("has 402"));
        assert!(error(r#"{"n":1e131071}"#).contains("has 131072"));
        assert!(error(r#"{"n":1e99999999999999999999}"#).contains("at most 400 digits"));
        assert!(error(r#"{"n":-0e1073741824}"#).contains("at most 400 digits"));
        assert_eq!(error(r#"{"a":"\ud800"}"#), "lone surrogate `\\ud800` is no character");
        assert_eq!(error(r#"{"\udc00":1}"#), "lone surrogate `\\udc00` is no character");
        assert_eq!(error(r#"{"a":"\ud800\ud800"}"#), "lone surrogate `\\ud800` is no character");
        let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
        assert!(check(deep(32).into()).is_ok());
        assert_eq!(error(&deep(33)), "at most 32 levels deep, got 33");
        let beside = format!(r#"{{"a":"\"[[","b":{},"c":[]}}"#, deep(40));
        assert_eq!(error(&beside), "at most 32 levels deep, got 41");
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(BYTES_MAX - 8));
        assert_eq!(long.len(), BYTES_MAX);
        assert!(check(long.clone().into()).is_ok());
        assert_eq!(error(&format!("{long} ")), "at most 65536 bytes, got 65537");
    }

    #[test]
    fn unknown_fields_go_in_front() {
        let extra = [("\"a\"".into(), "1".into()), ("\"b\"".into(), "{}".into())];
        let merged = |own: Option<&'static str>| merge(own.map(Cow::from), &extra).unwrap().into_owned();
        assert_eq!(merged(None), r#"{"a":1,"b":{}}"#);
        assert_eq!(merged(Some("{ }")), r#"{"a":1,"b":{} }"#);
        assert_eq!(merged(Some(r#"{"a":2}"#)), r#"{"a":1,"b":{},"a":2}"#);
    }
}
