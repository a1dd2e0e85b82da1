//! The page of patterns. In: `GET /patterns` with the parameters of a search. Out: the kinds of its messages, each with links that show only
//! this kind or hide it; every link is an address with the whole state in it.

pub mod kinds;

use std::time::Instant;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;

use self::kinds::PatternView;
use super::{
    answer,
    assets::Assets,
    explorer::typed::set_range,
    links::address,
    problem::Problem,
    reader,
    text::{grouped, shown},
    views::describe::{Condition, conditions},
    when::{self, Form, Span, Zone, show},
};
use crate::{
    record::Timestamp,
    search::{
        State, answer as api,
        error::SearchError,
        logged,
        params::{self, Fault, Query},
        patterns::{
            self, Patterns,
            read::{Asked, Order, Shows},
            since::{Beginning, Since},
        },
    },
};

/// How long the page looks when it is asked to look further.
const BUDGET_FURTHER: &str = "10s";

#[derive(Template)]
#[template(path = "patterns.html", blocks = ["title", "content"])]
pub struct PatternsPage {
    pub assets: &'static Assets,
    pub fields: Vec<FieldView>,
    /// Parameters that the form keeps and does not show.
    pub hidden: Vec<(String, String)>,
    /// The conditions among them.
    pub also: Vec<Condition>,
    pub logs_href: String,
    pub outcome: Outcome,
}

pub enum Outcome {
    Found(Box<FoundView>),
    Problem(Problem),
}

/// A field of the form.
pub struct FieldView {
    pub name: &'static str,
    pub label: String,
    pub placeholder: String,
    /// What is asked for now, if that is not the value.
    pub present: String,
    pub class: &'static str,
    pub value: String,
    pub error: Option<String>,
}

pub struct FoundView {
    pub summary: String,
    /// Where the same is looked for with more time, if that was too short.
    pub further: Option<String>,
    /// What is new: since when, how much.
    pub since: Option<String>,
    pub orders: Vec<LinkView>,
    pub commits: Vec<LinkView>,
    pub patterns: Vec<PatternView>,
    pub rest: Option<String>,
    pub more: Option<String>,
    /// The zone of the times.
    pub zone: &'static str,
}

pub struct LinkView {
    pub label: String,
    pub note: String,
    pub href: String,
    pub is_current: bool,
}

/// Name, label, placeholder, class of the fields of the form.
const FIELDS: [(&str, &str, &str, &str); 3] = [
    ("q", "Query", "level>=warn resourceId:api-* -path:/health", "query"),
    ("t", "Time", "15m, yesterday, 14:00-14:05", ""),
    ("since", "new since", "a commit, or 2h", ""),
];

/// Parameters that choose what is shown, not which records count.
const NO_FILTERS: [&str; 6] = ["order", "limit", "budget", "asOf", "from", "to"];

impl PatternsPage {
    fn new(
        pairs: &[(String, String)],
        asked: Option<&Asked>,
        fault: Option<&Fault>,
        zone: Zone,
        outcome: Outcome,
    ) -> Self {
        let value =
            |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let range = asked.map_or_else(String::new, |asked| {
            let filter = &asked.query.filter;
            when::write(Span { from: filter.from, to: filter.to }, zone)
        });
        let fields = FIELDS.map(|(name, label, placeholder, class)| {
            let present = if name == "t" { range.clone() } else { String::new() };
            let (label, placeholder) = match present.as_str() {
                "" => (label.to_owned(), placeholder.to_owned()),
                present => (format!("{label}: {present}"), present.to_owned()),
            };
            let value = value(name).unwrap_or_default();
            let error = fault.filter(|fault| fault.field == name).map(|fault| shown(&fault.error));
            FieldView { name, label, placeholder, present, class, value, error }
        });
        let is_shown = |name: &str| FIELDS.iter().any(|field| field.0 == name);
        let is_wrong = |name: &str| fault.is_some_and(|fault| fault.field == name);
        let hidden = pairs.iter().filter(|(name, _)| !is_shown(name) && !is_wrong(name) && name != "new");
        let filters = hidden.clone().filter(|(name, _)| !NO_FILTERS.contains(&name.as_str()));
        let filters = params::encode(filters.map(|(name, value)| (name.as_str(), value.as_str())));
        Self {
            assets: Assets::get(),
            fields: fields.into(),
            also: conditions(filters.strip_prefix('?').unwrap_or("")),
            hidden: hidden.cloned().collect(),
            logs_href: asked.map_or_else(|| "/".to_owned(), |asked| search(&asked.query)),
            outcome,
        }
    }
}

