//! Brute force: every row by a scan that no index helps, in the order of the contract.

use std::{collections::HashSet, sync::Arc};

use log_ingestor::{
    record::{Level, Timestamp},
    search::{expr::regexes, params},
};
use tokio::sync::Mutex;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    filters::Pairs,
    meaning::{Json, Regexes, Seen},
};
use crate::harness::postgres::Database;

pub struct Oracle {
    pub all: Vec<Seen>,
    sql: Client,
    regexes: Mutex<Regexes>,
}

const ROWS: &str = "\
select id, (extract(epoch from timestamp) * 1000000)::bigint, level, message, resource_id, trace_id, span_id, \"commit\", metadata::text
from logs
order by timestamp desc, id desc";

impl Oracle {
    pub async fn read(database: &Arc<Database>) -> Self {
        let sql = database.connect().await;
        let scan = "set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off";
        sql.batch_execute(scan).await.expect("the settings exist");
        let rows = sql.query(ROWS, &[]).await.expect("the rows can be read");
        let all = rows.iter().map(|row| {
            let level = Level::parse(row.get(2)).expect("a level by its name");
            let mut seen = Seen::new(row.get(0), Timestamp(row.get(1)), level, row.get(3), row.get(4));
            (seen.trace_id, seen.span_id, seen.commit) = (row.get(5), row.get(6), row.get(7));
            seen.metadata = row.get::<_, Option<&str>>(8).map(Json::read);
            seen
        });
        Self { all: all.collect(), sql, regexes: Mutex::default() }
    }

    /// All hits in their order; None for a search that is refused.
    pub async fn hits(&self, pairs: &Pairs) -> Option<Vec<&Seen>> {
        let query = params::read(pairs, Timestamp::now()).ok()?;
        let expr = query.filter.expr();
        let mut known = self.regexes.lock().await;
        for regex in regexes(&expr) {
            if !known.contains_key(&regex.pattern) {
                let rows = self
                    .sql
                    .query("select id from records where message ~ $1", &[&regex.pattern])
                    .await
                    .ok()?;
                let ids: HashSet<Uuid> = rows.iter().map(|row| row.get(0)).collect();
                known.insert(regex.pattern.clone(), ids);
            }
        }
        let window = query.window();
        let is_hit = |row: &&Seen| {
            window.from.is_none_or(|from| from <= row.timestamp)
                && window.to.is_none_or(|to| row.timestamp < to)
                && row.matches(&expr, &known)
        };
        Some(self.all.iter().filter(is_hit).collect())
    }
}
