//! Frees what a dead writer holds. A client that falls silent in the middle of a COPY (its machine is gone, or it is stopped) is immune
//! to every timeout of Postgres; only ending its backend frees it. Also expires idempotency keys.

use std::time::Duration;

use tokio_postgres::Config;

use super::{APPLICATION_NAME, error::describe};
use crate::db;

/// Transactions of the writer take milliseconds; one that waits for its client this long is stuck.
const STUCK_SECONDS: f64 = 15.0;
const ROUND: Duration = Duration::from_secs(5);
/// Rounds between two expiries of keys.
const ROUNDS_PER_EXPIRY: u64 = 60;

const END_STUCK: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where application_name = $1 and pid <> pg_backend_pid() and state <> 'idle' and wait_event = 'ClientRead' \
    and xact_start < clock_timestamp() - $2 * interval '1 second'";

/// In slices, so that no transaction is long.
const EXPIRE_KEYS: &str = "delete from ingest_keys where ctid = any (array( \
    select ctid from ingest_keys where received_at < now() - interval '7 days' limit 10000))";

/// Runs until it is aborted.
pub async fn run(config: Config) {
    let mut round: u64 = 0;
    loop {
        if let Err(error) = clean(&config, round.is_multiple_of(ROUNDS_PER_EXPIRY)).await {
            log::debug!("janitor: {}", describe(&error));
        }
        round += 1;
        tokio::time::sleep(ROUND).await;
    }
}

async fn clean(config: &Config, expire: bool) -> Result<(), tokio_postgres::Error> {
    let client = db::connect(config).await?;
    let ended = client.query(END_STUCK, &[&APPLICATION_NAME, &STUCK_SECONDS]).await?;
    if !ended.is_empty() {
        log::warn!("ended {} writer connections whose client had fallen silent", ended.len());
    }
    while expire && client.execute(EXPIRE_KEYS, &[]).await? == 10_000 {}
    Ok(())
}
