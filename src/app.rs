//! Wiring only: what is started in which order, and stopped in which.
//!
//! Start: socket, Postgres, migrations, queue and writer, HTTP. Stop: refuse new requests, finish those that were taken, flush the
//! producer, let the writer commit its last batch over a live connection, stop Postgres. A process that is killed instead loses
//! nothing that was acknowledged.

mod serve;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::dev::ServerHandle;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

use self::serve::{Rooms, serve};
use crate::{
    config::{Config, DatabaseConfig, QueueConfig},
    db,
    health::{Health, Trouble},
    index::filling::FillingBlocks,
    metrics::Metrics,
    private_postgres::{PrivatePostgres, PrivatePostgresError},
    queue::{
        Budget, Queue,
        direct::{self, DirectReceiver},
        kafka::{self, KafkaQueue},
    },
    search,
    writer::{self, consumer::ConsumerThread, leaves::Leaves, store::Shared, store::Store},
};

/// After the door has closed, clients on open connections hear 503 for this long.
const LINGER: Duration = Duration::from_millis(500);
/// Requests that were taken may take this long to finish.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(11);
/// The writer may take this long for its last batches.
const WRITER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Messages that librdkafka still holds get this long; their requests have mostly been answered.
const PRODUCER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("{0}")]
    Postgres(#[from] PrivatePostgresError),
    #[error("{0}")]
    Migrate(#[from] db::MigrateError),
    #[error("cannot make a Kafka client: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("cannot serve HTTP: {0}")]
    Serve(#[from] std::io::Error),
}

/// A running process.
pub struct App {
    pub address: SocketAddr,
    /// How to open the private Postgres in a terminal.
    pub psql: Option<String>,
    health: Arc<Health>,
    in_flight: Arc<AtomicUsize>,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    rooms: Rooms,
    writer: Writer,
    /// What keeps the searches up to date.
    ahead: Option<JoinHandle<()>>,
    postgres: Option<PrivatePostgres>,
}

/// The writing side of this process.
#[derive(Default)]
struct Writer {
    direct: Option<Arc<DirectReceiver>>,
    consumer: Option<ConsumerThread>,
    tasks: JoinSet<()>,
    /// What keeps the tables in order, until it is aborted.
    keepers: Vec<JoinHandle<()>>,
    topic: Option<JoinHandle<()>>,
}

impl App {
    /// Returns when the process serves.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listen = config.http.listen;
        let socket = TcpListener::bind(listen).map_err(|error| StartError::Listen(listen, error))?;
        let address = socket.local_addr().map_err(|error| StartError::Listen(listen, error))?;
        let (database, postgres) = match &config.database {
            DatabaseConfig::Url(config) => (config.as_ref().clone(), None),
            DatabaseConfig::Private { data_dir } => {
                let server = PrivatePostgres::start(data_dir).await?;
                (server.config(), Some(server))
            }
        };
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Health::default());
        let migrated = migrate(&database, &health).await?;
        let filling = Arc::<FillingBlocks>::default();
        let (queue, writer) = start_writer(&config, &database, &health, &metrics, &filling, migrated)?;
        let in_flight = Arc::new(AtomicUsize::new(0));
        let rooms = Rooms::new(&config, &database, queue, &health, &metrics, &filling);
        let ahead = config.roles.query.then(|| tokio::spawn(search::ahead::run(rooms.search.clone())));
        let (server, serving) = serve(socket, rooms.clone(), in_flight.clone())?;
        let psql = postgres.as_ref().map(PrivatePostgres::psql);
        Ok(Self { address, psql, health, in_flight, server, serving, rooms, writer, ahead, postgres })
    }

    /// Returns when everything is stopped and everything taken is stored or answered.
    pub async fn stop(mut self) {
        self.health.report(Trouble::Stopping, "the process is stopping");
        self.rooms.feed.end();
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
        if let Some(postgres) = &self.postgres {
            // What is written now need not be written when Postgres shuts down; all of it stays within the 30 s of the contract.
            let config = postgres.config();
            tokio::spawn(async move { db::connect(&config).await?.batch_execute("checkpoint").await });
        }
        sleep(LINGER).await;
        let deadline = Instant::now() + FINISH_WAIT_MAX;
        while self.in_flight.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        self.server.stop(false).await;
        if let Ok(Err(error)) = self.serving.await {
            log::error!("HTTP server: {error}");
        }
        if let Queue::Kafka(_) = self.rooms.door.queue {
            let door = self.rooms.door.clone();
            let flushed = tokio::task::spawn_blocking(move || {
                if let Queue::Kafka(queue) = &door.queue {
                    queue.flush(PRODUCER_WAIT_MAX);
                }
            });
            let _ = flushed.await;
        }
        if timeout(WRITER_WAIT_MAX, self.writer.stop()).await.is_err() {
            log::error!(
                "the writer did not finish in time; what was not committed stays in Kafka or was answered 503"
            );
        }
        // Or each would say that its server has gone.
        self.rooms.close_searches();
        self.rooms.door.pool.close();
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
        log::info!("stopped");
    }
}

