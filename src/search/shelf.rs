//! Where small things are kept for people: saved views and the history. In: one statement. Out: its rows, or why not. Runs on connections
//! of its own, few and with short timeouts, so that no search waits for it.

use std::time::Duration;

use actix_web::http::StatusCode;
use deadpool_postgres::{Object, Pool};
use tokio_postgres::{
    Row,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{error::SearchError, statement::Statement};

/// Connections of a process.
pub const POOL_SIZE: usize = 2;
/// A server that is silent for longer is away, whatever TCP says; it ends a statement itself before that.
const SILENCE_MAX: Duration = Duration::from_secs(7);

#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Another one has this name.
    #[error("the name is taken")]
    Taken,
    /// A standby, or a user who may only read.
    #[error("the database takes no changes here: {0}")]
    ReadOnly(String),
    #[error("{0}")]
    Search(#[from] SearchError),
}

impl ShelfError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Taken => StatusCode::CONFLICT,
            Self::ReadOnly(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Search(error) => error.status(),
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Taken => None,
            Self::ReadOnly(_) => Some(Duration::from_secs(60)),
            Self::Search(error) => error.retry_after(),
        }
    }
}

impl From<tokio_postgres::Error> for ShelfError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Self::Search(error.into()) };
        let read_only = [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::INSUFFICIENT_PRIVILEGE];
        match db.code() {
            code if read_only.contains(code) => Self::ReadOnly(db.message().to_owned()),
            code if *code == SqlState::UNIQUE_VIOLATION => Self::Taken,
            // The schema is about to come, or somebody holds a lock for long.
            code if [SqlState::UNDEFINED_TABLE, SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED]
                .contains(code) =>
            {
                Self::Search(SearchError::unavailable(&error))
            }
            _ => Self::Search(error.into()),
        }
    }
}

/// Runs one statement in a transaction of its own.
pub async fn run(pool: &Pool, statement: &Statement) -> Result<Vec<Row>, ShelfError> {
    let client = pool.get().await.map_err(SearchError::from)?;
    let typed: Vec<_> = statement.values.iter().map(|value| value.typed()).collect();
    let values: Vec<(&(dyn ToSql + Sync), Type)> =
        typed.iter().map(|(value, kind)| (value.as_ref() as &(dyn ToSql + Sync), kind.clone())).collect();
    match tokio::time::timeout(SILENCE_MAX, client.query_typed(&statement.text, &values)).await {
        Ok(rows) => Ok(rows?),
        Err(_) => {
            drop(Object::take(client));
            Err(SearchError::unavailable("Postgres does not answer").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_status() {
        let read_only = ShelfError::ReadOnly("cannot execute INSERT in a read-only transaction".into());
        for (error, status, text) in [
            (ShelfError::Taken, 409, "the name is taken"),
            (
                read_only,
                503,
                "the database takes no changes here: cannot execute INSERT in a read-only transaction",
            ),
            (SearchError::unavailable("secret").into(), 503, "the database cannot be reached"),
        ] {
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (status, text));
            assert_eq!(error.retry_after().is_some(), status == 503);
        }
    }
}
