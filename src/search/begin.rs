//! What every question to the index begins with: its turn, expressions that Postgres can read, and a second attempt if a leaf was dropped under the
//! first.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::{
    State,
    error::SearchError,
    expr::{Expr, regexes},
    session::{Session, Stopped},
    sql,
    statement::{Statement, Value},
};

/// How long a search waits for others to end.
pub(super) const TURN_WAIT_MAX: Duration = Duration::from_secs(5);
/// A regular expression must compile within this.
const REGEX_TIME_MAX: Duration = Duration::from_millis(500);

/// One of `SEARCHES_MAX` turns; 503 if none is free for five seconds.
pub(super) async fn turn(state: &State) -> Result<OwnedSemaphorePermit, SearchError> {
    match tokio::time::timeout(TURN_WAIT_MAX, state.turns.clone().acquire_owned()).await {
        Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
        Err(_) => Err(SearchError::Busy { retry_after: Duration::from_secs(2) }),
    }
}

/// Once more, if a leaf was dropped in the middle: what this process knew of the index is thrown away first.
pub(super) async fn again_if_gone<T>(
    state: &State,
    search: impl AsyncFn() -> Result<T, SearchError>,
) -> Result<T, SearchError> {
    match search().await {
        Err(SearchError::LeafGone) => {
            state.catalogue.forget().await;
            search().await
        }
        outcome => outcome,
    }
}

/// Says which expression of the tree is wrong, if one is.
pub(super) async fn check_regexes(session: &mut Session, expr: &Expr) -> Result<(), SearchError> {
    for regex in regexes(expr) {
        let values = vec![Value::Text(regex.pattern.clone())];
        let check = Statement { text: sql::CHECK_REGEX.to_owned(), values };
        session.query(&check, REGEX_TIME_MAX).await.map_err(|stopped| match stopped {
            Stopped::TimedOut => regex.fault("takes too long to compile").into(),
            Stopped::Failed(SearchError::Bad(fault)) => regex.fault(&fault.error).into(),
            Stopped::Failed(error) => error,
        })?;
    }
    Ok(())
}
