//! The addresses of the counts. In: a GET request. Out: JSON. Each answer is one session, hence one snapshot; it takes its turn among the
//! searches, and is counted with them.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    Counting, Is,
    buckets::Buckets,
    facets, histogram, read,
    reply::{FacetsReply, HistogramReply, Reply, Stats, SummaryReply},
    summary,
};
use crate::{
    record::Timestamp,
    search::{
        State, answer,
        begin::{again_if_gone, check_regexes, turn_for},
        error::SearchError,
        explain, logged,
        params::{self, Query},
        session::Session,
    },
};

/// How long counting takes unless asked otherwise by `budget`.
const BUDGET: Duration = Duration::from_secs(1);

/// What a count found.
struct Counted<T> {
    counts: T,
    is: Is,
    searched_back_to: Option<Timestamp>,
}

pub(in crate::search) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/api/histogram").route(web::get().to(histogram)).route(web::head().to(histogram)),
        )
        .service(web::resource("/api/facets").route(web::get().to(facets)).route(web::head().to(facets)))
        .service(web::resource("/api/summary").route(web::get().to(summary)).route(web::head().to(summary)));
}

async fn histogram(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    respond(&state, async |started| {
        let (pairs, explains) = explain::asked(&request)?;
        let (query, width) = read::histogram(pairs, Timestamp::now())?;
        run(&state, &query, started, explains, async |counting| {
            let range = counting.range(&query).await?;
            let counted = histogram::count(counting, &Buckets::new(range, width)?).await?;
            let (is, searched_back_to) = (counted.total.is, counted.searched_back_to);
            Ok(Counted { counts: HistogramReply::from(counted), is, searched_back_to })
        })
        .await
    })
    .await
}

async fn facets(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    respond(&state, async |started| {
        let (pairs, explains) = explain::asked(&request)?;
        let (query, fields, values_max) = read::facets(pairs, Timestamp::now())?;
        run(&state, &query, started, explains, async |counting| {
            let range = counting.range(&query).await?;
            let counted = facets::count(counting, range, &fields, values_max).await?;
            let searched_back_to = counted.searched_back_to;
            let is = Is::exact_if(searched_back_to.is_none());
            Ok(Counted { counts: FacetsReply::from(counted), is, searched_back_to })
        })
        .await
    })
    .await
}

async fn summary(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    respond(&state, async |started| {
        let pairs = params::decode(request.query_string())?;
        let query = read::summary(pairs, Timestamp::now())?;
        run(&state, &query, started, false, async |counting| {
            let range = counting.range(&query).await?;
            let counted = summary::count(counting, range).await?;
            let (is, searched_back_to) = (counted.total.is, counted.searched_back_to);
            Ok(Counted { counts: SummaryReply::from(counted), is, searched_back_to })
        })
        .await
    })
    .await
}

/// Turns what was found, or what is wrong, into the answer.
async fn respond<T: Serialize>(
    state: &State,
    reply: impl AsyncFnOnce(Instant) -> Result<T, SearchError>,
) -> HttpResponse {
    let started = Instant::now();
    let answer = match reply(started).await {
        Ok(reply) => answer::json(StatusCode::OK, &reply),
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

/// Counts in a session of its own.
async fn run<T>(
    state: &State,
    query: &Query,
    started: Instant,
    explains: bool,
    count: impl AsyncFn(&mut Counting<'_>) -> Result<Counted<T>, SearchError>,
) -> Result<Reply<T>, SearchError> {
    let _turn = turn_for(state, &query.filter.expr()).await?;
    again_if_gone(state, async || {
        let begun = Instant::now();
        let (mut session, snapshot) =
            Session::open_as_of(state, begun + state.time_max, query.as_of()).await?;
        session.explains(explains);
        let expr = query.filter.expr();
        let mut counting = Counting {
            session: &mut session,
            snapshot: &snapshot,
            catalogue: &state.catalogue,
            expr: &expr,
            due: begun + query.budget.unwrap_or(BUDGET),
            rows_read: 0,
        };
        let counted = match check_regexes(counting.session, &expr).await {
            Ok(()) => count(&mut counting).await,
            Err(error) => Err(error),
        };
        let rows_read = counting.rows_read;
        let took = started.elapsed();
        let explain = explain::explain(&mut session).await;
        session.close().await;
        state.metrics.search_rows_read.inc_by(rows_read);
        let Counted { counts, is, searched_back_to } = counted?;
        let stats = Stats::new(rows_read, took, is == Is::Exact, searched_back_to);
        Ok(Reply { counts, as_of: snapshot.as_of, stats, explain })
    })
    .await
}
