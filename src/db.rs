//! Connections to Postgres and the migrations. In: a connection string. Out: pools and single connections with the settings
//! each purpose needs. Every process migrates at start under an advisory lock, so any number may start at once.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use refinery::Target;
use tokio_postgres::{Client, Config, NoTls};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Key of the advisory lock around migrations; any constant that nobody else takes.
const MIGRATION_LOCK: i64 = 0x6c6f_6769_6e67;

/// Settings of a connection that searches: no writes, no JIT (compiling costs more than it saves on pages of 50 rows).
const QUERY_SETTINGS: &str =
    "set default_transaction_read_only = on; set jit = off; set statement_timeout = '30s'";

/// Settings of a connection that looks up and stores small things for the door.
const DOOR_SETTINGS: &str = "set statement_timeout = '5s'; set lock_timeout = '2s'";

/// What a pool is for.
#[derive(Clone, Copy)]
pub enum Purpose {
    Query,
    Door,
}

/// Opens one connection; its driver runs as a task and ends with the client.
pub async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let mut config = config.clone();
    config.connect_timeout(Duration::from_secs(5));
    config.keepalives_idle(Duration::from_secs(15));
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            log::debug!("postgres connection ended: {error}");
        }
    });
    Ok(client)
}

/// A pool of at most `size` connections; waiting for one, connecting and recycling are each limited to 5 s.
pub fn pool(config: &Config, size: usize, purpose: Purpose) -> Pool {
    let settings = match purpose {
        Purpose::Query => QUERY_SETTINGS,
        Purpose::Door => DOOR_SETTINGS,
    };
    let mut config = config.clone();
    config.connect_timeout(Duration::from_secs(5));
    let manager =
        Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let five_seconds = Some(Duration::from_secs(5));
    Pool::builder(manager)
        .max_size(size)
        .wait_timeout(five_seconds)
        .create_timeout(five_seconds)
        .recycle_timeout(five_seconds)
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(move |client, _| {
            Box::pin(async move { client.batch_execute(settings).await.map_err(HookError::Backend) })
        }))
        .build()
        .expect("a pool with timeouts has a runtime")
}

/// Brings the schema up to date; waits for another process that does the same.
pub async fn migrate(config: &Config) -> Result<(), MigrateError> {
    migrate_to(config, Target::Latest).await
}

/// Brings the schema to a version and no further: what an earlier release left behind.
pub async fn migrate_to(config: &Config, target: Target) -> Result<(), MigrateError> {
    let mut client = connect(config).await?;
    client.execute("select pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    embedded::migrations::runner().set_target(target).run_async(&mut client).await?;
    client.execute("select pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await?;
    Ok(())
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("cannot reach Postgres: {0}")]
    Connect(#[from] tokio_postgres::Error),
    #[error("cannot migrate: {0}")]
    Migrate(#[from] refinery::Error),
}
