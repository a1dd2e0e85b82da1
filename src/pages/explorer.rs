//! The page of a search. In: `GET /`. Out: its records with everything to narrow them; each link is an address with the whole state in it.

use std::time::Instant;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;

use super::{
    answer,
    assets::Assets,
    form::Form,
    links::Links,
    problem::Problem,
    rows::{Extent, RecordView},
    text::{grouped, moment, shown},
};
use crate::{
    record::{Level, Timestamp},
    search::{
        State, answer as api,
        cursor::Cursor,
        error::SearchError,
        find::{self, Found},
        logged,
        params::{self, Fault, Query},
    },
};

#[derive(Template)]
#[template(path = "search.html", blocks = ["title", "content"])]
pub struct SearchPage {
    pub assets: &'static Assets,
    pub title: String,
    pub form: Form,
    pub ranges: Vec<Range>,
    pub pills: Vec<Pill>,
    pub outcome: Outcome,
}

pub enum Outcome {
    Page(Page),
    Problem(Problem),
}

pub struct Page {
    pub rows: Vec<RecordView>,
    pub summary: String,
    pub further: Option<String>,
    pub next: Option<String>,
    pub prev: Option<String>,
    pub empty_heading: &'static str,
    pub empty_text: String,
    /// Where an empty page goes on.
    pub onward: Option<String>,
}

pub struct Range {
    pub label: &'static str,
    pub href: String,
    pub is_current: bool,
}

pub struct Pill {
    pub name: String,
    pub value: String,
    pub href: String,
}

impl SearchPage {
    pub fn new(form: Form, query: Option<&Query>, outcome: Outcome) -> Self {
        let links = query.map_or_else(Links::fresh, Links::new);
        let current = |name: &str| links.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let ranges = [("15 min", "15m"), ("1 h", "1h"), ("24 h", "24h"), ("7 d", "7d"), ("30 d", "30d")];
        let mut ranges: Vec<Range> = ranges
            .into_iter()
            .map(|(label, from)| Range {
                label,
                href: links.with_range(Some(from)),
                is_current: current("from") == Some(from) && current("to").is_none(),
            })
            .collect();
        ranges.push(Range {
            label: "All time",
            href: links.with_range(None),
            is_current: query.is_some() && current("from").is_none() && current("to").is_none(),
        });
        let conditions = links.params.iter().enumerate().filter(|(_, (name, _))| name != "limit");
        let pills: Vec<Pill> = conditions
            .map(|(at, (name, value))| Pill {
                name: name.clone(),
                value: shown(value),
                href: links.without(at),
            })
            .collect();
        let names: Vec<String> =
            pills.iter().take(3).map(|pill| format!("{}: {}", pill.name, pill.value)).collect();
        let title =
            if names.is_empty() { "Logs".to_owned() } else { format!("{} · Logs", names.join(", ")) };
        Self { assets: Assets::get(), title, form, ranges, pills, outcome }
    }
}

impl Page {
    pub fn new(query: &Query, found: &Found) -> Self {
        let links = Links::new(query);
        let cursor = |cursor: Option<Cursor>| cursor.map(|cursor| links.with("cursor", &cursor.write()));
        let stats = &found.stats;
        let next = cursor(found.next.clone());
        let count = found.rows.len();
        let reached = stats.searched_back_to.map(moment);
        let state = match (stats.complete, &reached) {
            (true, _) if next.is_some() => "older rows follow".to_owned(),
            (true, _) => "complete".to_owned(),
            (false, Some(reached)) => format!("time budget used up, searched back to {reached}"),
            (false, None) => "time budget used up".to_owned(),
        };
        let summary = format!(
            "{} {} shown · {} read · {} ms · {state}",
            grouped(count as u64),
            if count == 1 { "row" } else { "rows" },
            grouped(stats.rows_read),
            stats.took.as_millis(),
        );
        let onward = if stats.complete { None } else { next.clone().or_else(|| cursor(found.prev.clone())) };
        let (empty_heading, empty_text) = match (stats.complete, query.params().is_empty()) {
            (true, true) => {
                ("Nothing here yet", "POST records to /public/ingest and they appear here.".to_owned())
            }
            (true, false) => (
                "No record matches",
                "The whole time range was searched. Remove a filter, or widen the range.".to_owned(),
            ),
            (false, _) => (
                "Nothing found so far",
                format!(
                    "The time budget was used up after {} rows{}. Go on from there, or narrow the time range.",
                    grouped(stats.rows_read),
                    reached.map_or(String::new(), |reached| format!(", back to {reached}")),
                ),
            ),
        };
        Self {
            rows: found.rows.iter().map(|row| RecordView::new(row, &links, Extent::Row)).collect(),
            summary,
            further: if count > 0 { onward.clone() } else { None },
            next,
            prev: cursor(found.prev.clone()),
            empty_heading,
            empty_text,
            onward,
        }
    }
}

/// Levels as the form lists them, worst last.
pub fn levels() -> impl Iterator<Item = &'static str> {
    Level::ALL.into_iter().map(Level::name)
}

/// `GET /`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    // 1. What the form sends is written as everybody would write it.
    let typed = params::decode(request.query_string());
    let pairs = typed.as_deref().unwrap_or(&[]);
    let canonical = typed.as_ref().map_err(Fault::clone).and_then(|pairs| params::canonical(pairs));
    if let Ok(Some(query)) = canonical {
        return HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/{query}"))).finish();
    }
    // 2. Read and find.
    let started = Instant::now();
    let query = canonical.and_then(|_| params::read(pairs, Timestamp::now()));
    let found = match &query {
        Ok(query) => find::find(&state, query).await,
        Err(fault) => Err(fault.clone().into()),
    };
    // 3. Show it; what is wrong is shown at the field.
    let answer = match (&query, found) {
        (Ok(query), Ok(found)) => {
            let outcome = Outcome::Page(Page::new(query, &found));
            let page = SearchPage::new(Form::new(pairs, None), Some(query), outcome);
            answer::page(&request, StatusCode::OK, &page)
        }
        (query, Err(error)) => {
            let fault = if let SearchError::Bad(fault) = logged(&error) { Some(fault) } else { None };
            let query = query.as_ref().ok();
            let outcome = Outcome::Problem(Problem::new(&error, query));
            let page = SearchPage::new(Form::new(pairs, fault), query, outcome);
            api::with_retry(answer::page(&request, error.status(), &page), &error)
        }
        (Err(_), Ok(_)) => unreachable!("nothing is found without a query"),
    };
    state.observe(started, answer.status());
    answer
}
