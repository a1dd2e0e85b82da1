//! How a search can fail, named by what the caller can do about it. One exhaustive match gives the status; causes are logged once, at
//! the edge, and never shown.

use std::time::Duration;

use actix_web::http::StatusCode;
use tokio_postgres::error::SqlState;

use super::params::Fault;

#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The request names something that cannot be used.
    #[error("{}: {}", .0.field, .0.error)]
    Bad(Fault),
    #[error("a body has at most {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("there is no record with this id")]
    NotFound,
    #[error("no record has this traceId")]
    NoTrace,
    /// As many searches as may run at once are running.
    #[error("too many searches are running")]
    Busy { retry_after: Duration },
    /// As many exports as may run at once are running.
    #[error("too many exports are running")]
    Exporting { retry_after: Duration },
    /// As many tails as may be open are open.
    #[error("too many tails are open")]
    Crowded { retry_after: Duration },
    /// Not even a single row could be read within the budget.
    #[error("the search did not get anywhere within its time budget")]
    TooSlow { retry_after: Duration },
    /// A leaf was dropped while it was searched; a new search does not see it any more.
    #[error("records were dropped while they were searched")]
    LeafGone,
    /// Somebody else changed the same records.
    #[error("records were changed by somebody else meanwhile")]
    Contended,
    #[error("the database cannot be reached")]
    Unavailable { retry_after: Duration, cause: String },
    #[error("something went wrong here; it has been logged")]
    Internal { cause: String },
}

impl SearchError {
    pub fn bad(field: &str, error: impl Into<String>) -> Self {
        Self::Bad(Fault::new(field, error))
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound | Self::NoTrace => StatusCode::NOT_FOUND,
            Self::Busy { .. }
            | Self::Exporting { .. }
            | Self::Crowded { .. }
            | Self::TooSlow { .. }
            | Self::LeafGone
            | Self::Contended
            | Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after }
            | Self::Exporting { retry_after }
            | Self::Crowded { retry_after }
            | Self::TooSlow { retry_after }
            | Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::LeafGone | Self::Contended => Some(Duration::from_secs(1)),
            Self::Bad(_) | Self::TooLarge { .. } | Self::NotFound | Self::NoTrace | Self::Internal { .. } => {
                None
            }
        }
    }

    /// What the log says and the caller does not see.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Unavailable { cause, .. } | Self::Internal { cause } => Some(cause),
            Self::Bad(_)
            | Self::TooLarge { .. }
            | Self::NotFound
            | Self::NoTrace
            | Self::Busy { .. }
            | Self::Exporting { .. }
            | Self::Crowded { .. }
            | Self::TooSlow { .. }
            | Self::LeafGone
            | Self::Contended => None,
        }
    }

    pub fn internal(cause: &impl ToString) -> Self {
        Self::Internal { cause: cause.to_string() }
    }

    pub(super) fn unavailable(cause: impl ToString) -> Self {
        Self::Unavailable { retry_after: Duration::from_secs(2), cause: cause.to_string() }
    }
}

impl From<Fault> for SearchError {
    fn from(fault: Fault) -> Self {
        Self::Bad(fault)
    }
}

impl From<tokio_postgres::Error> for SearchError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::unavailable(chain(&error));
        };
        let code = db.code();
        if *code == SqlState::INVALID_REGULAR_EXPRESSION {
            return Self::bad("regex", db.message().to_owned());
        }
        if *code == SqlState::UNDEFINED_TABLE {
            return Self::LeafGone;
        }
        if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
            return Self::Contended;
        }
        // Shutting down, starting up, out of connections, out of memory: it will be there again.
        if ["57P", "53", "08", "58"].iter().any(|class| code.code().starts_with(class)) {
            return Self::unavailable(chain(&error));
        }
        Self::Internal { cause: chain(&error) }
    }
}

impl From<deadpool_postgres::PoolError> for SearchError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::unavailable(chain(&error))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let second = Duration::from_secs(1);
        for (error, status, text) in [
            (SearchError::bad("limit", "is too large"), 400, "limit: is too large"),
            (SearchError::TooLarge { bytes_max: 7 }, 413, "a body has at most 7 bytes"),
            (SearchError::NotFound, 404, "there is no record with this id"),
            (SearchError::NoTrace, 404, "no record has this traceId"),
            (SearchError::Busy { retry_after: second }, 503, "too many searches are running"),
            (SearchError::Exporting { retry_after: second }, 503, "too many exports are running"),
            (SearchError::Crowded { retry_after: second }, 503, "too many tails are open"),
            (
                SearchError::TooSlow { retry_after: second },
                503,
                "the search did not get anywhere within its time budget",
            ),
            (SearchError::LeafGone, 503, "records were dropped while they were searched"),
            (SearchError::Contended, 503, "records were changed by somebody else meanwhile"),
            (SearchError::unavailable("secret"), 503, "the database cannot be reached"),
            (
                SearchError::Internal { cause: "secret".into() },
                500,
                "something went wrong here; it has been logged",
            ),
        ] {
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (status, text));
            assert_eq!(error.retry_after().is_some(), status == 503);
        }
    }
}
