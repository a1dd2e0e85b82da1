//! Finds one record. In: its id. Out: the row, or that there is none. The time inside the id says which units can hold it.

use std::time::Instant;

use super::{
    State,
    begin::{again_if_gone, turn},
    catalogue::Snapshot,
    cursor::Direction,
    error::SearchError,
    find::UNITS_MAX,
    row::Row,
    session::Session,
    sql,
    walk::{Aim, Portion, Walk},
};
use crate::{
    index::need::Need,
    record::{RecordId, Timestamp},
};

/// Finds the record with this id.
pub async fn find_one(state: &State, id: RecordId) -> Result<Row, SearchError> {
    // What is no id of ours needs no session.
    moment(id)?;
    let _turn = turn(state).await?;
    again_if_gone(state, async || {
        let (mut session, snapshot) = Session::open(state, Instant::now() + state.time_max).await?;
        let found = find_one_within(state, &mut session, &snapshot, id).await;
        session.close().await;
        found
    })
    .await
}

/// The same in a snapshot that is there already.
pub(super) async fn find_one_within(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    id: RecordId,
) -> Result<Row, SearchError> {
    let from = moment(id)?;
    let to = Timestamp(from.0 + 1_000);
    let aim = Aim { need: Need::anything(), from, to, direction: Direction::Older };
    let mut walk = Walk::new(snapshot, &state.catalogue, aim);
    while let Some(Portion { leaf, units, .. }) = walk.next(session, UNITS_MAX).await? {
        let rows = session.statement(&sql::one(&leaf.name, units, id.0)).await?;
        if let Some(row) = rows.first() {
            return Row::read(row);
        }
    }
    Err(SearchError::NotFound)
}

/// The first microsecond in which the record can be.
fn moment(id: RecordId) -> Result<Timestamp, SearchError> {
    let millis = id.millis().ok_or(SearchError::NotFound)?;
    Some(Timestamp(millis * 1_000)).filter(|at| *at <= Timestamp::MAX).ok_or(SearchError::NotFound)
}
