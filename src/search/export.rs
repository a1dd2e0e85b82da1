//! The whole result of a search as a file. In: `GET /api/export` with the parameters of a search. Out: its records, newest first, as lines of
//! JSON or as CSV, sent while they are found; all of them are of one snapshot.
//!
//! ```text
//! URL ─read→ Order ─begin→ Source ─portion of rows→ Format ─bytes→ Packer ─pieces→ client
//! ```
//!
//! An export is made as fast as its client reads: a few pieces wait, then finding waits. Who does not read for a while is cut off, so that
//! nobody holds a snapshot for ever. What breaks off in the middle breaks the connection: a body that ends as it should is whole.

pub mod cells;
pub mod format;
pub mod pack;
pub mod read;
pub mod send;
pub mod source;

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, http::header, web};

use self::{pack::Packer, read::Order, send::Sending, source::Source};
use super::{State, answer, error::SearchError, logged, params};
use crate::record::Timestamp;

/// When to ask again if as many exports are running as may.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How long one waits for another to end: most take less.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(5);

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/api/export").route(web::get().to(export)));
}

async fn export(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let answer = match begin(&request, state.clone()).await {
        Ok(answer) => answer,
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

async fn begin(request: &HttpRequest, state: web::Data<State>) -> Result<HttpResponse, SearchError> {
    // 1. What is wanted.
    let order = read::order(params::decode(request.query_string())?, Timestamp::now())?;
    // 2. A place among the exports, and the first rows: what is wrong until here is an answer.
    let place = tokio::time::timeout(PLACE_WAIT_MAX, state.exports.clone().acquire_owned()).await;
    let place = place.map_err(|_| SearchError::Exporting { retry_after: RETRY_AFTER })?;
    let place = place.expect("the semaphore is never closed");
    let Order { query, format, limit } = order;
    let name = file_name(query.asked_at, format.extension());
    let (source, first) = Source::begin(state.clone(), query, limit).await?;
    // 3. The rest, as it is read.
    let mut answer = HttpResponse::Ok();
    answer.content_type(format.content_type());
    answer.insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::VARY, "accept-encoding"));
    let packer = match answer::takes_gzip(request) {
        true => {
            answer.insert_header((header::CONTENT_ENCODING, "gzip"));
            Packer::gzip()
        }
        false => Packer::plain(),
    };
    let sending = Sending { state, source, first, format, packer, records: 0 };
    Ok(answer.streaming(send::start(sending, place)))
}

/// `logs-20260131T080000Z.csv`
fn file_name(at: Timestamp, extension: &str) -> String {
    let moment: String = at.to_string().chars().take(19).filter(|letter| !"-:".contains(*letter)).collect();
    format!("logs-{moment}Z.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_named_after_its_moment() {
        let at = Timestamp::parse("2026-01-31T08:09:10.123456Z").unwrap();
        assert_eq!(file_name(at, "csv"), "logs-20260131T080910Z.csv");
    }
}
