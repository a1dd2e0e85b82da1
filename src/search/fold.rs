//! Search whatever the case, without a collation of the database. In: the text that was typed. Out: how Postgres looks for it.
//! The column is collate "C", where `lower` folds ASCII and nothing else, as does a regular expression's flag `i`; a text with other letters that
//! have a case becomes a regular expression of escaped characters and pairs like `[Ää]`, and an expression with that flag gets such pairs.
//! Only simple pairs count: one character that maps to one other and back. Pure.

use std::{borrow::Cow, iter::Peekable, str::Chars};

/// A range of a class with more letters has the case that was typed.
const RANGE_MAX: u32 = 1_024;

/// How Postgres looks for the text.
#[derive(Debug, PartialEq, Eq)]
pub enum Substring {
    /// Nothing in it has another case: for `strpos` in the message as it is, which takes a fifth of the time of a regular expression.
    Exact(String),
    /// ASCII in lower case: for `strpos` in the message in lower case, which takes three quarters of the time of `ilike`.
    Folded(String),
    /// For `~`.
    Regex(String),
}

pub fn substring(text: &str) -> Substring {
    if text.chars().all(|letter| other_case(letter).is_none()) {
        Substring::Exact(text.to_owned())
    } else if text.is_ascii() {
        Substring::Folded(text.to_ascii_lowercase())
    } else {
        Substring::Regex(regex(text))
    }
}

/// The parts of a text that every hit contains as they are, but for the case of ASCII letters: without letters that have another case.
pub fn exact_pieces(text: &str) -> Vec<&str> {
    let folds = |letter: char| !letter.is_ascii() && other_case(letter).is_some();
    text.split(folds).filter(|piece| !piece.is_empty()).collect()
}

/// The expression with both cases of each letter that its flag `i` does not fold. As it was without that flag, in another syntax (`***=`, `(?q)` …),
/// and where it is not understood; letters by their number (`\u00fc`) stay as well.
pub fn any_case(pattern: &str) -> Cow<'_, str> {
    if pattern.is_ascii() || !ignores_case(pattern) {
        return Cow::Borrowed(pattern);
    }
    with_pairs(pattern).map_or(Cow::Borrowed(pattern), Cow::Owned)
}

/// Whether the options in front of an expression say so; of `i` and `c` the last counts.
fn ignores_case(pattern: &str) -> bool {
    let options = pattern.strip_prefix("***:").unwrap_or(pattern).strip_prefix("(?");
    let Some((options, _)) = options.and_then(|options| options.split_once(')')) else { return false };
    options.chars().all(|option| "icsnmpwtx".contains(option))
        && options.rfind('i').is_some_and(|at| options.rfind('c').is_none_or(|other| other < at))
}

fn with_pairs(pattern: &str) -> Option<String> {
    let mut folded = String::with_capacity(pattern.len() * 2);
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => folded.extend([letter, letters.next()?]),
            '[' => class(&mut letters, &mut folded)?,
            letter => match other_case(letter).filter(|_| !letter.is_ascii()) {
                Some(other) => folded.extend(['[', letter, other, ']']),
                None => folded.push(letter),
            },
        }
    }
    Some(folded)
}

/// The rest of a class, behind its `[`. What is added stands where no `-` makes a range of it and no `]` in front becomes its end.
fn class(letters: &mut Peekable<Chars<'_>>, folded: &mut String) -> Option<()> {
    folded.push('[');
    folded.extend(letters.next_if_eq(&'^'));
    let closing = letters.next_if_eq(&']');
    let dash = letters.next_if_eq(&'-');
    if dash.is_some() && (closing.is_some() || letters.peek() == Some(&'-')) {
        return None;
    }
    folded.extend(closing.or(dash));
    let mut members = String::new();
    loop {
        let letter = letters.next()?;
        match letter {
            ']' => break,
            '\\' => members.extend([letter, letters.next()?]),
            '[' => {
                members.push(letter);
                let Some(kind) = letters.next_if(|kind| [':', '.', '='].contains(kind)) else { continue };
                members.push(kind);
                let mut last = kind;
                loop {
                    let next = letters.next()?;
                    members.push(next);
                    if (last, next) == (kind, ']') && !members.ends_with(&format!("[{kind}]")) {
                        break;
                    }
                    last = next;
                }
            }
            letter => {
                members.push(letter);
                let mut ahead = letters.clone();
                let end = (ahead.next() == Some('-')).then(|| ahead.next()).flatten();
                let end = end.filter(|end| ![']', '[', '\\'].contains(end));
                if let Some(end) = end {
                    members.extend(['-', end]);
                    *letters = ahead;
                }
                let range = letter..=end.unwrap_or(letter);
                let is_short = (*range.end() as u32).saturating_sub(letter as u32) < RANGE_MAX;
                let range = range.filter(|letter| is_short && !letter.is_ascii());
                folded.extend(range.filter_map(other_case));
            }
        }
    }
    folded.push_str(&members);
    folded.push(']');
    Some(())
}

