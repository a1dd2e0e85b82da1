//! Fields that no record has: a slip in a name finds nothing, as silently as a search without a hit does. In: a search that found
//! nothing, and its snapshot. Out: the paths of metadata that it asks for and in which no record of its time range has a value.

use std::time::{Duration, Instant};

use super::{
    State,
    catalogue::Snapshot,
    error::SearchError,
    expr::{Expr, Field, Test},
    filter::{Filter, Match},
    find::find_in,
    params::Query,
    session::Session,
};

/// Paths that are looked for.
const PATHS_MAX: usize = 4;
/// How long all of it may take. A path that is nowhere is ruled out by the index, one that is there by the newest record that has it.
const BUDGET: Duration = Duration::from_millis(100);

/// The paths, in the order in which they are asked for; none that was not looked for everywhere.
pub(super) async fn absent_paths(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    query: &Query,
) -> Result<Vec<String>, SearchError> {
    let due = Instant::now() + BUDGET;
    let mut absent = Vec::new();
    for path in wanted_paths(&query.filter.expr()).into_iter().take(PATHS_MAX) {
        let exists = Expr::is(Field::Metadata(path.clone()), vec![Match::Prefix(String::new())]);
        let Filter { from, to, .. } = query.filter;
        let any = Query {
            filter: Filter { q: Some(exists), from, to, ..Filter::default() },
            limit: 1,
            budget: Some(BUDGET),
            ..query.clone()
        };
        let found = find_in(state, session, snapshot, &any, due).await?;
        if found.rows.is_empty() && found.stats.complete {
            absent.push(path);
        }
    }
    Ok(absent)
}

/// Paths of metadata that a hit may have to have, each once.
fn wanted_paths(expr: &Expr) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for path in all_wanted(expr) {
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    paths
}

fn all_wanted(expr: &Expr) -> Vec<&String> {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().flat_map(all_wanted).collect(),
        Expr::Test(Test::Is(Field::Metadata(path), _) | Test::Compare { path, .. }) => vec![path],
        // Without the field such a part holds.
        Expr::Not(_) | Expr::Test(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::grammar;

    #[test]
    fn paths_that_hits_have() {
        for (line, paths) in [
            ("levle:error timeout", &["levle"][..]),
            ("took>5 -host:a (user.id:7 or took<1 or level:warn)", &["took", "user.id"]),
            ("resourceId:a \"host:5\" -(a:1 b:2)", &[]),
        ] {
            assert_eq!(wanted_paths(&grammar::parse(line).unwrap()), paths, "{line}");
        }
    }
}
