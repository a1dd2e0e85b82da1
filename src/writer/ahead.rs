//! Makes the leaf of the near future, so that no batch waits for it. In: time passing. Out: leaves. While no rows come for the present
//! none is made; the first row that needs one makes it then.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use tokio_postgres::Config;

use super::{error::describe, leaves::Leaves};
use crate::{db, record::Timestamp};

const ROUND: Duration = Duration::from_secs(30);
/// The narrowest leaf is as wide: the one after the present one is always there.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// Runs until it is aborted.
pub async fn run(config: Config, leaves: Arc<Leaves>) {
    loop {
        if let Err(error) = look_ahead(&config, &leaves).await {
            log::debug!("leaves ahead: {}", describe(&error));
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn look_ahead(config: &Config, leaves: &Leaves) -> Result<(), tokio_postgres::Error> {
    let client = db::connect(config).await?;
    if !leaves.measure(&client).await?.is_busy() {
        return Ok(());
    }
    let now = Utc::now();
    for at in [Timestamp::from(now), Timestamp::from(now + AHEAD)] {
        if leaves.find(at).is_none() {
            leaves.ensure(&client, at).await?;
        }
    }
    Ok(())
}
