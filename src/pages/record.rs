//! The page of one record.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

use super::{
    answer,
    assets::Assets,
    links::Links,
    problem::Problem,
    rows::{Extent, RecordView},
};
use crate::search::{State, answer as api, logged, read_and_find_one};

#[derive(Template)]
#[template(path = "record.html", blocks = ["title", "content"])]
pub struct RecordPage {
    pub assets: &'static Assets,
    pub record: RecordView,
}

/// `GET /logs/{id}`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match read_and_find_one(&request, &state).await {
        Ok(row) => {
            let record = RecordView::new(&row, &Links::fresh(), Extent::Whole);
            answer::page(&request, StatusCode::OK, &RecordPage { assets: Assets::get(), record })
        }
        Err(error) if answer::reads_html(&request) => {
            let problem = Problem::new(logged(&error), None);
            let page = answer::problem(&request, error.status(), problem.heading, &problem.text);
            api::with_retry(page, &error)
        }
        Err(error) => api::json_error(logged(&error)),
    }
}
