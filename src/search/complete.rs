//! Completes a query line that is being typed. In: the line, the column of the cursor and a time range. Out: what may stand there: fields
//! with their signs, or values of a field, written as the grammar reads them. It is asked for at every pause of the hands, so it takes a
//! tenth of a second at most; what it could not count by then it says.

mod http;
pub mod items;
pub mod keys;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::items::Item;
use self::{
    items::{ITEMS_MAX, Items},
    keys::Keys,
};
use super::{
    State,
    begin::turn,
    catalogue::Snapshot,
    count::{
        Counting, Is,
        facets::{self, Facet, Values},
    },
    error::SearchError,
    expr::{Expr, Field},
    filter::Match,
    grammar::place::{Place, Wanted, place},
    params::Query,
    session::Session,
};
pub(super) use http::routes;

/// How long counting values may take, and looking for keys.
const BUDGET: Duration = Duration::from_millis(100);
/// How long it waits for other searches.
const TURN_WAIT_MAX: Duration = Duration::from_millis(200);
/// Values that are looked at for those that contain what is typed.
const VALUES_MAX: usize = 10_000;

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub line: String,
    /// The byte where the cursor stands.
    pub at: usize,
    /// Of which only the time range counts.
    pub window: Query,
}

/// What may stand at the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    pub place: Place,
    pub items: Vec<Item>,
    /// False if there may be more, because the time was up.
    pub is_complete: bool,
}

pub async fn complete(state: &State, asked: &Asked) -> Result<Completed, SearchError> {
    let place = place(&asked.line, asked.at);
    let mut items = Items::new(&place);
    let mut is_complete = true;
    match &place.wanted {
        Wanted::Nothing => {}
        Wanted::Level => items.add_levels(),
        Wanted::Key => {
            let keys = known_keys(state, &asked.window).await;
            items.add_keys(&keys);
            is_complete = keys.is == Some(Is::Exact);
        }
        Wanted::ValueOf(field) => is_complete = add_values(state, asked, field, &mut items).await?,
        Wanted::NumberOf(path) => {
            is_complete = add_values(state, asked, &Field::Metadata(path.clone()), &mut items).await?;
        }
    }
    Ok(Completed { items: items.finish(), place, is_complete })
}

/// The keys of metadata that occur, as they were seen shortly ago. The fields that every record has are known anyway, so without an
/// answer from Postgres there are those.
async fn known_keys(state: &State, window: &Query) -> Arc<Keys> {
    if let Some(keys) = state.keys.get(&keys::bucket(window), Instant::now()) {
        return keys;
    }
    match values(state, window, &Facet::Keys, Expr::everything(), BUDGET).await {
        Ok(values) => kept(state, window, values),
        Err(error) => {
            log::debug!("a query line is completed without keys: {error}");
            Arc::default()
        }
    }
}

/// The same for a search that has its turn and its snapshot already.
pub(super) async fn known_keys_in(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    window: &Query,
) -> Result<Arc<Keys>, SearchError> {
    let is_now = snapshot.stored.is_none();
    if let Some(keys) = state.keys.get(&keys::bucket(window), Instant::now()).filter(|_| is_now) {
        return Ok(keys);
    }
    let values =
        values_in(state, session, snapshot, window, (&Facet::Keys, &Expr::everything()), BUDGET).await?;
    Ok(if is_now { kept(state, window, values) } else { Arc::new(Keys::from(values)) })
}

fn kept(state: &State, window: &Query, values: Values) -> Arc<Keys> {
    // Not one key, because the time was up: it is asked for again.
    if values.top.is_empty() && values.is == Is::AtLeast {
        return Arc::default();
    }
    state.keys.put(keys::bucket(window), Keys::from(values), Instant::now())
}

/// Values that begin with what is typed, wherever they are; then, from the newest records, those that hold it. True if all that begin so were
/// looked at.
async fn add_values(
    state: &State,
    asked: &Asked,
    field: &Field,
    items: &mut Items<'_>,
) -> Result<bool, SearchError> {
    let facet = Facet::Field(field.clone());
    let beginning = |typed: &str| Expr::is(field.clone(), vec![Match::Prefix(typed.to_owned())]);
    let typed = items.typed().to_owned();
    let budget = if typed.is_empty() { BUDGET } else { BUDGET / 2 };
    let known = values(state, &asked.window, &facet, beginning(&typed), budget).await?;
    items.add_values(&known);
    if !typed.is_empty() && items.count() < ITEMS_MAX {
        items.add_values(&values(state, &asked.window, &facet, beginning(""), budget).await?);
    }
    Ok(known.is == Is::Exact)
}

/// Values of a field, the most frequent first, by what is known of the time range in a moment: those that begin with the text, wherever
/// they are, and those of the newest records.
pub(super) async fn values_around(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    window: &Query,
    (field, text): (&Field, &str),
    budget: Duration,
) -> Result<Vec<String>, SearchError> {
    let facet = Facet::Field(field.clone());
    let mut known = Vec::new();
    let beginnings: &[&str] = if text.is_empty() { &[""] } else { &[text, ""] };
    for beginning in beginnings {
        let expr = Expr::is(field.clone(), vec![Match::Prefix((*beginning).to_owned())]);
        match values_in(state, session, snapshot, window, (&facet, &expr), budget / 2).await {
            Ok(values) => known.extend(values.top.into_iter().map(|(value, _)| value)),
            Err(SearchError::TooSlow { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

/// Counts the values of one field within the time range.
async fn values(
    state: &State,
    window: &Query,
    facet: &Facet,
    expr: Expr,
    budget: Duration,
) -> Result<Values, SearchError> {
    let busy = |_| SearchError::Busy { retry_after: Duration::from_secs(1) };
    let _turn = tokio::time::timeout(TURN_WAIT_MAX, turn(state)).await.map_err(busy)??;
    let (mut session, snapshot) = Session::open(state, Instant::now() + state.time_max).await?;
    let values = values_in(state, &mut session, &snapshot, window, (facet, &expr), budget).await;
    session.close().await;
    values
}

/// Counts them among these records.
async fn values_in(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    window: &Query,
    (facet, expr): (&Facet, &Expr),
    budget: Duration,
) -> Result<Values, SearchError> {
    let mut counting = Counting {
        session,
        snapshot,
        catalogue: &state.catalogue,
        expr,
        due: Instant::now() + budget,
        rows_read: 0,
    };
    let counted = async {
        let range = counting.range(window).await?;
        facets::count(&mut counting, range, std::slice::from_ref(facet), VALUES_MAX).await
    };
    let counted = counted.await;
    state.metrics.search_rows_read.inc_by(counting.rows_read);
    let (_, values) = counted?.facets.pop().expect("the one that was asked for");
    Ok(values)
}
