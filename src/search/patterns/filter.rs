//! A template as a condition of the query line. In: a [`Template`]. Out: a regular expression in Postgres' syntax that matches every
//! message of this template and, but for texts that can be read in two ways, no other; and query lines that show only this kind, or hide
//! it. What is plain text in the template stays plain text in the pattern, so that the index can rule out blocks. Pure.

use super::{
    mask,
    template::{End, Piece, Template},
};
use crate::search::{
    expr::{Expr, Regex, Test, negated},
    grammar,
    params::REGEX_BYTES_MAX,
};

/// The end of the first line.
const LINE_END: &str = r"(?:\r*\n|$)";

/// The condition "is of this kind".
pub fn filter(template: &Template) -> Expr {
    Expr::Test(Test::Regex(Regex { pattern: pattern(template), columns: None }))
}

/// The query line that shows only this kind of what `q` shows; None where it gets too long.
pub fn only(q: Option<&Expr>, template: &Template) -> Option<Expr> {
    with(q, filter(template))
}

/// The query line that hides this kind.
pub fn hide(q: Option<&Expr>, template: &Template) -> Option<Expr> {
    with(q, negated(&filter(template)))
}

fn with(q: Option<&Expr>, part: Expr) -> Option<Expr> {
    // What is there already is not said twice.
    if q.is_some_and(|q| crate::search::expr::conjuncts(q).contains(&&part)) {
        return q.cloned();
    }
    let whole = Expr::all(q.cloned().into_iter().chain([part]));
    grammar::parse(&grammar::print(&whole)).ok()
}

/// The regular expression; one that would be too long ends early, and then matches more.
pub fn pattern(template: &Template) -> String {
    let mut pattern = "^".to_owned();
    let mut before = Some(None);
    for piece in template.pieces() {
        let fits = match piece {
            Piece::Text(text) => {
                before = Some(text.chars().next_back());
                push_text(&mut pattern, text)
            }
            Piece::Mask(mask) => {
                let sign = mask.is_signed() && before.is_some_and(mask::takes_sign);
                before = None;
                let sign = if sign { "[-+]?" } else { "" };
                push(&mut pattern, &[sign, mask.regex()].concat())
            }
        };
        if !fits {
            return pattern;
        }
    }
    if template.end == End::Line {
        push(&mut pattern, LINE_END);
    }
    pattern
}

/// False, and nothing is added, if there is no room.
fn push(pattern: &mut String, part: &str) -> bool {
    let fits = pattern.len() + part.len() <= REGEX_BYTES_MAX;
    if fits {
        pattern.push_str(part);
    }
    fits
}

fn push_text(pattern: &mut String, text: &str) -> bool {
    let mut buffer = [0; 4];
    text.chars().all(|letter| match letter {
        '.' | '[' | ']' | '(' | ')' | '{' | '}' | '*' | '+' | '?' | '^' | '$' | '|' | '\\' => {
            push(pattern, &format!("\\{letter}"))
        }
        // By number: an address or a form would not keep them.
        letter if letter.is_control() => push(pattern, &format!("\\u{:04x}", letter as u32)),
        letter => push(pattern, letter.encode_utf8(&mut buffer)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{
        need::literals::{Literals, literals},
        patterns::template::template,
    };

    fn pattern_of(message: &str) -> String {
        pattern(&template(message))
    }

    #[test]
    fn patterns_of_messages() {
        for (message, wanted) in [
            ("connection reset", r"^connection reset(?:\r*\n|$)"),
            ("user42 a*b", r"^user\d+(?:\.\d+){0,2} a\*b(?:\r*\n|$)"),
            ("took -5", r"^took [-+]?\d+(?:\.\d+){0,2}(?:\r*\n|$)"),
            ("5 of 7", r"^[-+]?\d+(?:\.\d+){0,2} of [-+]?\d+(?:\.\d+){0,2}(?:\r*\n|$)"),
            ("a-5 \u{1b}[31mx", r"^a-\d+(?:\.\d+){0,2} \u001b\[[0-9;]*mx(?:\r*\n|$)"),
            ("a\tb\nat c", r"^a\u0009b(?:\r*\n|$)"),
        ] {
            assert_eq!(pattern_of(message), wanted, "{message}");
        }
        let long = format!("{} {}", "wörd. ".repeat(100), "end");
        assert!(pattern_of(&long).ends_with(r"wörd\. wö"), "{}", pattern_of(&long));
        let ids = "1a2b3c ".repeat(40);
        assert!(pattern_of(&ids).len() <= REGEX_BYTES_MAX);
    }

    #[test]
    fn plain_text_prunes() {
        let text = |text: &str| Literals::Text(text.to_owned());
        let Literals::All(parts) = literals(&pattern_of("connection from 10.0.0.1:80 closed after 12ms"))
        else {
            panic!("several texts")
        };
        for wanted in ["connection from ", ":", " closed after "] {
            assert!(parts.contains(&text(wanted)), "{wanted} is not in {parts:?}");
        }
    }

    #[test]
    fn query_lines_say_a_kind_once_and_never_get_too_long() {
        let template = template("path /a/b took 5ms \"x\"");
        let line = |expr: Option<Expr>| expr.map(|expr| grammar::print(&expr));
        let q = grammar::parse("level:error or commit:a").unwrap();
        let only_it = only(Some(&q), &template).unwrap();
        let text = line(Some(only_it.clone())).unwrap();
        assert!(text.starts_with(r"(level:error or commit:a) /^path \/a\/b took [-+]?"), "{text}");
        assert_eq!(grammar::parse(&text).unwrap(), only_it);
        assert_eq!(only(Some(&only_it), &template).as_ref(), Some(&only_it));
        assert!(line(hide(None, &template)).unwrap().starts_with("-/^path"));
        let many = grammar::parse(&"x ".repeat(grammar::TERMS_MAX)).unwrap();
        assert_eq!(only(Some(&many), &template), None);
    }
}
