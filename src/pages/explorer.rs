//! The page of a search. In: `GET /`. Out: its records, with everything to narrow them; then, as they are counted, a histogram and facets.
//! All of it is seen by one snapshot. Each link is an address with the whole state in it.

pub mod counts;
pub mod facets;
pub mod hints;
pub mod histogram;
pub mod pills;
pub mod results;
pub mod typed;
pub mod view;

use std::{sync::Arc, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;

use self::{
    hints::Hint,
    pills::{Pill, pills},
    results::Results,
    view::View,
};
use super::{
    answer::{self, Parts},
    assets::Assets,
    form::Form,
    links::Links,
    problem::Problem,
    reader,
    when::{self, Span, Zone},
};
use crate::{
    record::Timestamp,
    search::{
        State, answer as api,
        error::SearchError,
        exploration::Exploration,
        history, logged,
        params::{self, Fault},
    },
};

#[derive(Template)]
#[template(path = "explorer.html", blocks = ["title", "content", "more"])]
pub struct ExplorerPage {
    assets: &'static Assets,
    title: String,
    form: Form,
    ranges: Vec<Range>,
    /// The present time range in words.
    range: String,
    pills: Vec<Pill>,
    outcome: Outcome,
    wrap_href: String,
    wraps: bool,
    live_href: String,
    is_live: bool,
}

enum Outcome {
    Results(Box<Results>),
    Problem(Problem),
}

struct Range {
    label: &'static str,
    href: String,
    is_current: bool,
}

/// Where the histogram and the facets come in. Texts of users are escaped, so it stands nowhere else.
const COUNTS: &str = "<!--counts-->";

const RANGES: [(&str, &str); 7] = [
    ("15 min", "15m"),
    ("1 h", "1h"),
    ("4 h", "4h"),
    ("24 h", "24h"),
    ("7 d", "7d"),
    ("30 d", "30d"),
    ("90 d", "90d"),
];

/// `GET /`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    // 1. What a form sends is written as everybody would write it.
    let now = Timestamp::now();
    let zone = reader::zone(&request);
    let typed = params::decode(request.query_string());
    let pairs = typed.as_deref().unwrap_or(&[]);
    let canonical = match &typed {
        Ok(pairs) => typed::canonical(pairs, zone, now),
        Err(fault) => Err(fault.clone()),
    };
    if let Ok(Some(query)) = canonical {
        return HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/{query}"))).finish();
    }
    if canonical.is_err()
        && let Some(query) = typed::without_empty(pairs)
    {
        return HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/{query}"))).finish();
    }
    // 2. Read and find.
    let started = Instant::now();
    let view = canonical.and_then(|_| View::read(pairs, now, zone));
    let found = match &view {
        Ok(view) => Exploration::begin(state.clone(), view.query.clone()).await,
        Err(fault) => Err(fault.clone().into()),
    };
    // 3. Show it, and go on counting; what is wrong is shown at the field.
    let answer = match (view, found) {
        (Ok(view), Ok((found, mut exploration))) => {
            let form = Form::new(pairs, None);
            let is_nowhere = found.rows.is_empty() && found.stats.complete && view.query.cursor.is_none();
            let mut results = Results::new(&view, found, answer::is_partial(&request));
            if is_nowhere {
                results.hints = hints_for(&view, &mut exploration).await;
            }
            let page = ExplorerPage::new(form, Some(&view), Outcome::Results(Box::new(results)));
            if answer::is_partial(&request) {
                exploration.close().await;
                answer::html(&request, StatusCode::OK, page.as_more().render())
            } else {
                if view.query.cursor.is_none()
                    && let Some((_, params)) = view.links().here().split_once('?')
                {
                    history::remember(&state, params);
                }
                counts::stream(&request, page, view, exploration)
            }
        }
        (view, Err(error)) => {
            let fault = if let SearchError::Bad(fault) = logged(&error) { Some(fault) } else { None };
            let here = view.as_ref().ok().map(|view| view.links().here());
            let mut problem = Problem::new(&error, here);
            if fault.is_some() {
                problem.text = "What is wrong with it is said above.".to_owned();
            }
            // What is right stays in sight, and goes on to be asked for.
            let rest = view.ok().or_else(|| without(pairs, fault, now, zone));
            let page = ExplorerPage::new(Form::new(pairs, fault), rest.as_ref(), Outcome::Problem(problem));
            api::with_retry(answer::html(&request, error.status(), page.whole()), &error)
        }
        (Err(_), Ok(_)) => unreachable!("nothing is found without a query"),
    };
    state.observe(started, answer.status());
    answer
}

/// The page of all that was asked for, but for what is wrong; None if that is not all.
fn without(pairs: &[(String, String)], fault: Option<&Fault>, now: Timestamp, zone: Zone) -> Option<View> {
    let is_right =
        |name: &str| fault.is_none_or(|fault| name != fault.field) && name != "t" && name != "also";
    let rest: Vec<_> = pairs.iter().filter(|(name, _)| is_right(name)).cloned().collect();
    View::read(&rest, now, zone).ok()
}

/// Why nothing was found, and what to ask for instead.
async fn hints_for(view: &View, exploration: &mut Exploration) -> Vec<Hint> {
    let why = async {
        let nothing = exploration.why_nothing().await?;
        let needs_names = hints::needs_names(view, &nothing);
        let keys = if needs_names { exploration.known_keys().await? } else { Arc::default() };
        Ok::<_, SearchError>((nothing, keys))
    };
    let (nothing, keys) = why.await.unwrap_or_else(|error| {
        log::debug!("why nothing was found is not known: {}", logged(&error));
        Default::default()
    });
    let known: Vec<&str> = keys.counts.iter().map(|(path, _)| path.as_str()).collect();
    hints::hints(view, &nothing, &known)
}

impl ExplorerPage {
    fn new(form: Form, view: Option<&View>, outcome: Outcome) -> Self {
        let links = view.map_or_else(Links::fresh, View::links);
        let bounds = view.map(|view| (view.query.filter.from, view.query.filter.to));
        let current = bounds.map(|(from, to)| (from.map(|from| from.write()), to.map(|to| to.write())));
        let mut ranges: Vec<Range> = RANGES
            .into_iter()
            .map(|(label, from)| Range {
                label,
                href: links.with_range(Some(from), None),
                is_current: matches!(&current, Some((Some(now), None)) if now == from),
            })
            .collect();
        let is_all = matches!(current, Some((None, None)));
        ranges.push(Range { label: "All time", href: links.with_range(None, None), is_current: is_all });
        let range = view.map_or_else(String::new, |view| {
            let filter = &view.query.filter;
            when::write(Span { from: filter.from, to: filter.to }, view.zone)
        });
        let pills = view.map_or_else(Vec::new, pills);
        let names: Vec<&str> =
            pills.iter().filter(|pill| pill.is_on).take(3).map(|pill| pill.shown.as_str()).collect();
        let title = if names.is_empty() { "Logs".to_owned() } else { format!("{} · Logs", names.join(" ")) };
        let wraps = view.is_some_and(|view| view.wraps);
        let is_live = view.is_some_and(|view| view.is_live);
        Self {
            assets: Assets::get(),
            title,
            form,
            ranges,
            range,
            pills,
            outcome,
            wrap_href: if wraps { links.without("wrap") } else { links.and("wrap", "1") },
            wraps,
            live_href: if is_live { links.here() } else { links.and("live", "1") },
            is_live,
        }
    }
}
