//! `GET /tail`: what is stored from now on, or since a moment, as server-sent events. In: the parameters of a search; `as=html`, and then
//! those of the page too; `Last-Event-ID` or `after`. Out: a stream that ends with its reader or with the process. The next event is made
//! when the one before was taken, so a slow reader costs one event of memory and gets the next one larger.

mod sse;

use std::convert::Infallible;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderName},
    web::{self, Bytes},
};
use askama::Template;
use futures_util::stream;
use serde::Serialize;

use super::{
    explorer::view::View,
    line::{Line, List},
    links::Links,
    reader,
    text::grouped,
};
use crate::{
    record::Timestamp,
    search::{
        answer as api,
        as_of::AsOf,
        error::SearchError,
        logged,
        params::{self, Fault, Query},
        row::Row,
        tail::{
            Event, Feed, Tail, Told,
            since::{Lost, Size, Stored},
        },
    },
};

/// Of one event, unless another number of records is asked for.
const JSON_MAX: Size = Size { rows_max: 500, bytes_max: 4 << 20 };
/// Rows of a page are many times as large, and a list holds a thousand.
const HTML_MAX: Size = Size { rows_max: 200, bytes_max: 512 << 10 };
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// For proxies that would collect the stream before they pass it on.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// What has no meaning for what is still to come.
const NOT_HERE: [&str; 4] = ["cursor", "asOf", "budget", "explain"];

/// What was asked for.
struct Asked {
    form: Form,
    query: Query,
    size: Size,
    after: Option<AsOf>,
}

/// What an event looks like.
enum Form {
    Json,
    /// Rows of this page.
    Html(Box<View>),
}

/// Data of `event: records`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordsData<'a> {
    records: &'a [Row],
    skipped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_from: Option<String>,
}

/// Data of `event: gap` and `event: trouble`.
#[derive(Serialize)]
struct Said<'a> {
    error: &'a str,
}

/// The same as rows of a page, the last one first.
#[derive(Template)]
#[template(path = "tail.html")]
struct Rows {
    rows: Vec<Line>,
    skipped: Option<Skipped>,
}

struct Skipped {
    text: String,
    href: String,
}

pub async fn follow(request: HttpRequest, feed: web::Data<Feed>) -> HttpResponse {
    let tail = async {
        let Asked { form, query, size, after } = read(&request)?;
        Ok((Feed::follow(feed, query, size, after).await?, form))
    };
    let (tail, form): (Tail, Form) = match tail.await {
        Ok(tail) => tail,
        Err(error) => return api::json_error(logged(&error)),
    };
    let events = stream::unfold((tail, form), |(mut tail, form)| async move {
        let told = tail.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(write(&told, &form))), (tail, form)))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((ACCEL_BUFFERING, "no"))
        .streaming(events)
}

fn read(request: &HttpRequest) -> Result<Asked, SearchError> {
    let (mut is_html, mut after) = (false, None);
    let mut pairs = params::decode(request.query_string())?;
    let mut fault = None;
    pairs.retain(|(name, value)| {
        match name.as_str() {
            "as" => match value.as_str() {
                "html" => is_html = true,
                "json" | "" => is_html = false,
                _ => fault = Some(Fault::needed("as", "html or json", value)),
            },
            "after" if value.is_empty() => {}
            "after" => after = Some(("after", value.clone())),
            _ => return true,
        }
        false
    });
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    if let Some(id) = request.headers().get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        after = Some(("Last-Event-ID", String::from_utf8_lossy(id.as_bytes()).into_owned()));
    }
    let after = after.map(|(name, text)| {
        AsOf::parse(&text).ok_or_else(|| Fault::needed(name, "the id of an event or nothing", &text))
    });
    let given = |name: &str| pairs.iter().any(|(known, value)| known == name && !value.is_empty());
    if let Some(name) = NOT_HERE.into_iter().find(|name| given(name)) {
        return Err(SearchError::bad(name, "cannot be given here: a tail has no pages and no end"));
    }
    let has_limit = given("limit");
    let now = Timestamp::now();
    let (form, query, size) = if is_html {
        let view = View::read(&pairs, now, reader::zone(request))?;
        let query = view.query.clone();
        (Form::Html(Box::new(view)), query, HTML_MAX)
    } else {
        (Form::Json, params::read(&pairs, now)?, JSON_MAX)
    };
    let size = if has_limit { Size { rows_max: query.limit, ..size } } else { size };
    Ok(Asked { form, query, size, after: after.transpose()? })
}

fn write(told: &Told, form: &Form) -> String {
    let (name, data) = match &told.event {
        Event::Hello => ("hello", "{}".to_owned()),
        Event::Beat => ("beat", "{}".to_owned()),
        Event::Records(stored) => ("records", records(stored, form)),
        Event::Gap(lost) => ("gap", json(&Said { error: why(*lost) })),
        Event::Trouble(error) => ("trouble", json(&Said { error: &error.to_string() })),
    };
    sse::event(name, &told.after.to_string(), &data)
}

fn why(lost: Lost) -> &'static str {
    match lost {
        Lost::TooMuch => "too much was stored since the last event; search for it",
        Lost::SetBack => "the store was set back to an earlier state; search again",
    }
}

fn records(stored: &Stored, form: &Form) -> String {
    let skipped_from = stored.from.filter(|_| stored.skipped > 0).map(|from| from.to_string());
    match form {
        Form::Json => json(&RecordsData { records: &stored.rows, skipped: stored.skipped, skipped_from }),
        Form::Html(view) => {
            let links = view.links();
            let list = List { links: &links, columns: &view.columns, zone: view.zone, wraps: view.wraps };
            let rows = stored.rows.iter().rev().map(|row| Line::new(row, &list)).collect();
            let skipped = skipped_from.map(|from| Skipped::new(stored.skipped, &from, &links));
            Rows { rows, skipped }.render().unwrap_or_else(|error| {
                log::error!("rows of a tail cannot be rendered: {error}");
                String::new()
            })
        }
    }
}

impl Skipped {
    fn new(count: u64, from: &str, links: &Links) -> Self {
        let records = if count == 1 { "record was" } else { "records were" };
        Self {
            text: format!("{} more {records} stored at the same time, too many to show.", grouped(count)),
            href: links.with_range(Some(from), None),
        }
    }
}

fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("keys are texts")
}
