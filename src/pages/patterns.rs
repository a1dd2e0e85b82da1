//! The page of patterns. In: `GET /patterns` with the parameters of a search. Out: the kinds of its messages, each with links that show only
//! this kind or hide it; every link is an address with the whole state in it.

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
    links::address,
    problem::Problem,
    text::{grouped, moment, shown},
};
use crate::{
    record::{Level, Timestamp},
    search::{
        State, answer as api,
        count::Levels,
        error::SearchError,
        expr::Expr,
        logged,
        params::{self, Fault, Query},
        patterns::{
            self, Pattern, Patterns, filter,
            mask::Mask,
            read::{Asked, Order, Shows},
            since::{Age, Beginning, Since},
            template::{self, Piece},
        },
    },
};

/// Width of a bar of levels.
const BAR_WIDTH: u64 = 72;
/// How long the page looks when it is asked to look further.
const BUDGET_FURTHER: &str = "10s";

#[derive(Template)]
#[template(path = "patterns.html", blocks = ["title", "content"])]
pub struct PatternsPage {
    pub assets: &'static Assets,
    pub fields: Vec<FieldView>,
    /// Parameters that the form keeps and does not show.
    pub hidden: Vec<(String, String)>,
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
    pub label: &'static str,
    pub placeholder: &'static str,
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
}

pub struct LinkView {
    pub label: String,
    pub note: String,
    pub href: String,
    pub is_current: bool,
}

pub struct PatternView {
    pub id: String,
    pub pieces: Vec<PieceView>,
    pub is_open: bool,
    pub is_empty: bool,
    pub badge: Option<&'static str>,
    pub count: String,
    pub share: String,
    pub bar: Vec<BarView>,
    pub levels: String,
    pub first: MomentView,
    pub last: MomentView,
    pub example: String,
    pub only: Option<String>,
    pub hide: Option<String>,
}

pub struct PieceView {
    pub text: String,
    pub is_mask: bool,
}

/// A part of the bar of levels.
pub struct BarView {
    pub level: &'static str,
    pub x: String,
    pub width: String,
}

pub struct MomentView {
    pub datetime: String,
    pub shown: String,
}

/// Name, label, placeholder, class of the fields of the form.
const FIELDS: [(&str, &str, &str, &str); 4] = [
    ("q", "Query", "level>=warn resourceId:api-* -path:/health", "query"),
    ("from", "from", "24h, or a moment", ""),
    ("to", "to", "15m, or a moment", ""),
    ("since", "new since", "a commit, or 2h", ""),
];

impl PatternsPage {
    fn new(
        pairs: &[(String, String)],
        asked: Option<&Asked>,
        fault: Option<&Fault>,
        outcome: Outcome,
    ) -> Self {
        let value =
            |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let fields = FIELDS.map(|(name, label, placeholder, class)| FieldView {
            name,
            label,
            placeholder,
            class,
            value: value(name).unwrap_or_default(),
            error: fault.filter(|fault| fault.field == name).map(|fault| fault.error.clone()),
        });
        let is_shown = |name: &str| FIELDS.iter().any(|field| field.0 == name);
        let is_wrong = |name: &str| fault.is_some_and(|fault| fault.field == name);
        let hidden = pairs.iter().filter(|(name, _)| !is_shown(name) && !is_wrong(name) && name != "new");
        Self {
            assets: Assets::get(),
            fields: fields.into(),
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
    fn new(asked: &Asked, found: &Patterns) -> Self {
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
                note: grouped(*count),
                is_current: asked.since == since,
                href: here(&Asked { since, ..asked.clone() }),
            }
        });
        let back_to = found.reach.back_to().map(moment);
        let kinds = plural(found.distinct.count, "pattern");
        let state = match back_to {
            None => "exact".to_owned(),
            Some(back_to) => format!("the newest, searched back to {back_to}"),
        };
        Self {
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
                        format!("{} new since {asked} ({}){unknown}.", begun.new, moment(at))
                    }
                }
            }),
            orders,
            commits: commits.collect(),
            patterns: found
                .patterns
                .iter()
                .map(|pattern| PatternView::new(pattern, asked, records))
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

impl PatternView {
    fn new(pattern: &Pattern, asked: &Asked, records: u64) -> Self {
        let Pattern { template, kind, age } = pattern;
        let count = kind.count();
        let query = &asked.query;
        let narrowed = |q: Option<Expr>| {
            let mut query = query.clone();
            query.filter.q = Some(q?);
            Some(search(&query))
        };
        let q = query.filter.q.as_ref();
        Self {
            id: template.id(),
            pieces: template.pieces().filter_map(PieceView::new).collect(),
            is_open: template.end == template::End::Open,
            is_empty: template.text().trim().is_empty(),
            badge: age.and_then(|age| match age {
                Age::New => Some("new"),
                Age::Unknown => Some("new?"),
                Age::Old => None,
            }),
            count: grouped(count),
            share: share(count, records),
            bar: bar(&kind.levels),
            levels: kind
                .levels
                .iter()
                .map(|(level, records)| format!("{level} {}", grouped(records)))
                .collect::<Vec<_>>()
                .join(", "),
            first: MomentView::new(kind.first),
            last: MomentView::new(kind.last),
            example: format!("/logs/{}", kind.example),
            only: narrowed(filter::only(q, template)),
            hide: narrowed(filter::hide(q, template)),
        }
    }
}

