//! The shape of every answer that is not a stream. In: what is to be said. Out: an HTTP answer; a page for who reads HTML, JSON for
//! everybody else, and for htmx only the part that changes. Also the headers that every answer of the process carries.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    middleware::DefaultHeaders,
};
use askama::Template;
use flate2::Compression;
use serde::Serialize;

use super::{assets, error::SearchError, view::ProblemPage};

/// No inline script or style anywhere, nothing from elsewhere, no frames.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Pages smaller than this are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_024;

/// What an error looks like in JSON.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// Where in the field's value, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

/// A page whose changing part can be sent alone.
pub trait Parts {
    fn whole(&self) -> askama::Result<String>;
    fn part(&self) -> askama::Result<String>;
}

macro_rules! parts {
    ($($page:ty),*) => {$(
        impl Parts for $page {
            fn whole(&self) -> askama::Result<String> {
                self.render()
            }
            fn part(&self) -> askama::Result<String> {
                Ok(self.as_title().render()? + &self.as_content().render()?)
            }
        }
    )*};
}
parts!(super::view::SearchPage, super::view::RecordPage, ProblemPage);

/// Headers of every answer, whatever it is.
pub fn page_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
}

/// A page: its changing part if htmx asks, all of it otherwise.
pub fn page(request: &HttpRequest, status: StatusCode, page: &impl Parts) -> HttpResponse {
    let headers = request.headers();
    let is_partial =
        headers.contains_key("hx-request") && !headers.contains_key("hx-history-restore-request");
    let html = if is_partial { page.part() } else { page.whole() };
    let html = match html {
        Ok(html) => html,
        Err(error) => {
            log::error!("a page cannot be rendered: {error}");
            return HttpResponse::InternalServerError().body("something went wrong here; it has been logged");
        }
    };
    let mut answer = HttpResponse::build(status);
    answer.content_type("text/html; charset=utf-8");
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::VARY, "hx-request, accept, accept-encoding"));
    if html.len() >= GZIP_BYTES_MIN && assets::takes_gzip(request) {
        let bytes = assets::gzip(html.as_bytes(), Compression::fast());
        return answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(bytes);
    }
    answer.body(html)
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

/// An error outside the search: a page for a browser, JSON for everybody else.
pub fn problem(request: &HttpRequest, status: StatusCode, heading: &'static str, text: &str) -> HttpResponse {
    if reads_html(request) {
        page(request, status, &ProblemPage::from((heading, text)))
    } else {
        json(status, &ErrorBody { error: text, field: None, column: None })
    }
}

/// The answer to an address that does not exist.
pub fn not_found(request: &HttpRequest) -> HttpResponse {
    problem(request, StatusCode::NOT_FOUND, "Not found", "there is nothing at this address")
}

/// True for a browser that asks for a page.
pub fn reads_html(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_api = ["/api/", "/v1/", "/public/"].iter().any(|front| request.path().starts_with(front));
    !is_api && accept.is_some_and(|accept| accept.contains("text/html"))
}
