//! Refusals of whole requests: one enum, named by what the caller can do, and one match that gives the status. The table of all
//! replies is tests/it/reply-contract.txt.

use std::borrow::Cow;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde_json::json;

/// Why a request was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The body or a header cannot be read at all.
    #[error("{0}")]
    Malformed(String),
    /// A limit of the whole request.
    #[error("{0}")]
    TooLarge(String),
    #[error("unknown Content-Type `{0}`; known are application/json, application/x-ndjson and text/csv")]
    UnsupportedType(String),
    #[error("unknown Content-Encoding `{0}`; known are gzip, deflate and zstd")]
    UnsupportedEncoding(String),
    /// The same key came with another body.
    #[error("this Idempotency-Key was used with another body")]
    KeyReused,
    #[error("the body did not arrive within 30 seconds")]
    TooSlow,
    /// Certainly not stored: send it again later.
    #[error("{0}")]
    NotStored(Cow<'static, str>),
    /// Stored or not: repeat it with this key and it is stored once.
    #[error("{reason}")]
    Unknown { batch_id: String, reason: String },
}

/// Seconds a client should wait before it comes again.
const RETRY_AFTER_SECONDS: u64 = 1;

impl IngestError {
    pub const BODIES_FULL: Self = Self::NotStored(Cow::Borrowed("too many request bodies at once"));
}

impl ResponseError for IngestError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType(_) | Self::UnsupportedEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::KeyReused => StatusCode::CONFLICT,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotStored(_) | Self::Unknown { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        let error = self.to_string();
        match self {
            Self::NotStored(_) => {
                answer.insert_header(("Retry-After", RETRY_AFTER_SECONDS));
                answer.json(json!({"error": error, "stored": "no"}))
            }
            Self::Unknown { batch_id, .. } => {
                answer.insert_header(("Retry-After", RETRY_AFTER_SECONDS));
                answer.json(json!({"error": error, "stored": "unknown", "batchId": batch_id}))
            }
            Self::TooSlow => answer.force_close().json(json!({"error": error})),
            Self::Malformed(_)
            | Self::TooLarge(_)
            | Self::UnsupportedType(_)
            | Self::UnsupportedEncoding(_)
            | Self::KeyReused => answer.json(json!({"error": error})),
        }
    }
}
