//! The page's form as it was typed. In: the decoded parameters, right or wrong, and the fault if there is one. Out: fields with label,
//! value and what is wrong with them. Pure.

use super::text::shown;
use crate::{
    record::Level,
    search::{
        expr::{Expr, Test},
        grammar,
        params::{self, Fault},
    },
};

pub struct Form {
    /// The query line.
    pub q: String,
    pub q_error: Option<LineError>,
    /// What is wrong with a parameter that has no field.
    pub error: Option<String>,
    /// What was typed as time range, if it cannot be read.
    pub t: String,
    pub t_error: Option<String>,
    /// Parameters of the page that the form only passes on.
    pub hidden: Vec<(String, String)>,
    /// Whether the fields are in sight.
    pub is_open: bool,
    pub levels: Vec<LevelBox>,
    pub fields: Vec<Field>,
    pub pairs: Vec<Pair>,
}

/// What is wrong with the query line.
pub struct LineError {
    pub text: String,
    /// The line, and below it marks under the columns.
    pub pointer: Option<(String, String)>,
    /// The search for what was typed, as a text.
    pub as_text: Option<String>,
}

pub struct LevelBox {
    pub name: &'static str,
    pub checked: bool,
}

pub struct Field {
    /// For element ids.
    pub id: String,
    pub name: &'static str,
    pub label: &'static str,
    pub placeholder: &'static str,
    pub class: &'static str,
    pub is_number: bool,
    pub value: String,
    pub error: Option<String>,
}

/// A metadata filter by path and value.
pub struct Pair {
    pub number: usize,
    pub path: String,
    pub value: String,
    pub error: Option<String>,
}

/// Name, label, placeholder, class of each field, in the order of the page.
const FIELDS: [(&str, &str, &str, &str); 10] = [
    ("message", "message contains", "any case", "wide"),
    ("regex", "regex on message", "(?i)time(out|d out)", "wide"),
    ("resourceId", "resourceId", "server-1234", ""),
    ("commit", "commit", "5e5342f", ""),
    ("traceId", "traceId", "abc-xyz-123", ""),
    ("spanId", "spanId", "span-456", ""),
    ("metadata.parentResourceId", "metadata.parentResourceId", "server-0987", "narrow-wide"),
    ("from", "from", "24h, or a moment", ""),
    ("to", "to", "15m, or a moment", ""),
    ("limit", "limit", "50", "narrow-wide"),
];

/// What only the page knows, and the time zone.
const PASSED_ON: [&str; 5] = ["off", "facet", "column", "wrap", "tz"];
/// Characters of a query line that is shown once more with marks under it.
const POINTER_CHARS_MAX: usize = 400;

/// Filters by metadata that the form offers beside the one with a field of its own.
const PAIRS_MIN: usize = 2;

impl Form {
    pub fn new(pairs: &[(String, String)], fault: Option<&Fault>) -> Self {
        let error = |name: &str| fault.filter(|fault| fault.field == name).map(|fault| shown(&fault.error));
        let first = |name: &str| pairs.iter().position(|(known, _)| known == name);
        let checked = |level: &str| {
            let is_level =
                |word: &str| crate::record::Level::parse(word).is_some_and(|known| known.name() == level);
            pairs.iter().any(|(name, value)| name == "level" && is_level(value))
        };
        let levels: Vec<LevelBox> = Level::ALL
            .into_iter()
            .map(Level::name)
            .map(|name| LevelBox { name, checked: checked(name) })
            .collect();
        let fields: Vec<Field> = FIELDS
            .into_iter()
            .map(|(name, label, placeholder, class)| Field {
                id: name.replace('.', "-"),
                name,
                label,
                placeholder,
                class,
                is_number: name == "limit",
                value: first(name).map_or(String::new(), |at| pairs[at].1.clone()),
                error: error(name),
            })
            .collect();
        let metadata = metadata_pairs(pairs, fault);
        let value = |name: &str| first(name).map_or(String::new(), |at| pairs[at].1.clone());
        let q = value("q");
        // What a pill was to become belongs to the query line.
        let of_line = fault.filter(|fault| ["q", "also"].contains(&fault.field.as_str()));
        let q_error = of_line.map(|fault| LineError::new(&value(&fault.field), pairs, fault));
        let has_field = |name: &str| {
            ["q", "also", "t", "level", "mk", "mv"].contains(&name)
                || name.starts_with("metadata.")
                || FIELDS.iter().any(|(known, ..)| *known == name)
        };
        let elsewhere = fault.filter(|fault| !has_field(&fault.field));
        let passed_on = |name: &str| PASSED_ON.contains(&name);
        Self {
            q,
            q_error,
            error: elsewhere.map(|fault| shown(&format!("{}: {}", fault.field, fault.error))),
            t: if error("t").is_some() { value("t") } else { String::new() },
            t_error: error("t"),
            hidden: pairs
                .iter()
                .filter(|(name, value)| passed_on(name) && !value.is_empty())
                .cloned()
                .collect(),
            // What filters stands in the pills: the fields only come into sight where one of them is wrong.
            is_open: fields.iter().any(|field| field.error.is_some())
                || metadata.iter().any(|pair| pair.error.is_some())
                || fault.is_some_and(|fault| fault.field == "level"),
            levels,
            fields,
            pairs: metadata,
        }
    }
}

