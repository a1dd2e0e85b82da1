//! What a search found, ready to be shown. In: a [`View`] and what was found. Out: rows, the ways on, and what it cost. Pure.

use super::{hints::Hint, view::View};
use crate::{
    pages::{
        line::{Line, List},
        links::name,
        text::{grouped, shown},
        when::{Form, show},
    },
    search::{as_of::AsOf, cursor::Cursor, explain::Explained, expr::Expr, find::Found, params},
};

pub struct Results {
    pub columns: Vec<Column>,
    pub rows: Vec<Line>,
    /// Of when they are.
    pub as_of: String,
    /// What was read.
    pub summary: String,
    /// Where a search goes on whose time was used up.
    pub further: Option<String>,
    pub next: Option<String>,
    pub prev: Option<String>,
    pub empty_heading: &'static str,
    pub empty_text: String,
    /// Why there are none.
    pub hints: Vec<Hint>,
    /// The whole result as a file: format and address.
    pub exports: Vec<(&'static str, String)>,
    /// For forms that change one thing of the page.
    pub hidden: Vec<(String, String)>,
    /// The time zone of the times.
    pub zone: &'static str,
    /// The kinds of messages of the same search.
    pub patterns_href: String,
    /// Shows the SQL, or hides it.
    pub sql_href: String,
    /// Keeps the search under a name.
    pub save_href: String,
    pub explained: Vec<Explained>,
}

/// Rows of one piece of the list, which the browser lays out as a whole: about half of a screen.
const PIECE: usize = 20;

impl Results {
    /// The rows in pieces. While more come, in one, if there are any or not.
    pub fn pieces(&self, is_live: &bool) -> Vec<&[Line]> {
        if *is_live { vec![&self.rows] } else { self.rows.chunks(PIECE).collect() }
    }
}

/// The files of the whole result, as of this answer.
fn exports(view: &View, as_of: &AsOf) -> Vec<(&'static str, String)> {
    let kept = |(name, _): &(String, String)| !["limit", "asOf"].contains(&name.as_str());
    let params: Vec<(String, String)> = view.query.params().into_iter().filter(kept).collect();
    let as_of = as_of.to_string();
    // A CSV has every field of its own; a comma would part the name of another one.
    let columns: Vec<String> = view
        .columns
        .iter()
        .map(name)
        .filter(|name| name.starts_with("metadata.") && !name.contains(','))
        .collect();
    let columns = (!columns.is_empty()).then(|| ("columns", columns.join(",")));
    let address = |format, columns: Option<&(&'static str, String)>| {
        let params = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let more = columns.map(|(name, value)| (*name, value.as_str()));
        let params = params.chain([("asOf", as_of.as_str()), ("format", format)]).chain(more);
        format!("/api/export{}", params::encode(params))
    };
    vec![("NDJSON", address("ndjson", None)), ("CSV", address("csv", columns.as_ref()))]
}

fn patterns_href(view: &View) -> String {
    let params = view.query.params();
    let params = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    format!("/patterns{}", params::encode(params.filter(|(name, _)| *name != "limit" && *name != "asOf")))
}

/// The form that keeps a page under a name.
fn save_href(here: &str) -> String {
    let params = here.split_once('?').map_or("", |(_, params)| params);
    format!("/views{}", params::encode([("params", params)]))
}

pub struct Column {
    pub name: String,
    /// Without the word metadata, which would be all that there is room for.
    pub heading: String,
    /// Takes it away.
    pub href: String,
}

impl Results {
    /// `is_more`: below rows that are there already.
    pub fn new(view: &View, found: Found, is_more: bool) -> Self {
        let links = view.links();
        let cursor = |cursor: Option<Cursor>| cursor.map(|cursor| links.with("cursor", &cursor.write()));
        let stats = &found.stats;
        let next = cursor(found.next.clone());
        let count = found.rows.len();
        let reached = stats.searched_back_to.map(|at| show(at, view.zone, Form::Full));
        let state = match (stats.complete, &reached) {
            (true, _) if next.is_some() => "older rows follow".to_owned(),
            (true, _) => "complete".to_owned(),
            (false, Some(_)) if stats.searched_back_to >= Some(view.query.asked_at) => {
                "time budget used up before anything was read".to_owned()
            }
            (false, Some(reached)) => format!("time budget used up, searched back to {reached}"),
            (false, None) => "time budget used up".to_owned(),
        };
        let summary = format!(
            "{}{} {} shown · {} read · {} ms · {state}",
            grouped(count as u64),
            if is_more { " more" } else { "" },
            if count == 1 { "row" } else { "rows" },
            grouped(stats.rows_read),
            stats.took.as_millis(),
        );
        let onward = if stats.complete { None } else { next.clone().or_else(|| cursor(found.prev.clone())) };
        let filters = view.query.filter.expr() != Expr::everything();
        let has_range = view.query.filter.from.is_some() || view.query.filter.to.is_some();
        let (empty_heading, empty_text) = match (stats.complete, filters, has_range) {
            (true, false, false) => {
                ("Nothing here yet", "POST records to /public/ingest and they appear here.".to_owned())
            }
            (true, true, true) => (
                "No record matches",
                "The whole time range was searched. Remove a filter, or widen the range.".to_owned(),
            ),
            (true, true, false) => {
                ("No record matches", "All records were searched. Remove a filter.".to_owned())
            }
            (true, false, true) => ("No record is of this time", "Widen the range.".to_owned()),
            (false, ..) => (
                "Nothing found so far",
                format!(
                    "The time budget was used up after {} rows{}. Go on from there, or narrow the time range.",
                    grouped(stats.rows_read),
                    reached.map_or(String::new(), |reached| format!(", back to {reached}")),
                ),
            ),
        };
        let list = List { links: &links, columns: &view.columns, zone: view.zone, wraps: view.wraps };
        let column = |field| {
            let name = name(field);
            let heading = shown(name.strip_prefix("metadata.").unwrap_or(&name));
            Column { heading, href: links.without_value("column", &name), name: shown(&name) }
        };
        Self {
            columns: view.columns.iter().map(column).collect(),
            rows: found.rows.iter().map(|row| Line::new(row, &list)).collect(),
            as_of: found.as_of.to_string(),
            summary,
            further: onward,
            next,
            prev: cursor(found.prev.clone().filter(|_| !is_more)),
            empty_heading,
            empty_text,
            hints: Vec::new(),
            exports: exports(view, &found.as_of),
            hidden: links.all(),
            zone: view.zone.name(),
            patterns_href: patterns_href(view),
            sql_href: if found.explain.is_some() { links.here() } else { links.and("explain", "1") },
            save_href: save_href(&links.here()),
            explained: found.explain.unwrap_or_default(),
        }
    }
}
