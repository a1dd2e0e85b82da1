//! What serves HTTP: the state that the rooms share, and their routes, by the roles of this process.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix_web::{App as ActixApp, HttpRequest, HttpServer, dev::ServerHandle, dev::Service, web};
use deadpool_postgres::Pool;
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::{
    config::{Config, QueueConfig},
    db::{self, Purpose},
    health::{self, Health},
    index::filling::FillingBlocks,
    ingest,
    metrics::Metrics,
    pages,
    queue::{Budget, Queue},
    search::{self, delete::Access, tail::Feed},
};

/// Connections for idempotency keys and probes.
const DOOR_POOL_SIZE: usize = 4;

/// What the HTTP routes share.
#[derive(Clone)]
pub(super) struct Rooms {
    config: Config,
    pub(super) door: web::Data<ingest::State>,
    pub(super) search: web::Data<search::State>,
    /// Those of the HTTP workers, which take turns.
    searches: Vec<web::Data<search::State>>,
    delete: web::Data<search::delete::Access>,
    pub(super) feed: web::Data<Feed>,
    health: web::Data<health::State>,
}

impl Rooms {
    pub(super) fn new(
        config: &Config,
        database: &tokio_postgres::Config,
        queue: Queue,
        health: &Arc<Health>,
        metrics: &Arc<Metrics>,
        filling: &Arc<FillingBlocks>,
    ) -> Self {
        let pool: Pool = db::pool(database, DOOR_POOL_SIZE, Purpose::Door);
        let shares = Shares::of(config.search.pool_size, config.search.concurrent_max, cores());
        let query_pool = |size| db::pool(database, size, Purpose::Query);
        let door = ingest::State {
            queue,
            bodies: Budget::new(config.http.bodies_bytes_max, metrics.body_bytes_in_flight.clone()),
            turns: Arc::new(Semaphore::new(cores())),
            pool: pool.clone(),
            keys: Arc::default(),
            http: config.http.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let probes = health::State {
            health: health.clone(),
            metrics: metrics.clone(),
            roles: config.roles,
            direct: matches!(config.queue, QueueConfig::Direct { .. }),
            pool,
        };
        let shelf = db::pool(database, search::shelf::POOL_SIZE, Purpose::Door);
        let common = query_pool(shares.common);
        let search = search::State::new(common, shelf, &config.search, metrics.clone(), filling.clone());
        let of_worker = |_| web::Data::new(search.with_pool(query_pool(shares.each)));
        let searches = (0..shares.workers).map(of_worker).collect();
        let search = web::Data::new(search);
        let delete = match (config.roles.write && config.roles.query, config.http.may_delete) {
            (true, true) => Access::Allowed(search.clone()),
            (true, false) => Access::Refused("deleting is switched off here: see ALLOW_DELETE"),
            (false, _) => Access::Refused("only a process with the roles write and query deletes"),
        };
        let feed = web::Data::new(Feed::new(search.clone()));
        Self {
            config: config.clone(),
            door: web::Data::new(door),
            feed,
            search,
            searches,
            delete: web::Data::new(delete),
            health: web::Data::new(probes),
        }
    }

    /// Gives up all connections of searches.
    pub(super) fn close_searches(&self) {
        self.searches.iter().chain([&self.search]).for_each(|search| search.close());
    }

    /// For the worker with this number.
    fn routes(&self, worker: usize, service: &mut web::ServiceConfig) {
        service.app_data(self.health.clone()).configure(health::routes);
        if self.config.roles.ingest {
            service.app_data(self.door.clone()).configure(ingest::routes);
        }
        service.app_data(self.delete.clone()).configure(search::delete::routes);
        if self.config.roles.query {
            service.app_data(self.feed.clone());
            let search = self.searches[worker % self.searches.len()].clone();
            service.app_data(search).configure(pages::routes).configure(search::routes);
        }
    }
}

pub(super) fn serve(
    socket: TcpListener,
    rooms: Rooms,
    in_flight: Arc<AtomicUsize>,
) -> std::io::Result<(ServerHandle, JoinHandle<std::io::Result<()>>)> {
    let workers = Arc::new(AtomicUsize::new(0));
    let server = HttpServer::new(move || {
        let rooms = rooms.clone();
        let worker = workers.fetch_add(1, Ordering::Relaxed);
        let in_flight = in_flight.clone();
        ActixApp::new()
            .wrap_fn(move |request, service| {
                in_flight.fetch_add(1, Ordering::AcqRel);
                let guard = InFlight(in_flight.clone());
                let answer = service.call(request);
                async move {
                    let _guard = guard;
                    answer.await
                }
            })
            .wrap(pages::page_headers())
            .configure(|service| rooms.routes(worker, service))
            .default_service(web::to(
                |request: HttpRequest| async move { pages::answer::not_found(&request) },
            ))
    })
    .workers(cores())
    .listen(socket)?
    .disable_signals()
    // A client that closes its connection has left: its handler is dropped, and with it the search that Postgres runs for it.
    .h1_allow_half_closed(false)
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(2)
    .run();
    Ok((server.handle(), tokio::spawn(server)))
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// Who has how many of the connections for searches.
#[derive(Debug, PartialEq, Eq)]
struct Shares {
    /// For what runs beside the workers: followers of the index and of the tail, deletions.
    common: usize,
    /// Sets for workers: as many as there can be, one for each worker at most.
    workers: usize,
    /// Connections of a set: enough for all searches that run at once, so that none waits for a connection that has its turn.
    each: usize,
}

impl Shares {
    /// Of more connections than searches.
    fn of(connections: usize, searches: usize, workers: usize) -> Self {
        let common = (connections / 4).min(connections - searches).max(1);
        let rest = connections - common;
        let workers = (rest / searches).clamp(1, workers);
        Self { common, workers, each: rest / workers }
    }
}

struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_shared_out() {
        let shares = |connections, searches, workers| {
            let Shares { common, workers, each } = Shares::of(connections, searches, workers);
            (common, workers, each)
        };
        assert_eq!(shares(24, 8, 2), (6, 2, 9));
        assert_eq!(shares(24, 8, 64), (6, 2, 9));
        assert_eq!(shares(64, 8, 4), (16, 4, 12));
        assert_eq!(shares(9, 8, 2), (1, 1, 8));
        assert_eq!(shares(2, 1, 2), (1, 1, 1));
        for (connections, searches) in (2..100).flat_map(|n| (1..n).map(move |searches| (n, searches))) {
            let (common, workers, each) = shares(connections, searches, 16);
            assert!(common > 0 && each >= searches, "{connections} connections, {searches} searches");
            assert!(common + workers * each <= connections, "{connections} connections, {searches} searches");
        }
    }
}
