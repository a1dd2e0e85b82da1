//! Learns what is new of the index before somebody asks. In: the state of the searches. Out: a catalogue that is a moment old, so that a
//! search beside or after a load, or after a restart, has little to learn: a thousand blocks that are not sealed are 12 MB.

use std::time::{Duration, Instant};

use actix_web::web;

use super::{State, error::SearchError, session::Session};

/// Pause while nothing comes; each look is a small transaction.
const EVERY: Duration = Duration::from_secs(2);
/// Pause while blocks come in: the most that a search has to learn by itself is what came in so long.
const EVERY_BUSY: Duration = Duration::from_millis(200);

/// Waits for nobody: another process may do the same.
const INCARNATE: &str = "insert into incarnations default values on conflict do nothing";

/// Runs until it is aborted.
pub async fn run(state: web::Data<State>) {
    let mut known = 0;
    loop {
        let mut pause = EVERY;
        match Session::open(&state, Instant::now() + state.time_max).await {
            Ok((session, snapshot)) => {
                let blocks = snapshot.blocks_in_memory();
                state.metrics.blocks_in_memory.set(blocks as i64);
                if std::mem::replace(&mut known, blocks) != blocks {
                    pause = EVERY_BUSY;
                }
                drop(snapshot);
                session.close().await;
                if !state.catalogue.is_named().await {
                    match name_incarnation(&state).await {
                        Ok(()) => pause = EVERY_BUSY,
                        Err(error) => log::warn!(
                            "cannot name this incarnation of Postgres, so each search learns the index anew: {error:?}"
                        ),
                    }
                }
            }
            Err(error) => log::debug!("cannot learn of the index: {error:?}"),
        }
        tokio::time::sleep(pause).await;
    }
}

/// Until it has a name, nothing that is learnt is kept for the next search.
async fn name_incarnation(state: &State) -> Result<(), SearchError> {
    state.shelf.get().await?.execute(INCARNATE, &[]).await?;
    Ok(())
}
