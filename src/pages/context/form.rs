//! The form of a context. In: parameters as they were typed. Out: its fields, and links that change one thing. Pure.

use crate::{
    pages::{links, text::shown},
    record::Level,
    search::{
        context::{Asked, By, read::SIDE_DEFAULT},
        params::Fault,
    },
};

/// Which records count as neighbours.
pub struct Tab {
    pub label: &'static str,
    pub href: String,
    pub is_current: bool,
}

pub struct Filters {
    pub q: String,
    /// What is wrong with `q`.
    pub error: Option<String>,
    pub levels: Vec<Choice>,
    /// Parameters that have no field of their own; the form sends them as they are.
    pub hidden: Vec<(String, String)>,
    pub pills: Vec<Pill>,
}

pub struct Choice {
    pub name: &'static str,
    pub is_checked: bool,
}

pub struct Pill {
    pub text: String,
    pub href: String,
}

/// Links to the same record among other neighbours, with the same filters.
pub fn tabs(id: &str, asked: Option<&Asked>, has_trace: bool) -> Vec<Tab> {
    let tab = |by: By| {
        let href = match asked {
            Some(asked) => {
                let asked =
                    Asked { by, before: SIDE_DEFAULT, after: SIDE_DEFAULT, query: asked.query.clone() };
                links::context(id, &asked.params())
            }
            None => links::context(id, &[("by".to_owned(), by.name().to_owned())]),
        };
        let label = match by {
            By::Resource => "Same resource",
            By::Trace => "Same trace",
            By::All => "Everything",
        };
        Tab { label, href, is_current: asked.is_some_and(|asked| asked.by == by) }
    };
    By::ALL.into_iter().filter(|by| has_trace || *by != By::Trace).map(tab).collect()
}

impl Filters {
    pub fn new(id: &str, pairs: &[(String, String)], fault: Option<&Fault>) -> Self {
        let given = |name: &str| pairs.iter().find(|(known, _)| known == name);
        let levels: Vec<Level> = pairs
            .iter()
            .filter(|(name, _)| name == "level")
            .filter_map(|(_, value)| Level::parse(value))
            .collect();
        let is_filter = |name: &str| !matches!(name, "q" | "level" | "by" | "before" | "after" | "budget");
        let pill = |(at, (name, value)): (usize, &(String, String))| {
            let mut others = pairs.to_vec();
            others.remove(at);
            Pill { text: format!("{}: {}", shown(name), shown(value)), href: links::context(id, &others) }
        };
        Self {
            q: given("q").map_or_else(String::new, |(_, value)| value.clone()),
            error: fault.filter(|fault| fault.field == "q").map(|fault| fault.error.clone()),
            levels: Level::ALL
                .into_iter()
                .map(|level| Choice { name: level.name(), is_checked: levels.contains(&level) })
                .collect(),
            hidden: pairs.iter().filter(|(name, _)| name != "q" && name != "level").cloned().collect(),
            pills: pairs.iter().enumerate().filter(|(_, (name, _))| is_filter(name)).map(pill).collect(),
        }
    }
}
