//! Puts tokens together. In: a query line. Out: its tree, or the first mistake. Depth and number of terms are limited, so that neither
//! this nor what walks through the tree later can be led astray. Pure.

use std::ops::Range;

use super::{
    DEPTH_MAX, Mistake, TERMS_MAX, columns,
    lexer::{Lexer, QUOTE_IT, Sign, Spanned, Token, Value},
};
use crate::{
    record::{Level, rules::excerpt},
    search::{
        expr::{Expr, Field, Op, Regex, Test, is_number, negated},
        filter::Match,
        params::{PATH_BYTES_MAX, REGEX_BYTES_MAX},
    },
};

pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    ahead: Option<Spanned<Token>>,
    depth: usize,
    terms: usize,
}

/// What a name stands for.
pub(super) enum Target {
    Level,
    Message,
    Field(Field),
}

/// The known fields, in any case of their letters.
const KNOWN: [&str; 6] = ["level", "message", "resourceId", "traceId", "spanId", "commit"];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.into_iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, lexer: Lexer::new(text), ahead: None, depth: 0, terms: 0 }
    }

    pub(super) fn line(mut self) -> Result<Expr, Mistake> {
        if self.peek()? == Token::End {
            return Ok(Expr::everything());
        }
        let expr = self.any()?;
        match self.take()? {
            (Token::End, _) => Ok(expr),
            (_, span) => Err(Mistake::new(span, format!("this `)` closes nothing{QUOTE_IT}"))),
        }
    }

    fn peek(&mut self) -> Result<Token, Mistake> {
        if self.ahead.is_none() {
            self.ahead = Some(self.lexer.next()?);
        }
        Ok(self.ahead.as_ref().map_or(Token::End, |(token, _)| token.clone()))
    }

    fn take(&mut self) -> Result<Spanned<Token>, Mistake> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    fn any(&mut self) -> Result<Expr, Mistake> {
        let mut parts = vec![self.all()?];
        while self.peek()? == Token::Or {
            self.take()?;
            parts.push(self.all()?);
        }
        Ok(Expr::any(parts))
    }

    fn all(&mut self) -> Result<Expr, Mistake> {
        let mut parts = vec![self.term()?];
        loop {
            match self.peek()? {
                Token::Or | Token::Close | Token::End => return Ok(Expr::all(parts)),
                Token::And => drop(self.take()?),
                _ => {}
            }
            parts.push(self.term()?);
        }
    }

    fn term(&mut self) -> Result<Expr, Mistake> {
        let mut is_negated = false;
        while self.peek()? == Token::Not {
            self.take()?;
            is_negated = !is_negated;
        }
        let (token, span) = self.take()?;
        let expr = match token {
            Token::Open => self.group(span)?,
            Token::Word(text) => self.test(&span, contains_word(&text))?,
            Token::Phrase(text) => self.test(&span, Expr::Test(Test::Contains(text)))?,
            Token::Regex(pattern) => self.regex(pattern, &span)?,
            Token::Name(name, sign) => self.field(&name, sign, &span)?,
            Token::Close | Token::And | Token::Or | Token::Not | Token::End => {
                return Err(self.expected_a_term(span));
            }
        };
        Ok(if is_negated { negated(&expr) } else { expr })
    }

    fn expected_a_term(&self, span: Range<usize>) -> Mistake {
        let seen = match self.lexer.source(&span) {
            "" => "the end".to_owned(),
            seen => format!("`{seen}`"),
        };
        let hint = if seen.len() > "`)`".len() && seen != "the end" { QUOTE_IT } else { "" };
        Mistake::new(span, format!("expected a word, a field or `(`, got {seen}{hint}"))
    }

    fn group(&mut self, open: Range<usize>) -> Result<Expr, Mistake> {
        self.deeper(&open)?;
        let expr = self.any()?;
        self.depth -= 1;
        match self.take()? {
            (Token::Close, _) => Ok(expr),
            _ => Err(not_closed(open)),
        }
    }

    fn deeper(&mut self, open: &Range<usize>) -> Result<(), Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Mistake::new(
                open.clone(),
                format!("at most {DEPTH_MAX} parentheses inside each other"),
            ));
        }
        Ok(())
    }

    /// Counts a term.
    fn test(&mut self, span: &Range<usize>, expr: Expr) -> Result<Expr, Mistake> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(Mistake::new(span.clone(), format!("at most {TERMS_MAX} terms")));
        }
        Ok(expr)
    }

    fn regex(&mut self, pattern: String, span: &Range<usize>) -> Result<Expr, Mistake> {
        if pattern.len() > REGEX_BYTES_MAX {
            let error = format!("at most {REGEX_BYTES_MAX} bytes of a regex, got {}", pattern.len());
            return Err(Mistake::new(span.clone(), error));
        }
        let columns = Some(columns(self.text, span));
        self.test(span, Expr::Test(Test::Regex(Regex { pattern, columns })))
    }

    fn field(&mut self, name: &str, sign: Sign, span: &Range<usize>) -> Result<Expr, Mistake> {
        let target = target(name).map_err(|error| Mistake::new(span.clone(), error))?;
        let source = self.lexer.source(span);
        let expr = match sign {
            Sign::Compare(op) => self.compare(target, op, source, span)?,
            Sign::Is | Sign::IsNot => match target {
                Target::Level => {
                    let levels = self.values(source)?.into_iter().map(|value| levels(&value));
                    let levels = levels.collect::<Result<Vec<_>, _>>()?.concat();
                    Expr::level(|level| levels.contains(&level))
                }
                Target::Message => {
                    let texts = self.values(source)?.into_iter().map(contains);
                    Expr::any(texts.collect::<Result<Vec<_>, _>>()?)
                }
                Target::Field(field) => {
                    Expr::is(field, self.values(source)?.into_iter().map(|(value, _)| value).collect())
                }
            },
        };
        Ok(if sign == Sign::IsNot { negated(&expr) } else { expr })
    }

    fn compare(
        &mut self,
        target: Target,
        op: Op,
        source: &str,
        name: &Range<usize>,
    ) -> Result<Expr, Mistake> {
        let path = match target {
            Target::Level => None,
            Target::Field(Field::Metadata(path)) => Some(path),
            Target::Message | Target::Field(_) => {
                let error = format!(
                    "`{}` compares the level or a number below metadata, not `{}`{QUOTE_IT}",
                    op.sign(),
                    source.trim_end_matches(['<', '>', '=', ':']),
                );
                return Err(Mistake::new(name.clone(), error));
            }
        };
        let wanted = if path.is_none() { "a level" } else { "a number" };
        let start = self.lexer.at;
        let seen = self.lexer.seen();
        let wrong = |end| {
            Mistake::new(start..end, format!("expected {wanted} after `{source}`, got {seen}{QUOTE_IT}"))
        };
        let value = match self.lexer.value(source) {
            Ok((Value::One(Match::Exact(value)), _)) => value,
            Ok(_) | Err(_) => return Err(wrong(self.lexer.seen_end())),
        };
        let end = self.lexer.at;
        let expr = match path {
            None => {
                let bound = Level::parse(&value).ok_or_else(|| wrong(end))?;
                Expr::level(|level| op.holds(level.cmp(&bound)))
            }
            Some(_) if !is_number(&value) => return Err(wrong(end)),
            Some(path) => Expr::Test(Test::Compare { path, op, number: value }),
        };
        self.test(&(start..end), expr)
    }

    /// One value, or `(a or b)`.
    fn values(&mut self, source: &str) -> Result<Vec<Spanned<Match>>, Mistake> {
        let (value, open) = self.lexer.value(source)?;
        match value {
            Value::One(value) => {
                self.test(&open, Expr::everything())?;
                return Ok(vec![(value, open)]);
            }
            Value::List => self.deeper(&open)?,
        }
        let mut values = Vec::new();
        loop {
            self.lexer.skip_blanks();
            let start = self.lexer.at;
            let span = start..self.lexer.seen_end();
            let expected = |what: &str, seen: String| {
                Mistake::new(span.clone(), format!("expected {what} in the list of `{source}`, got {seen}"))
            };
            match self.lexer.seen().as_str() {
                "the end" => return Err(not_closed(open)),
                seen @ ("`(`" | "`)`") => return Err(expected("a value", seen.to_owned())),
                seen if is_or(seen) => return Err(expected("a value", format!("{seen}{QUOTE_IT}"))),
                _ => {}
            }
            let (value, span) = match self.lexer.value(source)? {
                (Value::One(value), span) => (value, span),
                (Value::List, span) => return Err(not_closed(span)),
            };
            self.test(&span, Expr::everything())?;
            values.push((value, span));
            self.lexer.skip_blanks();
            let seen = self.lexer.seen();
            let span = self.lexer.at..self.lexer.seen_end();
            match seen.as_str() {
                "the end" => return Err(not_closed(open)),
                "`)`" => break,
                seen if is_or(seen) => self.lexer.at = span.end,
                seen => {
                    let error = format!("expected `or` or `)` in the list of `{source}`, got {seen}");
                    return Err(Mistake::new(span, error));
                }
            }
        }
        self.lexer.at += 1;
        self.depth -= 1;
        Ok(values)
    }
}

