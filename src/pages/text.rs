//! Texts, times and numbers as pages show them. Pure.

pub mod tokens;

use self::tokens::{Token, Tokens};
use crate::search::count::Is;

/// Text as a page shows it: colour codes of terminals are left out, other control characters become their pictures, and characters
/// that would turn the text around them become their names.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in Tokens::of(text) {
        write_shown(&mut out, token);
    }
    out
}

/// The name of a field, which stays on its line, or it could look like a line of its own.
pub fn shown_name(name: &str) -> String {
    shown(name).replace('\n', "\u{240a}").replace('\t', "\u{2409}")
}

/// At most so many letters of what is shown.
pub fn shortened(text: String, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Appends what is shown of a token.
pub fn write_shown(out: &mut String, token: Token<'_>) {
    match token {
        Token::Plain(text) => out.push_str(text),
        Token::Picture(picture) => out.push(picture),
        Token::Turn(letter) => out.push_str(&format!("<U+{:04X}>", u32::from(letter))),
        Token::Colour(_) | Token::Return => {}
    }
}

/// A count, and how true it is.
pub fn count(number: u64, is: Is) -> String {
    match is {
        Is::Exact => grouped(number),
        Is::AtLeast => format!("≥ {}", grouped(number)),
    }
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown() {
        assert_eq!(shown("\x1b[31;1mERROR\x1b[0m ok"), "ERROR ok");
        assert_eq!(shown("\x1b]0;title\x07 a\r\nb\tc\r"), "␛]0;title␇ a\nb\tc␍");
        assert_eq!(shown("\x1b[31"), "␛[31");
        assert_eq!(shown("<b>ä🚨"), "<b>ä🚨");
        assert_eq!(shown("a\u{202e}b\u{2069}\u{2028}"), "a<U+202E>b<U+2069><U+2028>");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
