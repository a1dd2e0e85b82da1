//! What is offered at a place. In: a [`Place`], and what may stand there. Out: at most twenty items that begin with what is typed, then
//! those that hold it elsewhere, whatever the case, written as the grammar reads them. Pure.

use serde::Serialize;

use super::keys::Keys;
use crate::{
    record::Level,
    search::{
        count::{Is, facets::Values},
        expr::{Field, is_number},
        filter::Match,
        grammar::{
            self,
            place::{Place, Wanted},
        },
    },
};

pub const ITEMS_MAX: usize = 20;

/// Something that may stand at the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    pub text: String,
    pub about: String,
}

/// The fields that every record may have, and the signs that they take beside `:`.
pub const FIELDS: [(&str, &[&str]); 6] = [
    ("level", &[">=", "<="]),
    ("message", &[]),
    ("resourceId", &[]),
    ("traceId", &[]),
    ("spanId", &[]),
    ("commit", &[]),
];
const COMPARISONS: [&str; 4] = [">", ">=", "<", "<="];
const WORDS: [(&str, &str); 3] =
    [("or", "either side holds"), ("not", "what follows does not hold"), ("and", "both sides hold")];

pub struct Items<'a> {
    place: &'a Place,
    /// In lower case.
    typed: String,
    begin: Vec<Item>,
    hold: Vec<Item>,
}

impl<'a> Items<'a> {
    pub fn new(place: &'a Place) -> Self {
        Self { place, typed: place.typed.to_lowercase(), begin: Vec::new(), hold: Vec::new() }
    }

    /// What of it is typed.
    pub fn typed(&self) -> &str {
        &self.place.typed
    }

    pub fn count(&self) -> usize {
        self.begin.len() + self.hold.len()
    }

    /// Adds what fits, each text once; `known` is what the typed text is compared with.
    fn add(&mut self, known: &str, text: String, about: impl Into<String>) {
        let known = known.to_lowercase();
        let list = match known.find(&self.typed) {
            Some(0) => &mut self.begin,
            Some(_) => &mut self.hold,
            None => return,
        };
        if list.len() < ITEMS_MAX && !list.iter().any(|item| item.text == text) {
            list.push(Item { text, about: about.into() });
        }
    }

    pub fn add_levels(&mut self) {
        for level in Level::ALL {
            self.add(level.name(), level.name().to_owned(), "level");
        }
    }

    pub fn add_keys(&mut self, keys: &Keys) {
        // In quotes there are only names that need them: what else is typed there is a phrase.
        let is_quoted = self.place.is_quoted;
        for (name, signs) in FIELDS.into_iter().filter(|_| !is_quoted) {
            self.add(name, format!("{name}:"), "field");
            self.add_signs(name, name, signs);
        }
        for (path, records) in &keys.counts {
            let name = grammar::print_name(&Field::Metadata(path.clone()));
            if is_quoted && !name.starts_with('"') {
                continue;
            }
            // With or without `metadata.` in front.
            let known =
                if self.typed.starts_with("metadata.") { format!("metadata.{path}") } else { path.clone() };
            let about = format!("metadata, {}", about(*records, keys.is.unwrap_or(Is::AtLeast)));
            self.add(&known, format!("{name}:"), about);
            self.add_signs(&known, &name, &COMPARISONS);
        }
        if !is_quoted && !self.typed.is_empty() {
            for (word, about) in WORDS {
                if word.starts_with(&self.typed) {
                    self.add(word, word.to_owned(), about);
                }
            }
        }
    }

    /// The other signs of a field whose name is typed to its end.
    fn add_signs(&mut self, known: &str, name: &str, signs: &[&str]) {
        if known.to_lowercase() == self.typed {
            for sign in signs {
                self.add(known, format!("{name}{sign}"), "comparison");
            }
        }
    }

    pub fn add_values(&mut self, values: &Values) {
        let is_comparison = matches!(self.place.wanted, Wanted::NumberOf(_));
        for (value, records) in &values.top {
            if !is_comparison || is_number(value) {
                let text = grammar::print_value(&Match::Exact(value.clone()));
                self.add(value, text, about(*records, values.is));
            }
        }
    }

    /// Those that begin with what is typed first.
    pub fn finish(self) -> Vec<Item> {
        let mut items = self.begin;
        for item in self.hold {
            if items.len() < ITEMS_MAX && !items.iter().any(|known| known.text == item.text) {
                items.push(item);
            }
        }
        items
    }
}

/// How many records, and how sure that is.
fn about(records: u64, is: Is) -> String {
    let digits = records.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if is == Is::Exact { "" } else { "≥ " };
    format!("{sign}{grouped} {}", if records == 1 { "record" } else { "records" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{count::Count, expr::Expr, grammar::place::place};

    fn texts(items: Items<'_>) -> Vec<String> {
        items.finish().into_iter().map(|item| item.text).collect()
    }

    fn keys_at(line: &str, keys: &[&str]) -> Vec<String> {
        let place = place(line, line.len());
        let mut items = Items::new(&place);
        let counts = keys.iter().map(|key| ((*key).to_owned(), 1_234)).collect();
        items.add_keys(&Keys { counts, is: Some(Is::Exact) });
        texts(items)
    }

    #[test]
    fn keys_that_begin_so_stand_before_those_that_hold_it() {
        assert_eq!(keys_at("comm", &["x.comment", "commute"]), ["commit:", "commute:", "x.comment:"]);
        assert_eq!(keys_at("-SPAN", &[]), ["spanId:"]);
        assert_eq!(
            keys_at("level", &["level"]),
            [
                "level:",
                "level>=",
                "level<=",
                "metadata.level:",
                "metadata.level>",
                "metadata.level>=",
                "metadata.level<",
                "metadata.level<="
            ]
        );
        assert_eq!(keys_at("took", &["took"]), ["took:", "took>", "took>=", "took<", "took<="]);
        assert_eq!(keys_at("metadata.us", &["user.id", "x"]), ["user.id:"]);
        assert_eq!(keys_at("o", &[]), ["or", "resourceId:", "commit:"]);
        assert_eq!(keys_at("\"us", &["user id", "user", "ключ"]), ["\"metadata.user id\":"]);
        assert_eq!(keys_at("", &["a"]).len(), 7);
    }

    #[test]
    fn every_key_and_value_reads_as_what_it_is() {
        for path in [
            "user id",
            "a.b",
            "say \"hi\"",
            "back\\slash",
            "ключ",
            "a:b",
            "(x)",
            "-x",
            "1st",
            "commit",
            "metadata.x",
        ] {
            let text = keys_at("", &[path]).pop().unwrap();
            let place = place(&text, text.len());
            assert_eq!(place.wanted, Wanted::ValueOf(Field::Metadata(path.to_owned())), "{text}");
            let mut items = Items::new(&place);
            for value in ["a b", "x\"y", "(z)", "or", "ends*", "\\", ">5"] {
                let count = Count { count: 1, is: Is::Exact };
                let values =
                    Values { top: vec![(value.to_owned(), 7)], other: 0, distinct: count, is: Is::AtLeast };
                items.add_values(&values);
                let item = items.begin.pop().unwrap();
                assert_eq!(item.about, "≥ 7 records");
                let expr = grammar::parse(&format!("{text}{}", item.text)).unwrap();
                let wanted = Expr::is(Field::Metadata(path.to_owned()), vec![Match::Exact(value.to_owned())]);
                assert_eq!(expr, wanted, "{text}{}", item.text);
            }
        }
        assert_eq!(about(1_234_567, Is::Exact), "1,234,567 records");
    }
}
