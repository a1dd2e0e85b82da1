//! The API's answers. In: what is to be said. Out: JSON with the right status.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use serde::Serialize;

use super::error::SearchError;

/// What an error looks like in JSON.
#[derive(Serialize)]
pub struct ErrorBody<'a> {
    pub error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
    /// Where in the field's value, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

/// JSON, never cached.
pub fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// An error as the API tells it.
pub fn json_error(error: &SearchError) -> HttpResponse {
    let text = error.to_string();
    let body = match error {
        SearchError::Bad(fault) => {
            let column = fault.columns.map(|columns| columns.start);
            ErrorBody { error: &fault.error, field: Some(&fault.field), column }
        }
        _ => ErrorBody { error: &text, field: None, column: None },
    };
    with_retry(json(error.status(), &body), error)
}

/// Adds what the error says about trying again.
pub fn with_retry(mut answer: HttpResponse, error: &SearchError) -> HttpResponse {
    if let Some(retry_after) = error.retry_after() {
        answer.headers_mut().insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
    }
    answer
}

/// True if the client reads gzip.
pub fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        accepted.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("gzip") && !parts.any(|weight| weight == "q=0")
        })
    })
}
