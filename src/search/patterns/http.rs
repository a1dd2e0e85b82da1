//! `GET /api/patterns`. In: a GET request. Out: JSON. It takes its turn among the searches, and is counted with them.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{find, read::Asked, reply::PatternsReply};
use crate::{
    record::Timestamp,
    search::{State, answer, error::SearchError, explain, logged},
};

pub(in crate::search) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/api/patterns").route(web::get().to(patterns)).route(web::head().to(patterns)),
    );
}

async fn patterns(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let answer = match read_and_find(&request, &state).await {
        Ok(reply) => answer::json(StatusCode::OK, &reply),
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

async fn read_and_find(request: &HttpRequest, state: &State) -> Result<PatternsReply, SearchError> {
    let (pairs, explains) = explain::asked(request)?;
    let mut asked = Asked::read(pairs, Timestamp::now())?;
    asked.query.explains = explains;
    let found = find(state, &asked).await?;
    Ok(PatternsReply::new(&asked, found))
}
