//! One connection for the length of one search, and a second one for what is large (`second`). In: statements. Out: rows, all seen by one
//! snapshot, which begins with what the index holds in it. Each statement has a timeout that the server enforces; a savepoint keeps the snapshot when one runs into it. When the
//! client leaves, the session is dropped in mid-statement, cancels it there and gives the connection up, because a cancellation that
//! comes late would hit whoever has the connection next.

mod repeated;
mod second;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::{Object, Pool};
use futures_util::future;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{NoTls, Row, error::SqlState, types::ToSql};

pub use self::repeated::Repeated;
use super::{
    State,
    as_of::{AsOf, StoredBefore},
    catalogue::Snapshot,
    error::SearchError,
    explain::Ran,
    sql::number,
    statement::Statement,
};

/// Rows are found through the index on `block`, whatever the statistics say; ORDER BY stands outside of what is fetched. No parallel
/// workers: to start one and to end it takes ten milliseconds; a second connection is there already.
const SETTINGS: &str = "\
set local enable_seqscan = off;
set local jit = off;
set local max_parallel_workers_per_gather = 0;
savepoint before";
const BEGIN: &str = "begin isolation level repeatable read read only";
/// For a deletion.
const BEGIN_TO_WRITE: &str = "begin isolation level repeatable read read write";

/// How much longer than its statement's timeout a server may be silent; then it is away, whatever TCP says.
pub const SILENCE_MAX: Duration = Duration::from_secs(2);
/// A search that takes longer is no quick one.
const QUICK_MAX: Duration = Duration::from_millis(10);
/// The same where the index rules out nothing: what the first rows do not answer will take long.
const SCAN_QUICK_MAX: Duration = Duration::from_millis(2);
/// What a statement gets at least, so that there is an answer.
const TIME_MIN: Duration = Duration::from_millis(50);

pub struct Session {
    /// None only while it is dropped.
    client: Option<Object>,
    /// Sees the same snapshot; there once something was worth it.
    second: Option<Object>,
    pool: Pool,
    /// When the search ends, whatever it has.
    pub deadline: Instant,
    begun: Instant,
    quick_max: Duration,
    /// Those of all searches, and how many there are.
    turns: Arc<Semaphore>,
    turns_max: usize,
    long_turns: Arc<Semaphore>,
    /// Held from the moment on in which the search is no quick one any more.
    long_turn: Option<OwnedSemaphorePermit>,
    repeated: Arc<Repeated>,
    /// What was run, if that is to be explained.
    ran: Option<Ran>,
}

/// What a statement ran into.
pub enum Stopped {
    /// Its timeout; the snapshot stays.
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

impl From<SearchError> for Stopped {
    fn from(error: SearchError) -> Self {
        Self::Failed(error)
    }
}

impl From<tokio_postgres::Error> for Stopped {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Session {
    /// Takes a connection and a snapshot.
    pub async fn open(state: &State, deadline: Instant) -> Result<(Self, Snapshot), SearchError> {
        Self::begin(state, deadline, BEGIN).await
    }

    /// The same, for answers as of a moment before, if there is one.
    pub async fn open_as_of(
        state: &State,
        deadline: Instant,
        as_of: Option<&AsOf>,
    ) -> Result<(Self, Snapshot), SearchError> {
        let (session, mut snapshot) = Self::open(state, deadline).await?;
        let Some(as_of) = as_of else { return Ok((session, snapshot)) };
        match StoredBefore::new(as_of, &snapshot.as_of) {
            Ok(stored) => {
                snapshot.as_of = as_of.clone();
                snapshot.stored = Some(stored);
                Ok((session, snapshot))
            }
            Err(fault) => {
                session.close().await;
                Err(fault.into())
            }
        }
    }

    /// The same, for statements that change something; [`Session::commit`] keeps it.
    pub async fn open_to_write(state: &State, deadline: Instant) -> Result<(Self, Snapshot), SearchError> {
        Self::begin(state, deadline, BEGIN_TO_WRITE).await
    }

