//! What the index needs done behind the writer's back. In: signatures, blocks that a dead writer left open, counts by minute. Out: groups,
//! signatures, fewer rows of counts. One process at a time, any with the write role; each step is one transaction, so it is done once or
//! not at all, and it waits for nobody: the writer never touches what is sealed.

mod compact;
mod orphans;
mod seal;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_postgres::Config;

use self::{compact::compact, orphans::sign_orphans, seal::Damaged};
use super::error::describe;
use crate::{db, metrics::Metrics};

const ROUND: Duration = Duration::from_secs(1);
/// How often counts by minute and what was deleted of the open blocks are looked at.
const COMPACT_EVERY: Duration = Duration::from_secs(10);

const TAKE_TURN: &str = "select pg_try_advisory_lock(7313, 1)";

/// When signatures are sealed.
#[derive(Debug, Clone, Copy)]
pub struct SealConfig {
    /// Blocks of a group (`SEAL_BLOCKS`).
    pub blocks: usize,
    /// A leaf that got no signature for so long is sealed as it is (`SEAL_IDLE_MS`).
    pub idle: Duration,
}

/// Runs until it is aborted.
pub async fn run(config: Config, sealing: SealConfig, metrics: Arc<Metrics>) {
    // Kept over connections: each is said once.
    let mut damaged = Damaged::default();
    loop {
        if let Err(error) = keep_sealing(&config, sealing, &mut damaged, &metrics).await {
            log::debug!("sealer: {}", describe(&error));
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn keep_sealing(
    config: &Config,
    sealing: SealConfig,
    damaged: &mut Damaged,
    metrics: &Metrics,
) -> Result<(), tokio_postgres::Error> {
    let mut client = db::connect(config).await?;
    let mut compacted = None::<Instant>;
    loop {
        let is_our_turn: bool = client.query_one(TAKE_TURN, &[]).await?.get(0);
        if is_our_turn {
            while sign_orphans(&mut client).await? {}
            seal::seal(&mut client, sealing, damaged).await?;
            if compacted.is_none_or(|last| last.elapsed() >= COMPACT_EVERY) {
                compact(&client).await?;
                // Every search reads it whole, and every batch leaves dead rows in it: a minute of them is too many.
                client.batch_execute("vacuum (truncate false) open_blocks").await?;
                compacted = Some(Instant::now());
            }
            client.execute("select pg_advisory_unlock(7313, 1)", &[]).await?;
        }
        let unsealed = client.query_one("select count(*) from signatures", &[]).await?;
        metrics.unsealed_blocks.set(unsealed.get(0));
        tokio::time::sleep(ROUND).await;
    }
}
