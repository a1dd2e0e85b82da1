//! Parameters as names and values, in their order. In: a query string, a JSON object or pairs. Out: pairs, or a query string. Pure.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::Fault;

type Pairs = Vec<(String, String)>;

/// Splits and decodes a query string; text that is not UTF-8 is a fault.
pub fn decode(query: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        for (name, value) in form_urlencoded::parse(piece.as_bytes()) {
            let replaced = name.contains('\u{FFFD}') || value.contains('\u{FFFD}');
            if replaced && !piece.to_ascii_lowercase().contains("%ef%bf%bd") {
                return Err(Fault::new(&name, "is not UTF-8"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
    }
    Ok(pairs)
}

/// The pairs of a JSON object: texts, numbers and booleans, or arrays of them for what may be repeated; `null` is not given.
pub fn from_json(body: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let object: Object = serde_json::from_slice(body)
        .map_err(|error| Fault::new("body", format!("expected a JSON object: {error}")))?;
    let mut pairs: Pairs = Vec::new();
    for (name, value) in object.0 {
        let values = match value {
            serde_json::Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) => number.to_string(),
                serde_json::Value::Bool(truth) => truth.to_string(),
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                    return Err(Fault::new(&name, "expected a text, a number or an array of them"));
                }
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}

/// All members of a JSON object. Those of equal names are parameters that are given more than once, as in an address: none hides another.
struct Object(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

/// The query string of `pairs`, `?` included; empty without pairs.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if text.is_empty() { text } else { format!("?{text}") }
}

/// The query string of the form's own parameters `mk` and `mv` and of empty fields, written as everybody else would; None if it is already.
pub fn canonical(pairs: &[(String, String)]) -> Result<Option<String>, Fault> {
    if !pairs.iter().any(|(name, value)| value.is_empty() || name == "mk" || name == "mv") {
        return Ok(None);
    }
    let mut written: Vec<(String, String)> = Vec::new();
    let mut paths = Vec::new();
    let mut values = Vec::new();
    for (name, value) in pairs {
        match name.as_str() {
            "mk" => paths.push(value.trim()),
            "mv" => values.push(value.as_str()),
            _ if value.is_empty() => {}
            _ => written.push((name.clone(), value.clone())),
        }
    }
    for at in 0..paths.len().max(values.len()) {
        let path = paths.get(at).copied().unwrap_or("");
        let value = values.get(at).copied().unwrap_or("");
        match (path.strip_prefix("metadata.").unwrap_or(path), value) {
            ("", "") => {}
            ("", _) => {
                return Err(Fault::new("mk", format!("a metadata path is missing for the value `{value}`")));
            }
            (path, "") => {
                return Err(Fault::new("mv", format!("a value is missing for the metadata path `{path}`")));
            }
            (path, value) => written.push((format!("metadata.{path}"), value.to_owned())),
        }
    }
    Ok(Some(encode(written.iter().map(|(name, value)| (name.as_str(), value.as_str())))))
}

/// The value of a parameter that is on or off.
pub fn switch(name: &str, value: &str) -> Result<bool, Fault> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(Fault::needed(name, "1 or 0", value)),
    }
}

/// Takes the pairs of this name out; empty ones count as not given.
pub fn take(pairs: &mut Pairs, name: &str) -> Vec<String> {
    let taken = pairs.extract_if(.., |(known, _)| known == name).map(|(_, value)| value);
    taken.filter(|value| !value.is_empty()).collect()
}

/// The one value of this name, taken out.
pub fn take_one(pairs: &mut Pairs, name: &str) -> Result<Option<String>, Fault> {
    match take(pairs, name).as_slice() {
        [] => Ok(None),
        [value] => Ok(Some(value.clone())),
        _ => Err(Fault::new(name, "may be given once")),
    }
}