    async fn begin(state: &State, deadline: Instant, begin: &str) -> Result<(Self, Snapshot), SearchError> {
        let mut session = Self {
            client: Some(state.pool.get().await?),
            second: None,
            pool: state.pool.clone(),
            deadline,
            begun: Instant::now(),
            quick_max: QUICK_MAX,
            turns: state.turns.clone(),
            turns_max: state.turns_max,
            long_turns: state.long_turns.clone(),
            long_turn: None,
            repeated: state.repeated.clone(),
            ran: None,
        };
        let begin = format!("{begin};\n{SETTINGS}");
        let snapshot = state.catalogue.begin(session.client(), &begin, deadline).await?;
        // What the index learnt meanwhile is everybody's.
        session.begun = Instant::now();
        Ok((session, snapshot))
    }

    /// Quick searches run side by side. One that is not quick needs a turn of another kind, of which there are few, so that scans leave
    /// the cores to ingest and to quick searches; it waits for that until `latest`. Between portions.
    pub async fn may_go_on(&mut self, latest: Instant) -> bool {
        if self.long_turn.is_some() || self.begun.elapsed() < self.quick_max {
            return true;
        }
        let wait = latest.saturating_duration_since(Instant::now());
        let turn = tokio::time::timeout(wait, self.long_turns.clone().acquire_owned()).await;
        self.long_turn = turn.ok().map(|turn| turn.expect("the semaphore is never closed"));
        self.long_turn.is_some()
    }

    /// For a search with which the index cannot help.
    pub fn scans(&mut self) {
        self.quick_max = SCAN_QUICK_MAX;
    }

    /// Between portions of what takes very long: as if it had just begun, so that others have their turn.
    pub fn give_way(&mut self) {
        self.long_turn = None;
        self.begun = Instant::now();
    }

    /// Runs one statement within the rest of the search's time.
    pub async fn statement(&mut self, statement: &Statement) -> Result<Vec<Row>, Stopped> {
        self.query(statement, self.time_left()).await
    }

    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs one statement within `timeout`.
    pub async fn query(&mut self, statement: &Statement, timeout: Duration) -> Result<Vec<Row>, Stopped> {
        let mut all = self.side_by_side([&[statement], &[]], timeout).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Runs the statements of halves side by side, or the one of the whole, and in the same round trip another that gives a number, if there
    /// is one. Out: the rows of each, and the number.
    pub async fn with_count(
        &mut self,
        halves: &[Statement],
        count: Option<&Statement>,
        timeout: Duration,
    ) -> Result<(Vec<Vec<Row>>, u64), Stopped> {
        let (first, second) = halves.split_at(halves.len().min(1));
        let first: Vec<&Statement> = count.into_iter().chain(first).collect();
        let second: Vec<&Statement> = second.iter().collect();
        let mut all = self.side_by_side([&first, &second], timeout).await?;
        let number = if count.is_some() { number(&all.remove(0))? } else { 0 };
        Ok((all, number))
    }

    /// Runs statements one after the other, each within `timeout`, on the first and the second connection. Out: the rows of each.
    async fn side_by_side(
        &mut self,
        statements: [&[&Statement]; 2],
        timeout: Duration,
    ) -> Result<Vec<Vec<Row>>, Stopped> {
        let started = Instant::now();
        let timeout = timeout.max(TIME_MIN);
        let second = async {
            match &self.second {
                Some(second) if !statements[1].is_empty() => {
                    run(second, statements[1], timeout, &self.repeated).await
                }
                _ => Ok(Vec::new()),
            }
        };
        let first = run(self.client(), statements[0], timeout, &self.repeated);
        let both = future::join(first, second);
        let limit = timeout * statements[0].len().max(statements[1].len()) as u32 + SILENCE_MAX;
        let Ok((first, second)) = tokio::time::timeout(limit, both).await else {
            return Err(Stopped::Failed(SearchError::unavailable("Postgres does not answer")));
        };
        let all = first.and_then(|first| Ok([first, second?].concat()));
        match all {
            Ok(all) => {
                if let Some(ran) = &mut self.ran {
                    for (statement, rows) in statements.concat().into_iter().zip(&all) {
                        ran.add(statement, rows.len(), started.elapsed());
                    }
                }
                Ok(all)
            }
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                self.roll_back().await?;
                Err(Stopped::TimedOut)
            }
            Err(error) => Err(Stopped::Failed(error.into())),
        }
    }

