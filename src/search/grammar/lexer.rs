//! Cuts a query line into tokens. In: text. Out: tokens with the bytes they were read from, one after the other. Behind a name and its
//! sign, the caller asks for a value instead, in which nothing but blanks, quotes and parentheses means anything. Pure.

use std::ops::Range;

use super::Mistake;
use crate::{
    record::{Level, rules::excerpt},
    search::{
        expr::{Op, is_number},
        filter::Match,
    },
};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Word(String),
    Phrase(String),
    /// The pattern; the flag `i` stands in it as `(?i)`.
    Regex(String),
    /// A value follows.
    Name(String, Sign),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sign {
    Is,
    IsNot,
    Compare(Op),
}

pub(super) enum Value {
    One(Match),
    /// The parenthesis of a list; its values follow.
    List,
}

pub(super) type Spanned<T> = (T, Range<usize>);

pub(super) const QUOTE_IT: &str = "; to search for the text itself, put it in quotes";

pub(super) struct Lexer<'a> {
    text: &'a str,
    pub at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Spanned<Token>, Mistake> {
        let rest = self.rest().trim_start();
        let start = self.text.len() - rest.len();
        self.at = start;
        let (token, len) = match rest.chars().next() {
            None => (Token::End, 0),
            Some('(') => (Token::Open, 1),
            Some(')') => (Token::Close, 1),
            Some('"') => self.phrase_or_name(rest)?,
            Some(sign @ ('-' | '!')) if negates(sign, &rest[1..]) => (Token::Not, 1),
            Some('/') => regex(rest).unwrap_or_else(|| (Token::Word(run(rest).to_owned()), run(rest).len())),
            Some(_) => self.word(run(rest))?,
        };
        self.at = start + len;
        Ok((token, start..self.at))
    }

    /// The value that must stand right here; `behind` names what it belongs to.
    pub(super) fn value(&mut self, behind: &str) -> Result<Spanned<Value>, Mistake> {
        let (start, rest) = (self.at, self.rest());
        let (value, len) = match rest.chars().next() {
            Some('(') => (Value::List, 1),
            Some('"') => {
                let (text, len) = self.quoted(rest)?;
                match rest[len..].starts_with('*') {
                    true => (Value::One(Match::Prefix(text)), len + 1),
                    false => (Value::One(Match::Exact(text)), len),
                }
            }
            _ => match run(rest) {
                "" => {
                    let seen = self.seen();
                    let error = format!("expected a value after `{behind}`, got {seen}{QUOTE_IT}");
                    return Err(Mistake::new(start..self.seen_end(), error));
                }
                text => (Value::One(Match::parse(text)), text.len()),
            },
        };
        self.at = start + len;
        Ok((value, start..self.at))
    }

    pub(super) fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// What stands here, for error messages.
    pub(super) fn seen(&self) -> String {
        let rest = self.rest();
        match rest.chars().next() {
            None => "the end".to_owned(),
            Some(letter) if letter.is_whitespace() => "a blank".to_owned(),
            Some(letter @ ('(' | ')' | '"')) => format!("`{letter}`"),
            Some(_) => format!("`{}`", excerpt(run(rest))),
        }
    }

    pub(super) fn seen_end(&self) -> usize {
        let rest = self.rest();
        let first = rest.chars().next().map_or(0, char::len_utf8);
        self.at + run(rest).len().max(first)
    }

    /// The text that stood there.
    pub(super) fn source(&self, span: &Range<usize>) -> &'a str {
        &self.text[span.clone()]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What is between the quotes, and the length with them; `\"` and `\\` stand for the second character.
    fn quoted(&self, rest: &str) -> Result<(String, usize), Mistake> {
        let mut text = String::new();
        let mut letters = rest.char_indices().skip(1).peekable();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return Ok((text, at + 1)),
                '\\' => match letters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, next)) => text.push(next),
                    None => text.push('\\'),
                },
                letter => text.push(letter),
            }
        }
        Err(Mistake::new(self.at..self.at + 1, "this quote is not closed"))
    }

    fn phrase_or_name(&self, rest: &str) -> Result<(Token, usize), Mistake> {
        let (text, len) = self.quoted(rest)?;
        let behind = run(&rest[len..]);
        match sign(behind).or_else(|| equals(behind)) {
            Some((sign, width)) => Ok((Token::Name(text, sign), len + width)),
            None if text.is_empty() => {
                Err(Mistake::new(self.at..self.at + len, "expected text between the quotes"))
            }
            None => Ok((Token::Phrase(text), len)),
        }
    }

    fn word(&self, run: &str) -> Result<(Token, usize), Mistake> {
        let keyword = match run.to_ascii_lowercase().as_str() {
            "and" | "&&" => Some(Token::And),
            "or" | "||" => Some(Token::Or),
            "not" => Some(Token::Not),
            _ => None,
        };
        if let Some(keyword) = keyword {
            return Ok((keyword, run.len()));
        }
        if let Some((name, sign, width)) = self.name(run)? {
            return Ok((Token::Name(name.to_owned(), sign), width));
        }
        let behind = run.trim_start_matches(['<', '>', '=', '!', ':']);
        let is_sign = behind.is_empty() && !run.chars().all(|letter| letter == '!');
        if is_sign || run.starts_with(['<', '>']) && (is_number(behind) || Level::parse(behind).is_some()) {
            let error =
                format!("a field, its sign and its value stand without blanks, as in `size>200`{QUOTE_IT}");
            return Err(Mistake::new(self.at..self.at + run.len(), error));
        }
        Ok((Token::Word(run.to_owned()), run.len()))
    }

    /// The name with its sign that a run of characters begins with, if it does, and their length.
    fn name<'r>(&self, run: &'r str) -> Result<Option<(&'r str, Sign, usize)>, Mistake> {
        let Some(at) = run.find([':', '<', '>', '=']) else { return Ok(None) };
        let is_not = run[at..].starts_with('=') && run[..at].ends_with('!');
        let at = at - usize::from(is_not);
        let (name, behind) = run.split_at(at);
        if !is_name(name) || behind.starts_with("::") || behind.starts_with("://") {
            return Ok(None);
        }
        if let Some((sign, width)) = sign(behind) {
            return Ok(Some((name, sign, at + width)));
        }
        let Some((sign, width)) = equals(behind) else { return Ok(None) };
        let value = &behind[width..];
        let is_ours = super::parser::is_known(name) || name.starts_with("metadata.");
        if is_ours || sign == Sign::IsNot || is_number(value) {
            return Ok(Some((name, sign, at + width)));
        }
        let end = self.at + run.len();
        if value.is_empty() && self.text[end..].starts_with(['"', '(']) {
            let error = format!("write `{name}:` for the field{QUOTE_IT}");
            return Err(Mistake::new(self.at..end, error));
        }
        Ok(None)
    }
}

