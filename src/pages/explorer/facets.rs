//! Facets as the page shows them. In: counted values. Out: values with their share and what can be done with each. Pure.

use super::view::{COLUMNS_MAX, View};
use crate::{
    pages::{
        links::{Links, field, is_level, name},
        text::{count, shown, shown_name},
        when::{Form, show},
    },
    record::Level,
    search::{
        count::{
            Is,
            facets::{Facet, Facets, Values},
        },
        expr::{Field, negated},
    },
};

/// Values of a facet that are in sight.
const VALUES_MAX: usize = 8;
/// Paths of metadata that are in sight.
const KEYS_SHOWN_MAX: usize = 12;
/// Values that are listed, and paths of metadata.
pub const KEYS_MAX: usize = 40;

pub struct FacetList {
    pub facets: Vec<FacetView>,
    /// Metadata paths that occur.
    pub keys: Vec<Key>,
    /// Those of them that are listed on demand.
    pub rarer_keys: Vec<Key>,
    /// What is not exact, and why.
    pub note: Option<String>,
}

pub struct FacetView {
    pub name: String,
    pub values: Vec<ValueView>,
    /// `12 more values`.
    pub more: Option<String>,
    /// Those of them that are listed on demand.
    pub rest: Vec<ValueView>,
    /// How many are not.
    pub rarer: Option<String>,
    /// Takes the facet away, if it was opened by hand.
    pub close: Option<String>,
    /// Shows the field as a column.
    pub column: Option<String>,
}

pub struct ValueView {
    pub text: String,
    pub count: String,
    /// Percent of the most frequent one.
    pub share: String,
    pub class: &'static str,
    pub only: String,
    pub not: String,
}

pub struct Key {
    pub name: String,
    pub count: String,
    pub href: String,
    pub is_open: bool,
}

/// What is counted for a page.
pub fn wanted(view: &View) -> Vec<Facet> {
    let fields = [Field::ResourceId, Field::Commit].into_iter().chain(view.facets.iter().cloned());
    let mut wanted = vec![Facet::Level];
    for field in fields.map(Facet::Field).chain([Facet::Keys]) {
        if !wanted.contains(&field) {
            wanted.push(field);
        }
    }
    wanted
}

impl FacetList {
    pub fn new(view: &View, facets: &Facets) -> Self {
        let links = view.links();
        let mut list = Self {
            facets: Vec::new(),
            keys: Vec::new(),
            rarer_keys: Vec::new(),
            note: facets.searched_back_to.map(|at| {
                format!("≥: all records back to {}, and some before", show(at, view.zone, Form::Full))
            }),
        };
        for (facet, values) in &facets.facets {
            match facet {
                Facet::Keys => {
                    list.keys = keys(view, &links, values);
                    list.rarer_keys = list.keys.split_off(list.keys.len().min(KEYS_SHOWN_MAX));
                }
                Facet::Level if values.top.is_empty() => {}
                Facet::Level => list.facets.push(FacetView::levels(&links, values)),
                Facet::Field(field) if !values.top.is_empty() || view.facets.contains(field) => {
                    list.facets.push(FacetView::new(view, &links, field, values));
                }
                Facet::Field(_) => {}
            }
        }
        list
    }
}

impl FacetView {
    fn new(view: &View, links: &Links, field: &Field, values: &Values) -> Self {
        let name = name(field);
        let max = values.top.first().map_or(1, |(_, count)| (*count).max(1));
        let mut listed = values.top.iter().map(|(value, number)| ValueView {
            text: if value.is_empty() { "(empty)".to_owned() } else { shown(value) },
            count: count(*number, values.is),
            share: share(*number, max),
            class: "",
            only: links.only_value(field, value),
            not: links.not_value(field, value),
        });
        let in_sight: Vec<ValueView> = listed.by_ref().take(VALUES_MAX).collect();
        let beyond = |listed: usize| values.distinct.count.saturating_sub(listed as u64);
        let (more, rarer) = (beyond(VALUES_MAX), beyond(values.top.len().max(VALUES_MAX)));
        let is_column = view.columns.contains(field);
        let can_be_column = !is_column && view.columns.len() < COLUMNS_MAX && *field != Field::ResourceId;
        Self {
            values: in_sight,
            more: if values.top.is_empty() && values.is == Is::AtLeast {
                Some("not counted in the time".to_owned())
            } else {
                (more > 0 || values.other > 0 && values.top.is_empty()).then(|| {
                    format!(
                        "{} more {}",
                        count(more, values.distinct.is),
                        if more == 1 { "value" } else { "values" }
                    )
                })
            },
            rest: listed.collect(),
            rarer: (rarer > 0)
                .then(|| format!("{} rarer ones are not listed", count(rarer, values.distinct.is))),
            close: view.facets.contains(field).then(|| links.without_value("facet", &name)),
            column: can_be_column.then(|| links.and("column", &name)),
            name: shown_name(&name),
        }
    }

    fn levels(links: &Links, values: &Values) -> Self {
        let max = values.top.first().map_or(1, |(_, count)| (*count).max(1));
        let mut top = values.top.clone();
        top.sort_by_key(|(value, _)| std::cmp::Reverse(Level::parse(value)));
        let listed = top.iter().filter_map(|(value, number)| {
            let level = Level::parse(value)?;
            let only = is_level(level);
            Some(ValueView {
                text: value.clone(),
                count: count(*number, values.is),
                share: share(*number, max),
                class: level.name(),
                only: links.only(&only),
                not: links.only(&negated(&only)),
            })
        });
        Self {
            name: "level".to_owned(),
            values: listed.collect(),
            more: None,
            rest: Vec::new(),
            rarer: None,
            close: None,
            column: None,
        }
    }
}

fn keys(view: &View, links: &Links, values: &Values) -> Vec<Key> {
    let path = |path: &str| format!("metadata.{path}");
    let key = |(value, number): &(String, u64)| {
        let name = path(value);
        let is_open = field(&name).is_some_and(|field| view.facets.contains(&field));
        Key {
            href: if is_open { links.without_value("facet", &name) } else { links.and("facet", &name) },
            name: shown_name(value),
            count: count(*number, values.is),
            is_open,
        }
    };
    // The empty path has no name to ask for it.
    values.top.iter().filter(|(path, _)| !path.is_empty()).map(key).collect()
}

fn share(number: u64, max: u64) -> String {
    format!("{:.1}%", (number as f64 * 100.0 / max as f64).max(1.0))
}
