//! Metadata as indented lines. In: the text of a JSON object. Out: lines that, put together, are that object again; numbers keep every
//! digit. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::text::shown;

/// One line: indent, key with its colon, value, and the comma or bracket behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonLine {
    pub indent: String,
    pub key: String,
    pub value: String,
    pub tail: &'static str,
}

/// Lines of an object; none for what is no object, or empty.
pub fn lines(object: &str) -> Vec<JsonLine> {
    let mut lines = Vec::new();
    if object.len() > "{}".len() {
        value(&mut lines, 0, String::new(), object, "");
    }
    lines
}

/// Every value that is no object and no array, with its dotted path; empty ones are not there.
pub fn leaves(object: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    leaf(&mut found, String::new(), object.trim());
    found
}

fn leaf(found: &mut Vec<(String, String)>, path: String, text: &str) {
    if let Some(object) =
        text.strip_prefix('{').and_then(|_| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok())
    {
        for (name, inner) in object {
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            leaf(found, path, inner.get());
        }
    } else if let Some(array) =
        text.strip_prefix('[').and_then(|_| serde_json::from_str::<Vec<&RawValue>>(text).ok())
    {
        for inner in array {
            leaf(found, path.clone(), inner.get());
        }
    } else {
        found.push((path, serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned())));
    }
}

fn value(lines: &mut Vec<JsonLine>, depth: usize, key: String, text: &str, tail: &'static str) {
    let text = text.trim();
    let line =
        |value: &str, key, tail| JsonLine { indent: "  ".repeat(depth), key, value: shown(value), tail };
    let close =
        |bracket: &'static str, with_comma: &'static str| if tail.is_empty() { bracket } else { with_comma };
    if let Some(object) =
        text.strip_prefix('{').and_then(|_| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok())
    {
        if object.is_empty() {
            return lines.push(line("{}", key, tail));
        }
        lines.push(line("{", key, ""));
        let last = object.len() - 1;
        for (at, (name, inner)) in object.iter().enumerate() {
            let key = format!("{}: ", shown(&serde_json::Value::from(name.as_str()).to_string()));
            let tail = if at == last { "" } else { "," };
            value(lines, depth + 1, key, inner.get(), tail);
        }
        return lines.push(line(close("}", "},"), String::new(), ""));
    }
    if let Some(array) =
        text.strip_prefix('[').and_then(|_| serde_json::from_str::<Vec<&RawValue>>(text).ok())
    {
        if array.is_empty() {
            return lines.push(line("[]", key, tail));
        }
        lines.push(line("[", key, ""));
        let last = array.len() - 1;
        for (at, inner) in array.iter().enumerate() {
            let tail = if at == last { "" } else { "," };
            value(lines, depth + 1, String::new(), inner.get(), tail);
        }
        return lines.push(line(close("]", "],"), String::new(), ""));
    }
    lines.push(line(text, key, tail));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_object_again() {
        let text = r#"{"a": {"b.c": [1.50, "x*"]}, "e": "", "f": [], "g": {}, "n": null}"#;
        let lines = lines(text);
        let joined: String = lines
            .iter()
            .map(|line| format!("{}{}{}{}\n", line.indent, line.key, line.value, line.tail))
            .collect();
        assert_eq!(
            joined,
            "{\n  \"a\": {\n    \"b.c\": [\n      1.50,\n      \"x*\"\n    ]\n  },\n  \"e\": \"\",\n  \"f\": [],\n  \"g\": {},\n  \"n\": null\n}\n"
        );
        let leaves = leaves(text);
        let leaves: Vec<String> = leaves.iter().map(|(path, value)| format!("{path}={value}")).collect();
        assert_eq!(leaves, ["a.b.c=1.50", "a.b.c=x*", "e=", "n=null"]);
        assert!(super::lines("{}").is_empty());
    }
}
