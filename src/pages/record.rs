//! The page of one record.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

use super::{
    answer,
    assets::Assets,
    links::Links,
    rows::{Extent, RecordView},
};
use crate::search::{State, logged, read_and_find_one};

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
        Err(error) => answer::search_problem(&request, logged(&error)),
    }
}
