//! Follows what is stored. In: a filter, and the moment of the last event. Out: events: records in the order in which they were stored, and
//! what a reader must know beside them. Postgres alone says what is stored, so it does not matter which process wrote it, and a tail goes
//! on at any process.
//!
//! A moment is a snapshot P ([`AsOf`]). Each look begins a snapshot S and tells the rows that S sees and P does not; S is the next P. So a
//! row is told once, and every row is told, if the look finds it. It reads the open blocks of S, and the blocks whose signature P does
//! not see, in `signatures` or by `signed_by` of the groups that P does not see. No other block holds such a row, because
//!
//! 1. a row is in the block that its writer named, and nobody adds rows to a block that is signed;
//! 2. a block of S is open, has a signature, or is in a group: leaving one and entering the next is one transaction;
//! 3. who signs a block has seen the end of every transaction that put rows into it: the writer, because it has one transaction at a time
//!    and signs in the last of them or later; the sealer, because it signs for a writer whose session has ended. So if P sees the
//!    signature, it sees the rows. The same holds for a group and the signatures in it.
//!
//! Hence a transaction that commits late, however long it ran and however low its number, is one that P does not see until it has
//! committed, and so are its rows. A leaf made since is part of S. One that was dropped between S and reading it is forgotten, and the
//! look is made again. Orphans, sealing and groups put together only move blocks, and take the number of the signing transaction along.
//! A look that fails leaves P as it was. A crash of Postgres may give numbers out again of transactions that were rolled back just
//! before: those count as not seen ([`since::moment`]). What is lost in a failover to a standby that was behind, its numbers are given out
//! again too, and a tail cannot tell: like any client, it has to begin anew.
//!
//! While nothing is stored, one statement each half second says so for all tails of a process.

pub mod since;
pub mod sql;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web;
use deadpool_postgres::Object;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch},
    time::{Interval, MissedTickBehavior, interval},
};

use self::since::{Followed, Lost, Size, Stored, moment, since};
use super::{
    State, as_of::AsOf, begin::check_regexes, error::SearchError, logged, params::Query, session::Session,
};

/// Tails of one process.
const TAILS_MAX: usize = 100;
/// How often each of them looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// For how long what one of them has seen is good for the others.
const PULSE_AGE_MAX: Duration = Duration::from_millis(250);
/// When there is nothing to tell, this is told.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The check of a new tail.
const OPEN_TIME_MAX: Duration = Duration::from_secs(5);
const PULSE_TIME_MAX: Duration = Duration::from_secs(2);

const PULSE: &str = "select pg_current_snapshot()::text";

/// What all tails of a process share.
pub struct Feed {
    state: web::Data<State>,
    places: Arc<Semaphore>,
    /// The newest snapshot that anybody has seen; nothing if Postgres did not answer.
    pulse: Mutex<Option<(Instant, Option<AsOf>)>>,
    ends: watch::Sender<bool>,
}

/// One reader who follows.
pub struct Tail {
    feed: web::Data<Feed>,
    followed: Followed,
    /// Everything until here was told.
    after: AsOf,
    /// The snapshot of the last look; None before the first.
    seen: Option<AsOf>,
    looks: Interval,
    told_at: Instant,
    mood: Mood,
    ends: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Nothing was said yet.
    New,
    Well,
    /// What is wrong was said.
    Troubled,
}

/// Something to tell, and the moment from which to go on behind it.
pub struct Told {
    pub after: AsOf,
    pub event: Event,
}

pub enum Event {
    /// The tail begins here.
    Hello,
    Records(Stored),
    /// What was stored since the last event is not told.
    Gap(Lost),
    /// All is well, and there is nothing to tell.
    Beat,
    /// Nothing can be told for now; nothing is lost either.
    Trouble(SearchError),
}

impl Feed {
    pub fn new(state: web::Data<State>) -> Self {
        let (ends, _) = watch::channel(false);
        Self { state, places: Arc::new(Semaphore::new(TAILS_MAX)), pulse: Mutex::default(), ends }
    }

    /// Ends all tails, and lets nobody begin one.
    pub fn end(&self) {
        self.ends.send_replace(true);
    }

