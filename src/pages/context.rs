//! The page of what is around a record. In: `GET /logs/{id}/context`. Out: the lines before it, itself, and the lines after it, oldest
//! first as in a log file. What counts as a neighbour, filters and how many lines stand in the address; so each link is one more step.

pub mod form;
pub mod lines;

use std::time::Instant;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;

use self::{
    form::{Filters, Tab, tabs},
    lines::{Ending, Lines},
};
use super::{
    answer::{self, reads_html},
    assets::Assets,
    links,
    problem::Problem,
    reader,
    when::Zone,
};
use crate::{
    record::{RecordId, Timestamp},
    search::{
        State,
        answer::with_retry,
        asked_id,
        context::{self, Asked, Context, read},
        error::SearchError,
        logged,
        params::{self, Fault},
    },
};

#[derive(Template)]
#[template(path = "context.html", blocks = ["title", "content"])]
pub struct ContextPage {
    pub assets: &'static Assets,
    id: String,
    json_href: String,
    tabs: Vec<Tab>,
    filters: Filters,
    outcome: Outcome,
}

enum Outcome {
    Lines(Box<Lines>),
    Problem(Problem),
}

/// `GET /logs/{id}/context`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let answer = match asked_id(&request) {
        Ok(id) => of_record(&request, &state, id).await,
        Err(error) => answer::search_problem(&request, &error),
    };
    state.observe(started, answer.status());
    answer
}

async fn of_record(request: &HttpRequest, state: &State, id: RecordId) -> HttpResponse {
    // 1. What the form sends is written as everybody would write it.
    let typed = params::decode(request.query_string());
    let pairs = typed.clone().unwrap_or_default();
    let canonical = typed.and_then(|pairs| params::canonical(&pairs));
    if let Ok(Some(query)) = canonical {
        let address = format!("{}{query}", links::context(&id.0.to_string(), &[]));
        return HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish();
    }
    // 2. Read and find.
    let asked = canonical.and_then(|_| read::read(pairs.clone(), Timestamp::now()));
    let found = match &asked {
        Ok(asked) => context::find(state, id, asked).await,
        Err(fault) => Err(fault.clone().into()),
    };
    // 3. Show it; what is wrong with the parameters is shown beside the form.
    match (&asked, found) {
        (Ok(asked), Ok(context)) => answer::page(
            request,
            StatusCode::OK,
            &ContextPage::new(asked, &pairs, &context, reader::zone(request)),
        ),
        (asked, Err(error @ SearchError::Bad(_))) if reads_html(request) => {
            let page = ContextPage::faulty(id, asked.as_ref().ok(), &pairs, logged(&error));
            with_retry(answer::page(request, error.status(), &page), &error)
        }
        (_, Err(error)) => answer::search_problem(request, logged(&error)),
        (Err(_), Ok(_)) => unreachable!("nothing is found without parameters"),
    }
}

impl ContextPage {
    fn new(asked: &Asked, pairs: &[(String, String)], context: &Context, zone: Zone) -> Self {
        let id = context.record.id.to_string();
        Self {
            assets: Assets::get(),
            json_href: links::api_context(&id, &asked.params()),
            tabs: tabs(&id, Some(asked), context.record.trace_id.is_some()),
            filters: Filters::new(&id, pairs, None),
            outcome: Outcome::Lines(Box::new(Lines::new(asked, context, zone))),
            id,
        }
    }

    fn faulty(id: RecordId, asked: Option<&Asked>, pairs: &[(String, String)], error: &SearchError) -> Self {
        let fault: Option<&Fault> = if let SearchError::Bad(fault) = error { Some(fault) } else { None };
        let id = id.0.to_string();
        Self {
            assets: Assets::get(),
            json_href: links::api_context(&id, &[]),
            tabs: tabs(&id, asked, true),
            filters: Filters::new(&id, pairs, fault),
            outcome: Outcome::Problem(Problem::new(error, None)),
            id,
        }
    }
}
