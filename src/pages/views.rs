//! Saved views and the latest searches. In: `GET /views` and the forms on it, which work without scripts. Out: the page, or the way back to
//! it; `GET /views/{id}` leads to the search itself. What is wrong is said at its field, with what was typed still in it.

pub mod describe;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;

use self::describe::{Condition, conditions};
use super::{
    answer,
    assets::Assets,
    form_body::{self, field},
    reader,
    text::shown,
    when::{Form, Moment, Zone},
};
use crate::search::{
    State,
    history::{self, Remembered},
    logged,
    params::{self, Fault},
    shelf::ShelfError,
    views::{
        self, View,
        draft::{Draft, Faults, read_name},
    },
};

/// Bytes of a form: a query string of which each byte is written as three, and then some.
const FORM_BYTES_MAX: usize = 64 << 10;

#[derive(Template)]
#[template(path = "views.html", blocks = ["title", "content"])]
pub struct ViewsPage {
    pub assets: &'static Assets,
    form: SaveForm,
    views: Vec<ViewItem>,
    searches: Vec<SearchItem>,
    is_history_on: bool,
    /// The zone of the times.
    zone: &'static str,
}

/// The form that saves, as it was typed.
#[derive(Default)]
struct SaveForm {
    name: String,
    params: String,
    conditions: Vec<Condition>,
    faults: Faults,
}

struct ViewItem {
    id: String,
    name: String,
    conditions: Vec<Condition>,
    updated: Moment,
    /// The form that saves, filled with this view.
    edit_href: String,
    /// What stands in the field for another name, and what is wrong with it.
    rename: String,
    fault: Option<String>,
}

struct SearchItem {
    href: String,
    conditions: Vec<Condition>,
    last: Moment,
    times: i64,
    save_href: String,
}

/// A name that could not be given to a view.
struct Refused<'a> {
    id: &'a str,
    name: &'a str,
    error: String,
}

pub fn routes(config: &mut web::ServiceConfig) {
    let resource = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(FORM_BYTES_MAX));
    config
        .service(
            resource("/views")
                .route(web::get().to(page))
                .route(web::head().to(page))
                .route(web::post().to(save)),
        )
        .service(
            resource("/views/{id}")
                .route(web::get().to(open))
                .route(web::head().to(open))
                .route(web::post().to(rename)),
        )
        .service(resource("/views/{id}/delete").route(web::post().to(delete)));
}

/// `GET /views`; `name` and `params` fill the form.
async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let pairs = params::decode(request.query_string()).unwrap_or_default();
    let form = SaveForm::new(field(&pairs, "name"), field(&pairs, "params"), Faults::default());
    show(&request, &state, StatusCode::OK, form, None).await
}

/// `POST /views`: makes a view, or gives the one of this name another search.
async fn save(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    let pairs = match form_body::read(&request, &body) {
        Ok(pairs) => pairs,
        Err(error) => return error.answer(&request),
    };
    let (name, params) = (field(&pairs, "name"), field(&pairs, "params"));
    let faults = match Draft::read(name, params) {
        Ok(draft) => match views::save(&state, &draft).await {
            Ok(Ok(_)) => return back(),
            Ok(Err(fault)) => Faults { name: Some(shown(&fault.error)), params: None },
            Err(error) => return failed(&request, &error),
        },
        Err(faults) => faults,
    };
    show(&request, &state, StatusCode::BAD_REQUEST, SaveForm::new(name, params, faults), None).await
}

/// `GET /views/{id}`: to the search that is saved.
async fn open(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match views::find(&state, id_of(&request)).await {
        Ok(Some(view)) => see_other(&view.address()),
        Ok(None) => unknown(&request),
        Err(error) => failed(&request, &error),
    }
}

/// `POST /views/{id}`: gives the view another name.
async fn rename(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    let pairs = match form_body::read(&request, &body) {
        Ok(pairs) => pairs,
        Err(error) => return error.answer(&request),
    };
    let (id, name) = (id_of(&request), field(&pairs, "name"));
    let error = match read_name(name) {
        Ok(name) => match views::rename(&state, id, &name).await {
            Ok(true) => return back(),
            Ok(false) => return unknown(&request),
            Err(ShelfError::Taken) => "another view has this name".to_owned(),
            Err(error) => return failed(&request, &error),
        },
        Err(fault) => fault.error,
    };
    let refused = Refused { id, name, error };
    show(&request, &state, StatusCode::BAD_REQUEST, SaveForm::default(), Some(refused)).await
}

