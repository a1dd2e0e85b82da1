//! What is true, by brute force in Postgres. In: hand-written predicates. Out: the newest rows of each, and counts by minute. All
//! predicates of a run share the passes over the table: first over the newest rows, then, for what is rare, over all of them.

use std::collections::HashMap;

use log_ingestor::record::Timestamp;
use tokio_postgres::{Client, types::ToSql};

use crate::{
    ask::{Hit, PAGE_ROWS},
    case::Predicate,
    progress::Progress,
};

/// What predicates may name. Columns that no predicate of a pass names are not computed.
const COLUMNS: &str = "timestamp, id, resource_id, trace_id, span_id, \"commit\", message, lower(message) as low, \
     metadata #>> '{userId}' as user_id, metadata #>> '{user,id}' as nested_user_id, \
     metadata #>> '{parentResourceId}' as parent_id, metadata #>> '{env}' as env, \
     metadata #>> '{http_status}' as http_status, metadata #>> '{file}' as file";
/// Predicates of one pass.
const PASS_MAX: usize = 48;

/// Rows from, inclusive, to, exclusive.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// Hits by minute and level.
pub(crate) type Minutes = HashMap<(i64, String), u64>;

pub(crate) struct Truth<'a> {
    client: &'a Client,
    level: &'static str,
    progress: &'a Progress,
}

impl<'a> Truth<'a> {
    pub(crate) async fn new(client: &'a Client, progress: &'a Progress) -> Self {
        Self { client, level: level_name(client).await, progress }
    }

    /// The newest rows of each predicate within the window, newest first.
    pub(crate) async fn newest(&self, predicates: &[Predicate], window: Window) -> Vec<Vec<Hit>> {
        let mut newest = vec![Vec::new(); predicates.len()];
        let span = window.to.0 - window.from.0;
        let mut open: Vec<usize> = (0..predicates.len()).collect();
        for from in [window.to.0 - span / 500, window.to.0 - span / 20, window.from.0] {
            self.progress.say(&format!("truth of {} predicates since {}", open.len(), Timestamp(from)));
            let part = Window { from: Timestamp(from), ..window };
            for pass in open.chunks(PASS_MAX) {
                for (&at, hits) in pass.iter().zip(self.pass(predicates, pass, part).await) {
                    newest[at] = hits;
                }
            }
            open.retain(|&at| newest[at].len() < PAGE_ROWS);
        }
        newest
    }

    async fn pass(&self, predicates: &[Predicate], pass: &[usize], window: Window) -> Vec<Vec<Hit>> {
        let mut values = Vec::new();
        let conditions: Vec<String> =
            pass.iter().map(|&at| format!("(({}) is true)", predicates[at].numbered(&mut values))).collect();
        let text = format!(
            "select (extract(epoch from timestamp) * 1000000)::bigint, id::text, array[{}] from ({}) l where {}",
            conditions.join(", "),
            self.rows(&mut values, window),
            conditions.join(" or ")
        );
        let mut found = vec![Vec::new(); pass.len()];
        for row in query(self.client, &text, &values).await {
            let hit: Hit = (row.get(0), row.get(1));
            for (hits, is_hit) in found.iter_mut().zip(row.get::<_, Vec<bool>>(2)) {
                if is_hit {
                    hits.push(hit.clone());
                }
            }
        }
        for hits in &mut found {
            hits.sort_unstable_by(|one, other| other.cmp(one));
            hits.truncate(PAGE_ROWS);
        }
        found
    }

    /// Counts of each predicate by minute (in microseconds) and level.
    pub(crate) async fn minutes(&self, predicates: &[Predicate], window: Window) -> Vec<Minutes> {
        self.progress.say(&format!("histograms of {} predicates", predicates.len()));
        let mut values = Vec::new();
        let conditions: Vec<String> =
            predicates.iter().map(|predicate| predicate.numbered(&mut values)).collect();
        let counts: Vec<String> =
            conditions.iter().map(|condition| format!("count(*) filter (where {condition})")).collect();
        let text = format!(
            "select (extract(epoch from date_bin('1 minute', timestamp, '2000-01-01 00:00+00')) * 1000000)::bigint, level, \
             array[{}] from ({}) l where {} group by 1, 2",
            counts.join(", "),
            self.rows(&mut values, window),
            conditions.iter().map(|condition| format!("({condition})")).collect::<Vec<_>>().join(" or ")
        );
        let mut minutes = vec![Minutes::new(); predicates.len()];
        for row in query(self.client, &text, &values).await {
            let key: (i64, String) = (row.get(0), row.get(1));
            for (minutes, count) in minutes.iter_mut().zip(row.get::<_, Vec<i64>>(2)) {
                if count > 0 {
                    minutes.insert(key.clone(), count as u64);
                }
            }
        }
        minutes
    }

    /// `offset 0` keeps the planner from computing a column once for each predicate.
    fn rows(&self, values: &mut Vec<String>, window: Window) -> String {
        let bounds = Predicate::new(
            "timestamp >= $::timestamptz and timestamp < $::timestamptz",
            &[&window.from.to_string(), &window.to.to_string()],
        );
        let bounds = bounds.numbered(values);
        format!("select {COLUMNS}, {} as level from logs where {bounds} offset 0", self.level)
    }
}

/// The level as text, whichever way the column holds it.
pub(crate) async fn level_name(client: &Client) -> &'static str {
    let text = "select data_type::text from information_schema.columns where table_name = 'logs' and column_name = 'level'";
    let kind: String = client.query_one(text, &[]).await.expect("logs has a level").get(0);
    match kind.as_str() {
        "smallint" | "integer" => "(array['trace', 'debug', 'info', 'warn', 'error', 'fatal'])[level]",
        _ => "level::text",
    }
}

/// Values are texts.
pub(crate) async fn query(client: &Client, text: &str, values: &[String]) -> Vec<tokio_postgres::Row> {
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    client.query(text, &values).await.unwrap_or_else(|error| panic!("{error:?}: {text}"))
}
