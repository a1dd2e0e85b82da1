//! `/healthz`, `/readyz`, `/metrics`: whether the process lives, whether each role can do its work and if not why, and its numbers.
//! In: troubles that the rooms report while they last. Out: text for people, probes and Prometheus.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{HttpResponse, web};
use deadpool_postgres::Pool;
use serde::Serialize;

use crate::{config::Roles, metrics::Metrics};

/// What keeps a role from working; reported by one room, cleared by the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The schema is not there yet, because Postgres is not.
    Schema,
    /// The writer cannot reach Postgres, or Postgres refuses its work.
    Postgres,
    /// The topic is not there yet, or no broker is.
    Topic,
    /// The producer cannot reach a broker.
    Producer,
    /// The consumer cannot reach a broker or join its group.
    Consumer,
    /// Partitions stand still because going on would lose records.
    Halted,
    /// The process is stopping.
    Stopping,
}

impl Trouble {
    fn concerns(self) -> &'static [Role] {
        match self {
            Self::Schema => &[Role::Write, Role::Query],
            Self::Postgres => &[Role::Write],
            Self::Topic => &[Role::Ingest, Role::Write],
            Self::Producer => &[Role::Ingest],
            Self::Consumer | Self::Halted => &[Role::Write],
            Self::Stopping => &[Role::Ingest, Role::Write, Role::Query],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Ingest,
    Write,
    Query,
}

/// The troubles of the moment.
#[derive(Default)]
pub struct Health {
    troubles: Mutex<BTreeMap<Trouble, String>>,
}

impl Health {
    /// Reports a trouble; logs it when it is new or its reason has changed.
    pub fn report(&self, trouble: Trouble, reason: impl Into<String>) {
        let reason = reason.into();
        let mut troubles = self.lock();
        if troubles.get(&trouble) != Some(&reason) {
            let level = if trouble == Trouble::Stopping { log::Level::Info } else { log::Level::Warn };
            log::log!(level, "{trouble:?}: {reason}");
            troubles.insert(trouble, reason);
        }
    }

    pub fn clear(&self, trouble: Trouble) {
        if self.lock().remove(&trouble).is_some() {
            log::info!("{trouble:?}: well again");
        }
    }

    pub fn has(&self, trouble: Trouble) -> bool {
        self.lock().contains_key(&trouble)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Trouble, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reasons(&self, role: Role) -> Vec<String> {
        let troubles = self.lock();
        troubles
            .iter()
            .filter(|(trouble, _)| trouble.concerns().contains(&role))
            .map(|(_, why)| why.clone())
            .collect()
    }
}

/// What the probes need.
pub struct State {
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    pub roles: Roles,
    /// Whether requests wait for Postgres (direct mode) or for the broker.
    pub direct: bool,
    pub pool: Pool,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    roles: BTreeMap<&'static str, RoleState>,
}

#[derive(Serialize)]
struct RoleState {
    ready: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route(
            "/healthz",
            web::get().to(|| async { HttpResponse::Ok().content_type("text/plain").body("ok\n") }),
        )
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics))
        .route("/openapi.json", web::get().to(openapi));
}

/// 200 when every role of this process can work, else 503; the reasons per role either way.
async fn readyz(state: web::Data<State>) -> HttpResponse {
    let mut roles = BTreeMap::new();
    let postgres = postgres_trouble(&state.pool).await;
    let mut add = |name, reasons: &[Role], needs_postgres: bool| {
        let mut reasons: Vec<String> = reasons.iter().flat_map(|role| state.health.reasons(*role)).collect();
        reasons.dedup();
        if reasons.is_empty() && needs_postgres {
            reasons.extend(postgres.clone());
        }
        roles.insert(name, RoleState { ready: reasons.is_empty(), reasons });
    };
    if state.roles.ingest {
        // In direct mode a request waits for the writer; the door of Kafka mode needs no Postgres.
        let whose: &[Role] = if state.direct { &[Role::Ingest, Role::Write] } else { &[Role::Ingest] };
        add("ingest", whose, state.direct);
    }
    if state.roles.write {
        add("write", &[Role::Write], true);
    }
    if state.roles.query {
        add("query", &[Role::Query], true);
    }
    let ready = roles.values().all(|role| role.ready);
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(Readiness { ready, roles })
}

/// Whether a look at Postgres fails right now.
async fn postgres_trouble(pool: &Pool) -> Option<String> {
    let probe = async {
        pool.get()
            .await
            .map_err(|error| error.to_string())?
            .simple_query("select 1")
            .await
            .map_err(|error| error.to_string())
    };
    match tokio::time::timeout(Duration::from_secs(2), probe).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("cannot reach Postgres: {error}")),
        Err(_) => Some("Postgres did not answer within 2 s".into()),
    }
}

async fn metrics(state: web::Data<State>) -> HttpResponse {
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    HttpResponse::Ok().content_type(openmetrics).body(state.metrics.encode())
}

/// What this process can be asked; held against the routes by a test.
async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(include_str!("../static/openapi.json"))
}