/// `POST /views/{id}/delete`.
async fn delete(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    if let Err(error) = form_body::read(&request, &body) {
        return error.answer(&request);
    }
    match views::delete(&state, id_of(&request)).await {
        Ok(true) => back(),
        Ok(false) => unknown(&request),
        Err(error) => failed(&request, &error),
    }
}

/// The page with what is there now.
async fn show(
    request: &HttpRequest,
    state: &State,
    status: StatusCode,
    form: SaveForm,
    refused: Option<Refused<'_>>,
) -> HttpResponse {
    if status != StatusCode::OK && !answer::reads_html(request) {
        return views::json_error(&ShelfError::Search(fault_of(&form, refused).into()));
    }
    let (listed, searches) = match tokio::join!(views::list(state), history::newest(state)) {
        (Ok(listed), Ok(searches)) => (listed, searches),
        (Err(error), _) | (_, Err(error)) => return failed(request, &error),
    };
    let is_refused = |view: &View| refused.as_ref().filter(|refused| refused.id == view.id);
    if refused.is_some() && !listed.iter().any(|view| is_refused(view).is_some()) {
        return unknown(request);
    }
    let zone = reader::zone(request);
    let page = ViewsPage {
        assets: Assets::get(),
        form,
        views: listed.iter().map(|view| ViewItem::new(view, is_refused(view), zone)).collect(),
        searches: searches.iter().map(|search| SearchItem::new(search, zone)).collect(),
        is_history_on: state.history.is_on(),
        zone: zone.name(),
    };
    answer::page(request, status, &page)
}

/// The first thing that is wrong, for who does not read pages.
fn fault_of(form: &SaveForm, refused: Option<Refused<'_>>) -> Fault {
    let name = refused.map(|refused| refused.error).or(form.faults.name.clone());
    match (name, &form.faults.params) {
        (Some(error), _) => Fault::new("name", error),
        (None, error) => Fault::new("params", error.as_deref().unwrap_or("cannot be used")),
    }
}

impl SaveForm {
    fn new(name: &str, params: &str, faults: Faults) -> Self {
        let conditions = if faults.params.is_none() { conditions(params) } else { Vec::new() };
        Self { name: name.to_owned(), params: params.to_owned(), conditions, faults }
    }
}

impl ViewItem {
    fn new(view: &View, refused: Option<&Refused<'_>>, zone: Zone) -> Self {
        Self {
            id: view.id.clone(),
            name: shown(&view.name),
            conditions: conditions(&view.params),
            updated: Moment::new(view.updated_at, zone, Form::Minute),
            edit_href: form_href(&[("name", &view.name), ("params", &view.params)]),
            rename: refused.map_or(view.name.as_str(), |refused| refused.name).to_owned(),
            fault: refused.map(|refused| refused.error.clone()),
        }
    }
}

impl SearchItem {
    fn new(search: &Remembered, zone: Zone) -> Self {
        Self {
            href: format!("/?{}", search.params),
            conditions: conditions(&search.params),
            last: Moment::new(search.last_at, zone, Form::Minute),
            times: search.times,
            save_href: form_href(&[("params", &search.params)]),
        }
    }
}

fn form_href(pairs: &[(&str, &str)]) -> String {
    format!("/views{}#save", params::encode(pairs.iter().copied()))
}

fn id_of(request: &HttpRequest) -> &str {
    request.match_info().query("id")
}

fn back() -> HttpResponse {
    see_other("/views")
}

fn see_other(to: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

fn unknown(request: &HttpRequest) -> HttpResponse {
    answer::problem(
        request,
        StatusCode::NOT_FOUND,
        "Not found",
        "there is no such view; it may have been deleted",
    )
}

fn failed(request: &HttpRequest, error: &ShelfError) -> HttpResponse {
    if let ShelfError::Search(error) = error {
        logged(error);
    }
    let mut answer =
        answer::problem(request, error.status(), "Saved views are not at hand", &error.to_string());
    if let Some(retry_after) = error.retry_after() {
        answer.headers_mut().insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
    }
    answer
}
