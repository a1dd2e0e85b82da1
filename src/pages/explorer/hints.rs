//! What may have been meant by a search that found nothing. In: a [`View`], what was typed, what is certain about it, and the names that
//! there are. Out: a sentence for each, with searches that say it otherwise. Pure.

use super::view::View;
use crate::{
    pages::{
        links::{self, is, name},
        text::{shortened, shown_name},
        when::{Form, show},
    },
    record::{RecordId, Timestamp},
    search::{
        complete::items::FIELDS,
        cursor::MICROS_MIN,
        expr::{Expr, Field, Test},
        filter::Match,
        grammar,
        nothing::{Id, NoField, NoValue, Nothing},
        slips::slips,
    },
};

/// Other names that are offered for one.
const NAMES_MAX: usize = 3;
/// What is shown before a hit of another time, an hour.
const BEFORE_MICROS: i64 = 3_600_000_000;
/// Of a value in a sentence.
const LETTERS_MAX: usize = 100;

pub struct Hint {
    pub text: String,
    /// What it says, and where it leads.
    pub instead: Vec<(String, String)>,
}

/// `known` are paths of metadata that there are, the most frequent first.
pub fn hints(view: &View, nothing: &Nothing, known: &[&str]) -> Vec<Hint> {
    // What holds nothing but null, or is read in another way than it is counted, is a field all the same.
    let is_unknown = |absent: &&NoField| !known.contains(&absent.path.as_str());
    let absent = nothing.absent.iter().filter(is_unknown).map(|absent| of_no_field(view, absent, known));
    let ids = nothing.ids.iter().filter_map(|id| of_id(view, id));
    let records = nothing.records.iter().map(|RecordId(id)| Hint {
        text: format!("{id} is the id of a record."),
        instead: vec![("the record".to_owned(), format!("/logs/{id}"))],
    });
    let pair = of_pair(view, known);
    let values = nothing.values.iter().map(|value| of_value(view, value));
    let newest = nothing.newest.map(|newest| {
        let links = view.links();
        let from = Timestamp((newest.0 - BEFORE_MICROS).max(MICROS_MIN)).to_string();
        // The end is not part of a range, and no range ends behind the last moment there is.
        let to = (newest < Timestamp::MAX).then(|| Timestamp(newest.0 + 1).to_string());
        let then = links.with_range(Some(&from), to.as_deref());
        Hint {
            text: format!("The newest record that matches is of {}.", show(newest, view.zone, Form::Full)),
            instead: vec![
                ("The hour up to it".to_owned(), then),
                ("All time".to_owned(), links.with_range(None, None)),
            ],
        }
    });
    absent.chain(ids).chain(records).chain(pair).chain(values).chain(newest).collect()
}

/// Whether [`hints`] can say more with the names that there are.
pub fn needs_names(view: &View, nothing: &Nothing) -> bool {
    let q = view.query.filter.q.as_ref();
    !nothing.absent.is_empty() || q.is_some_and(|q| test_of(q, &|test| pair(test).is_some()).is_some())
}

/// No record has the field.
fn of_no_field(view: &View, NoField { path, texts }: &NoField, known: &[&str]) -> Hint {
    let name = grammar::print_name(&Field::Metadata(path.clone()));
    let is_it = |test: &Test| match test {
        Test::Is(Field::Metadata(of), _) | Test::Compare { path: of, .. } => of == path,
        _ => false,
    };
    let others = |test: &Test| {
        let text = grammar::print(&Expr::Test(test.clone()));
        let rest = text.strip_prefix(&name).unwrap_or("");
        let named = similar(path, known);
        let others = named.iter().filter_map(|other| grammar::parse(&format!("{other}{rest}")).ok());
        let texts = texts.iter().map(|text| Expr::Test(Test::Contains(text.clone())));
        others.chain(texts).collect::<Vec<Expr>>()
    };
    let expr = view.query.filter.expr();
    let instead = test_of(&expr, &is_it).map_or_else(Vec::new, |test| {
        others(test).iter().filter_map(|other| instead(view, test, other, true)).collect()
    });
    Hint { text: format!("{} has a value in {}.", no_record(view), legible(&name)), instead }
}

/// A text is the value of a field.
fn of_id(view: &View, id: &Id) -> Option<Hint> {
    let Id { text, asked, field, is_of_range } = id;
    let name = grammar::print_name(field);
    let when = if *is_of_range { "" } else { " of another time" };
    let (test, not) = match asked {
        None => (Test::Contains(text.clone()), "; words are looked for in messages".to_owned()),
        Some(asked) => (
            Test::Is(asked.clone(), vec![Match::Exact(text.clone())]),
            format!(", not a {}", legible(&grammar::print_name(asked))),
        ),
    };
    Some(Hint {
        text: format!("{} is a {name}{when}{not}.", legible(text)),
        instead: vec![instead(view, &test, &is(field, text), *is_of_range)?],
    })
}

/// A text that is written as senders write a field with its value.
fn pair(test: &Test) -> Option<(&str, &str)> {
    match test {
        Test::Contains(text) => {
            text.split_once('=').filter(|(_, value)| !value.is_empty() && !value.starts_with('='))
        }
        _ => None,
    }
}

/// The field and the value of such a text, if there is such a field.
fn field_of<'a>(test: &'a Test, known: &[&str]) -> Option<(Field, &'a str)> {
    let (name, value) = pair(test)?;
    let field = links::field(name)?;
    let is_known = !matches!(&field, Field::Metadata(path) if !known.contains(&path.as_str()));
    is_known.then_some((field, value))
}

