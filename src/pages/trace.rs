//! The page of a trace, made of nothing but its records. In: `GET /traces/{traceId}`. Out: a waterfall of spans with their records below
//! them (`?view=spans`), or all records in one list (`?view=logs`). Every record is on the page, whatever is folded, but in a large trace those
//! of folded spans are in the list alone.

pub mod axis;
pub mod lanes;
pub mod waterfall;

use std::{collections::HashMap, io, time::Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use self::{
    axis::{Axis, Mark, lasting},
    lanes::Lanes,
    waterfall::{Item, Waterfall, items},
};
use super::{
    answer,
    assets::Assets,
    entry::Entry,
    links::{self, Links},
    pieces::{self, Pieces},
    problem::{Problem, ProblemPage},
    reader,
    text::{grouped, shown},
    when::{Form, Zone, show},
};
use crate::search::{
    State,
    count::Levels,
    expr::Field,
    logged,
    params::{Fault, take_one},
    row::Row,
    trace::{
        Beginning, Reach, Trace, asked_id, begin,
        tree::{Extent, Span, grow},
    },
};

/// Resources that are named; the others are counted.
const RESOURCES_MAX: usize = 24;
/// Records in a piece of the list by time.
const PIECE: usize = 250;
/// Up to `+59 min 59 s` stand under each other.
const AFTER_CHARS: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Spans,
    Logs,
}

/// Where what is in the trace comes in. Texts of users are escaped, so it stands nowhere else.
const TRACE: &str = "<!--trace-->";

/// What is around it.
#[derive(Template)]
#[template(path = "trace.html", blocks = ["title"])]
struct Frame {
    assets: &'static Assets,
    id: String,
}

#[derive(Template)]
#[template(path = "trace_content.html")]
pub struct TracePage {
    id: String,
    lasted: String,
    /// Before every number, if there is more of the trace.
    at_least: &'static str,
    spans_count: String,
    logs_count: String,
    from: String,
    to: String,
    /// The zone of the times.
    zone: &'static str,
    levels: Vec<Counted>,
    resources: Vec<Counted>,
    resources_rest: usize,
    /// What is missing, and where it is.
    rest: Option<Rest>,
    spans_href: String,
    logs_href: String,
    search_href: String,
    json_href: String,
    body: Body,
}

enum Body {
    Spans {
        marks: Vec<Mark>,
        items: Vec<Item>,
    },
    /// In pieces that are laid out one by one.
    Logs(Vec<Vec<Entry>>),
}

struct Counted {
    name: String,
    lane: usize,
    count: String,
    href: String,
}

struct Rest {
    text: String,
    href: String,
}

