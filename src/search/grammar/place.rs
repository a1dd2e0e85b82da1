//! What stands at a place of a query line, which may be half typed. In: text and a byte in it. Out: whether a field or a value of one is
//! wanted there, what of it is typed already, and the bytes that it takes. Reads the line as a search would, with the same lexer. Pure.

use std::ops::Range;

use super::{
    lexer::{Lexer, Sign, Token, Value},
    parser::{self, Target},
};
use crate::search::{expr::Field, filter::Match};

/// What is wanted at a place, and what stands there so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub wanted: Wanted,
    /// From the first byte that belongs to it up to the cursor, without quotes.
    pub typed: String,
    pub is_quoted: bool,
    /// Bytes to put something else in the place of.
    pub span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A field with its sign, or a word.
    Key,
    Level,
    ValueOf(Field),
    /// A number to compare what stands at this path with.
    NumberOf(String),
    Nothing,
}

/// What stands at `at`, which is the first byte of a character or the end.
pub fn place(text: &str, at: usize) -> Place {
    let mut lexer = Lexer::new(text);
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        if at <= start {
            let wanted = if is_free(text, at) { Wanted::Key } else { Wanted::Nothing };
            return here(text, wanted, at..at, at);
        }
        match lexer.next() {
            Ok((Token::Name(_, _), span)) if at < span.end => return here(text, Wanted::Key, span, at),
            Ok((Token::Name(name, sign), _)) => {
                if let Some(span) = value(&mut lexer, text, at) {
                    return here(text, wanted(&name, sign), span, at);
                }
            }
            Ok((Token::Regex(_), span)) if at <= span.end => return here(text, Wanted::Nothing, span, at),
            Ok((Token::Word(_) | Token::Phrase(_) | Token::And | Token::Or, span)) if at <= span.end => {
                return here(text, Wanted::Key, span, at);
            }
            Ok((Token::Not, span)) if at <= span.end && span.len() > 1 => {
                return here(text, Wanted::Key, span, at);
            }
            Ok((Token::End, span)) => return here(text, Wanted::Key, span, at),
            Ok(_) => {}
            // A quote that is not closed, or a sign without a field.
            Err(_) => {
                let end = match text[start..].starts_with('"') {
                    true => text.len(),
                    false => start + text[start..].find(char::is_whitespace).unwrap_or(text.len() - start),
                };
                if at <= end {
                    return here(text, Wanted::Key, start..end, at);
                }
                lexer.at = end;
            }
        }
    }
}

/// The bytes of the value behind a sign, if the place is within it, else goes on behind the value.
fn value(lexer: &mut Lexer<'_>, text: &str, at: usize) -> Option<Range<usize>> {
    let start = lexer.at;
    let is_quote = |start: usize| text[start..].starts_with('"');
    match lexer.value("") {
        Ok((Value::One(_), span)) => (at <= span.end).then_some(span),
        Ok((Value::List, _)) => loop {
            lexer.skip_blanks();
            let start = lexer.at;
            if at <= start {
                return Some(at..at);
            }
            match lexer.value("") {
                Ok((Value::One(_), span)) if at <= span.end => return Some(span),
                Ok((Value::One(_), _)) => {}
                Ok((Value::List, _)) => return None,
                Err(_) if is_quote(start) => return Some(start..text.len()),
                Err(_) => {
                    lexer.at += usize::from(text[start..].starts_with(')'));
                    return None;
                }
            }
        },
        Err(_) if is_quote(start) => Some(start..text.len()),
        Err(_) => (at == start).then_some(start..start),
    }
}

fn wanted(name: &str, sign: Sign) -> Wanted {
    match (parser::target(name), sign) {
        (Ok(Target::Level), _) => Wanted::Level,
        (Ok(Target::Field(field)), Sign::Is | Sign::IsNot) => Wanted::ValueOf(field),
        (Ok(Target::Field(Field::Metadata(path))), Sign::Compare(_)) => Wanted::NumberOf(path),
        (Ok(Target::Message | Target::Field(_)) | Err(_), _) => Wanted::Nothing,
    }
}

