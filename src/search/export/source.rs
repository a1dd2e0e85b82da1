//! The rows of an export. In: a search. Out: its rows in portions, newest first, all of one snapshot. Between portions, others like it have
//! their turn.

use std::time::{Duration, Instant};

use actix_web::web;
use tokio::sync::OwnedSemaphorePermit;

use crate::search::{
    State,
    begin::{again_if_gone, turn},
    catalogue::Snapshot,
    error::SearchError,
    find::{Found, find_in},
    params::Query,
    row::Row,
    session::Session,
};

/// Rows of the first portion, which the client waits for, and of the largest; none has more than 8 MiB of text.
const ROWS_FIRST: usize = 500;
const ROWS_MAX: usize = 8_000;
/// When a portion is sent however few rows it has; twice as long after one that threw most of them away. Where all units reach over the same time, each
/// portion reads all of them before its first row is certain, and a moment longer is thousands of rows more.
const PORTION_TIME: Duration = Duration::from_secs(2);
const PORTION_TIME_MAX: Duration = Duration::from_secs(16);
/// When a statement of a portion is ended.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(30);
/// How long it waits for its turn among what takes long.
const TURN_WAIT_MAX: Duration = Duration::from_secs(60);

pub struct Source {
    state: web::Data<State>,
    session: Session,
    snapshot: Snapshot,
    /// Of the next portion; None if that was the last.
    query: Option<Query>,
    portion_time: Duration,
    /// Records that may still be sent; None for all.
    left: Option<u64>,
    _turn: OwnedSemaphorePermit,
}

impl Source {
    /// Begins a snapshot and finds the first rows.
    pub async fn begin(
        state: web::Data<State>,
        query: Query,
        limit: Option<u64>,
    ) -> Result<(Self, Vec<Row>), SearchError> {
        let turn = turn(&state).await?;
        let query = Query { limit: portion(ROWS_FIRST, limit), budget: Some(PORTION_TIME), ..query };
        let (session, snapshot, found) = again_if_gone(&state, async || {
            let started = Instant::now();
            let (mut session, snapshot) =
                Session::open_as_of(&state, started + STATEMENT_TIME_MAX, query.as_of()).await?;
            match find_in(&state, &mut session, &snapshot, &query, started + PORTION_TIME).await {
                Ok(found) => Ok((session, snapshot, found)),
                Err(error) => {
                    session.close().await;
                    Err(error)
                }
            }
        })
        .await?;
        let mut source = Self {
            state,
            session,
            snapshot,
            query: Some(query),
            portion_time: PORTION_TIME,
            left: limit,
            _turn: turn,
        };
        let rows = source.take(found);
        Ok((source, rows))
    }

    /// The next rows, perhaps none; None behind the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, SearchError> {
        let Some(query) = &self.query else { return Ok(None) };
        self.session.give_way();
        let patient_until = Instant::now() + TURN_WAIT_MAX;
        let found = loop {
            let started = Instant::now();
            self.session.deadline = started + STATEMENT_TIME_MAX;
            let due = started + self.portion_time;
            match find_in(&self.state, &mut self.session, &self.snapshot, query, due).await {
                Err(SearchError::Busy { .. }) if started < patient_until => {}
                found => break found?,
            }
        };
        Ok(Some(self.take(found)))
    }

    fn take(&mut self, found: Found) -> Vec<Row> {
        // Whoever reads these rows may take as long as they like.
        self.session.give_way();
        self.left = self.left.map(|left| left - found.rows.len() as u64);
        let is_more = found.next.is_some() && self.left != Some(0);
        let query = self.query.take().filter(|_| is_more);
        if found.uncertain > found.rows.len() {
            self.portion_time = (self.portion_time * 2).min(PORTION_TIME_MAX);
        }
        self.query = query.map(|query| {
            let limit = portion((query.limit * 2).min(ROWS_MAX), self.left);
            Query { limit, cursor: found.next, ..query }
        });
        found.rows
    }

    /// Ends the snapshot and gives the connection back.
    pub async fn close(self) {
        self.session.close().await;
    }
}

fn portion(rows: usize, left: Option<u64>) -> usize {
    left.map_or(rows, |left| left.min(rows as u64) as usize)
}
