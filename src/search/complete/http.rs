//! `GET /api/complete`. In: a GET request. Out: JSON: the columns to replace, and with what.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{Asked, Completed, Item, complete};
use crate::{
    record::Timestamp,
    search::{
        State, answer,
        error::SearchError,
        grammar, logged,
        params::{self, Fault, take_one},
    },
};

pub(in crate::search) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/api/complete").route(web::get().to(get)));
}

#[derive(Serialize)]
struct Reply {
    /// Characters from 1.
    from: usize,
    /// The one behind.
    to: usize,
    items: Vec<Item>,
    /// False if there may be more, because the time was up.
    complete: bool,
}

async fn get(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let reply = async {
        let asked = read(params::decode(request.query_string())?, Timestamp::now())?;
        let Completed { place, items, is_complete } = complete(&state, &asked).await?;
        let column = |at: usize| asked.line[..at].chars().count() + 1;
        let (from, to) = (column(place.span.start), column(place.span.end));
        Ok::<_, SearchError>(Reply { from, to, items, complete: is_complete })
    };
    let answer = match reply.await {
        Ok(reply) => answer::json(StatusCode::OK, &reply),
        Err(error) => answer::json_error(logged(&error)),
    };
    state.observe(started, answer.status());
    answer
}

/// `q`, `at` and a time range; other parameters of a search may be there and mean nothing.
fn read(mut pairs: Vec<(String, String)>, now: Timestamp) -> Result<Asked, Fault> {
    let line = take_one(&mut pairs, "q")?.unwrap_or_default();
    if line.len() > grammar::BYTES_MAX {
        return Err(Fault::too_long("q", grammar::BYTES_MAX, line.len()));
    }
    if line.contains('\0') {
        return Err(Fault::new("q", "U+0000 cannot be stored, so it cannot be searched"));
    }
    let last = line.chars().count() + 1;
    let column = match take_one(&mut pairs, "at")? {
        None => last,
        Some(text) => text
            .parse()
            .ok()
            .filter(|column| (1..=last).contains(column))
            .ok_or_else(|| Fault::needed("at", format!("a column from 1 to {last}"), &text))?,
    };
    let at = line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at);
    Ok(Asked { line, at, window: params::read(&pairs, now)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_its_field() {
        let long = format!("q={}", "x".repeat(grammar::BYTES_MAX + 1));
        for (text, field) in [
            ("", ""),
            ("q=&at=&from=24h&to=1h&level=error", ""),
            ("q=%F0%9F%9A%A8a&at=3", ""),
            ("q=%F0%9F%9A%A8a&at=4", "at"),
            ("q=a&at=0", "at"),
            ("q=a&at=x", "at"),
            ("q=a%00", "q"),
            ("q=a&q=b", "q"),
            ("from=yesterday", "from"),
            ("bogus=1", "bogus"),
            (&long, "q"),
        ] {
            let read = read(params::decode(text).unwrap(), Timestamp(0));
            assert_eq!(read.err().map_or(String::new(), |fault| fault.field), field, "{text}");
        }
        let asked = read(params::decode("q=%F0%9F%9A%A8a&at=2").unwrap(), Timestamp(0)).unwrap();
        assert_eq!(asked.at, 4);
    }
}
