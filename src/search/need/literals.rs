//! Texts that every match of a regular expression contains. In: a pattern as Postgres reads it (ARE). Out: [`Literals`]. Conservative:
//! what is optional, a class, or not understood ends a literal, and a pattern in another syntax (`***=`, `(?x)`, `(?q)` …) has none.
//! Letters count in any case, so `(?i)` changes nothing for ASCII; other letters end a literal then. Pure.

/// Texts that a message must contain, ASCII letters in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literals {
    Text(String),
    /// Every one; nothing is certain without parts.
    All(Vec<Literals>),
    /// At least one.
    Any(Vec<Literals>),
}

/// Groups inside each other that are looked into.
const DEPTH_MAX: usize = 32;

pub fn literals(pattern: &str) -> Literals {
    read(pattern).unwrap_or_else(nothing_certain)
}

fn nothing_certain() -> Literals {
    Literals::All(Vec::new())
}

fn read(pattern: &str) -> Option<Literals> {
    // `***=` and `***:` choose another syntax.
    if pattern.starts_with("***") {
        return None;
    }
    let (pattern, any_case) = match pattern.strip_prefix("(?") {
        Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) => {
            let (options, rest) = rest.split_once(')')?;
            // Only options that leave the syntax as it is: case, newlines, tight.
            if !options.chars().all(|option| "icsnmpwt".contains(option)) {
                return None;
            }
            (rest, options.contains('i'))
        }
        _ => (pattern, false),
    };
    let mut reader = Reader { letters: pattern.chars().collect(), at: 0, depth: 0, any_case };
    let found = reader.branches()?;
    (reader.at == reader.letters.len()).then_some(found)
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    depth: usize,
    any_case: bool,
}

/// What stands between two quantifiers.
enum Atom {
    /// This character and no other.
    Letter(char),
    Group(Literals),
    /// Matches without text: an anchor, a look-ahead.
    Nothing,
    /// Some text that is not known.
    Unknown,
}

