//! Finds and counts records. In: requests whose parameters are the whole state. Out: JSON; rows and counts for `pages`.
//!
//! ```text
//! URL ─params→ Query { Filter } ─find→ Found { rows } ─→ JSON | page
//! ```
//!
//! Every search runs under a time budget, reads one snapshot, stops when its client leaves, and says how much it read; one that runs
//! out of its budget answers with what it has and a cursor to go on.

pub mod ahead;
pub mod answer;
pub mod as_of;
pub mod begin;
pub mod catalogue;
pub mod context;
pub mod complete;
pub mod count;
pub mod cursor;
pub mod delete;
pub mod deploys;
pub mod error;
pub mod exploration;
pub mod explain;
pub mod export;
pub mod expr;
pub mod filter;
pub mod find;
pub mod fold;
pub mod grammar;
pub mod history;
pub mod need;
pub mod nothing;
pub mod one;
pub mod params;
pub mod patterns;
pub mod predicate;
pub mod row;
pub mod session;
pub mod shelf;
pub mod slips;
pub mod sql;
pub mod statement;
pub mod trace;
pub mod views;
pub mod tail;
pub mod walk;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use deadpool_postgres::Pool;
use serde::Serialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::{
    as_of::AsOf,
    catalogue::Catalogue,
    cursor::Cursor,
    error::SearchError,
    explain::Explained,
    find::Found,
    history::History,
    params::{Fault, Query},
    row::Row,
};
use crate::{
    config::SearchConfig,
    index::filling::FillingBlocks,
    metrics::{Metrics, Status},
    record::{RecordId, Timestamp, rules::excerpt},
};

/// A search that has not even one certain answer by then is given up.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What a search or a deletion in JSON may have.
const BODY_BYTES_MAX: usize = 256 << 10;

/// What all searches of the process share, and the connections of those that run in the same place.
#[derive(Clone)]
pub struct State {
    /// A connection is driven by the runtime that opened it. Answers that change threads wait for the processor twice more, each time.
    pool: Pool,
    /// For what is kept for people.
    shelf: Pool,
    pub history: History,
    catalogue: Arc<Catalogue>,
    /// When the first answer is due.
    budget: Duration,
    /// When a search ends, whatever it has.
    time_max: Duration,
    /// One permit a running search.
    turns: Arc<Semaphore>,
    /// How many of them there are.
    turns_max: usize,
    /// One permit a running search with which the index cannot help.
    scan_turns: Arc<Semaphore>,
    /// One permit a search that is not quick.
    long_turns: Arc<Semaphore>,
    /// What was run before.
    repeated: Arc<session::Repeated>,
    /// One permit a running export; it has a turn as well.
    exports: Arc<Semaphore>,
    /// How long an export waits for its client.
    export_wait_max: Duration,
    /// What completes query lines.
    keys: Arc<complete::keys::KeysSeen>,
    metrics: Arc<Metrics>,
}

impl State {
    pub fn new(
        pool: Pool,
        shelf: Pool,
        config: &SearchConfig,
        metrics: Arc<Metrics>,
        filling: Arc<FillingBlocks>,
    ) -> Self {
        let history = if config.keeps_history { History::on(shelf.clone()) } else { History::off() };
        Self {
            pool,
            shelf,
            history,
            catalogue: Arc::new(Catalogue::new(filling)),
            budget: config.budget,
            time_max: TIME_MAX,
            turns: Arc::new(Semaphore::new(config.concurrent_max)),
            turns_max: config.concurrent_max,
            scan_turns: Arc::new(Semaphore::new(config.concurrent_max.div_ceil(2))),
            long_turns: Arc::new(Semaphore::new(config.long_max)),
            repeated: Arc::default(),
            exports: Arc::new(Semaphore::new(config.exports_max)),
            export_wait_max: config.export_wait_max,
            keys: Arc::default(),
            metrics,
        }
    }

    /// The same with connections of its own: for the searches of one HTTP worker.
    pub fn with_pool(&self, pool: Pool) -> Self {
        Self { pool, ..self.clone() }
    }

    /// Gives all connections up; nothing is searched any more.
    pub fn close(&self) {
        self.pool.close();
        self.shelf.close();
    }

    pub fn observe(&self, started: Instant, status: StatusCode) {
        self.metrics.searches.get_or_create(&Status { status: status.as_u16() }).inc();
        self.metrics.search_seconds.observe(started.elapsed().as_secs_f64());
    }
}

