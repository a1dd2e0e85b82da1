//! Metadata as indented lines in which every leaf can be a link. In: the text of a JSON object. Out: lines that, put together, are that
//! object again; numbers keep every digit. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::text::shown;

/// One line: indent, key with its colon, value, and the comma or bracket behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonLine {
    pub indent: String,
    pub key: String,
    pub value: String,
    /// Filters for this value.
    pub href: Option<String>,
    pub tail: &'static str,
}

/// Makes the address that filters for a path and a value.
type Href<'a> = &'a dyn Fn(&str, &str) -> String;

/// Lines of an object; none for what is no object, or empty.
pub fn lines(object: &str, href: Href<'_>) -> Vec<JsonLine> {
    let mut lines = Vec::new();
    if object.len() > "{}".len() {
        value(&mut lines, 0, String::new(), "metadata", object, "", href);
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

fn value(
    lines: &mut Vec<JsonLine>,
    depth: usize,
    key: String,
    path: &str,
    text: &str,
    tail: &'static str,
    href: Href<'_>,
) {
    let text = text.trim();
    let line = |value: &str, key, href, tail| JsonLine {
        indent: "  ".repeat(depth),
        key,
        value: shown(value),
        href,
        tail,
    };
    let close =
        |bracket: &'static str, with_comma: &'static str| if tail.is_empty() { bracket } else { with_comma };
    if let Some(object) =
        text.strip_prefix('{').and_then(|_| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok())
    {
        if object.is_empty() {
            return lines.push(line("{}", key, None, tail));
        }
        lines.push(line("{", key, None, ""));
        let last = object.len() - 1;
        for (at, (name, inner)) in object.iter().enumerate() {
            let key = format!("{}: ", shown(&serde_json::Value::from(name.as_str()).to_string()));
            let tail = if at == last { "" } else { "," };
            value(lines, depth + 1, key, &format!("{path}.{name}"), inner.get(), tail, href);
        }
        return lines.push(line(close("}", "},"), String::new(), None, ""));
    }
    if let Some(array) =
        text.strip_prefix('[').and_then(|_| serde_json::from_str::<Vec<&RawValue>>(text).ok())
    {
        if array.is_empty() {
            return lines.push(line("[]", key, None, tail));
        }
        lines.push(line("[", key, None, ""));
        let last = array.len() - 1;
        for (at, inner) in array.iter().enumerate() {
            let tail = if at == last { "" } else { "," };
            value(lines, depth + 1, String::new(), path, inner.get(), tail, href);
        }
        return lines.push(line(close("]", "],"), String::new(), None, ""));
    }
    let string = serde_json::from_str::<String>(text);
    let plain = string.as_deref().unwrap_or(text);
    let link = (!plain.is_empty()).then(|| href(path, plain));
    lines.push(line(text, key, link, tail));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_object_again() {
        let text = r#"{"a": {"b.c": [1.50, "x*"]}, "e": "", "f": [], "g": {}, "n": null}"#;
        let lines = lines(text, &|path, value| format!("{path}={value}"));
        let joined: String = lines
            .iter()
            .map(|line| format!("{}{}{}{}\n", line.indent, line.key, line.value, line.tail))
            .collect();
        assert_eq!(
            joined,
            "{\n  \"a\": {\n    \"b.c\": [\n      1.50,\n      \"x*\"\n    ]\n  },\n  \"e\": \"\",\n  \"f\": [],\n  \"g\": {},\n  \"n\": null\n}\n"
        );
        let links: Vec<&str> = lines.iter().filter_map(|line| line.href.as_deref()).collect();
        assert_eq!(links, ["metadata.a.b.c=1.50", "metadata.a.b.c=x*", "metadata.n=null"]);
        let leaves = leaves(text);
        let leaves: Vec<String> = leaves.iter().map(|(path, value)| format!("{path}={value}")).collect();
        assert_eq!(leaves, ["a.b.c=1.50", "a.b.c=x*", "e=", "n=null"]);
        assert!(super::lines("{}", &|_, _| String::new()).is_empty());
    }
}