/// A text begins with the name of a field.
fn of_pair(view: &View, known: &[&str]) -> Option<Hint> {
    let q = view.query.filter.q.as_ref()?;
    let test = test_of(q, &|test| field_of(test, known).is_some())?;
    let (field, value) = field_of(test, known)?;
    let name = legible(&grammar::print_name(&field));
    // A word goes on behind its end.
    let others = [Match::Exact(value.to_owned()), Match::Prefix(value.to_owned())];
    let link = |other| instead(view, test, &Expr::is(field.clone(), vec![other]), true);
    Some(Hint {
        text: format!("{name} is a field; words are looked for in messages."),
        instead: others.into_iter().filter_map(link).collect(),
    })
}

/// No record has the value in this field.
fn of_value(view: &View, NoValue { field, value, others, is_of_range }: &NoValue) -> Hint {
    let asked = Match::Exact(value.clone());
    let test = Test::Is(field.clone(), vec![asked.clone()]);
    let begin_so = others.iter().filter(|other| other.starts_with(value.as_str())).count();
    let prefix = (begin_so > 1).then(|| Match::Prefix(value.clone()));
    let others_of = prefix.into_iter().chain(others.iter().cloned().map(Match::Exact));
    let link = |other| instead(view, &test, &Expr::is(field.clone(), vec![other]), *is_of_range);
    let of_another_time = !is_of_range && !others.is_empty();
    let has_it = of_another_time && others.contains(value);
    let at_all = match (of_another_time, has_it) {
        (_, true) => "; records of another time have",
        (true, false) => "; records of another time have something like it",
        (false, false) => "",
    };
    Hint {
        text: format!(
            "{} has {} as its {}{at_all}.",
            no_record(view),
            legible(&grammar::print_value(&asked)),
            legible(&grammar::print_name(field))
        ),
        // The same search at any time is what the newest hit leads to, if there is one.
        instead: if has_it { Vec::new() } else { others_of.filter_map(link).collect() },
    }
}

/// Of what was searched.
fn no_record(view: &View) -> &'static str {
    let filter = &view.query.filter;
    if filter.from.is_some() || filter.to.is_some() { "No record of this time range" } else { "No record" }
}

/// A search that asks for something else in the place of a test, wherever that stands: what it says, and where it leads. None if a query
/// line cannot say it.
fn instead(view: &View, test: &Test, other: &Expr, is_of_range: bool) -> Option<(String, String)> {
    let q = view.query.filter.q.as_ref();
    let q = match q.filter(|q| test_of(q, &|known| known == test).is_some()) {
        Some(q) => replaced(q, test, other),
        None => Expr::all(q.cloned().into_iter().chain([other.clone()])),
    };
    grammar::parse(&grammar::print(&q)).ok()?;
    let (name, value) = match test {
        Test::Is(field, values) => match values.as_slice() {
            [value] => (name(field), value.write()),
            _ => Default::default(),
        },
        Test::Contains(text) => ("message".to_owned(), text.clone()),
        _ => Default::default(),
    };
    let without: &[&str] = if is_of_range { &[] } else { &["from", "to"] };
    let href = view.links().with_line_instead(&q, (&name, &value), without);
    Some((legible(&grammar::print(other)), href))
}

/// A text of any length as a sentence can have it, with colour codes, which are part of a value.
fn legible(text: &str) -> String {
    shortened(shown_name(&text.replace('\u{1b}', "\u{241b}")), LETTERS_MAX)
}

/// The names that are nearest, as a query line has them: the same in another case, the same below other fields, or a slip or two away.
fn similar(path: &str, known: &[&str]) -> Vec<String> {
    let asked = path.to_lowercase();
    let distance = |name: &str| {
        let name = name.to_lowercase();
        let last = name.rsplit('.').next().unwrap_or(&name);
        match () {
            () if name == asked => Some(0),
            () if last == asked || asked.rsplit('.').next() == Some(name.as_str()) => Some(1),
            () => slips(&asked, &name),
        }
    };
    let own = FIELDS.iter().map(|(name, _)| (distance(name), (*name).to_owned()));
    let metadata =
        known.iter().map(|path| (distance(path), grammar::print_name(&Field::Metadata((*path).to_owned()))));
    let mut near: Vec<(usize, String)> =
        own.chain(metadata).filter_map(|(distance, name)| Some((distance?, name))).collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, name)| name).take(NAMES_MAX).collect()
}

/// The first such test that a hit may have to pass.
fn test_of<'a>(expr: &'a Expr, is_it: &impl Fn(&Test) -> bool) -> Option<&'a Test> {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().find_map(|part| test_of(part, is_it)),
        Expr::Test(test) => is_it(test).then_some(test),
        Expr::Not(_) => None,
    }
}

/// The tree with another condition in the place of a test.
fn replaced(expr: &Expr, test: &Test, other: &Expr) -> Expr {
    match expr {
        Expr::All(parts) => Expr::all(parts.iter().map(|part| replaced(part, test, other))),
        Expr::Any(parts) => Expr::any(parts.iter().map(|part| replaced(part, test, other))),
        // What was not looked for there is not replaced there.
        Expr::Not(_) => expr.clone(),
        Expr::Test(known) if known == test => other.clone(),
        Expr::Test(_) => expr.clone(),
    }
}

#[cfg(test)]
mod tests;
