//! The searches that were run lately. In: query strings, from whoever shows a first page. Out: the newest of them, each once. Nobody waits:
//! they go over a bounded channel to one task, which writes what has come every few seconds; what does not fit is forgotten, and so is
//! what cannot be written. A process that ends forgets its last seconds.

use std::{collections::BTreeMap, time::Duration};

use deadpool_postgres::Pool;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    State, shelf,
    shelf::ShelfError,
    statement::{Statement, Time, Value},
    views::draft::{PARAMS_BYTES_MAX, searched},
};
use crate::record::{TENANT_DEFAULT, Timestamp};

/// Searches that wait to be written.
const WAITING_MAX: usize = 1_024;
/// Different searches of one round: what is beyond would be forgotten at once.
const ROUND_MAX: usize = KEPT as usize;
/// How long searches are collected before they are written.
const ROUND_WAIT: Duration = Duration::from_secs(2);
/// Searches that are kept.
const KEPT: i64 = 500;
/// Searches that are shown.
const SHOWN: i64 = 50;

/// In the order of their texts, so that two processes cannot wait for each other in a circle.
const WRITE: &str = "\
insert into searches (tenant, params, last_at, times)
select $1::bigint, p, t, n from unnest($2::text[], $3::timestamptz[], $4::int[]) as u (p, t, n)
on conflict (tenant, md5(params)) do update
  set last_at = greatest(searches.last_at, excluded.last_at), times = searches.times + excluded.times";
const PRUNE: &str = "\
delete from searches where ctid = any (array(
  select ctid from searches
  where tenant = $1::bigint and last_at < (
    select last_at from searches where tenant = $1::bigint order by last_at desc offset $2 - 1 limit 1)
  for update skip locked))";
const NEWEST: &str = "\
select params, last_at, times from searches where tenant = $1::bigint order by last_at desc, params limit $2";

/// Where searches are remembered.
#[derive(Clone)]
pub struct History(Option<mpsc::Sender<String>>);

/// A search, and when it was run last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Query string without the `?`.
    pub params: String,
    pub last_at: Timestamp,
    pub times: i64,
}

/// The searches of a round: when last and how often.
type Round = BTreeMap<String, (Timestamp, i32)>;

impl History {
    /// Writes from now on, until it is dropped.
    pub fn on(pool: Pool) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(receiver, pool));
        Self(Some(sender))
    }

    pub fn off() -> Self {
        Self(None)
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

/// Remembers a search by the query string of its page; never waits. What is only about the page is left out, and so is a search for everything.
pub fn remember(state: &State, params: &str) {
    if let Some(sender) = &state.history.0
        && !params.is_empty()
        && params.len() <= PARAMS_BYTES_MAX
    {
        let _ = sender.try_send(params.to_owned()); // full: forgotten
    }
}

/// The searches that were run last, newest first.
pub async fn newest(state: &State) -> Result<Vec<Remembered>, ShelfError> {
    let values = vec![tenant(), Value::Count(SHOWN)];
    let rows = shelf::run(&state.shelf, &Statement { text: NEWEST.to_owned(), values }).await?;
    let read = |row: &tokio_postgres::Row| {
        let Time(last_at) = row.try_get(1)?;
        Ok(Remembered { params: row.try_get(0)?, last_at, times: row.try_get(2)? })
    };
    Ok(rows.iter().map(read).collect::<Result<_, tokio_postgres::Error>>()?)
}

async fn write(mut receiver: mpsc::Receiver<String>, pool: Pool) {
    while let Some(first) = receiver.recv().await {
        let mut round = Round::new();
        add(&mut round, &first);
        let due = Instant::now() + ROUND_WAIT;
        while round.len() < ROUND_MAX
            && let Ok(Some(next)) = timeout_at(due, receiver.recv()).await
        {
            add(&mut round, &next);
        }
        if !round.is_empty()
            && let Err(error) = keep(&pool, round).await
        {
            log::debug!("searches are not remembered: {error}");
        }
    }
}

fn add(round: &mut Round, params: &str) {
    let Ok(params) = searched(params) else { return };
    if !params.is_empty() {
        let (last_at, times) = round.entry(params).or_insert((Timestamp(0), 0_i32));
        (*last_at, *times) = (Timestamp::now(), times.saturating_add(1));
    }
}

async fn keep(pool: &Pool, round: Round) -> Result<(), ShelfError> {
    let (mut params, mut last, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (text, (last_at, n)) in round {
        params.push(text);
        last.push(last_at);
        times.push(n);
    }
    let values = vec![tenant(), Value::Texts(params), Value::Times(last), Value::Numbers(times)];
    shelf::run(pool, &Statement { text: WRITE.to_owned(), values }).await?;
    let values = vec![tenant(), Value::Count(KEPT)];
    shelf::run(pool, &Statement { text: PRUNE.to_owned(), values }).await.map(|_| ())
}

fn tenant() -> Value {
    Value::Count(i64::from(TENANT_DEFAULT))
}
