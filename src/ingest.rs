//! `POST /public/ingest`: takes records in, hands them to the queue, and answers when every one of them is durable or handed back.

pub mod decode;
pub mod parse;
pub mod element;
pub mod csv;
pub mod intake;
pub mod in_use;
pub mod key;
pub mod error;

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::header::HeaderMap, web};
use deadpool_postgres::Pool;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    decode::{Body, Encoding},
    element::Unknown,
    error::IngestError,
    in_use::{Hold, KeysInUse},
    intake::{Encoder, Intake, Rejected},
    key::{LookUpError, RequestKey, Stored},
    parse::{Format, Malformed},
};
use crate::{
    config::HttpConfig,
    health::{Health, Trouble},
    metrics::{Metrics, Reason, Status},
    queue::{Budget, Outcome, Queue, Reservation},
    record::Timestamp,
};

/// Bodies from this size on are parsed on a thread of their own, so that they do not delay the small ones: about 1 ms.
const PARSE_INLINE_BYTES_MAX: usize = 512 << 10;

/// How long a large body waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);

/// What the door needs.
pub struct State {
    pub queue: Queue,
    pub bodies: Budget,
    /// One permit a core: large and packed bodies take turns, because each needs many times its size while it is read.
    pub turns: Arc<Semaphore>,
    /// For idempotency keys.
    pub pool: Pool,
    pub keys: Arc<KeysInUse>,
    pub http: HttpConfig,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
}

/// The reply 202, and 422 when nothing was accepted.
#[derive(Serialize)]
struct Reply<'a> {
    accepted: usize,
    ids: Vec<String>,
    rejected: &'a [Rejected],
    #[serde(rename = "rejectedTotal")]
    rejected_total: usize,
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/public/ingest").route(web::post().to(post)).default_service(
        web::route().to(|| async {
            HttpResponse::MethodNotAllowed()
                .insert_header(("Allow", "POST"))
                .json(serde_json::json!({"error": "only POST is known here"}))
        }),
    ));
}

async fn post(state: web::Data<State>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let answer = ingest(&state, &request, payload).await.unwrap_or_else(|error| error.error_response());
    state.metrics.ingest_requests.get_or_create(&Status { status: answer.status().as_u16() }).inc();
    answer
}

/// The main path of the product.
async fn ingest(
    state: &web::Data<State>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, IngestError> {
    // 1. Refuse what cannot be taken, before the body is read.
    let format = format(request.headers())?;
    let encoding = Encoding::from_headers(request.headers())?;
    let unknown = unknown_fields(request.query_string())?;
    let request_key = RequestKey::from_headers(request.headers())?;
    if state.health.has(Trouble::Stopping) {
        return Err(IngestError::NotStored("the process is stopping".into()));
    }
    // 2. Read and inflate the body, within limits.
    let bytes_max = state.http.body_bytes_max;
    let body = decode::read(payload, content_length(request.headers()), bytes_max, &state.bodies).await?;
    let large = encoding != Encoding::Identity || body.bytes.len() > PARSE_INLINE_BYTES_MAX;
    let turn = if large { Some(turn(state).await?) } else { None };
    let body =
        on_thread(encoding != Encoding::Identity, move || decode::inflate(body, encoding, bytes_max)).await?;
    let reservation = state.queue.reserve(body.bytes.len());
    let reservation = reservation.ok_or_else(|| IngestError::NotStored("the queue is full".into()))?;
    // 3. A key that was seen before: the same body again, or another one.
    let body_hash = intake::body_hash(&body.bytes, format, unknown);
    let (hold, stored) = match request_key.from_client {
        true => {
            let hold = state.keys.hold(request_key.key, body_hash).ok_or(IngestError::KeyReused)?;
            (Some(hold), stored_before(state, &request_key, body_hash).await?)
        }
        false => (None, None),
    };
    // 4. Parse each record; encode the good ones, keep the faults of the others.
    let received_at = stored.as_ref().map_or_else(Timestamp::now, |stored| stored.received_at);
    let empty =
        Intake::new(encoder(&state.queue), request_key.key, body_hash, received_at, state.http.age_max);
    let records_max = state.http.records_max;
    let intake = on_thread(large, move || {
        let Body { bytes, reservation: _held } = body;
        empty.read(format, &bytes, unknown, records_max).map_err(refusal)
    })
    .await?;
    drop(turn);
    // 5. Hand over what is not stored yet, wait until all of it is durable, and answer. A task of its own: should the client leave now,
    // what was taken is still counted as accepted or not.
    let (state, batch_id) = (state.clone(), request_key.text.clone());
    let answered = actix_web::rt::spawn(async move {
        let is_empty = intake.messages.is_empty();
        let outcome = hand_over(&state, intake, stored, &request_key, reservation).await;
        if !is_empty {
            remember(&state.queue, hold, &outcome);
        }
        let (intake, replayed) = outcome?;
        Ok(answer(&state.metrics, intake, replayed))
    });
    let lost = |_| Err(IngestError::Unknown { batch_id, reason: "the process is stopping".into() });
    answered.await.unwrap_or_else(lost)
}

/// Waits for a turn among the large bodies.
async fn turn(state: &State) -> Result<OwnedSemaphorePermit, IngestError> {
    let turn = tokio::time::timeout(TURN_WAIT_MAX, state.turns.clone().acquire_owned()).await;
    match turn {
        Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
        Err(_) => Err(IngestError::NotStored("too many large bodies at once".into())),
    }
}

/// Runs what takes long on a thread of its own.
async fn on_thread<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    if !long {
        return work();
    }
    let outcome = web::block(work).await;
    outcome.unwrap_or_else(|_| Err(IngestError::NotStored("the process is stopping".into())))
}

