//! The field values of a record, named. In: a field and its value, or metadata as JSON text. Out: tokens. A value of metadata is named by
//! its dotted path, arrays skipped, so that every way to read a dotted path (steps or keys with dots in them) leads to the same token;
//! numbers, and texts that look like numbers, are named in one spelling.

use std::borrow::Cow;

use super::{number::canonical, signature::Token};
use crate::record::packed;

/// A field whose whole value can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    ResourceId,
    TraceId,
    SpanId,
    Commit,
    /// The dotted path below `metadata`.
    Metadata(&'a str),
}

/// The token of a value as it is typed.
pub fn value(field: Field<'_>, value: &str) -> Token {
    match field {
        Field::ResourceId => plain(b'r', value.as_bytes()),
        Field::Commit => plain(b'c', value.as_bytes()),
        Field::TraceId => trace(&packed::pack(value)),
        Field::SpanId => span(&packed::pack(value)),
        Field::Metadata(path) => at_path(&mut Vec::new(), path, value),
    }
}

pub fn resource(value: &[u8]) -> Token {
    plain(b'r', value)
}

pub fn commit(value: &[u8]) -> Token {
    plain(b'c', value)
}

/// Of a packed id.
pub fn trace(packed: &[u8]) -> Token {
    plain(b't', packed)
}

/// Of a packed id.
pub fn span(packed: &[u8]) -> Token {
    plain(b's', packed)
}

/// The token that says that metadata has something at this path.
pub fn path(path: &str) -> Token {
    plain(b'p', path.as_bytes())
}

/// Emits the tokens of every value and of every path of a JSON object. `metadata` must be JSON, as the door and jsonb guarantee.
pub fn metadata(metadata: &str, emit: &mut impl FnMut(Token)) {
    let mut walk =
        Walk { text: metadata, at: 0, depth: 0, path: String::new(), name: Vec::with_capacity(64), emit };
    walk.value();
}

fn plain(field: u8, value: &[u8]) -> Token {
    // 256 bytes are the most that a field holds; paths and foreign text may be longer.
    let mut short = [0; 300];
    short[0] = field;
    match short.get_mut(1..=value.len()) {
        Some(place) => {
            place.copy_from_slice(value);
            Token::of(&short[..=value.len()])
        }
        None => Token::of(&[&[field], value].concat()),
    }
}

fn at_path(name: &mut Vec<u8>, path: &str, value: &str) -> Token {
    name.clear();
    name.push(b'm');
    name.extend_from_slice(path.as_bytes());
    name.push(0);
    name.extend_from_slice(canonical(value).as_bytes());
    Token::of(name)
}

struct Walk<'a, E> {
    text: &'a str,
    at: usize,
    /// Objects around this place: a key may be empty, so the path does not tell.
    depth: usize,
    path: String,
    name: Vec<u8>,
    emit: &'a mut E,
}

impl<'a, E: FnMut(Token)> Walk<'a, E> {
    /// Steps over one value and what follows of blanks.
    fn value(&mut self) {
        match self.peek() {
            b'{' => self.members(),
            b'[' => self.elements(),
            b'"' => {
                let text = self.string();
                self.leaf(&text);
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
                self.at += end;
                self.leaf(&rest[..end]);
            }
        }
    }

    fn members(&mut self) {
        self.at += 1;
        while !matches!(self.peek(), b'}' | b']') {
            let key = self.string();
            let parent = self.path.len();
            if self.depth > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            (self.emit)(path(&self.path));
            self.peek();
            self.at += 1; // the colon
            self.depth += 1;
            self.value();
            self.depth -= 1;
            self.path.truncate(parent);
            self.comma();
        }
        self.at += 1;
    }

    fn elements(&mut self) {
        self.at += 1;
        while !matches!(self.peek(), b']' | b'}') {
            self.value();
            self.comma();
        }
        self.at += 1;
    }

    fn leaf(&mut self, text: &str) {
        let token = at_path(&mut self.name, &self.path, text);
        (self.emit)(token);
    }

    fn comma(&mut self) {
        if self.peek() == b',' {
            self.at += 1;
        }
    }

    /// The next byte that is no blank. Past the end, which JSON does not reach, whatever closes.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(b'}')
    }

    fn string(&mut self) -> Cow<'a, str> {
        self.peek();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        while bytes[self.at] != b'"' {
            let step = if bytes[self.at] == b'\\' { 2 } else { 1 };
            escaped |= step == 2;
            self.at += step;
        }
        self.at += 1;
        if escaped {
            let text = serde_json::from_str(&self.text[start..self.at]);
            return Cow::Owned(text.expect("a string of checked JSON"));
        }
        Cow::Borrowed(&self.text[start + 1..self.at - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let mut all = Vec::new();
        metadata(text, &mut |token| all.push(token));
        all
    }

    #[test]
    fn values_by_path() {
        let text = r#" { "user" : { "id" : 42 , "tags":["a","b\u00e9",["c",{"x":1.0}]], "no": {} }, "a.b":true,"user.id":"7", "n":null , "e":[] } "#;
        let all = tokens(text);
        for (path, text) in [
            ("user.id", "42"),
            ("user.id", "42.0"),
            ("user.id", "7"),
            ("user.tags", "a"),
            ("user.tags", "bé"),
            ("user.tags", "c"),
            ("user.tags.x", "1"),
            ("a.b", "true"),
            ("n", "null"),
        ] {
            assert!(all.contains(&value(Field::Metadata(path), text)), "{path} {text}");
        }
        for present in ["user", "user.id", "user.tags", "user.tags.x", "user.no", "a.b", "n", "e"] {
            assert!(all.contains(&path(present)), "{present}");
        }
        assert_eq!(all.len(), 8 + 9); // eight values, nine keys
        let empty_keys = tokens(r#"{"":{"":1,"a":[{"b":2}]},"c":{"":3}}"#);
        for (path, text) in [(".", "1"), (".a.b", "2"), ("c.", "3")] {
            assert!(empty_keys.contains(&value(Field::Metadata(path), text)), "{path} {text}");
        }
        assert!(tokens("{}").is_empty());
    }

    #[test]
    fn fields_do_not_mix() {
        let all = [Field::ResourceId, Field::TraceId, Field::SpanId, Field::Commit, Field::Metadata("x")];
        for (at, field) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(value(*field, "abc"), value(*other, "abc"));
            }
        }
        assert_eq!(value(Field::TraceId, "00ff"), trace(&[1, 0, 0xff]));
        let long = "x".repeat(400);
        assert_eq!(resource(long.as_bytes()), value(Field::ResourceId, &long));
    }
}
