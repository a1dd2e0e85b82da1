//! One record by its id. In: an id. Out: the row, or that there is none.

use std::time::Instant;

use super::{UNITS_MAX, again_if_gone, turn};
use crate::{
    index::need::Need,
    record::{RecordId, Timestamp},
    search::{
        State,
        cursor::Direction,
        error::SearchError,
        row::Row,
        session::Session,
        sql,
        walk::{Aim, Portion, Walk},
    },
};

/// Finds the record with this id: the time inside it says which units can hold it.
pub async fn find_one(state: &State, id: RecordId) -> Result<Row, SearchError> {
    let millis = id.millis().ok_or(SearchError::NotFound)?;
    let from = Timestamp(millis * 1_000);
    if from > Timestamp::MAX {
        return Err(SearchError::NotFound);
    }
    let _turn = turn(state).await?;
    again_if_gone(state, async || find_one_in(state, from, id).await).await
}

async fn find_one_in(state: &State, from: Timestamp, id: RecordId) -> Result<Row, SearchError> {
    let (mut session, snapshot) = Session::open(state, Instant::now() + state.time_max).await?;
    let to = Timestamp(from.0 + 1_000);
    let aim = Aim { need: Need::anything(), from, to, direction: Direction::Older };
    let mut walk = Walk::new(&snapshot, &state.catalogue, aim);
    let mut found = Err(SearchError::NotFound);
    while let Some(Portion { leaf, units, .. }) = walk.next(&mut session, UNITS_MAX).await? {
        let rows = session.statement(&sql::one(&leaf.name, units, id.0)).await?;
        if let Some(row) = rows.first() {
            found = Row::read(row);
            break;
        }
    }
    session.close().await;
    found
}
