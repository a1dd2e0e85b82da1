//! Deploy markers: which commits were first seen in a time range. In: a session and the range. Out: the newest of them, and whether there
//! are more. The writer keeps the table (writer/commits.rs): the time is the earliest event time of the commit's records, whatever their
//! level, and it moves back when older records come late. A commit without a marker there ran already when markers began.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    State, answer,
    begin::turn,
    cursor::MICROS_MIN,
    error::SearchError,
    logged,
    params::{self, Fault},
    session::Session,
    statement::{Statement, Time, Value},
};
use crate::record::{TENANT_DEFAULT, Timestamp};

/// Markers of one answer: more than can be told apart on a histogram.
pub const DEPLOYS_MAX: usize = 50;

const BETWEEN: &str = "\
select \"commit\", first_at, first_resource
from commits
where tenant = $1::bigint and first_at >= $2 and first_at < $3
order by first_at desc, \"commit\"
limit $4";

/// A commit that was seen for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    pub commit: String,
    pub first_at: Timestamp,
    /// Where it was seen first.
    pub resource: String,
}

/// Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deploys {
    pub deploys: Vec<Deploy>,
    /// Whether the range has older ones that are not among them.
    pub more: bool,
}

/// The deploys with `from <= first_at < to`, at most [`DEPLOYS_MAX`], as the session's snapshot has them.
pub async fn between(session: &mut Session, from: Timestamp, to: Timestamp) -> Result<Deploys, SearchError> {
    let values = vec![
        Value::Count(i64::from(TENANT_DEFAULT)),
        Value::Time(from),
        Value::Time(to),
        Value::Count(DEPLOYS_MAX as i64 + 1),
    ];
    let rows = session.statement(&Statement { text: BETWEEN.to_owned(), values }).await?;
    let mut deploys = Vec::with_capacity(rows.len());
    for row in &rows {
        let Time(first_at) = row.try_get(1)?;
        deploys.push(Deploy { commit: row.try_get(0)?, first_at, resource: row.try_get(2)? });
    }
    let more = deploys.len() > DEPLOYS_MAX;
    deploys.truncate(DEPLOYS_MAX);
    Ok(Deploys { deploys, more })
}

#[derive(Serialize)]
struct Reply {
    deploys: Vec<DeployReply>,
    more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeployReply {
    commit: String,
    first_at: String,
    resource_id: String,
}

impl From<Deploys> for Reply {
    fn from(found: Deploys) -> Self {
        let reply = |deploy: Deploy| DeployReply {
            commit: deploy.commit,
            first_at: deploy.first_at.to_string(),
            resource_id: deploy.resource,
        };
        Self { deploys: found.deploys.into_iter().map(reply).collect(), more: found.more }
    }
}

/// `GET /api/deploys?from&to`; a side that is not given is open.
pub(super) async fn list_json(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let answer = match read_and_list(request.query_string(), &state).await {
        Ok(found) => answer::json(StatusCode::OK, &Reply::from(found)),
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

async fn read_and_list(query: &str, state: &State) -> Result<Deploys, SearchError> {
    let (from, to) = range(query, Timestamp::now())?;
    let _turn = turn(state).await?;
    let (mut session, _) = Session::open(state, Instant::now() + state.time_max).await?;
    let found = between(&mut session, from, to).await;
    session.close().await;
    found
}

fn range(query: &str, now: Timestamp) -> Result<(Timestamp, Timestamp), Fault> {
    let pairs = params::decode(query)?;
    if let Some((other, _)) = pairs.iter().find(|(name, _)| name != "from" && name != "to") {
        return Err(Fault::unknown(other, &["from", "to"]));
    }
    let window = params::read(&pairs, now)?.window();
    Ok((window.from.unwrap_or(Timestamp(MICROS_MIN)), window.to.unwrap_or(Timestamp::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_read_as_that_of_a_search() {
        let now = Timestamp(1_800_000_000_000_000);
        assert_eq!(range("", now), Ok((Timestamp(MICROS_MIN), Timestamp::MAX)));
        assert_eq!(range("from=1h", now), Ok((Timestamp(now.0 - 3_600_000_000), Timestamp::MAX)));
        for (query, field) in [("from=x", "from"), ("from=1h&to=2h", "from"), ("level=error", "level")] {
            assert_eq!(range(query, now).unwrap_err().field, field, "{query}");
        }
    }
}