/// Registers the API; takes [`State`] from the app's data.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/api/logs").route(web::get().to(search_json)).route(web::head().to(search_json)),
        )
        .service(
            web::resource("/v1/query")
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .route(web::post().to(query_json)),
        )
        .service(
            web::resource("/api/logs/{id}")
                .route(web::get().to(record_json))
                .route(web::head().to(record_json)),
        )
        .configure(count::routes)
        .configure(export::routes)
        .configure(context::routes)
        .configure(trace::routes)
        .service(
            web::resource("/api/deploys")
                .route(web::get().to(deploys::list_json))
                .route(web::head().to(deploys::list_json)),
        )
        .service(
            web::resource("/api/views")
                .route(web::get().to(views::list_json))
                .route(web::head().to(views::list_json)),
        )
        .configure(patterns::routes)
        .configure(complete::routes);
}

/// Reply of `GET /api/logs`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SearchReply<'a> {
    logs: &'a [Row],
    next_cursor: Option<String>,
    prev_cursor: Option<String>,
    as_of: &'a AsOf,
    stats: StatsReply,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<&'a [Explained]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsReply {
    rows_read: u64,
    blocks_read: u64,
    blocks_skipped: u64,
    ms: f64,
    complete: bool,
    searched_back_to: Option<String>,
}

async fn search_json(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let answer = match read_and_find(&request, &state).await {
        Ok(found) => answer::json(StatusCode::OK, &SearchReply::new(&found)),
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

/// `POST /v1/query`: the parameters of `GET /api/logs` as a JSON object, for values too long for a URL.
async fn query_json(body: BodyRead, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let found = async {
        let query = params::read(&params::from_json(&read_body(body)?)?, Timestamp::now())?;
        find::find(&state, &query).await
    };
    let answer = match found.await {
        Ok(found) => answer::json(StatusCode::OK, &SearchReply::new(&found)),
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

/// What there is to read when a handler begins.
type BodyRead = Result<web::Bytes, actix_web::Error>;

/// A body within [`BODY_BYTES_MAX`].
fn read_body(body: BodyRead) -> Result<web::Bytes, SearchError> {
    body.map_err(|error| match error.as_response_error().status_code() {
        StatusCode::PAYLOAD_TOO_LARGE => SearchError::TooLarge { bytes_max: BODY_BYTES_MAX },
        _ => SearchError::bad("body", format!("cannot be read: {error}")),
    })
}

async fn read_and_find(request: &HttpRequest, state: &State) -> Result<Found, SearchError> {
    let (pairs, explains) = explain::asked(request)?;
    let query = Query { explains, ..params::read(&pairs, Timestamp::now())? };
    find::find(state, &query).await
}

async fn record_json(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let found = async {
        match params::decode(request.query_string())?.first() {
            Some((name, _)) => Err(Fault::unknown(name, &[]).into()),
            None => read_and_find_one(&request, &state).await,
        }
    };
    match found.await {
        Ok(row) => answer::json(StatusCode::OK, &row),
        Err(error) => answer::json_error(logged(&error)),
    }
}

pub async fn read_and_find_one(request: &HttpRequest, state: &State) -> Result<Row, SearchError> {
    one::find_one(state, asked_id(request)?).await
}

/// The record id in an address.
pub fn asked_id(request: &HttpRequest) -> Result<RecordId, SearchError> {
    let text = request.match_info().query("id");
    Uuid::try_parse(text)
        .map(RecordId)
        .map_err(|_| SearchError::bad("id", format!("`{}` is not an id", excerpt(text))))
}

/// Logs the cause of an error once, here at the edge.
pub fn logged(error: &SearchError) -> &SearchError {
    if let Some(cause) = error.cause() {
        log::warn!("search failed: {error} ({cause})");
    }
    error
}

impl<'a> SearchReply<'a> {
    fn new(found: &'a Found) -> Self {
        let stats = &found.stats;
        Self {
            logs: &found.rows,
            next_cursor: found.next.as_ref().map(Cursor::write),
            prev_cursor: found.prev.as_ref().map(Cursor::write),
            as_of: &found.as_of,
            stats: StatsReply {
                rows_read: stats.rows_read,
                blocks_read: stats.blocks_read,
                blocks_skipped: stats.blocks_skipped,
                ms: (stats.took.as_secs_f64() * 1e5).round() / 100.0,
                complete: stats.complete,
                searched_back_to: stats.searched_back_to.map(|at| at.to_string()),
            },
            explain: found.explain.as_deref(),
        }
    }
}
