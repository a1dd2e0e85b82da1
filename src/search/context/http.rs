//! A context as JSON. In: `GET /api/logs/{id}/context`. Out: the records before, the record, the records after, oldest first.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{Context, Side, find, read};
use crate::{
    record::Timestamp,
    search::{State, answer, asked_id, logged, params, row::Row},
};

pub(in crate::search) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/api/logs/{id}/context")
            .route(web::get().to(context_json))
            .route(web::head().to(context_json)),
    );
}

/// Reply of `GET /api/logs/{id}/context`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContextReply<'a> {
    before: &'a [Row],
    record: &'a Row,
    after: &'a [Row],
    more_before: bool,
    more_after: bool,
    stats: StatsReply,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsReply {
    rows_read: u64,
    ms: f64,
    complete: bool,
    searched_back_to: Option<String>,
    searched_forward_to: Option<String>,
}

async fn context_json(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let context = async {
        let id = asked_id(&request)?;
        let asked = read::read(params::decode(request.query_string())?, Timestamp::now())?;
        find(&state, id, &asked).await
    };
    let answer = match context.await {
        Ok(context) => answer::json(StatusCode::OK, &ContextReply::new(&context)),
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

impl<'a> ContextReply<'a> {
    fn new(context: &'a Context) -> Self {
        let Context { record, before, after, rows_read, took, .. } = context;
        let reached = |side: &Side| {
            let at = side.onward.as_ref().filter(|_| !side.complete);
            at.map(|at| at.position.timestamp.to_string())
        };
        Self {
            before: &before.rows,
            record,
            after: &after.rows,
            more_before: before.onward.is_some(),
            more_after: after.onward.is_some(),
            stats: StatsReply {
                rows_read: *rows_read,
                ms: (took.as_secs_f64() * 1e5).round() / 100.0,
                complete: before.complete && after.complete,
                searched_back_to: reached(before),
                searched_forward_to: reached(after),
            },
        }
    }
}
