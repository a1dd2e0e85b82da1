//! The shape of every page. In: what is to be said. Out: an HTTP answer; a page for who reads HTML, JSON for everybody else, and for htmx
//! only the part that changes. Also the headers that every answer of the process carries.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
    middleware::DefaultHeaders,
};
use askama::Template;
use flate2::Compression;

use super::{
    assets,
    context::ContextPage,
    explorer::ExplorerPage,
    patterns::PatternsPage,
    problem::{Problem, ProblemPage},
    views::ViewsPage,
};
use crate::search::{
    answer::{ErrorBody, json, json_error, with_retry},
    error::SearchError,
};

/// No inline script or style anywhere, nothing from elsewhere, no frames.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Pages smaller than this are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_024;

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
parts!(ExplorerPage, ContextPage, ProblemPage, ViewsPage, PatternsPage);

/// Headers of every answer, whatever it is.
pub fn page_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
}

/// A page: its changing part if htmx asks, all of it otherwise.
pub fn page(request: &HttpRequest, status: StatusCode, page: &impl Parts) -> HttpResponse {
    html(request, status, if is_partial(request) { page.part() } else { page.whole() })
}

/// Whether htmx asks, which wants only the part that changes.
pub fn is_partial(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key("hx-request") && !headers.contains_key("hx-history-restore-request")
}

/// A page that was rendered.
pub fn html(request: &HttpRequest, status: StatusCode, html: askama::Result<String>) -> HttpResponse {
    let html = match html {
        Ok(html) => html,
        Err(error) => return broken(&error),
    };
    let mut answer = page_of(status);
    if html.len() >= GZIP_BYTES_MIN && assets::takes_gzip(request) {
        let bytes = assets::gzip(html.as_bytes(), Compression::fast());
        return answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(bytes);
    }
    answer.body(html)
}

/// A page without its body.
pub fn page_of(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.content_type("text/html; charset=utf-8");
    // Asked for anew each time; but who goes back finds the page as it was left, with the rows that were added and opened.
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    answer.insert_header((header::VARY, "hx-request, accept, accept-encoding"));
    answer
}

/// The answer when a template fails.
pub fn broken(error: &askama::Error) -> HttpResponse {
    log::error!("a page cannot be rendered: {error}");
    HttpResponse::InternalServerError().body("something went wrong here; it has been logged")
}

/// An error outside the search: a page for a browser, JSON for everybody else.
pub fn problem(request: &HttpRequest, status: StatusCode, heading: &'static str, text: &str) -> HttpResponse {
    if reads_html(request) {
        page(request, status, &ProblemPage::from((heading, text)))
    } else {
        json(status, &ErrorBody { error: text, field: None, column: None })
    }
}

/// An error of a search whose page has nothing else to show.
pub fn search_problem(request: &HttpRequest, error: &SearchError) -> HttpResponse {
    if !reads_html(request) {
        return json_error(error);
    }
    let Problem { heading, text, .. } = Problem::new(error, None);
    with_retry(page(request, error.status(), &ProblemPage::from((heading, text.as_str()))), error)
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
