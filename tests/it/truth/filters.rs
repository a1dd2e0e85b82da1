//! Random searches, made of pieces of records that are there, so that most of them find something. Out: parameters, as a client sends
//! them.

use log_ingestor::{
    record::{Level, Timestamp},
    search::{
        expr::{Expr, Field, Op, Regex, Test},
        filter::Match,
        grammar,
    },
};

use super::{
    meaning::{Json, Seen},
    rows::{an_id, any, one, small},
};
use crate::harness::records::Dice;

pub type Pairs = Vec<(String, String)>;

/// A search by one value of this record; most are hits of it.
pub fn a_filter_for(dice: &mut Dice, record: &Seen, all: &[Seen]) -> Pairs {
    vec![a_parameter(dice, record, all)]
}

/// Each parameter alone, several together, query lines, time ranges.
pub fn a_filter(dice: &mut Dice, all: &[Seen]) -> Pairs {
    let mut pairs = Pairs::new();
    let count = one(dice, &[0, 1, 1, 1, 1, 2, 2, 3]);
    // Pieces of one record hold together; those of several usually do not.
    let record = any(dice, all);
    for _ in 0..count {
        let record = if dice.roll(4) == 0 { any(dice, all) } else { record };
        let (name, value) = a_parameter(dice, record, all);
        let is_free = name == "level" || !pairs.iter().any(|(known, _)| *known == name);
        if is_free {
            pairs.push((name, value));
        }
    }
    if dice.roll(4) == 0 {
        let mut ends = [a_moment(dice, all), a_moment(dice, all)];
        ends.sort_unstable();
        for (name, at) in ["from", "to"].into_iter().zip(ends) {
            if dice.roll(4) > 0 {
                pairs.push((name.to_owned(), at.to_string()));
            }
        }
    }
    pairs
}

fn a_moment(dice: &mut Dice, all: &[Seen]) -> Timestamp {
    let at = any(dice, all).timestamp.0 + one(dice, &[0, 0, 0, 1, -1, 1_000, -1_000_000]);
    Timestamp(at.clamp(0, Timestamp::MAX.0))
}

fn a_parameter(dice: &mut Dice, record: &Seen, all: &[Seen]) -> (String, String) {
    let named = |name: &str, value: String| (name.to_owned(), value);
    let optional = |text: &Option<String>, dice: &mut Dice| text.clone().unwrap_or_else(|| an_id(dice));
    match dice.roll(14) {
        0 => named(
            "level",
            if dice.roll(2) == 0 { record.level } else { one(dice, &Level::ALL) }.name().to_owned(),
        ),
        1..=3 => named("message", a_piece(dice, record)),
        4 => named("regex", a_regex(dice, record)),
        5 => named("resourceId", a_match(dice, &record.resource_id).write()),
        6 => {
            let text = optional(&record.trace_id, dice);
            named("traceId", a_match(dice, &text).write())
        }
        7 => {
            let text = optional(&record.span_id, dice);
            named("spanId", a_match(dice, &text).write())
        }
        8 => {
            let text = optional(&record.commit, dice);
            named("commit", a_match(dice, &text).write())
        }
        9..=11 => {
            let (path, wanted) = a_value(dice, record);
            // A parameter without a path is a fault.
            if path.is_empty() {
                named("level", "info".to_owned())
            } else {
                named(&format!("metadata.{path}"), wanted.write())
            }
        }
        _ => named("q", grammar::print(&a_tree(dice, record, all, 2))),
    }
}

fn a_tree(dice: &mut Dice, record: &Seen, all: &[Seen], depth: u64) -> Expr {
    let record = if dice.roll(4) == 0 { any(dice, all) } else { record };
    if depth == 0 || dice.roll(3) == 0 {
        return a_test(dice, record);
    }
    let mut parts =
        || -> Vec<Expr> { (0..2 + dice.roll(2)).map(|_| a_tree(dice, record, all, depth - 1)).collect() };
    let parts = parts();
    match dice.roll(5) {
        0 | 1 => Expr::all(parts),
        2 | 3 => Expr::any(parts),
        _ => log_ingestor::search::expr::negated(&parts[0]),
    }
}