fn format(headers: &HeaderMap) -> Result<Format, IngestError> {
    let value = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(Format::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Ok(Format::Ndjson)
        }
        "text/csv" => Ok(Format::Csv),
        _ => Err(IngestError::UnsupportedType(essence.chars().take(64).collect())),
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get("content-length")?.to_str().ok()?.parse().ok()
}

fn unknown_fields(query: &str) -> Result<Unknown, IngestError> {
    let mut unknown = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wanted = match (&*name, &*value) {
            ("unknown", "keep") => Unknown::Keep,
            ("unknown", "reject") => Unknown::Reject,
            ("unknown", other) => {
                let seen = crate::record::rules::excerpt(other);
                return Err(IngestError::Malformed(format!(
                    "unknown: expected keep or reject, got `{seen}`"
                )));
            }
            (other, _) => {
                let seen = crate::record::rules::excerpt(other);
                return Err(IngestError::Malformed(format!(
                    "unknown parameter `{seen}`; only `unknown` is known here"
                )));
            }
        };
        if unknown.replace(wanted).is_some() {
            return Err(IngestError::Malformed("unknown: given more than once".into()));
        }
    }
    Ok(unknown.unwrap_or(Unknown::Keep))
}

fn encoder(queue: &Queue) -> Encoder {
    match queue {
        Queue::Direct(_) => Encoder::Rows,
        Queue::Kafka(_) => Encoder::Lines,
    }
}

fn refusal(malformed: Malformed) -> IngestError {
    match malformed {
        Malformed::TooMany(_) => IngestError::TooLarge(malformed.to_string()),
        Malformed::Syntax(_) | Malformed::Empty => IngestError::Malformed(malformed.to_string()),
    }
}

/// With Postgres away, Kafka mode goes on: the writer will find the key.
async fn stored_before(
    state: &State,
    key: &RequestKey,
    body_hash: i64,
) -> Result<Option<Stored>, IngestError> {
    match (key::look_up(&state.pool, key.key, body_hash).await, &state.queue) {
        (Ok(stored), _) => Ok(stored),
        (Err(LookUpError::OtherBody), _) => Err(IngestError::KeyReused),
        (Err(LookUpError::Away(_)), Queue::Kafka(_)) => Ok(None),
        (Err(LookUpError::Away(reason)), Queue::Direct(_)) => {
            log::debug!("cannot look a key up: {reason}");
            Err(IngestError::NotStored("Postgres is away".into()))
        }
    }
}

/// What is in the topic, or may be, is nowhere else yet.
fn remember<T>(queue: &Queue, hold: Option<Hold>, outcome: &Result<T, IngestError>) {
    let may_be_there = matches!(outcome, Ok(_) | Err(IngestError::Unknown { .. }));
    if let (Queue::Kafka(_), Some(hold), true) = (queue, hold, may_be_there) {
        hold.sent();
    }
}

/// Sends the messages that are not stored yet. True: all of them were.
async fn hand_over(
    state: &State,
    mut intake: Intake,
    stored: Option<Stored>,
    key: &RequestKey,
    reservation: Reservation,
) -> Result<(Intake, bool), IngestError> {
    let mut messages = std::mem::take(&mut intake.messages);
    let all = messages.len();
    let records: usize = messages.iter().map(|message| message.records).sum();
    if let Some(stored) = stored {
        messages.retain(|message| stored.parts.get(&message.key.part) != Some(&message.records));
    }
    let known: usize = records - messages.iter().map(|message| message.records).sum::<usize>();
    let mut replayed = all - messages.len();
    let mut trouble: Option<IngestError> = None;
    let mut durable = replayed;
    for outcome in state.queue.send(messages, reservation).await {
        match outcome {
            Outcome::Durable { repeated, refused } => {
                durable += 1;
                replayed += usize::from(repeated);
                for (index, error) in refused {
                    intake.refuse(index, error);
                }
            }
            Outcome::NotStored(reason) => {
                trouble.get_or_insert_with(|| IngestError::NotStored(reason.into()));
            }
            Outcome::Unknown(reason) => {
                trouble = Some(IngestError::Unknown { batch_id: key.text.clone(), reason: reason.into() });
            }
        }
    }
    match trouble {
        None => {
            state.metrics.repeated_records.inc_by(known as u64);
            Ok((intake, all > 0 && replayed == all))
        }
        // A part of the request is stored: only repeating it with the key makes it whole and stores it once.
        Some(IngestError::NotStored(reason)) if durable > 0 => {
            Err(IngestError::Unknown { batch_id: key.text.clone(), reason: reason.into_owned() })
        }
        Some(error) => Err(error),
    }
}

fn answer(metrics: &Metrics, intake: Intake, replayed: bool) -> HttpResponse {
    metrics.accepted_records.inc_by(intake.accepted.len() as u64);
    metrics.replaced_nuls.inc_by(intake.nuls as u64);
    for (reason, count) in &intake.reasons {
        metrics.rejected_records.get_or_create(&Reason { reason: reason.to_string() }).inc_by(*count);
    }
    let mut answer = if intake.accepted.is_empty() {
        HttpResponse::UnprocessableEntity()
    } else {
        HttpResponse::Accepted()
    };
    if replayed {
        answer.insert_header(("Idempotent-Replayed", "true"));
    }
    answer.json(Reply {
        accepted: intake.accepted.len(),
        ids: intake.accepted.iter().map(|(_, id)| id.0.to_string()).collect(),
        rejected: &intake.rejected,
        rejected_total: intake.rejected_total,
    })
}
