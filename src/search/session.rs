//! One connection for the length of one search. In: statements. Out: rows, all seen by one snapshot. Each statement has a timeout that
//! the server enforces; when the client leaves, the session is dropped in mid-statement, cancels it there and gives the connection up,
//! because a cancellation that comes late would hit whoever has the connection next.

use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use futures_util::future;
use tokio_postgres::{NoTls, Row, error::SqlState, types::ToSql};

use super::{error::SearchError, statement::Statement};

/// The order of the index (timestamp, id) must feed every page, so that it stops at the row it needs; sorting a chunk never pays.
const BEGIN: &str = "\
begin isolation level repeatable read read only;
set local enable_seqscan = off;
set local enable_bitmapscan = off;
set local enable_sort = off;";

/// How much longer than its statement's timeout a server may be silent; then it is away, whatever TCP says.
const SILENCE_MAX: Duration = Duration::from_secs(2);

pub struct Session {
    /// None only while it is dropped.
    client: Option<Object>,
    begun: bool,
}

/// What a statement ran into.
pub enum Stopped {
    /// Its timeout; the snapshot is gone, the next statement takes a new one.
    TimedOut,
    Failed(SearchError),
}

impl From<Stopped> for SearchError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::TimedOut => Self::TooSlow { retry_after: Duration::from_secs(5) },
            Stopped::Failed(error) => error,
        }
    }
}

impl Session {
    pub async fn open(pool: &Pool) -> Result<Self, SearchError> {
        Ok(Self { client: Some(pool.get().await?), begun: false })
    }

    /// Runs one statement within `timeout`: one round trip, the settings travel in front of it.
    pub async fn query(&mut self, statement: &Statement, timeout: Duration) -> Result<Vec<Row>, Stopped> {
        let client = self.client.as_ref().expect("the client stays until the end");
        let begin = if self.begun { "" } else { BEGIN };
        // From here on a drop finds an open transaction.
        self.begun = true;
        let settings =
            format!("{begin}set local statement_timeout = {}", timeout.as_millis().clamp(1, 60_000));
        let typed: Vec<_> = statement.values.iter().map(|value| value.typed()).collect();
        let values: Vec<_> =
            typed.iter().map(|(value, kind)| (value.as_ref() as &(dyn ToSql + Sync), kind.clone())).collect();
        let both =
            future::join(client.batch_execute(&settings), client.query_typed(&statement.text, &values));
        let Ok((set, rows)) = tokio::time::timeout(timeout + SILENCE_MAX, both).await else {
            return Err(Stopped::Failed(SearchError::unavailable("Postgres does not answer")));
        };
        match set.and(rows) {
            Ok(rows) => Ok(rows),
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                client.batch_execute("rollback").await.map_err(|error| Stopped::Failed(error.into()))?;
                self.begun = false;
                Err(Stopped::TimedOut)
            }
            Err(error) => Err(Stopped::Failed(error.into())),
        }
    }

    /// Ends the snapshot and gives the connection back.
    pub async fn close(mut self) {
        let Some(client) = &self.client else { return };
        if !self.begun {
            return;
        }
        if let Ok(Ok(())) = tokio::time::timeout(SILENCE_MAX, client.batch_execute("rollback")).await {
            self.begun = false;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if !self.begun {
            return;
        }
        let client = Object::take(client);
        let token = client.cancel_token();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = token.cancel_query(NoTls).await {
                    log::debug!("cannot cancel a search that nobody waits for: {error}");
                }
                drop(client);
            });
        }
    }
}
