//! `POST /v1/delete`: deletes what a search would find. In: the parameters of a search as JSON, `dryRun` and `expect`. Out: how many
//! records that concerns, or concerned.
//!
//! All or nothing: one transaction with one snapshot walks over the same candidates as a search, counts, and deletes only if the number
//! is the one that was expected. The counts by minute stay exact, because each deletion writes what it took away as a negative number. A
//! record that comes in meanwhile is not in the snapshot and stays. The index keeps what it knew of the deleted ones, which costs a
//! search a look in vain.

pub mod error;
pub mod order;
pub mod sql;

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};
use serde::Serialize;
use uuid::Uuid;

use self::{
    error::DeleteError,
    order::{Action, Order},
};
use super::{
    BODY_BYTES_MAX, BodyRead, State, answer,
    begin::{check_regexes, turn},
    catalogue::Snapshot,
    cursor::{Direction, MICROS_MIN},
    error::SearchError,
    need::need,
    read_body,
    session::Session,
    walk::{Aim, Portion, Walk},
};
use crate::record::Timestamp;

/// Within the 35 s that any request may take.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Units of one statement: 65,536 rows.
const UNITS_MAX: usize = 2_048;
const ATTEMPTS_MAX: usize = 3;
/// Ids that a dry run shows.
const SAMPLE_MAX: usize = 5;

/// Whether this process deletes.
pub enum Access {
    Allowed(web::Data<State>),
    Refused(&'static str),
}

/// What was found, or deleted.
#[derive(Default)]
pub struct Tally {
    records: u64,
    /// The first few ids.
    sample: Vec<Uuid>,
    /// Numbers of the leaves that hold them.
    leaves: Vec<i32>,
}

/// Reply 200.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    dry_run: bool,
    records: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sample: Vec<String>,
    ms: u64,
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/v1/delete")
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .route(web::post().to(delete)),
    );
}

async fn delete(request: HttpRequest, body: BodyRead, access: web::Data<Access>) -> HttpResponse {
    match answer_to(&request, body, &access).await {
        Ok(reply) => answer::json(StatusCode::OK, &reply),
        Err(error) => error.answer(),
    }
}

async fn answer_to(request: &HttpRequest, body: BodyRead, access: &Access) -> Result<Reply, DeleteError> {
    // 1. Who may, and what. A page elsewhere can make a browser send a form, but not this type.
    let state = match access {
        Access::Allowed(state) => state,
        Access::Refused(reason) => return Err(DeleteError::Refused(reason)),
    };
    if !is_json(request) {
        return Err(DeleteError::WrongType);
    }
    let order = Order::read(&read_body(body)?, Timestamp::now())?;
    // 2. Count, and delete.
    let started = Instant::now();
    let _turn = turn(state).await?;
    let client = request.peer_addr().map_or_else(String::new, |address| address.ip().to_string());
    let tally = carry_out(state, &order, started, &client).await?;
    // 3. Say what was done.
    let dry_run = order.action == Action::Count;
    if !dry_run {
        state.metrics.deleted_records.inc_by(tally.records);
        log::info!("{client} deleted {} records: {}", tally.records, order.text());
    }
    let sample = tally.sample.iter().map(Uuid::to_string).collect();
    Ok(Reply { dry_run, records: tally.records, sample, ms: started.elapsed().as_millis() as u64 })
}

fn is_json(request: &HttpRequest) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Again, if somebody else deleted or dropped some of the same records meanwhile.
async fn carry_out(
    state: &State,
    order: &Order,
    started: Instant,
    client: &str,
) -> Result<Tally, DeleteError> {
    for _ in 1..ATTEMPTS_MAX {
        match attempt(state, order, started, client).await {
            Err(DeleteError::Search(SearchError::LeafGone)) => state.catalogue.forget().await,
            Err(DeleteError::Search(SearchError::Contended)) => {}
            outcome => return outcome,
        }
    }
    attempt(state, order, started, client).await
}

async fn attempt(state: &State, order: &Order, started: Instant, client: &str) -> Result<Tally, DeleteError> {
    let (mut session, snapshot) = Session::open_to_write(state, started + TIME_MAX).await?;
    match within(&mut session, state, &snapshot, order, started, client).await {
        Ok(tally) => {
            session.commit().await?;
            Ok(tally)
        }
        Err(error) => {
            session.close().await;
            Err(error)
        }
    }
}

/// The transaction, without its end.
async fn within(
    session: &mut Session,
    state: &State,
    snapshot: &Snapshot,
    order: &Order,
    started: Instant,
    client: &str,
) -> Result<Tally, DeleteError> {
    check_regexes(session, &order.query.filter.expr()).await?;
    let counted = walk(session, state, snapshot, order, sql::count).await?;
    if let Action::Delete { expect } = order.action {
        if counted.records != expect {
            return Err(DeleteError::OtherCount { records: counted.records });
        }
        let deleted = walk(session, state, snapshot, order, sql::delete).await?;
        if deleted.records != expect {
            return Err(SearchError::Contended.into());
        }
    }
    let took = started.elapsed();
    session.statement(&sql::audit(order, &counted, took, client)).await.map_err(SearchError::from)?;
    Ok(counted)
}

/// Runs a statement on all candidates.
async fn walk(
    session: &mut Session,
    state: &State,
    snapshot: &Snapshot,
    order: &Order,
    statement: impl Fn(&Order, &sql::Place) -> super::statement::Statement,
) -> Result<Tally, DeleteError> {
    let window = order.query.window();
    let aim = Aim {
        need: need(&order.query.filter.expr()),
        from: window.from.unwrap_or(Timestamp(MICROS_MIN)),
        to: window.to.unwrap_or(Timestamp::MAX),
        direction: Direction::Older,
    };
    let (from, to) = (aim.from, aim.to);
    let mut tally = Tally::default();
    let mut walk = Walk::new(snapshot, &state.catalogue, aim);
    while let Some(portion) = walk.next(session, UNITS_MAX).await.map_err(SearchError::from)? {
        if Instant::now() >= session.deadline {
            return Err(DeleteError::TooSlow);
        }
        let Portion { leaf, units, .. } = portion;
        let place = sql::Place { leaf: leaf.name.clone(), units, from, to };
        let rows = session.statement(&statement(order, &place)).await.map_err(SearchError::from)?;
        let Some(row) = rows.first() else { continue };
        let records: i64 = row.try_get("records").map_err(SearchError::from)?;
        let sample: Option<Vec<Uuid>> = row.try_get("sample").map_err(SearchError::from)?;
        if records > 0 {
            tally.records += records as u64;
            tally.sample.extend(sample.unwrap_or_default());
            tally.sample.truncate(SAMPLE_MAX);
            tally.leaves.push(leaf.number);
        }
    }
    tally.leaves.dedup();
    Ok(tally)
}