fn a_test(dice: &mut Dice, record: &Seen) -> Expr {
    let is = |field, text: &Option<String>, dice: &mut Dice| {
        let text = text.clone().unwrap_or_else(|| an_id(dice));
        let values = (0..1 + dice.roll(3))
            .map(|at| if at == 0 { a_match(dice, &text) } else { Match::Exact(an_id(dice)) });
        let values: Vec<Match> = values.collect();
        Expr::is(field, values)
    };
    match dice.roll(10) {
        0..=2 => Expr::Test(Test::Contains(a_piece(dice, record))),
        3 => Expr::Test(Test::Regex(Regex { pattern: a_regex(dice, record), columns: None })),
        4 => {
            let least = one(dice, &Level::ALL);
            Expr::level(|level| level >= least)
        }
        5 => is(Field::ResourceId, &Some(record.resource_id.clone()), dice),
        6 => match dice.roll(3) {
            0 => is(Field::TraceId, &record.trace_id, dice),
            1 => is(Field::SpanId, &record.span_id, dice),
            _ => is(Field::Commit, &record.commit, dice),
        },
        7 => {
            let (path, wanted) = a_value(dice, record);
            let number = ["0", "1", "1.0", "-7", "42", "1e2", "99.5", "0.1"];
            let number = (one(dice, &number)).to_owned();
            match path.is_empty() {
                true => Expr::is(Field::Metadata("a".to_owned()), vec![wanted]),
                false => Expr::Test(Test::Compare { path, op: one(dice, &Op::ALL), number }),
            }
        }
        _ => {
            let (path, wanted) = a_value(dice, record);
            let path = if path.is_empty() { "a".to_owned() } else { path };
            Expr::is(Field::Metadata(path), vec![wanted])
        }
    }
}

/// A part of the message, letters in another case, sometimes with one letter changed.
pub fn a_piece(dice: &mut Dice, record: &Seen) -> String {
    let letters: Vec<char> = record.message.chars().collect();
    let start = dice.roll(letters.len() as u64) as usize;
    let mut bytes_left = 1 + small(dice, 20) as usize;
    let mut piece = String::new();
    for letter in &letters[start..] {
        let letter = if dice.roll(3) == 0 { swapped(*letter) } else { *letter };
        match bytes_left.checked_sub(letter.len_utf8()) {
            Some(left) => bytes_left = left,
            None if piece.is_empty() => bytes_left = 0,
            None => break,
        }
        piece.push(letter);
    }
    if dice.roll(8) == 0 {
        piece.push(one(dice, &['%', '_', '\\', 'q', '7', 'ß', 'K', '\u{212a}', 'ı', 'İ', '*']));
    }
    piece
}

fn swapped(letter: char) -> char {
    let mut other: Vec<char> =
        if letter.is_lowercase() { letter.to_uppercase().collect() } else { letter.to_lowercase().collect() };
    if other.len() == 1 { other.remove(0) } else { letter }
}

/// A pattern that the message matches, or nearly.
fn a_regex(dice: &mut Dice, record: &Seen) -> String {
    let letters: Vec<char> = record.message.chars().filter(|letter| !letter.is_control()).collect();
    let start = dice.roll(1 + letters.len() as u64) as usize;
    let piece = letters[start.min(letters.len())..].iter().take(1 + dice.roll(14) as usize);
    let mut pattern = String::new();
    if dice.roll(3) == 0 {
        pattern.push_str(one(dice, &["(?i)", "(?i)", "(?n)", "(?c)", "(?s)"]));
    }
    if dice.roll(12) == 0 {
        pattern.push('^');
    }
    for letter in piece {
        let letter = if dice.roll(8) == 0 { swapped(*letter) } else { *letter };
        let plain = if letter.is_ascii() && !letter.is_ascii_alphanumeric() {
            format!("\\{letter}")
        } else {
            letter.to_string()
        };
        let part = match dice.roll(24) {
            0 => ".".to_owned(),
            1 => format!("[{plain}z]"),
            2 => format!("(?:{plain}|zz)"),
            3 => format!("{plain}z?"),
            4 => format!("{plain}+"),
            5 => format!("{plain}{{1,2}}"),
            6 => format!("({plain})"),
            7 => format!("(xyz)*{plain}"),
            8 => format!("(?:{plain}){{1}}"),
            9 => format!("\\u{:04x}", u32::from(letter).min(0xffff)),
            10 => format!("{plain}*?"),
            11 if letter.is_ascii_digit() => "\\d".to_owned(),
            12 => format!("[^{plain}]*{plain}"),
            _ => plain,
        };
        pattern.push_str(&part);
    }
    match dice.roll(16) {
        0 => pattern.push('$'),
        1 => pattern.push_str("|absent words"),
        2 => pattern.push('|'),
        3 => pattern.push_str(".*"),
        _ => {}
    }
    if pattern.is_empty() { "x".to_owned() } else { pattern }
}

