//! The text of a server-sent event (HTML Living Standard, 9.2.6). In: its name, id and data. Out: lines. Pure.

use std::fmt::Write;

/// What a client waits before it connects again.
const RETRY_MS: u32 = 2_000;

/// A line break in the data, in any of its three spellings, begins a new line of the event; `id` has none.
pub(super) fn event(name: &str, id: &str, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + data.len() / 32 + 80);
    if name == "hello" {
        let _ = writeln!(text, "retry: {RETRY_MS}");
    }
    let _ = write!(text, "event: {name}\nid: {id}\n");
    let mut rest = data;
    loop {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        text.push_str("data: ");
        text.push_str(&rest[..end]);
        text.push('\n');
        let broken = &rest[end..];
        let Some(next) = broken.strip_prefix("\r\n").or_else(|| broken.strip_prefix(['\n', '\r'])) else {
            break;
        };
        rest = next;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a client reads it.
    fn read(text: &str) -> (String, String, String) {
        let (mut name, mut id, mut data) = (String::new(), String::new(), Vec::new());
        for line in text.replace("\r\n", "\n").replace('\r', "\n").lines() {
            match line.split_once(": ") {
                Some(("event", value)) => name = value.to_owned(),
                Some(("id", value)) => id = value.to_owned(),
                Some(("data", value)) => data.push(value.to_owned()),
                Some(("retry", _)) => {}
                other => assert_eq!((other, line), (None, "")),
            }
        }
        (name, id, data.join("\n"))
    }

    proptest! {
        #[test]
        fn data_comes_back(data in "([a-z:é ]|\n|\r){0,40}") {
            let plain = data.replace("\r\n", "\n").replace('\r', "\n");
            let text = event("records", "7-9-8", &data);
            prop_assert!(text.ends_with("\n\n") && !text.trim_end_matches('\n').contains("\n\n"));
            prop_assert_eq!(read(&text), ("records".to_owned(), "7-9-8".to_owned(), plain));
        }
    }
}