    /// To where statements can be run again.
    async fn roll_back(&self) -> Result<(), tokio_postgres::Error> {
        for client in [&self.client, &self.second].into_iter().flatten() {
            client.batch_execute("rollback to before").await?;
        }
        Ok(())
    }

    /// After an error: the snapshot stays, and what follows can be run. False if the connection is gone.
    pub async fn mend(&mut self) -> bool {
        matches!(tokio::time::timeout(SILENCE_MAX, self.roll_back()).await, Ok(Ok(())))
    }

    /// Whether to keep what is run from now on.
    pub fn explains(&mut self, explains: bool) {
        self.ran = explains.then(Ran::default);
    }

    /// What was kept; nothing more is from now on.
    pub fn take_ran(&mut self) -> Option<Ran> {
        self.ran.take()
    }

    /// Ends the snapshot and gives the connection back.
    pub async fn close(mut self) {
        future::join(give_back(&mut self.client), give_back(&mut self.second)).await;
    }

    /// Keeps what was changed, and gives the connection back.
    pub async fn commit(mut self) -> Result<(), SearchError> {
        match tokio::time::timeout(SILENCE_MAX, self.client().batch_execute("commit")).await {
            Ok(committed) => committed?,
            Err(_) => return Err(SearchError::unavailable("Postgres does not answer")),
        }
        drop(self.client.take());
        Ok(())
    }

    fn client(&self) -> &Object {
        self.client.as_ref().expect("the client stays until the end")
    }
}

/// Ends a transaction and gives its connection back, if there is one; one that does not answer stays.
async fn give_back(client: &mut Option<Object>) {
    let Some(open) = client else { return };
    if let Ok(Ok(())) = tokio::time::timeout(SILENCE_MAX, open.batch_execute("rollback")).await {
        drop(client.take());
    }
}

/// Runs statements one after the other, each within `timeout`: one round trip, the setting travels in front of them; one more the first
/// time that a statement comes again on a connection.
async fn run(
    client: &Object,
    statements: &[&Statement],
    timeout: Duration,
    repeated: &Repeated,
) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    let setting = format!("set local statement_timeout = {}", timeout.as_millis().clamp(1, 60_000));
    let run = async |statement: &Statement| {
        let typed: Vec<_> = statement.values.iter().map(|value| value.typed()).collect();
        let values: Vec<_> =
            typed.iter().map(|(value, kind)| (value.as_ref() as &(dyn ToSql + Sync), kind.clone())).collect();
        let types: Vec<_> = values.iter().map(|(_, kind)| kind.clone()).collect();
        match repeated.prepared(client, &statement.text, &types).await? {
            Some(prepared) => {
                let values: Vec<_> = values.iter().map(|(value, _)| *value).collect();
                client.query(&prepared, &values).await
            }
            None => client.query_typed(&statement.text, &values).await,
        }
    };
    let (set, ran) = future::join(
        client.batch_execute(&setting),
        future::join_all(statements.iter().map(|statement| run(statement))),
    )
    .await;
    // Of several errors the first is the cause of the others.
    set.and_then(|()| ran.into_iter().collect())
}

/// Cancels what runs on a connection and gives it up: nobody knows what it is in the middle of.
fn give_up(client: Object) {
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

impl Drop for Session {
    fn drop(&mut self) {
        [self.client.take(), self.second.take()].into_iter().flatten().for_each(give_up);
    }
}
