//! A trace as JSON. In: `GET /api/traces/{traceId}`, the id percent-encoded, or `GET /api/traces?traceId=`, which can also say `.` and `..`.
//! Out: its records in order, its spans, and how much of it that is.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::{
    Reach, Trace, read,
    tree::{Span, grow},
};
use crate::search::{
    State, answer,
    count::{Count, Is},
    logged,
    params::{self, Fault},
    row::Row,
};

pub(in crate::search) fn routes(config: &mut web::ServiceConfig) {
    for address in ["/api/traces", "/api/traces/{traceId}"] {
        config.service(
            web::resource(address).route(web::get().to(trace_json)).route(web::head().to(trace_json)),
        );
    }
}

/// Reply of `GET /api/traces/{traceId}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TraceReply<'a> {
    trace_id: &'a str,
    logs: &'a [Row],
    spans: Vec<SpanReply<'a>>,
    total: Count,
    stats: StatsReply,
}

/// A span without records is a parent that was only named.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanReply<'a> {
    span_id: Option<&'a str>,
    parent_span_id: Option<&'a str>,
    resource_id: Option<&'a str>,
    from: String,
    to: String,
    logs: usize,
    errors: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsReply {
    rows_read: u64,
    ms: f64,
    complete: bool,
}

async fn trace_json(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let trace = async {
        let (id, others) = asked_id(&request)?;
        if let Some((name, _)) = others.first() {
            return Err(Fault::unknown(name, &[]).into());
        }
        read(&state, &id).await
    };
    let answer = match trace.await {
        Ok(trace) => {
            let lines = trace.lines();
            answer::json(StatusCode::OK, &TraceReply::new(&trace, &grow(&lines)))
        }
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

/// The trace id of an address, and its other parameters. The path is taken as it was sent: a router that decodes it for its own ends
/// cannot say any more what was an escaped slash.
pub fn asked_id(request: &HttpRequest) -> Result<(String, Vec<(String, String)>), Fault> {
    let mut pairs = params::decode(request.query_string())?;
    let id = if request.match_info().get("traceId").is_some() {
        let raw = request.uri().path().rsplit('/').next().unwrap_or_default();
        let id = percent_decode_str(raw).decode_utf8().map_err(|_| Fault::new("traceId", "is not UTF-8"))?;
        id.into_owned()
    } else {
        let ids: Vec<String> =
            pairs.extract_if(.., |(name, _)| name == "traceId").map(|(_, value)| value).collect();
        <[String; 1]>::try_from(ids).map_err(|_| Fault::new("traceId", "is needed, once"))?[0].clone()
    };
    match id.is_empty() {
        true => Err(Fault::new("traceId", "is needed, once")),
        false => Ok((id, pairs)),
    }
}

impl<'a> TraceReply<'a> {
    fn new(trace: &'a Trace, spans: &[Span<'a>]) -> Self {
        let is_whole = trace.reach == Reach::Whole;
        Self {
            trace_id: &trace.id,
            logs: &trace.rows,
            spans: spans.iter().map(|span| SpanReply::new(span, spans)).collect(),
            total: Count { count: trace.rows.len() as u64, is: Is::exact_if(is_whole) },
            stats: StatsReply {
                rows_read: trace.rows_read,
                ms: (trace.took.as_secs_f64() * 1e5).round() / 100.0,
                complete: is_whole,
            },
        }
    }
}

impl<'a> SpanReply<'a> {
    fn new(span: &Span<'a>, spans: &[Span<'a>]) -> Self {
        Self {
            span_id: span.id,
            parent_span_id: span.parent.and_then(|parent| spans[parent].id),
            resource_id: span.resource,
            from: span.whole.from.to_string(),
            to: span.whole.to.to_string(),
            logs: span.lines.len(),
            errors: span.errors,
        }
    }
}