/// How often an atom is there.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    Once,
    /// At least once, perhaps more often.
    Some,
    Perhaps,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn takes(&mut self, text: &str) -> bool {
        let found =
            text.chars().enumerate().all(|(n, letter)| self.letters.get(self.at + n) == Some(&letter));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn branches(&mut self) -> Option<Literals> {
        let mut branches = vec![self.branch()?];
        while self.takes("|") {
            branches.push(self.branch()?);
        }
        Some(if branches.len() == 1 { branches.remove(0) } else { Literals::Any(branches) })
    }

    fn branch(&mut self) -> Option<Literals> {
        let mut certain = Vec::new();
        let mut text = String::new();
        let end = |text: &mut String, certain: &mut Vec<Literals>| {
            if !text.is_empty() {
                certain.push(Literals::Text(std::mem::take(text)));
            }
        };
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let atom = self.atom()?;
            let times = self.times()?;
            match (atom, times) {
                (Atom::Letter(letter), Times::Once) => text.push(letter),
                (Atom::Letter(letter), Times::Some) => {
                    text.push(letter);
                    end(&mut text, &mut certain);
                    text.push(letter);
                }
                (Atom::Group(inner), Times::Once | Times::Some) => {
                    end(&mut text, &mut certain);
                    certain.push(inner);
                }
                (Atom::Nothing, Times::Once) => {}
                (Atom::Letter(_) | Atom::Group(_), Times::Perhaps) | (Atom::Nothing | Atom::Unknown, _) => {
                    end(&mut text, &mut certain);
                }
            }
        }
        end(&mut text, &mut certain);
        Some(if certain.len() == 1 { certain.remove(0) } else { Literals::All(certain) })
    }

    /// None for what is no regex in this syntax, or one that is not understood.
    fn atom(&mut self) -> Option<Atom> {
        match self.next()? {
            '(' => self.group(),
            '[' => self.class(),
            '.' => Some(Atom::Unknown),
            '^' | '$' => Some(Atom::Nothing),
            '*' | '+' | '?' => None,
            '{' if self.peek().is_none_or(|letter| letter.is_ascii_digit()) => None,
            '\\' => self.escape(),
            letter => Some(self.letter(letter)),
        }
    }

    fn letter(&self, letter: char) -> Atom {
        if self.any_case && !letter.is_ascii() { Atom::Unknown } else { Atom::Letter(letter) }
    }

    fn group(&mut self) -> Option<Atom> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let looks = ["?=", "?!", "?<=", "?<!"].into_iter().any(|sign| self.takes(sign));
        if !looks && !self.takes("?:") && self.peek() == Some('?') {
            return None;
        }
        let inner = self.branches()?;
        self.depth -= 1;
        if !self.takes(")") {
            return None;
        }
        Some(if looks { Atom::Nothing } else { Atom::Group(inner) })
    }

    /// A class, of which only the end matters: `]` in front is a member, `[:…:]`, `[.….]` and `[=…=]` are closed by themselves.
    fn class(&mut self) -> Option<Atom> {
        // `[[:<:]]` and `[[:>:]]` are the edges of a word.
        if self.takes("[:<:]]") || self.takes("[:>:]]") {
            return Some(Atom::Nothing);
        }
        let _ = self.takes("^");
        let _ = self.takes("]");
        loop {
            match self.next()? {
                ']' => return Some(Atom::Unknown),
                '\\' => drop(self.next()?),
                '[' => {
                    if let Some(kind @ (':' | '.' | '=')) = self.peek() {
                        self.at += 1;
                        let close = format!("{kind}]");
                        while !self.takes(&close) {
                            self.next()?;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<Atom> {
        match self.next()? {
            'A' | 'm' | 'M' | 'y' | 'Y' | 'Z' => Some(Atom::Nothing),
            'd' | 's' | 'w' | 'D' | 'S' | 'W' => Some(Atom::Unknown),
            // A back reference, or a character by its number: text of unknown letters, and of unknown length.
            '0'..='9' => {
                while self.peek().is_some_and(|letter| letter.is_ascii_digit()) {
                    self.at += 1;
                }
                Some(Atom::Unknown)
            }
            'u' => self.by_number(4),
            'U' => self.by_number(8),
            'x' => {
                while self.peek().is_some_and(|letter| letter.is_ascii_hexdigit()) {
                    self.at += 1;
                }
                Some(Atom::Unknown)
            }
            'c' => self.next().map(|_| Atom::Unknown),
            'a' | 'b' | 'B' | 'e' | 'f' | 'n' | 'r' | 't' | 'v' => Some(Atom::Unknown),
            letter if letter.is_alphanumeric() => None,
            letter => Some(self.letter(letter)),
        }
    }

    fn by_number(&mut self, digits: usize) -> Option<Atom> {
        let text: String = self.letters.get(self.at..self.at + digits)?.iter().collect();
        self.at += digits;
        char::from_u32(u32::from_str_radix(&text, 16).ok()?).map(|letter| self.letter(letter))
    }

    fn times(&mut self) -> Option<Times> {
        let times = match self.peek() {
            Some('*' | '?') => Times::Perhaps,
            Some('+') => Times::Some,
            Some('{') if self.letters.get(self.at + 1).is_some_and(char::is_ascii_digit) => {
                let end = self.letters[self.at..].iter().position(|letter| *letter == '}')?;
                let bounds: String = self.letters[self.at + 1..self.at + end].iter().collect();
                let (least, most) = bounds.split_once(',').unwrap_or((&bounds, &bounds));
                let (least, most): (u32, Option<u32>) = (least.parse().ok()?, most.parse().ok());
                self.at += end;
                match (least, most) {
                    (0, _) => Times::Perhaps,
                    (1, Some(1)) => Times::Once,
                    _ => Times::Some,
                }
            }
            _ => return Some(Times::Once),
        };
        self.at += 1;
        let _ = self.takes("?"); // as few as possible
        match self.peek() {
            Some('*' | '+' | '?') => None,
            Some('{') if self.letters.get(self.at + 1).is_some_and(char::is_ascii_digit) => None,
            _ => Some(times),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(literals: &Literals) -> String {
        let list = |parts: &[Literals], word: &str| parts.iter().map(written).collect::<Vec<_>>().join(word);
        match literals {
            Literals::Text(text) => text.clone(),
            Literals::All(parts) => format!("<{}>", list(parts, "&")),
            Literals::Any(parts) => format!("({})", list(parts, "|")),
        }
    }

    #[test]
    fn patterns_of_every_kind() {
        for (pattern, wanted) in [
            ("abc", "abc"),
            ("", "<>"),
            ("a|b", "(a|b)"),
            ("abc|", "(abc|<>)"),
            ("a?bc", "bc"),
            ("ab*c", "<a&c>"),
            ("ab+c", "<ab&bc>"),
            ("ab??c", "<a&c>"),
            ("ab+?c", "<ab&bc>"),
            ("(abc)?d", "d"),
            ("(abc)*d", "d"),
            ("(abc)+d", "<abc&d>"),
            ("(abc|abd)e", "<(abc|abd)&e>"),
            ("(abc|)e", "<(abc|<>)&e>"),
            ("x(abc)y", "<x&abc&y>"),
            ("[abc]def", "def"),
            ("[]abc]def", "def"),
            ("[^]abc]def", "def"),
            ("[[:digit:]]ms", "ms"),
            ("[[.].]]ms", "ms"),
            (r"[\]a]ms", "ms"),
            ("[[:<:]]word[[:>:]]", "word"),
            ("[abc", "<>"),
            (r"\d+ms", "ms"),
            (r"\w\s\D", "<>"),
            ("a{0}bc", "bc"),
            ("a{0,3}bc", "bc"),
            ("a{1}bc", "abc"),
            ("a{2}bc", "<a&abc>"),
            ("a{1,2}bc", "<a&abc>"),
            ("a{2,}bc", "<a&abc>"),
            ("a{2,}?bc", "<a&abc>"),
            ("a{x}bc", "a{x}bc"),
            ("(ab){0}c", "c"),
            (r"\x41bc", "<>"),
            (r"\x41 c", " c"),
            (r"\u0041bc", "Abc"),
            (r"\U00000041bc", "Abc"),
            (r"\u004", "<>"),
            (r"\uD800x", "<>"),
            (r"a\.b", "a.b"),
            (r"a\\b", r"a\b"),
            (r"a\/b\(c", "a/b(c"),
            (r"a\nb", "<a&b>"),
            (r"a\cAb", "<a&b>"),
            ("(?i)ABC", "ABC"),
            ("(?i)aÜb", "<a&b>"),
            ("aÜb", "aÜb"),
            ("(?n)abc", "abc"),
            ("(?x)a b c", "<>"),
            ("(?ix)a b c", "<>"),
            ("(?q)a+b", "<>"),
            ("(?e)a\\d", "<>"),
            ("(?b)a+b", "<>"),
            ("(?i", "<>"),
            ("***=a.b", "<>"),
            ("***:abc", "<>"),
            ("(?:abc)+", "abc"),
            ("(?:abc)*", "<>"),
            ("x(?=abc)", "x"),
            ("x(?!abc)y", "xy"),
            ("(?<=abc)x", "x"),
            ("(?<!abc)x", "x"),
            ("(?#abc)x", "<>"),
            ("abc\\", "<>"),
            ("abc)", "<>"),
            ("(abc", "<>"),
            ("*abc", "<>"),
            ("a**b", "<>"),
            ("a+*b", "<>"),
            ("^abc$", "abc"),
            (r"\mabc\M", "abc"),
            (r"\yabc\y", "abc"),
            (r"\Aabc\Z", "abc"),
            (r"(.+)x\1y", "<<>&x&y>"),
            (r"(a)\10b", "<a&b>"),
            ("a.b", "<a&b>"),
            ("a.*b|c", "(<a&b>|c)"),
            ("日本+語", "<日本&本語>"),
            (r"\k", "<>"),
        ] {
            assert_eq!(written(&literals(pattern)), wanted, "{pattern}");
        }
        let deep = format!("{}abc{}", "(".repeat(500), ")".repeat(500));
        assert_eq!(written(&literals(&deep)), "<>");
    }

    /// A pattern, and one of the texts that it matches.
    fn a_match() -> impl Strategy<Value = (String, String)> {
        let letter = prop_oneof![
            "[a-cÜ日]".prop_map(|text| (text.clone(), text)),
            prop::sample::select(vec![".", "*", "\\", "("])
                .prop_map(|text| (format!("\\{text}"), text.to_owned())),
            "[a-c]".prop_map(|text| (".".to_owned(), text)),
            "[ab]".prop_map(|text| ("[ab]".to_owned(), text)),
            "[0-9]".prop_map(|text| ("\\d".to_owned(), text)),
            Just(("\\y".to_owned(), String::new())),
        ];
        letter.prop_recursive(4, 24, 3, |inner| {
            let times = prop_oneof![
                Just(("", 1)),
                Just(("?", 0)),
                Just(("*", 0)),
                Just(("*", 2)),
                Just(("+", 1)),
                Just(("+?", 3)),
                Just(("{0}", 0)),
                Just(("{2,3}", 2)),
                Just(("{1}", 1)),
                Just(("{0,1}", 1)),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.into_iter().unzip()),
                (inner.clone(), inner.clone(), any::<bool>()).prop_map(|((a, left), (b, right), first)| {
                    (format!("({a}|{b})"), if first { left } else { right })
                }),
                (inner, times).prop_map(|((pattern, text), (sign, count))| {
                    (format!("(?:{pattern}){sign}"), text.repeat(count))
                }),
            ]
        })
    }

    fn holds(literals: &Literals, text: &str) -> bool {
        match literals {
            Literals::Text(literal) => text.contains(literal),
            Literals::All(parts) => parts.iter().all(|part| holds(part, text)),
            Literals::Any(parts) => parts.iter().any(|part| holds(part, text)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_match_contains_them((pattern, text) in a_match()) {
            let found = literals(&pattern);
            prop_assert!(holds(&found, &text), "{} does not hold for {}", written(&found), text);
        }
    }
}
