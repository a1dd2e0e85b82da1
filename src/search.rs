//! stub until merge
use actix_web::{HttpResponse, middleware::DefaultHeaders, web};
use std::sync::Arc;
pub struct State;
impl State {
    pub fn new(
        _: deadpool_postgres::Pool,
        _: &crate::config::SearchConfig,
        _: Arc<crate::metrics::Metrics>,
    ) -> Self {
        State
    }
}
pub fn routes(_: &mut web::ServiceConfig) {}
pub mod assets {
    pub fn routes(_: &mut actix_web::web::ServiceConfig) {}
}
pub fn page_headers() -> DefaultHeaders {
    DefaultHeaders::new()
}
pub async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().finish()
}
