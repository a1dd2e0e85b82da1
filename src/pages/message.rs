//! Log text as pieces that a template loops over. In: a text as it was logged. Out: pieces with css classes for the colours of a
//! terminal (`static/message.css`) and with links; stack traces in blocks whose inner frames are folded. Pure.
//!
//! ```text
//! text ─fold→ sections ─tokens→ shown text + styles ─links→ pieces
//! ```
//!
//! Always: the pieces of a text, put together, are what [`super::text::shown`] shows of it. The time grows with the text only.

mod links;
mod style;
mod trace;

use self::links::Link;
use super::text::{
    tokens::{Token, Tokens},
    write_shown,
};

pub use self::{
    style::Style,
    trace::{Section, fold},
};

/// What follows more pieces than these is one piece.
const PIECES_MAX: usize = 2_000;

/// Part of a text that looks alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// How a terminal would draw it; as text it is css classes.
    pub class: Option<Style>,
    /// An `http:` or `https:` address in ASCII; it is the text itself.
    pub href: Option<String>,
}

/// Part of a message: what is shown, and frames of a stack trace to be unfolded behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub pieces: Vec<Piece>,
    /// None in most messages.
    pub folded: Option<Folded>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Folded {
    /// Says how many: `23 more frames`.
    pub label: String,
    pub pieces: Vec<Piece>,
}

/// The first line of a text, for a list of texts.
#[derive(Debug, PartialEq, Eq)]
pub struct FirstLine<'a> {
    pub pieces: Vec<Piece>,
    /// True if the text says more.
    pub is_cut: bool,
    /// What stands behind the line; all of the text if the line itself was cut.
    pub rest: &'a str,
}

/// The address that a text is, from its first letter to its last; None if it is anything else.
pub fn address(text: &str) -> Option<String> {
    let may_be = text.starts_with("http") && !text.contains(char::is_whitespace);
    let pieces = if may_be { pieces(text) } else { Vec::new() };
    match pieces.as_slice() {
        [whole] => whole.href.clone(),
        _ => None,
    }
}

/// The pieces of a text.
pub fn pieces(text: &str) -> Vec<Piece> {
    Drawing::default().pieces(text)
}

/// The pieces of a text, with its stack traces folded; one block if there is nothing to fold.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut drawing = Drawing::default();
    let Some(sections) = fold(text) else {
        return vec![Block { pieces: drawing.pieces(text), folded: None }];
    };
    let mut block = |section: Section<'_>| {
        let pieces = drawing.pieces(section.shown);
        let folded = (section.frames > 0).then(|| Folded {
            label: format!("{} more frames", section.frames),
            pieces: drawing.pieces(section.folded),
        });
        Block { pieces, folded }
    };
    sections.into_iter().map(&mut block).collect()
}

/// The first line that shows something, without its indent, at most so many characters of it. An address that is cut is no link.
pub fn first_line(text: &str, chars_max: usize) -> FirstLine<'_> {
    let mut drawing = Drawing::default();
    let mut pieces = Vec::new();
    let mut lines = text.split_inclusive('\n');
    let mut bytes = 0;
    for line in lines.by_ref() {
        bytes += line.len();
        pieces = drawing.pieces(line);
        trim(&mut pieces);
        if !pieces.is_empty() {
            break;
        }
    }
    let is_long = cut(&mut pieces, chars_max);
    let is_cut = is_long || lines.flat_map(Tokens::of).any(shows);
    FirstLine { pieces, is_cut, rest: if is_long { text } else { &text[bytes..] } }
}

fn shows(token: Token<'_>) -> bool {
    match token {
        Token::Plain(text) => !text.trim().is_empty(),
        Token::Picture(_) | Token::Turn(_) => true,
        Token::Colour(_) | Token::Return => false,
    }
}

/// Takes away blanks at both ends.
fn trim(pieces: &mut Vec<Piece>) {
    let is_blank = |piece: &mut Piece| piece.text.trim().is_empty();
    while pieces.pop_if(is_blank).is_some() {}
    let blank = pieces.iter().take_while(|piece| piece.text.trim().is_empty()).count();
    pieces.drain(..blank);
    if let Some(last) = pieces.last_mut() {
        last.text.truncate(last.text.trim_end().len());
    }
    if let Some(first) = pieces.first_mut() {
        first.text = first.text.trim_start().to_owned();
    }
}

/// Leaves at most so many characters; true if there were more.
fn cut(pieces: &mut Vec<Piece>, chars_max: usize) -> bool {
    let mut left = chars_max;
    for at in 0..pieces.len() {
        let text = &mut pieces[at].text;
        match text.char_indices().nth(left) {
            None => left -= text.chars().count(),
            Some((bytes, _)) => {
                text.truncate(bytes);
                pieces[at].href = None;
                pieces.truncate(at + usize::from(bytes > 0));
                return true;
            }
        }
    }
    false
}

/// A text that is being drawn: its colours hold until they are changed, also in the next part.
struct Drawing {
    style: Style,
    left: usize,
}

impl Default for Drawing {
    fn default() -> Self {
        Self { style: Style::default(), left: PIECES_MAX }
    }
}

impl Drawing {
    fn pieces(&mut self, text: &str) -> Vec<Piece> {
        let mut shown = String::with_capacity(text.len());
        let mut styles = vec![(0, self.style)];
        for token in Tokens::of(text) {
            if let Token::Colour(parameters) = token {
                self.style.follow(parameters);
                styles.push((shown.len(), self.style));
            } else {
                write_shown(&mut shown, token);
            }
        }
        self.split(&shown, &styles)
    }

    /// Splits a text where its style changes and where its links begin and end. A link keeps the style that it begins with.
    fn split(&mut self, text: &str, styles: &[(usize, Style)]) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut links = links::find(text).into_iter().peekable();
        let mut styles = styles.iter().peekable();
        let mut style = Style::default();
        let mut at = 0;
        while at < text.len() {
            while let Some((_, next)) = styles.next_if(|(from, _)| *from <= at) {
                style = *next;
            }
            if self.left <= 1 {
                pieces.push(Piece { text: text[at..].to_owned(), class: None, href: None });
                break;
            }
            let link = links.next_if(|link| link.range.start == at);
            let next_style = styles.peek().map_or(text.len(), |(from, _)| *from);
            let next_link = links.peek().map_or(text.len(), |link: &Link| link.range.start);
            let end = link.as_ref().map_or(next_style.min(next_link), |link| link.range.end);
            let class = (!style.is_plain()).then_some(style);
            match pieces.last_mut() {
                Some(last) if link.is_none() && last.href.is_none() && last.class == class => {
                    last.text.push_str(&text[at..end]);
                }
                _ => {
                    let href = link.map(|link| link.href);
                    pieces.push(Piece { text: text[at..end].to_owned(), class, href });
                    self.left -= 1;
                }
            }
            at = end;
        }
        pieces
    }
}

#[cfg(test)]
mod tests;
