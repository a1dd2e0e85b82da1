//! Writes a tree as a query line. In: a tree in its normal form. Out: the canonical text, which reads as the same tree. Pure.

use super::{lexer, parser};
use crate::{
    record::Level,
    search::{
        expr::{Expr, Field, Op, Test},
        filter::Match,
    },
};

/// The canonical text of a tree, or of a part of it; empty for everything.
pub fn print(expr: &Expr) -> String {
    match expr {
        Expr::All(parts) => {
            let part = |part: &Expr| match part {
                Expr::Any(_) => format!("({})", print(part)),
                _ => print(part),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" ")
        }
        Expr::Any(parts) => parts.iter().map(print).collect::<Vec<_>>().join(" or "),
        Expr::Not(part) => match **part {
            Expr::All(_) | Expr::Any(_) => format!("-({})", print(part)),
            Expr::Not(_) | Expr::Test(_) => format!("-{}", print(part)),
        },
        Expr::Test(test) => print_test(test),
    }
}

fn print_test(test: &Test) -> String {
    match test {
        Test::Contains(text) => bare_or_quoted(text),
        Test::Regex(regex) => print_regex(&regex.pattern),
        Test::Level(levels) => print_levels(levels),
        Test::Is(field, values) => {
            let values: Vec<String> = values.iter().map(print_value).collect();
            match values.as_slice() {
                [value] => format!("{}:{value}", print_name(field)),
                values => format!("{}:({})", print_name(field), values.join(" or ")),
            }
        }
        Test::Compare { path, op, number } => format!("{}{}{number}", print_path(path), op.sign()),
    }
}

/// As a comparison or as a list, whichever is shorter to read.
fn print_levels(levels: &[Level]) -> String {
    let is = |op: Op, bound: Level| {
        Level::ALL.into_iter().all(|level| levels.contains(&level) == op.holds(level.cmp(&bound)))
    };
    if let [level] = levels {
        return format!("level:{level}");
    }
    for op in [Op::AtLeast, Op::AtMost, Op::More] {
        if let Some(bound) = Level::ALL.into_iter().find(|bound| is(op, *bound)) {
            return format!("level{}{bound}", op.sign());
        }
    }
    let missing: Vec<Level> = Level::ALL.into_iter().filter(|level| !levels.contains(level)).collect();
    if let [level] = missing.as_slice() {
        return format!("level!={level}");
    }
    let names: Vec<&str> = levels.iter().map(|level| level.name()).collect();
    format!("level:({})", names.join(" or "))
}

/// The name of a field as a query line has it.
pub fn print_name(field: &Field) -> String {
    match field {
        Field::ResourceId => "resourceId".to_owned(),
        Field::TraceId => "traceId".to_owned(),
        Field::SpanId => "spanId".to_owned(),
        Field::Commit => "commit".to_owned(),
        Field::Metadata(path) => print_path(path),
    }
}

/// With `metadata.` in front where the path alone would be read as something else.
fn print_path(path: &str) -> String {
    let is_taken = parser::is_known(path)
        || path.starts_with("metadata.")
        || path == "metadata"
        || path.eq_ignore_ascii_case("timestamp")
        || path == "@timestamp";
    let name = if is_taken || !lexer::is_name(path) { format!("metadata.{path}") } else { path.to_owned() };
    if lexer::is_name(&name) { name } else { quoted(&name) }
}

/// A value as a query line has it, in quotes where it needs them.
pub fn print_value(value: &Match) -> String {
    let is_bare = |text: &str| {
        !text.starts_with(['<', '>', '=', ':'])
            && !text.starts_with("//")
            && !text.contains(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '(' | ')'))
            && !["and", "or", "not", "&&", "||"].iter().any(|word| word.eq_ignore_ascii_case(text))
    };
    match value {
        Match::Exact(text) if !text.is_empty() && !text.ends_with('*') && is_bare(text) => text.clone(),
        Match::Exact(text) => quoted(text),
        Match::Prefix(text) if is_bare(text) && !text.ends_with('\\') => format!("{text}*"),
        Match::Prefix(text) => format!("{}*", quoted(text)),
    }
}

/// A text without quotes if it reads as this one word wherever it stands.
fn bare_or_quoted(text: &str) -> String {
    let mut lexer = lexer::Lexer::new(text);
    let is_word = matches!(lexer.next(), Ok((lexer::Token::Word(word), _)) if word == text);
    let is_bare =
        is_word && !text.starts_with(['-', '!', '/', '<', '>', '*', ':', '=']) && !text.ends_with(['*', '=']);
    if is_bare { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn print_regex(pattern: &str) -> String {
    let (pattern, flag) = match pattern.strip_prefix("(?i)") {
        Some(rest) if !rest.is_empty() => (rest, "i"),
        _ => (pattern, ""),
    };
    let mut text = "/".to_owned();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                text.push('\\');
                text.extend(letters.next());
            }
            '/' => text.push_str("\\/"),
            letter => text.push(letter),
        }
    }
    text + "/" + flag
}
