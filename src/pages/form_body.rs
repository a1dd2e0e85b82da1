//! A form that a page of ours has sent. In: a request and its body. Out: the fields, or why they are not taken.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};

use super::{answer, origin};
use crate::search::params;

const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug)]
pub enum FormError {
    /// Sent from elsewhere.
    Foreign(&'static str),
    WrongType,
    Malformed(String),
}

/// The fields in the order in which they came.
pub fn read(request: &HttpRequest, body: &[u8]) -> Result<Vec<(String, String)>, FormError> {
    if let Some(reason) = origin::refusal(request) {
        return Err(FormError::Foreign(reason));
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !body.is_empty() && !kind.eq_ignore_ascii_case(FORM) {
        return Err(FormError::WrongType);
    }
    let text = std::str::from_utf8(body).map_err(|_| FormError::Malformed("the form is not UTF-8".into()))?;
    params::decode(text).map_err(|fault| FormError::Malformed(format!("{}: {}", fault.field, fault.error)))
}

/// The first field of this name; empty if there is none.
pub fn field<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

impl FormError {
    pub fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let problem = |status, heading, text: &str| answer::problem(request, status, heading, text);
        match self {
            Self::Foreign(reason) => problem(StatusCode::FORBIDDEN, "Refused", reason),
            Self::WrongType => problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unknown type",
                &format!("only Content-Type: {FORM} is taken here"),
            ),
            Self::Malformed(text) => problem(StatusCode::BAD_REQUEST, "Not a form", text),
        }
    }
}