fn regex(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 2);
    for letter in text.chars() {
        match other_case(letter) {
            Some(other) => pattern.extend(['[', letter, other, ']']),
            None => {
                if letter.is_ascii() && !letter.is_ascii_alphanumeric() {
                    pattern.push('\\');
                }
                pattern.push(letter);
            }
        }
    }
    pattern
}

/// The one other case of a letter, if that leads back to it: not for `ß`, `ı` or the Kelvin sign.
fn other_case(letter: char) -> Option<char> {
    let single = |mut letters: Box<dyn Iterator<Item = char>>| match (letters.next(), letters.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    };
    let lower = |letter: char| single(Box::new(letter.to_lowercase()));
    let upper = |letter: char| single(Box::new(letter.to_uppercase()));
    let down = lower(letter).filter(|other| *other != letter && upper(*other) == Some(letter));
    let up = upper(letter).filter(|other| *other != letter && lower(*other) == Some(letter));
    down.or(up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        assert_eq!(substring("50% of A_b\\"), Substring::Folded("50% of a_b\\".into()));
        assert_eq!(substring("Über (x)"), Substring::Regex(r"[Üü][bB][eE][rR]\ \([xX]\)".into()));
        assert_eq!(substring("№ Ä.7"), Substring::Regex(r"№\ [Ää]\.7".into()));
        for text in ["10.60.208.139", "100%_\\", "№ 7", "ß", "\u{212a}", "数据库"] {
            assert_eq!(substring(text), Substring::Exact(text.into()));
        }
    }

    #[test]
    fn pieces_without_another_case() {
        assert_eq!(exact_pieces("ÜberWÄrts ß名 \u{212a}"), ["berW", "rts ß名 \u{212a}"]);
        assert_eq!(exact_pieces("äÖ"), [""; 0]);
    }

    #[test]
    fn expressions_whatever_the_case() {
        for (pattern, wanted) in [
            ("(?i)Überprüfung", "(?i)[Üü]berpr[üÜ]fung"),
            ("(?i)(é|ß)+x{2}", "(?i)([éÉ]|ß)+x{2}"),
            ("(?i)[äb]", "(?i)[Ääb]"),
            ("(?i)[^]ä]", "(?i)[^]Ää]"),
            ("(?i)[-ä]", "(?i)[-Ää]"),
            ("(?i)[ä-]", "(?i)[Ää-]"),
            ("(?i)[à-ãx]", "(?i)[ÀÁÂÃà-ãx]"),
            ("(?i)[[:alpha:]ä]", "(?i)[Ä[:alpha:]ä]"),
            ("(?i)[[.].]ä]", "(?i)[Ä[.].]ä]"),
            (r"(?i)[\]ä]\[ä", r"(?i)[Ä\]ä]\[[äÄ]"),
            ("***:(?i)ä", "***:(?i)[äÄ]"),
            ("(?ci)ä", "(?ci)[äÄ]"),
        ] {
            assert_eq!(any_case(pattern), wanted);
        }
        for same in ["ä", "(?ic)ä", "(?iq)ä[", "***=ä", "(?i)ascii", "(?i)[ä", "(?i)[]-ä]", "(?i)ß名", "(?i"]
        {
            assert_eq!(any_case(same), same);
        }
    }

    proptest! {
        /// Whatever stands in it, nothing is lost or put in another order.
        #[test]
        fn an_expression_only_grows(pattern in "[a-cÄäéß\\[\\]^.:=*-]{0,12}") {
            let pattern = format!("(?i){pattern}");
            let folded = any_case(&pattern).into_owned();
            let mut rest = folded.chars();
            prop_assert!(pattern.chars().all(|letter| rest.any(|other| other == letter)), "{folded}");
        }

        #[test]
        fn pairs_lead_back(letter: char) {
            if let Some(other) = other_case(letter) {
                prop_assert_eq!(other_case(other), Some(letter));
                prop_assert_eq!(letter.is_ascii(), other.is_ascii());
            }
        }
    }
}