impl PieceView {
    fn new(piece: Piece<'_>) -> Option<Self> {
        match piece {
            Piece::Mask(Mask::Colour) => None,
            Piece::Mask(mask) => {
                let name = mask.placeholder().trim_matches(['<', '>']);
                Some(Self { text: name.to_owned(), is_mask: true })
            }
            Piece::Text(text) => Some(Self { text: shown(text), is_mask: false }),
        }
    }
}

impl MomentView {
    fn new(at: Timestamp) -> Self {
        let shown = at.datetime().format("%Y-%m-%d %H:%M:%S").to_string();
        Self { datetime: at.to_string(), shown }
    }
}

/// A part of all records; never 0 % of what there is, nor 100 % of what is not all.
fn share(count: u64, records: u64) -> String {
    let percent = count as f64 / records.max(1) as f64 * 100.0;
    match percent {
        _ if count == records => "100 %".to_owned(),
        percent if percent < 0.1 => "< 0.1 %".to_owned(),
        percent => format!("{:.1} %", percent.min(99.9)),
    }
}

/// The levels side by side, the worst first; each that there is can be seen.
fn bar(levels: &Levels) -> Vec<BarView> {
    let sum = levels.sum().max(1) as f64;
    let present: Vec<(Level, u64)> = levels.iter().collect();
    let room = (BAR_WIDTH - present.len() as u64) as f64;
    let mut x = 0.0;
    let parts = present.into_iter().rev().map(|(level, records)| {
        let width = 1.0 + records as f64 / sum * room;
        let part = BarView { level: level.name(), x: format!("{x:.1}"), width: format!("{width:.1}") };
        x += width;
        part
    });
    parts.collect()
}

/// `GET /patterns`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let typed = params::decode(request.query_string());
    let pairs = typed.as_deref().unwrap_or(&[]);
    // 1. What the form sends is written without its empty fields.
    if pairs.iter().any(|(_, value)| value.is_empty()) {
        let given = pairs.iter().filter(|(_, value)| !value.is_empty());
        let query = params::encode(given.map(|(name, value)| (name.as_str(), value.as_str())));
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, format!("/patterns{query}")))
            .finish();
    }
    // 2. Read and find.
    let asked = typed.clone().and_then(|pairs| Asked::read(pairs, Timestamp::now()));
    let found = match &asked {
        Ok(asked) => patterns::find(&state, asked).await,
        Err(fault) => Err(fault.clone().into()),
    };
    // 3. Show it; what is wrong is shown at the field.
    let asked = asked.ok();
    let answer = match (&asked, found) {
        (Some(asked), Ok(found)) => {
            let outcome = Outcome::Found(Box::new(FoundView::new(asked, &found)));
            answer::page(&request, StatusCode::OK, &PatternsPage::new(pairs, Some(asked), None, outcome))
        }
        (asked, Err(error)) => {
            let fault = if let SearchError::Bad(fault) = logged(&error) { Some(fault) } else { None };
            let mut problem = Problem::new(&error, None);
            problem.retry = asked.as_ref().filter(|_| fault.is_none()).map(here);
            let page = PatternsPage::new(pairs, asked.as_ref(), fault, Outcome::Problem(problem));
            api::with_retry(answer::page(&request, error.status(), &page), &error)
        }
        (None, Ok(_)) => unreachable!("nothing is found without a question"),
    };
    state.observe(started, answer.status());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_rounded_to_nothing_or_to_all() {
        for (count, of, text) in [
            (0, 0, "100 %"),
            (1, 1, "100 %"),
            (1, 3, "33.3 %"),
            (1, 100_000, "< 0.1 %"),
            (99_999, 100_000, "99.9 %"),
        ] {
            assert_eq!(share(count, of), text);
        }
    }

    #[test]
    fn a_bar_shows_each_level_and_fills_its_width() {
        let mut levels = Levels::default();
        levels.add(Level::Info, 100_000);
        levels.add(Level::Fatal, 1);
        let parts = bar(&levels);
        assert_eq!((parts[0].level, parts[0].x.as_str(), parts[0].width.as_str()), ("fatal", "0.0", "1.0"));
        assert_eq!((parts[1].level, parts[1].x.as_str(), parts[1].width.as_str()), ("info", "1.0", "71.0"));
        assert!(bar(&Levels::default()).is_empty());
    }
}
