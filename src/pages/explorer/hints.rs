//! What may have been meant by a search that found nothing. In: a [`View`], what was typed, what is certain about it, and the names that
//! there are. Out: a sentence for each, with searches that say it otherwise. Pure.

use super::view::View;
use crate::{
    pages::{
        links::{self, is, name},
        text::shown_name,
        when::{Form, show},
    },
    record::Timestamp,
    search::{
        complete::items::FIELDS,
        cursor::MICROS_MIN,
        expr::{Expr, Field, Test},
        filter::Match,
        grammar,
        nothing::{Id, NoValue, Nothing, slips},
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
pub fn hints(view: &View, typed: &str, nothing: &Nothing, known: &[&str]) -> Vec<Hint> {
    // What holds nothing but null, or is read in another way than it is counted, is a field all the same.
    let is_unknown = |path: &&String| !known.contains(&path.as_str());
    let absent = nothing.absent.iter().filter(is_unknown).map(|path| {
        let typed = Some(typed).filter(|_| nothing.typed.contains(path));
        absent(view, typed, path, known)
    });
    let ids = nothing.ids.iter().filter_map(|id| of_id(view, id));
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
    absent.chain(ids).chain(pair).chain(values).chain(newest).collect()
}

/// Whether [`hints`] can say more with the names that there are.
pub fn needs_names(view: &View, nothing: &Nothing) -> bool {
    let q = view.query.filter.q.as_ref();
    !nothing.absent.is_empty() || q.is_some_and(|q| test_of(q, &|test| pair(test).is_some()).is_some())
}

/// No record has the field. `typed` is the query line, if messages have the field as it stands there.
fn absent(view: &View, typed: Option<&str>, path: &str, known: &[&str]) -> Hint {
    let name = grammar::print_name(&Field::Metadata(path.to_owned()));
    let is_it = |test: &Test| match test {
        Test::Is(Field::Metadata(of), _) | Test::Compare { path: of, .. } => of == path,
        _ => false,
    };
    let others = |test: &Test| {
        let text = grammar::print(&Expr::Test(test.clone()));
        let rest = text.strip_prefix(&name).unwrap_or("");
        let named = similar(path, known);
        let mut others: Vec<Expr> =
            named.iter().filter_map(|other| grammar::parse(&format!("{other}{rest}")).ok()).collect();
        if let (Test::Is(_, values), Some(typed)) = (test, typed)
            && let [Match::Exact(value)] = values.as_slice()
        {
            // As it was typed: `a=5` is a comparison too.
            let sign = if typed.contains(&format!("{path}={value}")) { '=' } else { ':' };
            others.push(Expr::Test(Test::Contains(format!("{path}{sign}{value}"))));
        }
        others
    };
    let expr = view.query.filter.expr();
    let instead = test_of(&expr, &is_it).map_or_else(Vec::new, |test| {
        others(test).iter().filter_map(|other| instead(view, test, other, true)).collect()
    });
    Hint { text: format!("No record of this time range has a value in {}.", legible(&name)), instead }
}

/// A text is the value of a field.
fn of_id(view: &View, id: &Id) -> Option<Hint> {
    let Id { text, field, is_of_range } = id;
    let name = grammar::print_name(field);
    let when = if *is_of_range { "" } else { " of another time" };
    let test = Test::Contains(text.clone());
    Some(Hint {
        text: format!("{} is a {name}{when}; words are looked for in messages.", legible(text)),
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
    let at_all = if *is_of_range || others.is_empty() {
        ""
    } else {
        "; records of another time have something like it"
    };
    Hint {
        text: format!(
            "No record of this time range has {} as its {}{at_all}.",
            legible(&grammar::print_value(&asked)),
            legible(&grammar::print_name(field))
        ),
        instead: others_of.filter_map(link).collect(),
    }
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
    let href = view.links().with_line_and_without(&q, (&name, &value), without);
    Some((legible(&grammar::print(other)), href))
}

/// A text of any length as a sentence can have it, with colour codes, which are part of a value.
fn legible(text: &str) -> String {
    let text = shown_name(&text.replace('\u{1b}', "\u{241b}"));
    match text.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
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
mod tests {
    use super::*;
    use crate::{pages::when::Zone, search::params};

    fn hints_of(params: &str, nothing: &Nothing) -> Vec<Hint> {
        let pairs = params::decode(params).unwrap();
        let view = View::read(&pairs, Timestamp(0), Zone::UTC).unwrap();
        hints(&view, &pairs[0].1, nothing, &["path", "http.status", "user.id", "Host"])
    }

    /// The query line of a link.
    fn line(href: &str) -> String {
        let pairs = params::decode(href.trim_start_matches("/?")).unwrap();
        pairs.into_iter().find(|(name, _)| name == "q").map_or_else(String::new, |(_, line)| line)
    }

    #[test]
    fn a_slip_leads_to_what_was_meant() {
        for (typed, path, instead) in [
            ("levle:error x", "levle", &["level:error x", "\"levle:error\" x"][..]),
            ("levle:(error or fatal)", "levle", &["level>=error"]),
            ("status>499", "status", &["http.status>499"]),
            ("host:a or b", "host", &["Host:a or b", "\"host:a\" or b"]),
            ("db01:5432 -x", "db01", &["\"db01:5432\" -x"]),
            ("queue=16 y", "queue", &["\"queue=16\" y"]),
            ("patch:/a*", "patch", &["path:/a*"]),
        ] {
            let params = params::encode([("q", typed)]);
            let absent = vec![path.to_owned()];
            let nothing = Nothing { typed: absent.clone(), absent, ..Nothing::default() };
            let hints = hints_of(&params[1..], &nothing);
            assert_eq!(hints.len(), 1, "{typed}");
            assert_eq!(hints[0].text, format!("No record of this time range has a value in {path}."));
            let lines: Vec<String> = hints[0].instead.iter().map(|(_, href)| line(href)).collect();
            assert_eq!(lines, instead, "{typed}");
        }
    }

    #[test]
    fn what_is_counted_is_not_said_to_be_absent() {
        let nothing = Nothing { absent: vec!["path".to_owned()], ..Nothing::default() };
        assert!(hints_of("q=path:x", &nothing).is_empty());
    }

    #[test]
    fn an_id_leads_to_its_field_and_another_time_to_all() {
        let nothing = Nothing {
            ids: vec![Id { text: "bdec2038".to_owned(), field: Field::TraceId, is_of_range: true }],
            newest: Some(Timestamp::parse("2026-01-02T03:04:05Z").unwrap()),
            ..Nothing::default()
        };
        let hints = hints_of("q=bdec2038+level:info&from=15m", &nothing);
        let shown: Vec<(&str, Vec<&str>)> = hints
            .iter()
            .map(|hint| (hint.text.as_str(), hint.instead.iter().map(|(_, href)| href.as_str()).collect()))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "bdec2038 is a traceId; words are looked for in messages.",
                    vec!["/?from=15m&q=traceId%3Abdec2038+level%3Ainfo"]
                ),
                (
                    "The newest record that matches is of 2026-01-02 03:04:05.000000.",
                    vec![
                        "/?from=2026-01-02T02%3A04%3A05Z&to=2026-01-02T03%3A04%3A05.000001Z&q=bdec2038+level%3Ainfo",
                        "/?q=bdec2038+level%3Ainfo"
                    ]
                ),
            ]
        );
    }

    #[test]
    fn a_link_keeps_what_it_does_not_replace() {
        let value = |value: &str, others: &[&str], is_of_range| NoValue {
            field: Field::Metadata("Host".to_owned()),
            value: value.to_owned(),
            others: others.iter().map(|other| (*other).to_owned()).collect(),
            is_of_range,
        };
        let href = |params: &str, value| {
            let hints = hints_of(params, &Nothing { values: vec![value], ..Nothing::default() });
            hints[0].instead.iter().map(|(_, href)| href.clone()).collect::<Vec<_>>()
        };
        // Another value of the same path.
        let params = "q=x&metadata.Host=a&metadata.Host=b";
        assert_eq!(href(params, value("b", &["b1"], true)), ["/?metadata.Host=a&q=x+Host%3Ab1"]);
        // The time range, unless what is offered is of another.
        let params = "q=Host:b&from=5m";
        assert_eq!(href(params, value("b", &["b1"], true)), ["/?from=5m&q=Host%3Ab1"]);
        assert_eq!(href(params, value("b", &["b1"], false)), ["/?q=Host%3Ab1"]);
        // What no query line can say is not offered.
        let params = format!("q={}&metadata.Host=b", vec!["t"; grammar::TERMS_MAX].join("+"));
        assert!(href(&params, value("b", &["b1"], true)).is_empty());
    }

    #[test]
    fn values_are_legible() {
        assert_eq!(legible("\u{1b}[31mred\nx\u{202e}"), "\u{241b}[31mred\u{240a}x<U+202E>");
        assert_eq!(legible(&"ä".repeat(200)), format!("{}…", "ä".repeat(LETTERS_MAX)));
    }

    #[test]
    fn a_name_that_is_a_parameter_leads_to_what_was_meant() {
        let nothing = Nothing { absent: vec!["host".to_owned()], ..Nothing::default() };
        let hints = hints_of("q=x&metadata.host=a", &nothing);
        assert_eq!(hints[0].instead, [("Host:a".to_owned(), "/?q=x+Host%3Aa".to_owned())]);
    }

    #[test]
    fn a_pair_leads_to_its_field() {
        for (typed, instead) in [
            ("user.id=x", &["user.id:x", "user.id:x*"][..]),
            ("a path=/b \"x y\"", &["a path:/b \"x y\"", "a path:/b* \"x y\""]),
            ("path==x", &[]),
            ("unknown=x", &[]),
            ("-path=x", &[]),
            ("path=", &[]),
        ] {
            let params = params::encode([("q", typed)]);
            let hints = hints_of(&params[1..], &Nothing::default());
            let found: Vec<String> =
                hints.iter().flat_map(|hint| &hint.instead).map(|(_, href)| line(href)).collect();
            assert_eq!(found, instead, "{typed}");
        }
    }

    #[test]
    fn a_value_leads_to_those_that_are_there() {
        let value = |field: Field, value: &str, others: &[&str]| NoValue {
            field,
            value: value.to_owned(),
            others: others.iter().map(|other| (*other).to_owned()).collect(),
            is_of_range: true,
        };
        for (params, value, lines) in [
            (
                "q=resourceId:api+error",
                value(Field::ResourceId, "api", &["api-1", "api 2", "x-api"]),
                &[
                    "resourceId:api* error",
                    "resourceId:api-1 error",
                    "resourceId:\"api 2\" error",
                    "resourceId:x-api error",
                ][..],
            ),
            ("q=a+commit:X", value(Field::Commit, "X", &["x"]), &["a commit:x"]),
            ("q=a&commit=X", value(Field::Commit, "X", &["x"]), &["a commit:x"]),
            ("q=a&metadata.Host=X", value(Field::Metadata("Host".to_owned()), "X", &["x"]), &["a Host:x"]),
            // In the line and as a parameter, and beside a part that is negated.
            (
                "q=commit:X+-(commit:X+b)&commit=X",
                value(Field::Commit, "X", &["x"]),
                &["commit:x -(commit:X b)"],
            ),
            ("q=path:7", value(Field::Metadata("path".to_owned()), "7", &[]), &[]),
        ] {
            let hints = hints_of(params, &Nothing { values: vec![value], ..Nothing::default() });
            assert_eq!(hints.len(), 1, "{params}");
            assert!(hints[0].text.starts_with("No record of this time range has "), "{}", hints[0].text);
            let found: Vec<String> = hints[0].instead.iter().map(|(_, href)| line(href)).collect();
            assert_eq!(found, lines, "{params}");
            assert!(hints[0].instead.iter().all(|(_, href)| !href.contains("=X")), "{params}");
        }
    }
}
