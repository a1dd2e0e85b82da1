//! The conditions of a search, one by one, each with what can be done to it. In: a [`View`]. Out: pills. Pure.

use super::view::View;
use crate::{
    pages::{links::Links, text::shown},
    search::{
        expr::{Expr, conjuncts, negated},
        filter::Filter,
        grammar,
    },
};

/// A condition that can be edited, inverted, switched off and on again, or removed.
pub struct Pill {
    /// As the query line has it.
    pub text: String,
    /// What the eye reads; the same, without what a terminal would do.
    pub shown: String,
    pub is_on: bool,
    pub is_negative: bool,
    /// Switches it off, or on again.
    pub switch_href: String,
    pub invert_href: String,
    pub remove_href: String,
    /// For the form that puts another condition in its place.
    pub hidden: Vec<(String, String)>,
}

/// The pills of a page: those of the parameters, of the query line, and those that are switched off.
pub fn pills(view: &View) -> Vec<Pill> {
    let links = view.links();
    let filter = &view.query.filter;
    let q = filter.q.clone().unwrap_or_else(Expr::everything);
    let mut pills = Vec::new();
    for (name, condition) in of_params(filter) {
        pills.push(Pill::on(&links, &condition, &q, &[name]));
    }
    let parts = view.parts();
    for (at, part) in parts.iter().enumerate() {
        let others = parts.iter().enumerate().filter(|(other, _)| *other != at);
        let rest = Expr::all(others.map(|(_, part)| (*part).clone()));
        pills.push(Pill::on(&links, part, &rest, &[]));
    }
    pills.extend(view.off.iter().map(|off| Pill::off(&links, off, &q)));
    pills
}

/// Conditions that are parameters of their own, with the name of the parameter.
fn of_params(filter: &Filter) -> Vec<(String, Expr)> {
    let mut names: Vec<String> = filter.params().into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names.retain(|name| !["q", "from", "to"].contains(&name.as_str()));
    let mut seen = Vec::new();
    names.retain(|name| {
        let is_new = !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    names
        .into_iter()
        .map(|name| {
            let alone = filter.alone(&name);
            (name, alone)
        })
        .collect()
}

impl Pill {
    /// One that filters; without it the query line is `rest`, and the parameters of these names are gone.
    fn on(links: &Links, condition: &Expr, rest: &Expr, names: &[String]) -> Self {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = grammar::print(condition);
        let inverted = Expr::all(conjuncts(rest).into_iter().cloned().chain([negated(condition)]));
        Self {
            shown: shown(&text),
            is_on: true,
            is_negative: matches!(condition, Expr::Not(_)),
            switch_href: links.switched(rest, &names, &text),
            invert_href: links.with_line(&inverted, &names),
            remove_href: links.with_line(rest, &names),
            hidden: hidden(links, rest, &names),
            text,
        }
    }

    fn off(links: &Links, condition: &Expr, q: &Expr) -> Self {
        let text = grammar::print(condition);
        let on = Expr::all(conjuncts(q).into_iter().cloned().chain([condition.clone()]));
        let opposite = negated(condition);
        let inverted = Expr::all(conjuncts(q).into_iter().cloned().chain([opposite]));
        Self {
            shown: shown(&text),
            is_on: false,
            is_negative: matches!(condition, Expr::Not(_)),
            switch_href: links.with_line_instead(&on, ("off", &text), &[]),
            invert_href: links.with_line_instead(&inverted, ("off", &text), &[]),
            remove_href: links.without_value("off", &text),
            hidden: {
                let mut hidden = hidden(links, q, &[]);
                hidden.retain(|(name, value)| !(name == "off" && *value == text));
                hidden
            },
            text,
        }
    }
}

fn hidden(links: &Links, q: &Expr, without: &[&str]) -> Vec<(String, String)> {
    let mut hidden = links.hidden(without);
    if *q != Expr::everything() {
        hidden.push(("q".to_owned(), grammar::print(q)));
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pages::when::Zone, record::Timestamp, search::params};

    fn of(text: &str) -> Vec<Pill> {
        pills(&View::read(&params::decode(text).unwrap(), Timestamp(0), Zone::UTC).unwrap())
    }

    #[test]
    fn a_pill_is_switched_inverted_and_removed() {
        let pills = of("q=timeout (a or b) -commit:c&level=error&level=warn&from=1h&off=host:x");
        let texts: Vec<&str> = pills.iter().map(|pill| pill.text.as_str()).collect();
        assert_eq!(texts, ["level:(warn or error)", "timeout", "a or b", "-commit:c", "host:x"]);
        let rest = "from=1h&off=host%3Ax";
        assert_eq!(
            pills[0].invert_href,
            format!(
                "/?{rest}&q=timeout+%28a+or+b%29+-commit%3Ac+level%3A%28trace+or+debug+or+info+or+fatal%29"
            )
        );
        assert_eq!(
            pills[1].switch_href,
            "/?level=warn&level=error&from=1h&off=host%3Ax&off=timeout&q=%28a+or+b%29+-commit%3Ac"
        );
        assert_eq!(
            pills[3].invert_href,
            format!("/?level=warn&level=error&{rest}&q=timeout+%28a+or+b%29+commit%3Ac")
        );
        assert_eq!(
            pills[4].switch_href,
            "/?level=warn&level=error&from=1h&q=timeout+%28a+or+b%29+-commit%3Ac+host%3Ax"
        );
        assert!(pills[3].is_negative && !pills[4].is_on);
        assert_eq!(
            pills[4].remove_href,
            "/?level=warn&level=error&from=1h&q=timeout+%28a+or+b%29+-commit%3Ac"
        );
    }
}