/// The address of a search.
fn search(query: &Query) -> String {
    let params = query.params();
    address(params.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// The address of a page of patterns.
fn here(asked: &Asked) -> String {
    with(asked, None)
}

fn with(asked: &Asked, budget: Option<&str>) -> String {
    let params = asked.params();
    let pairs = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    format!("/patterns{}", params::encode(pairs.chain(budget.map(|budget| ("budget", budget)))))
}

impl FoundView {
    fn new(asked: &Asked, found: &Patterns, zone: Zone) -> Self {
        let records = found.total.count;
        let orders = [("by count", Order::Count), ("newest first", Order::First)];
        let orders = orders.map(|(label, order)| LinkView {
            label: label.to_owned(),
            note: String::new(),
            href: here(&Asked { order, ..asked.clone() }),
            is_current: asked.order == order,
        });
        let mut orders: Vec<LinkView> = orders.into();
        if asked.since.is_some() {
            let (label, shows) = match asked.shows {
                Shows::All => ("only new ones", Shows::New),
                Shows::New => ("old ones too", Shows::All),
            };
            let href = here(&Asked { shows, ..asked.clone() });
            orders.push(LinkView { label: label.to_owned(), note: String::new(), href, is_current: false });
        }
        let commits = found.commits.iter().map(|(commit, count)| {
            let since = Some(Since(crate::search::filter::Match::Exact(commit.clone()).write()));
            LinkView {
                label: shown(commit),
                note: plural(*count, "record"),
                is_current: asked.since == since,
                href: here(&Asked { since, ..asked.clone() }),
            }
        });
        let back_to = found.reach.back_to().map(|at| show(at, zone, Form::Full));
        let kinds = plural(found.distinct.count, "pattern");
        let state = match back_to {
            None => "exact".to_owned(),
            Some(back_to) => format!("the newest, searched back to {back_to}"),
        };
        Self {
            zone: zone.name(),
            summary: format!(
                "{kinds} in {} · {} read · {} ms · {state}",
                plural(records, "record"),
                grouped(found.rows_read),
                found.took.as_millis()
            ),
            further: found.reach.back_to().map(|_| with(asked, Some(BUDGET_FURTHER))),
            since: asked.since.as_ref().zip(found.since).map(|(since, begun)| {
                let asked = shown(&since.0);
                match begun.at {
                    Beginning::NeverSeen => {
                        format!("No record has the commit {asked}, so nothing is told of what is new.")
                    }
                    Beginning::Unknown => {
                        format!("The time did not suffice to find the first record of {asked}.")
                    }
                    Beginning::At(at) => {
                        let unknown = match begun.unknown {
                            0 => String::new(),
                            unknown => format!("; of {unknown} the time did not suffice to tell"),
                        };
                        format!(
                            "{} new since {asked} ({}), of what this search finds{unknown}.",
                            begun.new,
                            show(at, zone, Form::Full)
                        )
                    }
                }
            }),
            orders,
            commits: commits.collect(),
            patterns: found
                .patterns
                .iter()
                .map(|pattern| PatternView::new(pattern, asked, records, zone))
                .collect(),
            rest: (found.other > 0).then(|| {
                format!(
                    "{} of rarer kinds were met when there was no more memory for kinds.",
                    plural(found.other, "record")
                )
            }),
            more: (found.more.patterns > 0).then(|| {
                format!(
                    "{} more, with {}.",
                    plural(found.more.patterns as u64, "pattern"),
                    plural(found.more.records, "record")
                )
            }),
        }
    }
}

fn plural(count: u64, word: &str) -> String {
    format!("{} {word}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// No empty fields, and the time range as ages or moments; None if it is so already.
fn canonical(pairs: &[(String, String)], zone: Zone, now: Timestamp) -> Result<Option<String>, Fault> {
    let mut written: Vec<_> = pairs.iter().filter(|(_, value)| !value.trim().is_empty()).cloned().collect();
    if let Some(at) = written.iter().position(|(name, _)| name == "t") {
        let (_, t) = written.remove(at);
        set_range(&mut written, &t, zone, now)?;
    } else if written.len() == pairs.len() {
        return Ok(None);
    }
    let query = params::encode(written.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Ok(Some(query))
}

/// `GET /patterns`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let typed = params::decode(request.query_string());
    let pairs = typed.as_deref().unwrap_or(&[]);
    // 1. What the form sends is written as everybody would write it.
    let (now, zone) = (Timestamp::now(), reader::zone(&request));
    let canonical = canonical(pairs, zone, now);
    if let Ok(Some(query)) = canonical {
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, format!("/patterns{query}")))
            .finish();
    }
    // 2. Read and find.
    let asked = canonical.and_then(|_| typed.clone()).and_then(|pairs| Asked::read(pairs, now));
    let found = match &asked {
        Ok(asked) => patterns::find(&state, asked).await,
        Err(fault) => Err(fault.clone().into()),
    };
    // 3. Show it; what is wrong is shown at the field.
    let asked = asked.ok();
    let answer = match (&asked, found) {
        (Some(asked), Ok(found)) => {
            let outcome = Outcome::Found(Box::new(FoundView::new(asked, &found, zone)));
            answer::page(
                &request,
                StatusCode::OK,
                &PatternsPage::new(pairs, Some(asked), None, zone, outcome),
            )
        }
        (asked, Err(error)) => {
            let fault = if let SearchError::Bad(fault) = logged(&error) { Some(fault) } else { None };
            let mut problem = Problem::new(&error, None);
            problem.retry = asked.as_ref().filter(|_| fault.is_none()).map(here);
            let page = PatternsPage::new(pairs, asked.as_ref(), fault, zone, Outcome::Problem(problem));
            api::with_retry(answer::page(&request, error.status(), &page), &error)
        }
        (None, Ok(_)) => unreachable!("nothing is found without a question"),
    };
    state.observe(started, answer.status());
    answer
}
