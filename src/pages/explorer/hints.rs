//! What may have been meant by a search that found nothing because no record has its fields. In: a [`View`], those fields, and the names
//! that there are. Out: a sentence for each, with searches that say it otherwise. Pure.

use super::view::View;
use crate::{
    pages::text::shown,
    search::{
        complete::items::FIELDS,
        expr::{Expr, Field, Test, negated},
        filter::Match,
        grammar,
    },
};

/// Other names that are offered for one.
const NAMES_MAX: usize = 3;

pub struct Hint {
    pub text: String,
    /// What it says, and where it leads.
    pub instead: Vec<(String, String)>,
}

/// `paths` are in no record of the time range; `known` are paths that are, the most frequent first.
pub fn hints(view: &View, paths: &[String], known: &[&str]) -> Vec<Hint> {
    let links = view.links();
    let hint = |path: &String| {
        let field = Field::Metadata(path.clone());
        let name = grammar::print_name(&field);
        let mut instead = Vec::new();
        if let Some(q) = &view.query.filter.q
            && let Some(test) = test_of(q, path)
        {
            let text = grammar::print(&Expr::Test(test.clone()));
            let mut add = |other: Expr| {
                let words = shown(&grammar::print(&other));
                instead.push((words, links.with_line(&replaced(q, test, &other), &["cursor"])));
            };
            let rest = text.strip_prefix(&name).unwrap_or("");
            similar(path, known)
                .into_iter()
                .filter_map(|other| grammar::parse(&format!("{other}{rest}")).ok())
                .for_each(&mut add);
            if let Test::Is(_, values) = test
                && let [Match::Exact(value)] = values.as_slice()
            {
                add(Expr::Test(Test::Contains(format!("{path}:{value}"))));
            }
        }
        Hint { text: format!("No record of this time range has a value in {}.", shown(&name)), instead }
    };
    paths.iter().map(hint).collect()
}

/// The names that are nearest, as a query line has them: the same in another case, the same below other fields, or a slip or two away.
fn similar(path: &str, known: &[&str]) -> Vec<String> {
    let asked = path.to_lowercase();
    let slips = if asked.chars().count() < 5 { 1 } else { 2 };
    let distance = |name: &str| {
        let name = name.to_lowercase();
        let last = name.rsplit('.').next().unwrap_or(&name);
        match () {
            () if name == asked => Some(0),
            () if last == asked || asked.rsplit('.').next() == Some(name.as_str()) => Some(1),
            () => Some(strsim::osa_distance(&name, &asked)).filter(|distance| *distance <= slips),
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

/// The first test of this path that a hit may have to pass.
fn test_of<'a>(expr: &'a Expr, path: &str) -> Option<&'a Test> {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().find_map(|part| test_of(part, path)),
        Expr::Test(test @ (Test::Is(Field::Metadata(of), _) | Test::Compare { path: of, .. })) => {
            (of == path).then_some(test)
        }
        Expr::Not(_) | Expr::Test(_) => None,
    }
}

/// The tree with another condition in the place of a test.
fn replaced(expr: &Expr, test: &Test, other: &Expr) -> Expr {
    match expr {
        Expr::All(parts) => Expr::all(parts.iter().map(|part| replaced(part, test, other))),
        Expr::Any(parts) => Expr::any(parts.iter().map(|part| replaced(part, test, other))),
        Expr::Not(part) => negated(&replaced(part, test, other)),
        Expr::Test(known) if known == test => other.clone(),
        Expr::Test(_) => expr.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pages::when::Zone, record::Timestamp, search::params};

    #[test]
    fn a_slip_leads_to_what_was_meant() {
        let known = ["path", "http.status", "user.id", "Host"];
        for (line, path, instead) in [
            ("levle:error x", "levle", &["level:error x", "levle:error x"][..]),
            ("levle:(error or fatal)", "levle", &["level>=error"]),
            ("status>499", "status", &["http.status>499"]),
            ("host:a or b", "host", &["Host:a or b", "host:a or b"]),
            ("db01:5432 -x", "db01", &["db01:5432 -x"]),
            ("patch:/a*", "patch", &["path:/a*"]),
        ] {
            let pairs = vec![("q".to_owned(), line.to_owned())];
            let view = View::read(&pairs, Timestamp(0), Zone::UTC).unwrap();
            let hints = hints(&view, &[path.to_owned()], &known);
            assert_eq!(hints.len(), 1, "{line}");
            assert_eq!(hints[0].text, format!("No record of this time range has a value in {path}."));
            let lines: Vec<String> = hints[0]
                .instead
                .iter()
                .map(|(_, href)| {
                    let pairs = params::decode(href.trim_start_matches("/?")).unwrap();
                    grammar::print(&grammar::parse(&pairs[0].1).unwrap()).replace('"', "")
                })
                .collect();
            assert_eq!(lines, instead, "{line}");
        }
    }
}