/// `GET /traces/{traceId}`, and `GET /traces?traceId=`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let begun = async {
        let (id, others) = asked_id(&request)?;
        let view = View::read(others)?;
        Ok((begin(&state, &id).await?, shown(&id), view))
    };
    let answer = match begun.await {
        Ok((beginning, id, view)) => {
            let (pieces, answer) = pieces::open(&request);
            let frame = Frame { assets: Assets::get(), id };
            let zone = reader::zone(&request);
            let is_partial = answer::is_partial(&request);
            let state = state.clone();
            actix_web::rt::spawn(async move {
                tokio::select! {
                    () = pieces.reader_left() => {}
                    shown = frame.show(beginning, view, zone, is_partial, &state, pieces) => {
                        if let Err(error) = shown {
                            log::debug!("a trace was not shown to its end: {error}");
                        }
                    }
                }
            });
            answer
        }
        Err(error) => answer::search_problem(&request, logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

impl Frame {
    /// Sends the head, so that the browser can prepare, while the trace is read; then what is in it.
    async fn show(
        self,
        beginning: Beginning,
        view: View,
        zone: Zone,
        is_partial: bool,
        state: &State,
        mut pieces: Pieces,
    ) -> io::Result<()> {
        let html =
            if is_partial { self.as_title().render() } else { self.render() }.map_err(io::Error::other)?;
        let (head, end) = html.split_once(TRACE).unwrap_or((&html, ""));
        let end = end.to_owned();
        pieces.add(head)?;
        pieces.send()?;
        let trace = beginning.rest(state).await;
        // Ten thousand records take a while: a thread of its own, so that nobody else of this worker waits for them.
        let written = web::block(move || {
            match trace {
                Ok(trace) => TracePage::new(&trace, view, zone).render_into(&mut pieces),
                Err(error) => {
                    let Problem { heading, text, .. } = Problem::new(logged(&error), None);
                    ProblemPage::from((heading, text.as_str())).as_content().render_into(&mut pieces)
                }
            }
            .map_err(io::Error::other)?;
            pieces.add(&end)?;
            pieces.end()
        });
        written.await.map_err(io::Error::other)?
    }
}

impl View {
    fn read(mut pairs: Vec<(String, String)>) -> Result<Self, Fault> {
        let view = take_one(&mut pairs, "view")?;
        if let Some((name, _)) = pairs.first() {
            return Err(Fault::unknown(name, &["view"]));
        }
        match view.as_deref() {
            None | Some("spans") => Ok(Self::Spans),
            Some("logs") => Ok(Self::Logs),
            Some(other) => Err(Fault::needed("view", "spans or logs", other)),
        }
    }
}

impl TracePage {
    fn new(trace: &Trace, view: View, zone: Zone) -> Self {
        let lines = trace.lines();
        let spans = grow(&lines);
        let here = Links::to(links::is(&Field::TraceId, &trace.id));
        let whole = whole(&spans);
        let axis = Axis::new(whole);
        let busiest = busiest(trace);
        let lanes = Lanes::new(busiest.iter().map(|(name, _)| *name));
        let at_least = if trace.reach == Reach::Whole { "" } else { "≥ " };
        Self {
            id: shown(&trace.id),
            lasted: lasting(whole.to.0 - whole.from.0),
            at_least,
            spans_count: grouped(spans.len() as u64),
            logs_count: grouped(trace.rows.len() as u64),
            from: show(whole.from, zone, Form::Full),
            to: show(whole.to, zone, Form::Full),
            levels: levels(trace, &here),
            resources: resources(&busiest, &lanes, &here),
            resources_rest: busiest.len().saturating_sub(RESOURCES_MAX),
            zone: zone.name(),
            rest: rest(trace, &here, zone),
            spans_href: links::trace(&trace.id),
            logs_href: links::trace_with(&trace.id, &[("view", "logs")]),
            search_href: here.here(),
            json_href: format!("/api{}", links::trace(&trace.id)),
            body: match view {
                View::Spans => {
                    let waterfall = Waterfall { trace, axis: &axis, lanes: &lanes, zone };
                    Body::Spans { marks: axis.marks(), items: items(&waterfall, &spans) }
                }
                View::Logs => Body::Logs(timed(trace, &axis, zone)),
            },
        }
    }
}

/// From the beginning of the first bar to the end of the last one.
fn whole(spans: &[Span<'_>]) -> Extent {
    let from = spans.iter().map(|span| span.whole.from).min();
    let to = spans.iter().map(|span| span.whole.to).max();
    let (from, to) = from.zip(to).expect("a trace has records");
    Extent { from, to }
}

fn levels(trace: &Trace, here: &Links) -> Vec<Counted> {
    let mut levels = Levels::default();
    for row in &trace.rows {
        levels.add(row.level, 1);
    }
    let mut counted: Vec<Counted> = levels
        .iter()
        .map(|(level, count)| Counted {
            name: level.name().to_owned(),
            lane: 0,
            count: grouped(count),
            href: here.with("level", level.name()),
        })
        .collect();
    counted.reverse();
    counted
}

/// The resources with their numbers of records, those with most first.
fn busiest(trace: &Trace) -> Vec<(&str, u64)> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for row in &trace.rows {
        *counts.entry(&row.resource_id).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    counts
}

fn resources(busiest: &[(&str, u64)], lanes: &Lanes<'_>, here: &Links) -> Vec<Counted> {
    let counted = busiest.iter().take(RESOURCES_MAX).map(|(name, count)| Counted {
        name: shown(name),
        lane: lanes.of(Some(name)),
        count: grouped(*count),
        href: here.with_value("resourceId", name),
    });
    counted.collect()
}

fn rest(trace: &Trace, here: &Links, zone: Zone) -> Option<Rest> {
    let count = grouped(trace.rows.len() as u64);
    let (cursor, text) = match &trace.reach {
        Reach::Whole => return None,
        Reach::Limit(cursor) => (cursor, format!("These are the first {count} logs of more.")),
        Reach::OutOfTime(cursor) => {
            let reached = show(cursor.position.timestamp, zone, Form::Full);
            (cursor, format!("The time was up at {count} logs, searched up to {reached}."))
        }
    };
    Some(Rest { text, href: here.with("cursor", &cursor.write()) })
}

/// Each with how long after the beginning it came.
fn timed(trace: &Trace, axis: &Axis, zone: Zone) -> Vec<Vec<Entry>> {
    let timed = |row: &Row| {
        let entry = Entry::new(row, zone);
        let after = format!("+{}", lasting(axis.after(row.timestamp)));
        Entry { time: format!("{after:>AFTER_CHARS$}  {}", entry.time), ..entry }
    };
    trace.rows.chunks(PIECE).map(|piece| piece.iter().map(timed).collect()).collect()
}