impl LineError {
    fn new(line: &str, pairs: &[(String, String)], fault: &Fault) -> Self {
        // What is shown as something else would stand beside its place.
        let is_plain =
            line.chars().count() <= POINTER_CHARS_MAX && !line.contains('\n') && shown(line) == line;
        let columns = fault.columns.filter(|_| is_plain);
        let pointer = columns.map(|columns| {
            let length = columns.end.saturating_sub(columns.start).max(1);
            (line.to_owned(), " ".repeat(columns.start - 1) + &"^".repeat(length))
        });
        Self { text: shown(&fault.error), pointer, as_text: as_text(line, pairs, &fault.field) }
    }
}

/// The same page, but with the whole line as one phrase; `field` is where it was typed.
fn as_text(line: &str, pairs: &[(String, String)], field: &str) -> Option<String> {
    let phrase = grammar::print(&Expr::Test(Test::Contains(line.trim().to_owned())));
    grammar::parse(&phrase).ok()?;
    let others = pairs.iter().filter(|(name, value)| {
        let is_gone = ["t", "also", "cursor", "asOf", field].contains(&name.as_str());
        !is_gone && !value.is_empty()
    });
    let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
    Some(format!("/{}", params::encode(others.chain([(field, phrase.as_str())]))))
}

fn metadata_pairs(pairs: &[(String, String)], fault: Option<&Fault>) -> Vec<Pair> {
    let own = pairs.iter().position(|(name, _)| name == "metadata.parentResourceId");
    let mut out: Vec<Pair> = Vec::new();
    for (at, (name, value)) in pairs.iter().enumerate() {
        let Some(path) = name.strip_prefix("metadata.").filter(|_| Some(at) != own) else { continue };
        let error = fault.filter(|fault| fault.field == *name).map(|fault| shown(&fault.error));
        out.push(Pair { number: 0, path: path.to_owned(), value: value.clone(), error });
    }
    let typed = |name: &'static str| {
        pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let (mut paths, mut values) = (typed("mk"), typed("mv"));
    loop {
        let (path, value) = (paths.next(), values.next());
        if path.is_none() && value.is_none() {
            break;
        }
        let (path, value) = (path.unwrap_or_default(), value.unwrap_or_default());
        let is_wrong = path.is_empty() != value.is_empty();
        let error = fault.filter(|fault| is_wrong && (fault.field == "mk" || fault.field == "mv"));
        if !path.is_empty() || !value.is_empty() {
            out.push(Pair { number: 0, path, value, error: error.map(|fault| shown(&fault.error)) });
        }
    }
    let wanted = (out.len() + 1).max(PAIRS_MIN);
    out.resize_with(wanted, || Pair { number: 0, path: String::new(), value: String::new(), error: None });
    for (at, pair) in out.iter_mut().enumerate() {
        pair.number = at + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::params::{self, Columns};

    /// Its own text can turn what is said of it.
    #[test]
    fn a_fault_is_shown_as_other_text_is() {
        let pairs = params::decode("q=%E2%80%AElevel%3Ax&t=%E2%80%AEx").unwrap();
        let mut fault = Fault::new("q", "got `\u{202e}level`");
        fault.columns = Some(Columns { start: 1, end: 8 });
        let error = Form::new(&pairs, Some(&fault)).q_error.unwrap();
        assert_eq!((error.text.as_str(), error.pointer), ("got `<U+202E>level`", None));
        let fault = Fault::new("t", "got `\u{202e}x`");
        assert_eq!(Form::new(&pairs, Some(&fault)).t_error.as_deref(), Some("got `<U+202E>x`"));
    }

    #[test]
    fn keeps_what_was_typed() {
        let pairs =
            params::decode("level=WARNING&limit=zero&metadata.a.b=1&metadata.parentResourceId=p").unwrap();
        let fault = Fault::new("limit", "no number");
        let form = Form::new(&pairs, Some(&fault));
        let checked: Vec<&str> =
            form.levels.iter().filter(|level| level.checked).map(|level| level.name).collect();
        assert_eq!(checked, ["warn"]);
        let limit = form.fields.iter().find(|field| field.name == "limit").unwrap();
        assert_eq!((limit.value.as_str(), limit.error.as_deref()), ("zero", Some("no number")));
        let pairs: Vec<(&str, &str)> =
            form.pairs.iter().map(|pair| (pair.path.as_str(), pair.value.as_str())).collect();
        assert_eq!(pairs, [("a.b", "1"), ("", "")]);
        assert_eq!(Form::new(&[], None).pairs.len(), PAIRS_MIN);
    }
}
