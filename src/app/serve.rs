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
    ) -> Self {
        let pool: Pool = db::pool(database, DOOR_POOL_SIZE, Purpose::Door);
        let query_pool = db::pool(database, config.search.pool_size, Purpose::Query);
        let door = ingest::State {
            queue,
            bodies: Budget::new(config.http.bodies_bytes_max, metrics.body_bytes_in_flight.clone()),
            turns: Arc::new(Semaphore::new(thread::available_parallelism().map_or(2, usize::from))),
            pool: pool.clone(),
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
        let search = search::State::new(query_pool, shelf, &config.search, metrics.clone());
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
            delete: web::Data::new(delete),
            health: web::Data::new(probes),
        }
    }

    fn routes(&self, service: &mut web::ServiceConfig) {
        service.app_data(self.health.clone()).configure(health::routes);
        if self.config.roles.ingest {
            service.app_data(self.door.clone()).configure(ingest::routes);
        }
        service.app_data(self.delete.clone()).configure(search::delete::routes);
        if self.config.roles.query {
            service.app_data(self.feed.clone());
            service.app_data(self.search.clone()).configure(pages::routes).configure(search::routes);
        }
    }
}

pub(super) fn serve(
    socket: TcpListener,
    rooms: Rooms,
    in_flight: Arc<AtomicUsize>,
) -> std::io::Result<(ServerHandle, JoinHandle<std::io::Result<()>>)> {
    let server = HttpServer::new(move || {
        let rooms = rooms.clone();
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
            .configure(|service| rooms.routes(service))
            .default_service(web::to(
                |request: HttpRequest| async move { pages::answer::not_found(&request) },
            ))
    })
    .listen(socket)?
    .disable_signals()
    // A client that closes its connection has left: its handler is dropped, and with it the search that Postgres runs for it.
    .h1_allow_half_closed(false)
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(2)
    .run();
    Ok((server.handle(), tokio::spawn(server)))
}

struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
