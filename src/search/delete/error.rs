//! How a deletion can fail, named by what the caller can do about it. Whatever it is, nothing was deleted, but for a connection that
//! broke while the end was confirmed.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;

use crate::search::{answer, error::SearchError, params::Fault};

#[derive(Debug)]
pub enum DeleteError {
    /// Like a search.
    Search(SearchError),
    /// This process does not delete.
    Refused(&'static str),
    WrongType,
    /// Another number of records than was expected.
    OtherCount {
        records: u64,
    },
    TooSlow,
}

impl DeleteError {
    pub fn answer(&self) -> HttpResponse {
        let say = |status, error: &str| answer::json(status, &json!({"error": error}));
        match self {
            Self::Search(error) => {
                if let Some(cause) = error.cause() {
                    log::warn!("deletion failed: {error} ({cause})");
                }
                answer::json_error(error)
            }
            Self::Refused(reason) => say(StatusCode::FORBIDDEN, reason),
            Self::WrongType => {
                say(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only Content-Type: application/json is taken here")
            }
            Self::OtherCount { records } => {
                let error = "another number of records than expected: nothing was deleted";
                answer::json(StatusCode::CONFLICT, &json!({"error": error, "records": records}))
            }
            Self::TooSlow => {
                let text =
                    "not done within 30 s: nothing was deleted; delete less at once, for example one day";
                let mut answer = say(StatusCode::SERVICE_UNAVAILABLE, text);
                answer.headers_mut().insert(actix_web::http::header::RETRY_AFTER, 5.into());
                answer
            }
        }
    }
}

impl From<SearchError> for DeleteError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::TooSlow { .. } => Self::TooSlow,
            error => Self::Search(error),
        }
    }
}

impl From<Fault> for DeleteError {
    fn from(fault: Fault) -> Self {
        Self::Search(fault.into())
    }
}