/// Whether something new may begin here: nothing stands right behind it.
fn is_free(text: &str, at: usize) -> bool {
    text[at..].chars().next().is_none_or(|next| next.is_whitespace() || next == ')')
}

fn here(text: &str, wanted: Wanted, span: Range<usize>, at: usize) -> Place {
    let typed = &text[span.start..at];
    // A sign at the end of the line negates what is still to come.
    let signs = typed.len() - typed.trim_start_matches(['-', '!']).len();
    let signs = if wanted == Wanted::Key { signs } else { 0 };
    let typed = &typed[signs..];
    let typed_text = match typed.strip_prefix('"') {
        Some(quoted) => unquoted(quoted),
        None => match Match::parse(typed) {
            Match::Exact(text) | Match::Prefix(text) => text,
        },
    };
    Place { wanted, typed: typed_text, is_quoted: typed.starts_with('"'), span: span.start + signs..span.end }
}

/// What is behind an opening quote, up to the closing one if there is one.
fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => out.push(letters.next_if(|next| matches!(next, '"' | '\\')).unwrap_or('\\')),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The place of the bar, as `wanted typed [text that is replaced]`.
    fn at_bar(line: &str) -> String {
        let at = line.find('|').unwrap();
        let text = line.replacen('|', "", 1);
        let place = place(&text, at);
        let wanted = match place.wanted {
            Wanted::Key => "key".to_owned(),
            Wanted::Level => "level".to_owned(),
            Wanted::ValueOf(field) => format!("{field:?}"),
            Wanted::NumberOf(path) => format!("number {path}"),
            Wanted::Nothing => return "-".to_owned(),
        };
        format!("{wanted} <{}> [{}]", place.typed, &text[place.span])
    }

    #[test]
    fn places() {
        for (line, wanted) in [
            ("|", "key <> []"),
            ("lev|", "key <lev> [lev]"),
            ("a lev| b", "key <lev> [lev]"),
            ("a | b", "key <> []"),
            ("a |", "key <> []"),
            ("a |b", "-"),
            ("(|)", "key <> []"),
            ("-|", "key <> []"),
            ("a -lev|", "key <lev> [lev]"),
            ("not lev|", "key <lev> [lev]"),
            ("lev|el:error", "key <lev> [level:]"),
            ("level:|", "level <> []"),
            ("level:err|or x", "level <err> [error]"),
            ("level>=w|", "level <w> [w]"),
            ("resourceId:api-|", "ResourceId <api-> [api-]"),
            ("resourceId:api-*|", "ResourceId <api-> [api-*]"),
            ("a resourceId=|", "ResourceId <> []"),
            ("commit:(a or b|) x", "Commit <b> [b]"),
            ("commit:(a or |", "Commit <> []"),
            ("commit:(a) |", "key <> []"),
            ("commit:a b|", "key <b> [b]"),
            ("user.name:\"Ann M|", "Metadata(\"user.name\") <Ann M> [\"Ann M]"),
            ("user.name:\"Ann |M\" x", "Metadata(\"user.name\") <Ann > [\"Ann M\"]"),
            ("\"user id\":4|", "Metadata(\"user id\") <4> [4]"),
            ("\"us\\\"e|", "key <us\"e> [\"us\\\"e]"),
            ("took>1|", "number took <1> [1]"),
            ("took:>|", "Metadata(\"took\") <>> [>]"),
            ("message:a|", "-"),
            ("commit>a|", "-"),
            ("/a b| c/", "-"),
            ("timestamp:|", "-"),
            (") ( lev|", "key <lev> [lev]"),
            ("> lev|", "key <lev> [lev]"),
            ("ключ:зна|", "Metadata(\"ключ\") <зна> [зна]"),
            ("http://x|", "key <http://x> [http://x]"),
        ] {
            assert_eq!(at_bar(line), wanted, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_place_everywhere(text in "([a-c]|level|ключ|[-!:=<>()\"/*\\\\ ]|or|🚨){0,14}") {
            for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let place = place(&text, at);
                prop_assert!(place.span.start <= at && at <= place.span.end, "{} in {:?}", at, place);
                prop_assert!(text.get(place.span).is_some());
            }
        }
    }
}