/// Characters up to a blank, a quote or a parenthesis.
fn run(text: &str) -> &str {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '(' | ')');
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// True if the sign in front of `rest` negates it; not in `a - b`, `--flag`, `->`, `!=`.
fn negates(sign: char, rest: &str) -> bool {
    let Some(next) = rest.chars().next() else { return false };
    !next.is_whitespace() && !matches!((sign, next), (_, ')' | '>' | '=' | ':') | ('-', '-') | ('!', '!'))
}

/// Names of fields: a letter, `_`, `@` or `$`, then also digits, dots, `-` and `/`. Others are put in quotes.
pub(super) fn is_name(text: &str) -> bool {
    let first = |letter: char| letter.is_alphabetic() || matches!(letter, '_' | '@' | '$');
    text.starts_with(first)
        && !text.ends_with('-')
        && text
            .chars()
            .all(|letter| first(letter) || letter.is_alphanumeric() || matches!(letter, '.' | '-' | '/'))
}

/// The sign in front of a value, and its length; `:>` in front of a number or a level is `>`.
fn sign(text: &str) -> Option<(Sign, usize)> {
    let compare = |text: &str| Op::ALL.into_iter().find(|op| text.starts_with(op.sign()));
    if let Some(op) = compare(text) {
        return Some((Sign::Compare(op), op.sign().len()));
    }
    let behind = text.strip_prefix(':')?;
    if let Some(op) = compare(behind) {
        let value = &behind[op.sign().len()..];
        if is_number(value) || Level::parse(value).is_some() {
            return Some((Sign::Compare(op), 1 + op.sign().len()));
        }
    }
    Some((Sign::Is, 1))
}

fn equals(text: &str) -> Option<(Sign, usize)> {
    let known = [("!=", Sign::IsNot), ("==", Sign::Is), ("=", Sign::Is)];
    known
        .into_iter()
        .find(|(text_of, _)| text.starts_with(text_of))
        .map(|(text_of, sign)| (sign, text_of.len()))
}

/// `/…/` or `/…/i` in front of a blank, a parenthesis or the end; anything else that begins with a slash is a word.
fn regex(text: &str) -> Option<(Token, usize)> {
    let mut pattern = String::new();
    let mut letters = text.char_indices().skip(1);
    let end = loop {
        match letters.next()? {
            (at, '/') => break at + 1,
            (_, '\\') => match letters.next()?.1 {
                '/' => pattern.push('/'),
                letter => pattern.extend(['\\', letter]),
            },
            (_, letter) => pattern.push(letter),
        }
    };
    let flag = text[end..].starts_with('i');
    let end = end + usize::from(flag);
    let behind = text[end..].chars().next();
    if pattern.is_empty()
        || behind.is_some_and(|letter| !letter.is_whitespace() && !matches!(letter, '(' | ')'))
    {
        return None;
    }
    if flag {
        pattern.insert_str(0, "(?i)");
    }
    Some((Token::Regex(pattern), end))
}
