//! The records around one. In: its id, and which others count. Out: those before and after it in the order (timestamp, id), from one
//! snapshot. Equal timestamps are nothing special: both ways begin at the record's exact place.

mod http;
pub mod read;

use std::time::{Duration, Instant};

pub use self::read::{Asked, By};
use super::{
    State,
    begin::{again_if_gone, turn},
    catalogue::Snapshot,
    cursor::{Cursor, Direction},
    error::SearchError,
    expr::{Expr, Field},
    filter::Match,
    find::find_in,
    one::find_one_within,
    params::Query,
    row::Row,
    session::Session,
};
use crate::record::RecordId;
pub(super) use http::routes;

pub struct Context {
    pub record: Row,
    pub before: Side,
    pub after: Side,
    /// What was searched for on both sides.
    pub query: Query,
    pub rows_read: u64,
    pub took: Duration,
}

/// The records on one side.
pub struct Side {
    /// Oldest first, on both sides.
    pub rows: Vec<Row>,
    /// Where to go on; None at the end of what there is.
    pub onward: Option<Cursor>,
    /// False if the time was up before there were as many records as asked for.
    pub complete: bool,
}

/// Finds the record and what is around it.
pub async fn find(state: &State, id: RecordId, asked: &Asked) -> Result<Context, SearchError> {
    let _turn = turn(state).await?;
    let started = Instant::now();
    again_if_gone(state, async || {
        let (mut session, snapshot) = Session::open(state, started + state.time_max).await?;
        let context = find_both(state, &mut session, &snapshot, id, asked).await;
        session.close().await;
        let context = context?;
        Ok(Context { took: started.elapsed(), ..context })
    })
    .await
}

async fn find_both(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    id: RecordId,
    asked: &Asked,
) -> Result<Context, SearchError> {
    let record = find_one_within(state, session, snapshot, id).await?;
    let mut query = scoped(asked, &record)?;
    let mut rows_read = 0;
    let mut side = async |direction, limit| {
        let cursor = Cursor { direction, position: record.position(), asked_at: query.asked_at, as_of: None };
        if limit == 0 {
            return Ok(Side { rows: Vec::new(), onward: Some(cursor), complete: true });
        }
        (query.cursor, query.limit) = (Some(cursor), limit);
        let due = Instant::now() + query.budget.unwrap_or(state.budget);
        let mut found = find_in(state, session, snapshot, &query, due).await?;
        rows_read += found.stats.rows_read;
        found.rows.reverse();
        let onward = match direction {
            Direction::Older => found.next,
            Direction::Newer => found.prev,
        };
        Ok::<_, SearchError>(Side { rows: found.rows, onward, complete: found.stats.complete })
    };
    let before = side(Direction::Older, asked.before).await?;
    let after = side(Direction::Newer, asked.after).await?;
    let query = Query { cursor: None, limit: asked.query.limit, ..query };
    Ok(Context { record, before, after, query, rows_read, took: Duration::ZERO })
}

/// The filter that was asked for, and the resource or trace of the record.
fn scoped(asked: &Asked, record: &Row) -> Result<Query, SearchError> {
    let exactly = |field, value: &str| Expr::is(field, vec![Match::Exact(value.to_owned())]);
    let scope = match (asked.by, &record.trace_id) {
        (By::Resource, _) => Some(exactly(Field::ResourceId, &record.resource_id)),
        (By::Trace, Some(trace)) => Some(exactly(Field::TraceId, trace)),
        (By::Trace, None) => return Err(SearchError::bad("by", "this record has no traceId")),
        (By::All, _) => None,
    };
    let mut query = asked.query.clone();
    if let Some(scope) = scope {
        query.filter.q = Some(Expr::all(query.filter.q.take().into_iter().chain([scope])));
    }
    Ok(query)
}
