//! Asks the product over one keep-alive connection. In: parameters. Out: the newest hits with what they cost, from as many answers as it
//! takes: a partial one is followed by its cursor until the page is full or the end is reached.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Connection;

pub(crate) const PAGE_ROWS: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Servers close what is idle for longer; ours after five seconds.
const IDLE_MAX: Duration = Duration::from_secs(2);
/// A question that is not answered in full by then is given up.
pub(crate) const FOLLOW_MAX: Duration = Duration::from_secs(120);

/// Microseconds and id, in the order of an answer.
pub(crate) type Hit = (i64, String);

pub(crate) struct Answer {
    pub(crate) hits: Vec<Hit>,
    /// The first answer was all there is to say.
    pub(crate) complete_at_once: bool,
    /// Of all answers together.
    pub(crate) total: Duration,
    pub(crate) rows_read: u64,
    pub(crate) blocks_read: Option<u64>,
}

pub(crate) enum Outcome {
    Answer(Answer),
    /// 400 or 404: the product does not know this yet.
    NotAvailable(String),
    Failed(String),
}

/// A connection that is opened again after a timeout or a pause.
pub(crate) struct Asker {
    address: String,
    connection: Option<Connection>,
    used: Instant,
    knows_budget: Option<bool>,
}

impl Asker {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None, used: Instant::now(), knows_budget: None }
    }

    /// One GET; the time is from the first byte sent to the last byte received.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        params: &[(String, String)],
    ) -> Result<(u16, Value, Duration), String> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let request = format!("GET {path}?{query} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        if self.connection.is_none() || self.used.elapsed() > IDLE_MAX {
            self.connection = Some(Connection::open(&self.address).await);
        }
        let connection = self.connection.as_mut().expect("just opened");
        let started = Instant::now();
        let Ok(status) = tokio::time::timeout(TIMEOUT, connection.exchange(request.as_bytes())).await else {
            self.connection = None;
            return Err(format!("no answer within {} s", TIMEOUT.as_secs()));
        };
        let took = started.elapsed();
        self.used = Instant::now();
        let body = serde_json::from_slice(connection.body()).unwrap_or(Value::Null);
        Ok((status, body, took))
    }

    /// The first answer alone.
    pub(crate) async fn first(&mut self, params: &[(String, String)]) -> Outcome {
        self.follow(params, None, |_, _| true).await
    }

    /// Until the page is full or everything was read, or until `at_most` is over.
    pub(crate) async fn page(&mut self, params: &[(String, String)], at_most: Duration) -> Outcome {
        self.follow(params, None, |hits, took| hits >= PAGE_ROWS || took > at_most).await
    }

    /// The same in steps as large as the product allows.
    pub(crate) async fn exhaust(&mut self, params: &[(String, String)]) -> Outcome {
        if self.knows_budget.is_none() {
            let probe = [("budget".to_owned(), "10s".to_owned())];
            self.knows_budget =
                Some(self.get("/api/logs", &probe).await.is_ok_and(|(status, ..)| status == 200));
        }
        let budget = self.knows_budget.unwrap_or(false).then_some("10s");
        self.follow(params, budget, |hits, took| hits >= PAGE_ROWS || took > FOLLOW_MAX).await
    }

    async fn follow(
        &mut self,
        params: &[(String, String)],
        budget: Option<&str>,
        is_enough: impl Fn(usize, Duration) -> bool,
    ) -> Outcome {
        let mut params = params.to_vec();
        params.extend(budget.map(|budget| ("budget".to_owned(), budget.to_owned())));
        let fixed = params.len();
        let mut sum: Option<Answer> = None;
        loop {
            let (status, body, took) = match self.get("/api/logs", &params).await {
                Ok(answer) => answer,
                Err(reason) => return Outcome::Failed(reason),
            };
            match status {
                200 => {}
                400 | 404 => return Outcome::NotAvailable(body["error"].as_str().unwrap_or("").to_owned()),
                _ => return Outcome::Failed(format!("answered {status}: {body}")),
            }
            let Some(hits) = hits(&body) else { return Outcome::Failed(format!("unreadable: {body}")) };
            let stats = &body["stats"];
            let complete = stats["complete"].as_bool() == Some(true);
            let answer = sum.get_or_insert_with(|| Answer {
                hits: Vec::new(),
                complete_at_once: complete,
                total: Duration::ZERO,
                rows_read: 0,
                blocks_read: None,
            });
            answer.hits.extend(hits);
            answer.total += took;
            answer.rows_read += stats["rowsRead"].as_u64().unwrap_or(0);
            if let Some(blocks) = stats["blocksRead"].as_u64() {
                *answer.blocks_read.get_or_insert(0) += blocks;
            }
            let cursor = body["nextCursor"].as_str();
            let is_last =
                complete && answer.hits.len() >= PAGE_ROWS || is_enough(answer.hits.len(), answer.total);
            let Some(cursor) = cursor.filter(|_| !is_last) else { break };
            params.truncate(fixed);
            params.push(("cursor".to_owned(), cursor.to_owned()));
        }
        let mut answer = sum.expect("at least one answer");
        answer.hits.truncate(PAGE_ROWS);
        Outcome::Answer(answer)
    }
}

fn hits(body: &Value) -> Option<Vec<Hit>> {
    let hit = |row: &Value| {
        let at = chrono::DateTime::parse_from_rfc3339(row["timestamp"].as_str()?).ok()?;
        Some((at.timestamp_micros(), row["id"].as_str()?.to_owned()))
    };
    body["logs"].as_array()?.iter().map(hit).collect()
}