    /// Begins a tail behind this moment, or now.
    pub async fn follow(
        feed: web::Data<Self>,
        query: Query,
        size: Size,
        after: Option<AsOf>,
    ) -> Result<Tail, SearchError> {
        let place = feed.places.clone().try_acquire_owned();
        let place = place.map_err(|_| SearchError::Crowded { retry_after: SILENCE_MAX })?;
        let ends = feed.ends.subscribe();
        if *ends.borrow() {
            return Err(SearchError::unavailable("the process is stopping"));
        }
        let followed = Followed { expr: query.filter.expr(), query, size };
        let (seen, now) = feed.check(&followed).await?;
        let (seen, after) = match after {
            Some(after) if after.is_after(&seen) => {
                return Err(SearchError::bad("after", "is no moment of this store; follow without it"));
            }
            Some(after) => (None, after),
            None => (Some(seen), now),
        };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (told_at, mood) = (Instant::now(), Mood::New);
        feed.state.metrics.tails.inc();
        Ok(Tail { feed, followed, after, seen, looks, told_at, mood, ends, _place: place })
    }

    /// Whether the filter can be used; the present, as a snapshot and as a moment.
    async fn check(&self, followed: &Followed) -> Result<(AsOf, AsOf), SearchError> {
        let (mut session, snapshot) = Session::open(&self.state, Instant::now() + OPEN_TIME_MAX).await?;
        let checked = async {
            check_regexes(&mut session, &followed.expr).await?;
            moment(&mut session, &snapshot.as_of).await
        };
        let checked = checked.await;
        session.close().await;
        Ok((snapshot.as_of, checked?))
    }

    /// A snapshot of just now. One asks for all.
    async fn pulse(&self) -> Result<AsOf, SearchError> {
        let mut pulse = self.pulse.lock().await;
        let known = pulse.as_ref().filter(|(at, _)| at.elapsed() < PULSE_AGE_MAX);
        if let Some((_, seen)) = known {
            return seen.clone().ok_or_else(|| SearchError::unavailable("Postgres did not answer"));
        }
        let seen = self.ask().await;
        *pulse = Some((Instant::now(), seen.as_ref().ok().cloned()));
        seen
    }

    async fn ask(&self) -> Result<AsOf, SearchError> {
        let client = self.state.pool.get().await?;
        let asked = async {
            let row = client.query_one(&client.prepare_cached(PULSE).await?, &[]).await?;
            let text: String = row.try_get(0)?;
            AsOf::from_pg(&text).ok_or_else(|| SearchError::Internal { cause: format!("a snapshot: {text}") })
        };
        let seen = tokio::time::timeout(PULSE_TIME_MAX, asked).await;
        seen.unwrap_or_else(|_| {
            // Nobody else shall wait for what may never come.
            drop(Object::take(client));
            Err(SearchError::unavailable("Postgres does not answer"))
        })
    }
}

impl Tail {
    /// The next event, when it is time for one; None when the process stops.
    pub async fn next(&mut self) -> Option<Told> {
        let mut ends = self.ends.clone();
        let event = tokio::select! {
            biased;
            _ = ends.wait_for(|ends| *ends) => return None,
            event = self.event() => event,
        };
        self.told_at = Instant::now();
        self.mood = if let Event::Trouble(_) = event { Mood::Troubled } else { Mood::Well };
        Some(Told { after: self.after.clone(), event })
    }

    async fn event(&mut self) -> Event {
        if self.mood == Mood::New {
            return Event::Hello;
        }
        loop {
            self.looks.tick().await;
            let is_silent = self.told_at.elapsed() >= SILENCE_MAX;
            match self.look().await {
                Ok(Some(event)) => return event,
                Ok(None) if is_silent || self.mood == Mood::Troubled => return Event::Beat,
                Ok(None) => {}
                // The next look has the same beginning.
                Err(SearchError::Busy { .. } | SearchError::LeafGone | SearchError::Contended) => {
                    if is_silent {
                        return Event::Beat;
                    }
                }
                Err(error) if self.mood == Mood::Troubled => {
                    if is_silent {
                        return Event::Trouble(error);
                    }
                }
                Err(error) => {
                    logged(&error);
                    return Event::Trouble(error);
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Event>, SearchError> {
        let pulse = self.feed.pulse().await?;
        if self.seen.as_ref() == Some(&pulse) {
            return Ok(None);
        }
        let look = since(&self.feed.state, &self.followed, &self.after).await?;
        self.seen = Some(look.seen);
        self.after = look.until;
        Ok(match look.found {
            Ok(stored) if stored.rows.is_empty() => None,
            Ok(stored) => Some(Event::Records(stored)),
            Err(lost) => Some(Event::Gap(lost)),
        })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.feed.state.metrics.tails.dec();
    }
}
