//! What every question to the index begins with: its turn, expressions that Postgres can read, and a second attempt if a leaf was dropped under the
//! first.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    State,
    count::levels_alone,
    error::SearchError,
    expr::{Expr, regexes},
    need::need,
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
    one_of(&state.turns).await
}

/// What a search by conditions holds while it runs.
pub(super) struct Turn {
    _any: OwnedSemaphorePermit,
    _scan: Option<OwnedSemaphorePermit>,
}

/// The same for these conditions. Scans stand in a line of their own first, and half of the turns are theirs at most: what is quick never waits
/// until one of many scans has waited for the one before it.
pub(super) async fn turn_for(state: &State, expr: &Expr) -> Result<Turn, SearchError> {
    let scan = if is_scan(expr) { Some(one_of(&state.scan_turns).await?) } else { None };
    Ok(Turn { _any: turn(state).await?, _scan: scan })
}

/// Whether the index rules nothing out, so that rows are read until there are enough hits.
pub(super) fn is_scan(expr: &Expr) -> bool {
    levels_alone(expr).is_none() && need(expr).is_by_level()
}

async fn one_of(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, SearchError> {
    match tokio::time::timeout(TURN_WAIT_MAX, turns.clone().acquire_owned()).await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::grammar;

    #[test]
    fn a_search_is_a_scan_where_the_index_says_nothing() {
        let scans = |line: &str| is_scan(&grammar::parse(line).unwrap());
        for line in ["ab", "level:info ab", "-timeout", "resourceId:api*", "/[q-z]{9}/", "timeout or ab"] {
            assert!(scans(line), "{line}");
        }
        for line in ["", "level>=warn", "timeout", "timeout ab", "resourceId:api", "took>5", "/time.*out/"] {
            assert!(!scans(line), "{line}");
        }
    }
}
