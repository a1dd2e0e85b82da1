//! A typed time taken apart. In: a text. Out: words, numbers and signs, and where each stands. Pure.

use crate::search::params::{Columns, Fault};

/// Characters of a typed time; two pasted timestamps with all their trimmings have fewer.
const CHARS_MAX: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Sign,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Bytes before it in the text.
    pub(super) at: usize,
    /// Characters before it.
    column: usize,
    /// True if nothing stands between it and the token before.
    pub(super) is_glued: bool,
}

/// Where the tokens from one to another stand.
pub(super) fn columns(first: &Token<'_>, last: &Token<'_>) -> Columns {
    Columns { start: first.column + 1, end: last.column + last.text.chars().count() + 1 }
}

pub(super) fn read(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let chars = text.chars().count();
    if chars > CHARS_MAX {
        return Err(Fault::new("t", format!("at most {CHARS_MAX} characters, got {chars}")));
    }
    let mut tokens = Vec::new();
    let mut letters = text.char_indices().enumerate().peekable();
    let mut is_glued = false;
    while let Some((column, (at, letter))) = letters.next() {
        if letter.is_whitespace() {
            is_glued = false;
            continue;
        }
        let kind = kind(letter);
        let mut end = at + letter.len_utf8();
        while let Some((_, (next, letter))) =
            letters.next_if(|(_, (_, letter))| kind != Kind::Sign && self::kind(*letter) == kind)
        {
            end = next + letter.len_utf8();
        }
        tokens.push(Token { kind, text: &text[at..end], at, column, is_glued });
        is_glued = true;
    }
    Ok(tokens)
}

fn kind(letter: char) -> Kind {
    match letter {
        'a'..='z' | 'A'..='Z' => Kind::Word,
        '0'..='9' => Kind::Number,
        _ => Kind::Sign,
    }
}
