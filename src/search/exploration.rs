//! Everything that one page shows, from one snapshot. In: a [`Query`]. Out: its rows at once; then, while the reader has them already, the
//! histogram and the facets of the same search, each with a budget of its own. What goes wrong with one of them leaves the others alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web;

use super::{
    State,
    begin::{Turn, again_if_gone, turn_for},
    catalogue::Snapshot,
    complete::{keys::Keys, known_keys_in},
    count::{
        Counting, Range,
        buckets::{Buckets, Width},
        facets::{self, Facet, Facets},
        histogram::{self, Histogram},
    },
    deploys::{self, Deploys},
    error::SearchError,
    expr::Expr,
    find::Found,
    find::find_and_stay,
    nothing::{self, Nothing},
    params::Query,
    session::Session,
};

/// A page whose rows are found, and whose numbers are still to come. Dropping it cancels what Postgres runs for it.
pub struct Exploration {
    state: web::Data<State>,
    query: Query,
    expr: Expr,
    session: Session,
    snapshot: Snapshot,
    /// The time range with both ends, once it is known.
    range: Option<Range>,
    _turn: Turn,
}

impl Exploration {
    /// Finds the rows.
    pub async fn begin(state: web::Data<State>, query: Query) -> Result<(Found, Self), SearchError> {
        let expr = query.filter.expr();
        let turn = turn_for(&state, &expr).await?;
        let (session, snapshot, found) =
            again_if_gone(&state, async || find_and_stay(&state, &query).await).await?;
        Ok((found, Self { state, query, expr, session, snapshot, range: None, _turn: turn }))
    }

    /// Why nothing was found.
    pub async fn why_nothing(&mut self) -> Result<Nothing, SearchError> {
        let why = nothing::why(&self.state, &mut self.session, &self.snapshot, &self.query).await;
        if why.is_err() {
            self.session.mend().await;
        }
        why
    }

    /// The paths of metadata that records of this time range have.
    pub async fn known_keys(&mut self) -> Result<Arc<Keys>, SearchError> {
        let keys = known_keys_in(&self.state, &mut self.session, &self.snapshot, &self.query).await;
        if keys.is_err() {
            self.session.mend().await;
        }
        keys
    }

    /// Hits over time.
    pub async fn histogram(&mut self, width: Width, budget: Duration) -> Result<Histogram, SearchError> {
        self.count(budget, async |counting, range| {
            histogram::count(counting, &Buckets::new(range, width)?).await
        })
        .await
    }

    /// The most frequent values among the hits.
    pub async fn facets(
        &mut self,
        facets: &[Facet],
        values_max: usize,
        budget: Duration,
    ) -> Result<Facets, SearchError> {
        self.count(budget, async |counting, range| facets::count(counting, range, facets, values_max).await)
            .await
    }

    /// The deploys of the histogram's time range.
    pub async fn deploys(&mut self, budget: Duration) -> Result<Deploys, SearchError> {
        self.count(budget, async |counting, range| {
            deploys::between(counting.session, range.from, range.to).await
        })
        .await
    }

    async fn count<T>(
        &mut self,
        budget: Duration,
        count: impl AsyncFnOnce(&mut Counting<'_>, Range) -> Result<T, SearchError>,
    ) -> Result<T, SearchError> {
        let due = Instant::now() + budget;
        self.session.deadline = due + self.state.time_max;
        let mut counting = Counting {
            session: &mut self.session,
            snapshot: &self.snapshot,
            catalogue: &self.state.catalogue,
            expr: &self.expr,
            due,
            rows_read: 0,
        };
        let range = match self.range {
            Some(range) => Ok(range),
            None => counting.range(&self.query).await,
        };
        let counted = match range {
            Ok(range) => {
                self.range = Some(range);
                count(&mut counting, range).await
            }
            Err(error) => Err(error),
        };
        self.state.metrics.search_rows_read.inc_by(counting.rows_read);
        if counted.is_err() {
            self.session.mend().await;
        }
        counted
    }

    /// Gives the connection back.
    pub async fn close(self) {
        self.session.close().await;
    }
}