fn is_or(seen: &str) -> bool {
    seen.eq_ignore_ascii_case("`or`") || seen == "`||`"
}

fn not_closed(open: Range<usize>) -> Mistake {
    Mistake::new(open, format!("this `(` is not closed{QUOTE_IT}"))
}

/// What a name stands for: a field of the record, or a path below metadata, with or without `metadata.` in front.
pub(super) fn target(name: &str) -> Result<Target, String> {
    let known = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    let path = match (known, name.strip_prefix("metadata.")) {
        (Some("level"), _) => return Ok(Target::Level),
        (Some("message"), _) => return Ok(Target::Message),
        (Some("resourceId"), _) => return Ok(Target::Field(Field::ResourceId)),
        (Some("traceId"), _) => return Ok(Target::Field(Field::TraceId)),
        (Some("spanId"), _) => return Ok(Target::Field(Field::SpanId)),
        (Some(_), _) => return Ok(Target::Field(Field::Commit)),
        (None, Some(path)) => path,
        (None, None) if name.eq_ignore_ascii_case("timestamp") || name == "@timestamp" => {
            return Err("the time range is set by `from` and `to`, not here".to_owned());
        }
        (None, None) => name,
    };
    if path.is_empty() || name == "metadata" {
        return Err("a path below metadata is needed, as in `metadata.user.id:7`".to_owned());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(format!("at most {PATH_BYTES_MAX} bytes of a path, got {}", path.len()));
    }
    Ok(Target::Field(Field::Metadata(path.to_owned())))
}

