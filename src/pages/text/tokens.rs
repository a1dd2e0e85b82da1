//! Text taken apart into what can be shown and what cannot. In: any text. Out: tokens in order; time grows with the text only. Pure.

/// Part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// Shown as it is.
    Plain(&'a str),
    /// The parameters of a terminal's colour code; not shown itself.
    Colour(&'a str),
    /// Has no shape of its own, so this picture stands for it.
    Picture(char),
    /// Would turn or break the line around it, so its name stands for it.
    Turn(char),
    /// The `\r` of a line end; not shown.
    Return,
}

pub struct Tokens<'a> {
    rest: &'a str,
}

/// Bytes between `ESC [` and `m`; what is longer is no colour.
const COLOUR_BYTES_MAX: usize = 64;

impl<'a> Tokens<'a> {
    pub fn of(text: &'a str) -> Self {
        Self { rest: text }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (front, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        front
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let plain = self.rest.find(is_special).unwrap_or(self.rest.len());
        if plain > 0 {
            return Some(Token::Plain(self.take(plain)));
        }
        if let Some(parameters) = colour(self.rest) {
            self.take("\x1b[m".len() + parameters.len());
            return Some(Token::Colour(parameters));
        }
        let letter = self.rest.chars().next()?;
        self.take(letter.len_utf8());
        Some(match letter {
            '\r' if self.rest.starts_with('\n') => Token::Return,
            '\0'..='\x1f' => {
                Token::Picture(char::from_u32(0x2400 + letter as u32).expect("there is a picture of each"))
            }
            '\x7f' => Token::Picture('\u{2421}'),
            '\u{80}'..='\u{9f}' => Token::Picture('\u{FFFD}'),
            _ => Token::Turn(letter),
        })
    }
}

fn is_special(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        // Line and paragraph separator; embeddings and overrides; isolates.
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => false,
    }
}

/// What stands between `ESC [` and `m`, if the text begins with that.
fn colour(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("\x1b[")?;
    let is_other = |byte: &u8| !byte.is_ascii_digit() && *byte != b';' && *byte != b':';
    let end = inside.as_bytes().iter().take(COLOUR_BYTES_MAX + 1).position(is_other)?;
    inside[end..].starts_with('m').then(|| &inside[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_a_text() {
        let tokens: Vec<Token> = Tokens::of("a\tb\r\n\x1b[1;38:5:9mc\x1b[2K\u{202e}").collect();
        assert_eq!(
            tokens,
            [
                Token::Plain("a\tb"),
                Token::Return,
                Token::Plain("\n"),
                Token::Colour("1;38:5:9"),
                Token::Plain("c"),
                Token::Picture('␛'),
                Token::Plain("[2K"),
                Token::Turn('\u{202e}'),
            ]
        );
    }

    #[test]
    fn a_colour_ends_in_time() {
        for (inside, is_colour) in [(COLOUR_BYTES_MAX, true), (COLOUR_BYTES_MAX + 1, false)] {
            let text = format!("\x1b[{}m", "1".repeat(inside));
            assert_eq!(colour(&text).is_some(), is_colour, "{inside}");
        }
        assert_eq!(colour("\x1b[1"), None);
        assert_eq!(colour("\x1b[1ä"), None);
        assert_eq!(colour("\x1b[m"), Some(""));
    }
}
