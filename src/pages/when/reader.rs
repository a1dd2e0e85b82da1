//! Reads tokens one after the other, may go back, and remembers how far it came, because there lies the fault.

use super::tokens::{self, Kind, Token};
use crate::{
    record::Timestamp,
    search::params::{Columns, Fault},
};

const EXAMPLES: &str =
    "try `15m`, `last 2h`, `yesterday`, `14:00-14:05`, `2026-01-31 14:00 - 15:30`, or paste a timestamp";
/// Bytes of what was typed that a fault repeats.
const SEEN_BYTES_MAX: usize = 40;

pub(super) struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    /// The furthest that was come.
    furthest: usize,
    complaint: Option<(Columns, String)>,
    pub(super) zone: super::Zone,
    pub(super) now: Timestamp,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, zone: super::Zone, now: Timestamp) -> Result<Self, Fault> {
        let tokens = tokens::read(text)?;
        Ok(Self { text, tokens, at: 0, furthest: 0, complaint: None, zone, now })
    }

    /// Reads a part, or goes back to where it began.
    pub(super) fn attempt<T>(&mut self, part: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let read = part(self);
        if read.is_none() {
            self.at = start;
        }
        read
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.tokens.len()
    }

    fn step(&mut self) {
        self.at += 1;
        self.furthest = self.furthest.max(self.at);
    }

    /// The next token, if it is of this kind and the condition holds.
    fn take(&mut self, kind: Kind, holds: impl FnOnce(&Token<'a>) -> bool) -> Option<&'a str> {
        let token = self.peek(0).filter(|token| token.kind == kind && holds(token))?;
        self.step();
        Some(token.text)
    }

    /// What a word stands for, if it is one of those.
    pub(super) fn word<T: Copy>(&mut self, words: &[(&str, T)]) -> Option<T> {
        let meaning = |text: &str| words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        self.take(Kind::Word, |token| meaning(token.text).is_some())
            .and_then(meaning)
            .map(|(_, meaning)| *meaning)
    }

    pub(super) fn is_word(&mut self, words: &[&str]) -> bool {
        self.take(Kind::Word, |token| words.iter().any(|word| word.eq_ignore_ascii_case(token.text)))
            .is_some()
    }

    pub(super) fn any_word(&mut self) -> Option<&'a str> {
        self.take(Kind::Word, |_| true)
    }

    /// A number of so many digits.
    pub(super) fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<&'a str> {
        self.take(Kind::Number, |token| digits.contains(&token.text.len()))
    }

    /// The same, with nothing before it.
    pub(super) fn glued_number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<&'a str> {
        self.take(Kind::Number, |token| token.is_glued && digits.contains(&token.text.len()))
    }

    pub(super) fn sign(&mut self, signs: &str) -> Option<char> {
        self.take(Kind::Sign, |token| signs.contains(token.text))?.chars().next()
    }

    /// The same, with nothing before it.
    pub(super) fn glued_sign(&mut self, signs: &str) -> Option<char> {
        self.take(Kind::Sign, |token| token.is_glued && signs.contains(token.text))?.chars().next()
    }

    /// True if the token so far ahead is one of these signs.
    pub(super) fn sees(&self, ahead: usize, signs: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.kind == Kind::Sign && signs.contains(token.text))
    }

    /// The longest text from here on, of whole tokens, that means something.
    pub(super) fn longest<T>(&mut self, tokens_max: usize, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
        let start = self.peek(0)?.at;
        let ends = self.tokens[self.at..].iter().take(tokens_max).map(|token| token.at + token.text.len());
        let ends: Vec<usize> = ends.collect();
        let (tokens, found) = (1..=ends.len()).rev().find_map(|tokens| {
            let text = &self.text[start..ends[tokens - 1]];
            meaning(text).map(|found| (tokens, found))
        })?;
        (0..tokens).for_each(|_| self.step());
        Some(found)
    }

    /// How many tokens were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Remembers that the tokens read since `start` are in the right form and mean nothing.
    pub(super) fn complain<T>(&mut self, start: usize, what: &str) -> Option<T> {
        if let (Some(first), Some(last)) = (self.tokens.get(start), self.tokens.get(self.at.max(1) - 1)) {
            let seen = &self.text[first.at..last.at + last.text.len()];
            let columns = tokens::columns(first, last);
            self.complaint.get_or_insert_with(|| (columns, format!("`{}` {what}", shortened(seen))));
        }
        None
    }

    /// Why the text could not be read.
    pub(super) fn fault(&self) -> Fault {
        if let Some((columns, error)) = &self.complaint {
            return Fault::at("t", *columns, error);
        }
        match (self.tokens.get(self.furthest), self.tokens.last()) {
            (Some(token), _) => {
                let error = format!("`{}` is not understood here; {EXAMPLES}", shortened(token.text));
                Fault::at("t", tokens::columns(token, token), &error)
            }
            (None, Some(last)) => {
                let end = tokens::columns(last, last).end;
                Fault::at("t", Columns { start: end, end }, &format!("something is missing; {EXAMPLES}"))
            }
            (None, None) => Fault::new("t", format!("a time is needed; {EXAMPLES}")),
        }
    }

    /// A fault of the text as a whole.
    pub(super) fn fault_of_all(&self, error: &str) -> Fault {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => Fault::at("t", tokens::columns(first, last), error),
            _ => Fault::new("t", error),
        }
    }
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(SEEN_BYTES_MAX)]
}