/// A message contains the word anyway, whatever stands around it: stars at its ends say nothing.
fn contains_word(word: &str) -> Expr {
    let text = match Match::parse(word) {
        Match::Exact(text) if text.ends_with('*') => text,
        Match::Exact(text) | Match::Prefix(text) => text.trim_matches('*').to_owned(),
    };
    if text.is_empty() { Expr::everything() } else { Expr::Test(Test::Contains(text)) }
}

fn contains((value, span): Spanned<Match>) -> Result<Expr, Mistake> {
    match value {
        Match::Exact(text) if text.is_empty() => Err(Mistake::new(span, "expected text between the quotes")),
        Match::Exact(text) => Ok(Expr::Test(Test::Contains(text))),
        Match::Prefix(text) if text.is_empty() => Ok(Expr::everything()),
        Match::Prefix(text) => Ok(Expr::Test(Test::Contains(text))),
    }
}

fn levels((value, span): &Spanned<Match>) -> Result<Vec<Level>, Mistake> {
    let levels: Option<Vec<Level>> = match value {
        Match::Prefix(text) if text.is_empty() => return Ok(Level::ALL.to_vec()),
        // As the parameter `level` has them.
        Match::Exact(words) => words.split(',').map(|word| Level::parse(word.trim())).collect(),
        Match::Prefix(_) => None,
    };
    levels.ok_or_else(|| {
        let seen = excerpt(&value.write());
        Mistake::new(span.clone(), format!("{} is needed, got `{seen}`", Level::EXPECTED))
    })
}
