//! Learns what is new of the index before somebody asks. In: the state of the searches. Out: a catalogue that is seconds old, so that the
//! first search after a load, or after a restart, has little to learn: a thousand blocks that are not sealed are 8 MB.

use std::time::{Duration, Instant};

use actix_web::web;

use super::{State, session::Session};

/// The most that a search has to learn by itself is what came in so long; while nothing comes, this is one small transaction.
const EVERY: Duration = Duration::from_secs(2);

/// Runs until it is aborted.
pub async fn run(state: web::Data<State>) {
    loop {
        match Session::open(&state, Instant::now() + state.time_max).await {
            Ok((session, snapshot)) => {
                state.metrics.blocks_in_memory.set(snapshot.blocks_in_memory() as i64);
                drop(snapshot);
                session.close().await;
            }
            Err(error) => log::debug!("cannot learn of the index: {error:?}"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
