//! Saved views: searches under a name, with an address of their own that stays the same when name or search change. In: what was typed,
//! and checked by [`draft`]. Out: views; JSON at `/api/views`.

pub mod draft;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use self::draft::Draft;
use super::{
    State,
    answer::{self, ErrorBody},
    params::{self, Fault},
    shelf::{self, ShelfError},
    statement::{Statement, Time, Value},
};
use crate::record::{TENANT_DEFAULT, Timestamp};

/// Views of a tenant: all of them are on one page.
pub const VIEWS_MAX: i64 = 200;
const ID_LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Letters of an id: 62 random bits.
const ID_LENGTH: usize = 12;

const LIST: &str = "\
select id, name, params, created_at, updated_at
from views
where tenant = $1::bigint
order by lower(name), name";
const FIND: &str = "\
select id, name, params, created_at, updated_at
from views
where tenant = $1::bigint and id = $2";
/// No row if there is no room for one more.
const SAVE: &str = "\
insert into views (tenant, id, name, params)
select $1::bigint, $2, $3, $4
where (select count(*) from views where tenant = $1::bigint) < $5
  or exists (select from views where tenant = $1::bigint and name = $3)
on conflict (tenant, name) do update set params = excluded.params, updated_at = now()
returning id";
const RENAME: &str = "\
update views set name = $3, updated_at = now() where tenant = $1::bigint and id = $2 returning id";
const DELETE: &str = "delete from views where tenant = $1::bigint and id = $2 returning id";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub id: String,
    pub name: String,
    /// Query string of the page, without the `?`.
    pub params: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl View {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let (Time(created_at), Time(updated_at)) = (row.try_get(3)?, row.try_get(4)?);
        Ok(Self {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            params: row.try_get(2)?,
            created_at,
            updated_at,
        })
    }

    /// Where the view leads to.
    pub fn address(&self) -> String {
        if self.params.is_empty() { "/".to_owned() } else { format!("/?{}", self.params) }
    }
}

/// All views by name.
pub async fn list(state: &State) -> Result<Vec<View>, ShelfError> {
    let rows = run(state, LIST, []).await?;
    Ok(rows.iter().map(View::read).collect::<Result<_, _>>()?)
}

/// None if there is no such view.
pub async fn find(state: &State, id: &str) -> Result<Option<View>, ShelfError> {
    if !is_id(id) {
        return Ok(None);
    }
    let rows = run(state, FIND, [text(id)]).await?;
    Ok(rows.first().map(View::read).transpose()?)
}

/// Makes a view, or gives the one of this name another search. Its id; the fault if there is no room for one more.
pub async fn save(state: &State, draft: &Draft) -> Result<Result<String, Fault>, ShelfError> {
    let values = [text(&fresh_id()), text(&draft.name), text(&draft.params), Value::Count(VIEWS_MAX)];
    match run(state, SAVE, values).await?.first() {
        Some(row) => Ok(Ok(row.try_get(0)?)),
        None => Ok(Err(Fault::new("name", format!("there are {VIEWS_MAX} views already; delete one first")))),
    }
}

/// False if there is no such view; [`ShelfError::Taken`] if another one has the name.
pub async fn rename(state: &State, id: &str, name: &str) -> Result<bool, ShelfError> {
    Ok(is_id(id) && !run(state, RENAME, [text(id), text(name)]).await?.is_empty())
}

/// False if there is no such view.
pub async fn delete(state: &State, id: &str) -> Result<bool, ShelfError> {
    Ok(is_id(id) && !run(state, DELETE, [text(id)]).await?.is_empty())
}

async fn run<const N: usize>(
    state: &State,
    statement: &str,
    values: [Value; N],
) -> Result<Vec<Row>, ShelfError> {
    let tenant = Value::Count(i64::from(TENANT_DEFAULT));
    let values = std::iter::once(tenant).chain(values).collect();
    shelf::run(&state.shelf, &Statement { text: statement.to_owned(), values }).await
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn fresh_id() -> String {
    let mut random = Uuid::new_v4().as_u128();
    let mut letter = || {
        let at = (random % ID_LETTERS.len() as u128) as usize;
        random /= ID_LETTERS.len() as u128;
        char::from(ID_LETTERS[at])
    };
    (0..ID_LENGTH).map(|_| letter()).collect()
}

fn is_id(id: &str) -> bool {
    id.len() == ID_LENGTH && id.bytes().all(|byte| ID_LETTERS.contains(&byte))
}

#[derive(Serialize)]
struct Reply {
    views: Vec<ViewReply>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ViewReply {
    id: String,
    name: String,
    params: String,
    created_at: String,
    updated_at: String,
}

impl From<View> for ViewReply {
    fn from(view: View) -> Self {
        Self {
            id: view.id,
            name: view.name,
            params: view.params,
            created_at: view.created_at.to_string(),
            updated_at: view.updated_at.to_string(),
        }
    }
}

/// `GET /api/views`.
pub(super) async fn list_json(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let unknown = params::decode(request.query_string()).map(|pairs| pairs.into_iter().next());
    match unknown {
        Ok(None) => {}
        Ok(Some((name, _))) => {
            return json_error(&ShelfError::Search(Fault::unknown(&name, &[]).into()));
        }
        Err(fault) => return json_error(&ShelfError::Search(fault.into())),
    }
    match list(&state).await {
        Ok(views) => {
            let views = views.into_iter().map(ViewReply::from).collect();
            answer::json(StatusCode::OK, &Reply { views })
        }
        Err(error) => json_error(&error),
    }
}

/// An error as the API tells it.
pub fn json_error(error: &ShelfError) -> HttpResponse {
    if let ShelfError::Search(error) = error {
        return answer::json_error(super::logged(error));
    }
    let text = error.to_string();
    let mut answer = answer::json(error.status(), &ErrorBody { error: &text, field: None, column: None });
    if let Some(retry_after) = error.retry_after() {
        answer.headers_mut().insert(header::RETRY_AFTER, retry_after.as_secs().into());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..1_000).map(|_| fresh_id()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| is_id(id)), "{ids:?}");
        for other in ["", "0123456789a", "0123456789ab?", "0123456789aB", "../../../etc"] {
            assert!(!is_id(other), "{other}");
        }
    }
}