impl Writer {
    async fn stop(&mut self) {
        for task in self.topic.take().into_iter().chain(self.keepers.drain(..)) {
            task.abort();
        }
        if let Some(direct) = &self.direct {
            direct.close();
        }
        if let Some(consumer) = self.consumer.take() {
            consumer.stop().await;
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Brings the schema up to date. While Postgres is away the process serves all the same, says so, and tries on: the door of Kafka mode
/// needs no Postgres. The writer starts when the answer turns true.
async fn migrate(
    database: &tokio_postgres::Config,
    health: &Arc<Health>,
) -> Result<watch::Receiver<bool>, db::MigrateError> {
    let (say_migrated, migrated) = watch::channel(false);
    match db::migrate(database).await {
        Ok(()) => {
            say_migrated.send_replace(true);
        }
        Err(db::MigrateError::Connect(error)) if !is_final(&error) => {
            let waiting = |error: &dyn std::fmt::Display| format!("waiting for Postgres: {error}");
            health.report(Trouble::Schema, waiting(&writer::error::describe(&error)));
            let (database, health) = (database.clone(), health.clone());
            tokio::spawn(async move {
                while let Err(error) = db::migrate(&database).await {
                    health.report(Trouble::Schema, waiting(&error));
                    sleep(Duration::from_millis(500)).await;
                }
                health.clear(Trouble::Schema);
                say_migrated.send_replace(true);
            });
        }
        Err(error) => return Err(error),
    }
    Ok(migrated)
}

/// Until the schema is there; or for ever, if the process ends before.
async fn wait_for(mut migrated: watch::Receiver<bool>) {
    if migrated.wait_for(|migrated| *migrated).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Wrong password, user or database: waiting does not help. Classes 28 and 3D of the PostgreSQL manual, appendix A.
fn is_final(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("28") || code.code().starts_with("3D"))
}

fn start_writer(
    config: &Config,
    database: &tokio_postgres::Config,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
    filling: &Arc<FillingBlocks>,
    migrated: watch::Receiver<bool>,
) -> Result<(Queue, Writer), StartError> {
    let mut writer = Writer::default();
    let topic = match &config.queue {
        QueueConfig::Kafka { topic, .. } => topic.clone(),
        QueueConfig::Direct { .. } => "direct".to_owned(),
    };
    let shared = Shared {
        config: database.clone(),
        topic,
        leaves: Arc::new(Leaves::default()),
        commits: Arc::default(),
        metrics: metrics.clone(),
        filling: config.roles.query.then(|| filling.clone()),
    };
    if config.roles.write {
        let janitor = writer::janitor::run(database.clone());
        let ahead = writer::ahead::run(database.clone(), shared.leaves.clone());
        let retention = writer::retention::run(database.clone(), config.retention, metrics.clone());
        let seal = writer::sealer::run(database.clone(), config.writer.seal, metrics.clone());
        let migrated = migrated.clone();
        writer.keepers.extend([tokio::spawn(janitor), tokio::spawn(seal)]);
        writer.keepers.push(tokio::spawn(async move {
            wait_for(migrated).await;
            tokio::join!(ahead, retention);
        }));
    }
    match &config.queue {
        QueueConfig::Direct { bytes_max } => {
            log::info!("durability: direct, an accepted record is in Postgres' flushed WAL");
            let (queue, receiver) =
                direct::channel(Budget::new(*bytes_max, metrics.queued_bytes.clone()), health.clone());
            let receiver = Arc::new(receiver);
            if config.roles.write {
                for _ in 0..config.writer.connections {
                    let store = Store::new(shared.clone());
                    writer.tasks.spawn(writer::direct::run(receiver.clone(), store, health.clone()));
                }
            }
            writer.direct = Some(receiver);
            Ok((Queue::Direct(queue), writer))
        }
        QueueConfig::Kafka { brokers, topic, group, bytes_max } => {
            let budget = Budget::new(*bytes_max, metrics.queued_bytes.clone());
            let queue = KafkaQueue::new(brokers, topic, budget, health.clone())?;
            let (say_ready, topic_ready) = watch::channel(false);
            if config.roles.write {
                let settings = writer::consumer::Settings {
                    brokers: brokers.clone(),
                    group: group.clone(),
                    flush_wait_max: config.writer.flush_wait_max,
                    lanes: config.writer.connections,
                };
                writer.consumer = Some(ConsumerThread::start(settings, shared, health.clone(), topic_ready)?);
            }
            let (brokers, topic, health) = (brokers.clone(), topic.clone(), health.clone());
            writer.topic = Some(tokio::spawn(async move {
                kafka::ensure_topic(&brokers, &topic, &health).await;
                wait_for(migrated).await;
                say_ready.send_replace(true);
                say_durability(brokers, topic).await;
            }));
            Ok((Queue::Kafka(queue), writer))
        }
    }
}

async fn say_durability(brokers: String, topic: String) {
    let replicas =
        tokio::task::spawn_blocking(move || kafka::replicas(&brokers, &topic)).await.ok().flatten();
    match replicas {
        Some(copies @ 2..) => log::info!(
            "durability: Kafka with {copies} copies, an accepted record survives the loss of a broker"
        ),
        Some(_) => log::info!(
            "durability: Kafka with one copy, an accepted record survives kill -9 of everything, not a power cut"
        ),
        None => log::info!("durability: Kafka, number of copies unknown"),
    }
}
