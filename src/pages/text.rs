//! Texts, times and numbers as pages show them. Pure.

use crate::{record::Timestamp, search::count::Is};

/// Text as a page shows it: colour codes of terminals are left out, other control characters become their pictures.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = colour_code(rest) {
            rest = after;
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        out.push(match letter {
            '\n' | '\t' => letter,
            '\r' if rest.starts_with('\n') => continue,
            '\0'..='\x1f' => char::from_u32(0x2400 + letter as u32).expect("there is a picture of each"),
            '\x7f' => '\u{2421}',
            '\u{80}'..='\u{9f}' => '\u{FFFD}',
            _ => letter,
        });
    }
    out
}

/// What follows `ESC [ digits ; … m`, if the text begins with that.
fn colour_code(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("\x1b[")?;
    let end = inside.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    inside[end..].strip_prefix('m')
}

/// A time to the microsecond, in UTC.
pub fn moment(at: Timestamp) -> String {
    at.datetime().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
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
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
