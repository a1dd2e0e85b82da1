//! A second connection that sees the snapshot of the first, for what is worth two cores of Postgres. In: the first, in its transaction, and
//! the pool. Out: the second, in a transaction of its own, or none if all connections are in use.

use std::time::Duration;

use deadpool_postgres::Timeouts;
use tokio_postgres::SimpleQueryMessage;

use super::{BEGIN, SETTINGS, SILENCE_MAX, Session, Stopped, give_back, give_up};
use crate::search::{error::SearchError, sql::Places};

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
            // One that did not answer may end its transaction later, and is not to be taken for one that sees the snapshot.
            self.second.take().into_iter().for_each(give_up);
            return Ok(vec![places]);
        }
        let units: usize = places.iter().map(|(_, units)| units.len()).sum();
        if units < HALVED_UNITS_MIN {
            return Ok(vec![places]);
        }
        let Ok(joined) = tokio::time::timeout(SILENCE_MAX, self.join()).await else {
            return Err(SearchError::unavailable("Postgres does not answer").into());
        };
        joined?;
        if self.second.is_none() {
            return Ok(vec![places]);
        }
        let half = |(leaf, units): &mut (String, Vec<i32>)| (leaf.clone(), units.split_off(units.len() / 2));
        let mut rest: Places = places.iter_mut().map(half).collect();
        places.retain(|(_, units)| !units.is_empty());
        rest.retain(|(_, units)| !units.is_empty());
        Ok(vec![places, rest])
    }

    /// Opens the second connection in the snapshot of the first, if it is not open and one is free.
    async fn join(&mut self) -> Result<(), tokio_postgres::Error> {
        let (Some(first), None) = (&self.client, &self.second) else { return Ok(()) };
        let create = Some(SILENCE_MAX);
        let timeouts = Timeouts { wait: Some(Duration::ZERO), create, recycle: create };
        let Ok(second) = self.pool.timeout_get(&timeouts).await else { return Ok(()) };
        // Kept from here on, so that a search that is dropped in the middle gives it up, and does not give it back as it is.
        let second = self.second.insert(second);
        let exported = first.simple_query(EXPORT).await?;
        let name = exported.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        // The server's own name for it.
        let name = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
        let begin = name.map(|name| format!("{BEGIN}; set transaction snapshot '{name}'; {SETTINGS}"));
        let begun = match &begin {
            Some(begin) => second.batch_execute(begin).await.map_err(|error| error.to_string()),
            None => Err("a snapshot was exported without a name".to_owned()),
        };
        if let Err(error) = begun {
            log::debug!("a search goes on with one connection: {error}");
            self.second.take().into_iter().for_each(give_up);
        }
        Ok(())
    }
}