fn a_match(dice: &mut Dice, text: &str) -> Match {
    let front = |dice: &mut Dice| -> String {
        let count = dice.roll(1 + text.chars().count() as u64) as usize;
        text.chars().take(count).collect()
    };
    match dice.roll(6) {
        // What ends in a backslash cannot be written as a prefix.
        0 => match front(dice) {
            front if front.ends_with('\\') => Match::Prefix(String::new()),
            front => Match::Prefix(front),
        },
        1 => match front(dice) {
            front if front.is_empty() => Match::Exact(text.to_owned()),
            front => Match::Exact(front),
        },
        2 => Match::Exact(text.chars().map(swapped).collect()),
        _ if text.is_empty() => Match::Prefix(String::new()),
        _ => Match::Exact(text.to_owned()),
    }
}

/// A path of the record, or of nothing, and a value that stands there, or could.
fn a_value(dice: &mut Dice, record: &Seen) -> (String, Match) {
    let mut known = Vec::new();
    if let Some(object) = &record.metadata {
        collect(object, "", 0, &mut known);
    }
    if known.is_empty() || dice.roll(12) == 0 {
        let path = one(dice, &["a", "b", "user.id", "a.b", "n", "absent", "a.b.a", ".", ".a"]);
        let value =
            one(dice, &["1", "1.0", "100", "1e2", "null", "true", "a", "0", "-0", "café", "{}", "[]"]);
        return (path.to_owned(), Match::Exact(value.to_owned()));
    }
    let (path, value) = any(dice, &known);
    let wanted = match value {
        Json::Number(text) if dice.roll(2) == 0 => Match::Exact(respelled(dice, text)),
        value => match value.text() {
            None => Match::Exact("null".to_owned()),
            Some(text) => a_match(dice, text),
        },
    };
    (path.clone(), wanted)
}

/// Every dotted path with what is there; elements for arrays. Five parts at most, with dots in keys counted.
fn collect<'a>(value: &'a Json, path: &str, depth: usize, known: &mut Vec<(String, &'a Json)>) {
    match value {
        Json::Object(_, members) => {
            if depth > 0 {
                known.push((path.to_owned(), value));
            }
            for (key, inner) in members {
                let path = if depth > 0 { format!("{path}.{key}") } else { key.clone() };
                if path.split('.').count() <= 5 {
                    collect(inner, &path, depth + 1, known);
                }
            }
        }
        Json::Array(_, items) => {
            known.push((path.to_owned(), value));
            items.iter().for_each(|item| collect(item, path, depth, known));
        }
        value => known.push((path.to_owned(), value)),
    }
}

/// The same number, written in another way; only for those without an exponent, which is how Postgres prints them.
fn respelled(dice: &mut Dice, number: &str) -> String {
    if number.contains(['e', 'E']) {
        return number.to_owned();
    }
    let is_whole = !number.contains('.');
    match dice.roll(5) {
        0 if is_whole => format!("{number}.0"),
        0 => format!("{number}00"),
        1 => format!("{number}e0"),
        2 if is_whole && number != "0" => format!("{number}000e-3"),
        3 if is_whole => format!("{number}.00E+0"),
        _ => number.to_owned(),
    }
}
