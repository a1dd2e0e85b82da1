//! A second connection that sees the snapshot of the first, for what is worth two cores of Postgres. In: the first, in its transaction, and
//! the pool. Out: the second, in a transaction of its own, or none if all connections are in use.

use std::time::Duration;

use deadpool_postgres::{Object, Pool, Timeouts};
use tokio_postgres::SimpleQueryMessage;

use super::{SETTINGS, SILENCE_MAX, Session, Stopped, give_back};
use crate::search::sql::Places;

/// What reads as many units is worth two statements side by side.
const HALVED_UNITS_MIN: usize = 256;

/// A snapshot cannot be exported from within a savepoint.
const EXPORT: &str = "release before; select pg_export_snapshot(); savepoint before";

impl Session {
    /// What is to be read, in two halves if it is worth that, nobody else searches, and a second connection is free.
    pub async fn halves(&mut self, mut places: Places) -> Result<Vec<Places>, Stopped> {
        let is_alone = self.turns.available_permits() + 1 >= self.turns_max;
        if !is_alone {
            give_back(&mut self.second).await;
            return Ok(vec![places]);
        }
        let units: usize = places.iter().map(|(_, units)| units.len()).sum();
        if units >= HALVED_UNITS_MIN && self.second.is_none() {
            self.second = join(self.client(), &self.pool).await?;
        }
        if units < HALVED_UNITS_MIN || self.second.is_none() {
            return Ok(vec![places]);
        }
        let half = |(leaf, units): &mut (String, Vec<i32>)| (leaf.clone(), units.split_off(units.len() / 2));
        let mut rest: Places = places.iter_mut().map(half).collect();
        places.retain(|(_, units)| !units.is_empty());
        rest.retain(|(_, units)| !units.is_empty());
        Ok(vec![places, rest])
    }
}

async fn join(first: &Object, pool: &Pool) -> Result<Option<Object>, tokio_postgres::Error> {
    let timeouts =
        Timeouts { wait: Some(Duration::ZERO), create: Some(SILENCE_MAX), recycle: Some(SILENCE_MAX) };
    let Ok(second) = pool.timeout_get(&timeouts).await else { return Ok(None) };
    let exported = first.simple_query(EXPORT).await?;
    let id = exported.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    // The server's own name for it: digits and dashes.
    let Some(id) = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')) else {
        return Ok(None);
    };
    let begin = format!(
        "begin isolation level repeatable read read only; set transaction snapshot '{id}'; {SETTINGS}"
    );
    match second.batch_execute(&begin).await {
        Ok(()) => Ok(Some(second)),
        Err(error) => {
            log::debug!("a search goes on with one connection: {error}");
            drop(Object::take(second));
            Ok(None)
        }
    }
}
