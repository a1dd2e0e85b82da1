//! What Postgres does for a search. In: the statements that a [`Session`] has run, if it was asked to keep them. Out: the text of each
//! different one with its plan, run once more in the same snapshot and within the same time. Values are not shown: they are `$1`, `$2` in
//! the text and `'…'` in the plan.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, http::Method};
use serde::Serialize;

use super::{
    params::{self, Fault, switch, take_one},
    session::{Session, Stopped},
    statement::Statement,
};

/// Different statements that are explained.
const STATEMENTS_MAX: usize = 20;

/// A statement and how it was run.
#[derive(Debug, Serialize)]
pub struct Explained {
    pub sql: String,
    /// `explain (analyze, buffers)`; empty when there was no time for it.
    pub plan: Vec<String>,
    /// How often it was run.
    pub times: u64,
    /// Rows that it returned, all times together.
    pub rows: u64,
    /// Milliseconds that it took, all times together.
    pub ms: f64,
}

/// Statements as they were run, each different text once.
#[derive(Default)]
pub struct Ran(Vec<Run>);

struct Run {
    /// With the values of the first time.
    statement: Statement,
    times: u64,
    rows: u64,
    took: Duration,
}

impl Ran {
    pub fn add(&mut self, statement: &Statement, rows: usize, took: Duration) {
        let has_room = self.0.len() < STATEMENTS_MAX;
        let known = self.0.iter_mut().find(|run| run.statement.text == statement.text);
        match known {
            Some(run) => {
                run.times += 1;
                run.rows += rows as u64;
                run.took += took;
            }
            None if has_room => {
                self.0.push(Run { statement: statement.clone(), times: 1, rows: rows as u64, took });
            }
            None => {}
        }
    }
}

/// The decoded parameters without `explain`, and whether it is wanted: not for HEAD, which shows nothing.
pub fn asked(request: &HttpRequest) -> Result<(Vec<(String, String)>, bool), Fault> {
    let mut pairs = params::decode(request.query_string())?;
    let is_wanted = take(&mut pairs)?;
    Ok((pairs, is_wanted && request.method() != Method::HEAD))
}

fn take(pairs: &mut Vec<(String, String)>) -> Result<bool, Fault> {
    take_one(pairs, "explain")?.map_or(Ok(false), |value| switch("explain", &value))
}

/// Explains what the session has run so far; None if it was not asked to keep it.
pub async fn explain(session: &mut Session) -> Option<Vec<Explained>> {
    let ran = session.take_ran()?;
    let mut explained = Vec::new();
    for Run { statement, times, rows, took } in ran.0 {
        let text = format!("explain (analyze, buffers) {}", statement.text);
        let again = Statement { text, values: statement.values };
        let is_late = Instant::now() >= session.deadline;
        let plan = if is_late { Err(Stopped::TimedOut) } else { session.statement(&again).await };
        let plan: Vec<String> = match plan {
            Ok(plan) => plan.iter().filter_map(|line| line.try_get(0).ok()).collect(),
            Err(Stopped::TimedOut) => Vec::new(),
            // The search itself has failed, and says so.
            Err(Stopped::Failed(_)) => break,
        };
        let plan = without_values(&plan.join("\n")).lines().map(str::to_owned).collect();
        let ms = (took.as_secs_f64() * 1e5).round() / 100.0;
        explained.push(Explained { sql: statement.text, plan, times, rows, ms });
    }
    Some(explained)
}

/// Postgres folds the values into the plan. Literals stand in quotes, a quote within them twice, and may run over several lines; numbers
/// stand bare, in the lines that show conditions.
fn without_values(plan: &str) -> String {
    let mut out = String::with_capacity(plan.len());
    let mut is_literal = false;
    for piece in plan.split('\'') {
        if !is_literal {
            out.push_str(piece);
        } else if !out.ends_with("'…'") {
            out.push_str("'…'");
        }
        is_literal = !is_literal;
    }
    out.lines()
        .map(|line| if is_condition(line) { without_numbers(line) } else { line.to_owned() } + "\n")
        .collect()
}

fn is_condition(line: &str) -> bool {
    let label = line.split(':').next().unwrap_or("");
    !line.contains("->")
        && !label.contains("Removed")
        && ["Filter", "Cond", "Key", "Call"].iter().any(|end| label.ends_with(end))
}

/// Digits that do not belong to a name.
fn without_numbers(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut is_name = false;
    let mut is_number = false;
    for letter in line.chars() {
        let is_digit = letter.is_ascii_digit() || (is_number && letter == '.');
        is_name = if is_name {
            letter.is_alphanumeric() || letter == '_'
        } else {
            letter.is_alphabetic() || letter == '_' || letter == '$'
        };
        if is_digit && !is_name {
            if !is_number {
                out.push('…');
            }
            is_number = true;
        } else {
            is_number = false;
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explain_is_1_or_0() {
        for (text, seen) in [
            ("", Some(false)),
            ("explain=", Some(false)),
            ("explain=0", Some(false)),
            ("explain=1", Some(true)),
            ("explain=yes", None),
            ("explain=1&explain=1", None),
        ] {
            assert_eq!(take(&mut params::decode(text).unwrap()).ok(), seen, "{text}");
        }
    }

    #[test]
    fn a_plan_keeps_its_shape_and_loses_its_values() {
        let plan = "\
Bitmap Heap Scan on records_20260101t000000 s  (cost=6.50..10.58 rows=1 width=36) (actual time=0.2..0.3 rows=7 loops=1)
  Recheck Cond: (block = ANY ('{8,9}'::integer[]))
  Filter: ((message ~~* '%it''s
secret: ''%'::text) AND (level = ANY ('{5}'::smallint[])) AND (n >= 42.5) AND (x1 = $0))
  Rows Removed by Filter: 12
  ->  Bitmap Index Scan on records_block  (cost=0.00..6.50 rows=1 width=0)";
        assert_eq!(
            without_values(plan),
            "\
Bitmap Heap Scan on records_20260101t000000 s  (cost=6.50..10.58 rows=1 width=36) (actual time=0.2..0.3 rows=7 loops=1)
  Recheck Cond: (block = ANY ('…'::integer[]))
  Filter: ((message ~~* '…'::text) AND (level = ANY ('…'::smallint[])) AND (n >= …) AND (x1 = $0))
  Rows Removed by Filter: 12
  ->  Bitmap Index Scan on records_block  (cost=0.00..6.50 rows=1 width=0)
"
        );
    }
}
