//! The page of one record. Its address may carry the state of the list it was opened from, so that filters from here go on from there. A
//! list asks for the same address to put what the record says, and what can be done with it, under the row that was opened.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

use super::{
    answer,
    assets::Assets,
    explorer::view::View,
    fields::{self, FieldView},
    json_lines::{self, JsonLine},
    links::{self, is_level},
    message::{Block, Piece, blocks, pieces},
    reader,
    text::shown,
    when::{Form, show},
};
use crate::{
    record::Timestamp,
    search::{State, error::SearchError, logged, params, read_and_find_one, row::Row},
};

/// Bytes of a message that an opened row shows; the page shows all.
const OPENED_BYTES_MAX: usize = 16 << 10;

#[derive(Template)]
#[template(path = "record.html")]
pub struct RecordPage {
    assets: &'static Assets,
    id: String,
    time: String,
    zone: &'static str,
    datetime: String,
    level: &'static str,
    level_href: String,
    resource: String,
    message: Vec<Piece>,
    fields: Vec<FieldView>,
    metadata: Vec<JsonLine>,
    list_href: String,
    trace_href: Option<String>,
    context_href: String,
}

/// What a list puts under a row that is opened.
#[derive(Template)]
#[template(path = "opened.html")]
struct Opened {
    id: String,
    /// The record's own page, from which there is a way back to the list.
    href: String,
    message: Vec<Block>,
    /// Bytes of the message that are not shown.
    message_rest: usize,
    fields: Vec<FieldView>,
    trace_href: Option<String>,
    context_href: String,
}

/// `GET /logs/{id}`.
pub async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let (view, row) = match read(&request, &state).await {
        Ok(found) => found,
        Err(error) => return answer::search_problem(&request, logged(&error)),
    };
    let html = if answer::is_partial(&request) {
        Opened::new(&row, &view).render()
    } else {
        RecordPage::new(&row, &view).render()
    };
    answer::html(&request, StatusCode::OK, html)
}

async fn read(request: &HttpRequest, state: &State) -> Result<(View, Row), SearchError> {
    let pairs = params::decode(request.query_string())?;
    let view = View::read(&pairs, Timestamp::now(), reader::zone(request))?;
    Ok((view, read_and_find_one(request, state).await?))
}

impl RecordPage {
    fn new(row: &Row, view: &View) -> Self {
        let links = view.links();
        let id = row.id.to_string();
        Self {
            assets: Assets::get(),
            time: show(row.timestamp, view.zone, Form::Full),
            zone: view.zone.name(),
            datetime: row.timestamp.to_string(),
            level: row.level.name(),
            level_href: links.only(&is_level(row.level)),
            resource: shown(&row.resource_id),
            message: pieces(&row.message),
            fields: fields::views(row, &links, &view.columns),
            metadata: row.metadata.as_ref().map_or_else(Vec::new, |text| json_lines::lines(text.get())),
            list_href: links.here(),
            trace_href: trace_of(row),
            context_href: context_of(&id),
            id,
        }
    }
}

impl Opened {
    fn new(row: &Row, view: &View) -> Self {
        let links = view.links();
        let id = row.id.to_string();
        let cut = row.message.floor_char_boundary(OPENED_BYTES_MAX);
        Self {
            href: links.of_record(&id),
            message: blocks(&row.message[..cut]),
            message_rest: row.message.len() - cut,
            fields: fields::views(row, &links, &view.columns),
            trace_href: trace_of(row),
            context_href: context_of(&id),
            id,
        }
    }
}

fn trace_of(row: &Row) -> Option<String> {
    row.trace_id.as_deref().filter(|trace| !trace.is_empty()).map(links::trace)
}

/// The lines around a record, at the record.
fn context_of(id: &str) -> String {
    format!("{}#{id}", links::context(id, &[]))
}
