//! Load from many connections with a ledger of every outcome, and the check of that ledger against the table:
//! accepted means stored exactly once, refused means absent, unknown means at most once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    TestApp,
    app::{INGEST, JSON, NDJSON},
    postgres::Database,
    records::{many, named},
    run::unique,
};

/// What the client may believe about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    /// 503 with `stored: no`, 408, or no connection at all.
    Refused,
    /// 503 with `stored: unknown` and its batchId.
    Unknown(String),
    /// The connection broke before a reply came.
    Broken,
}

/// One request: the prefix of its messages, how many records it had and what came of it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub prefix: String,
    pub records: usize,
    pub outcome: Outcome,
}

impl Entry {
    pub fn body(&self) -> String {
        if self.records == 1 {
            named(&format!("{}-0", self.prefix)).to_string()
        } else {
            many(&self.prefix, self.records)
        }
    }

    pub fn content_type(&self) -> &'static str {
        if self.records == 1 { JSON } else { NDJSON }
    }
}

/// Running load. Every second connection sends single records, the others batches of up to 500.
pub struct Load {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    ledger: Arc<Mutex<Vec<Entry>>>,
    senders: JoinSet<()>,
}

impl Load {
    pub fn start(app: &TestApp, connections: usize) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            accepted: Arc::default(),
            ledger: Arc::default(),
            senders: JoinSet::new(),
        };
        for number in 0..connections {
            let sizes: &'static [usize] = if number % 2 == 0 { &[1] } else { &[2, 50, 500] };
            let sender = Sender {
                name: unique("load"),
                sizes,
                url: format!("{}{INGEST}", app.url),
                client: app.client.clone(),
                stop: load.stop.clone(),
                accepted: load.accepted.clone(),
                ledger: load.ledger.clone(),
            };
            load.senders.spawn(sender.run());
        }
        load
    }

    /// Requests that were answered 202 so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Lets the requests under way end and gives the ledger.
    pub async fn end(mut self) -> Vec<Entry> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.senders.join_next().await {
            ended.expect("a sender does not panic");
        }
        std::mem::take(&mut *self.ledger.lock().expect("no holder panics"))
    }
}

struct Sender {
    name: String,
    sizes: &'static [usize],
    url: String,
    client: reqwest::Client,
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    ledger: Arc<Mutex<Vec<Entry>>>,
}

impl Sender {
    async fn run(self) {
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let prefix = format!("{}.{number}", self.name);
            let records = self.sizes[number % self.sizes.len()];
            let mut entry = Entry { prefix, records, outcome: Outcome::Broken };
            entry.outcome = self.send(&entry).await;
            match entry.outcome {
                Outcome::Accepted => drop(self.accepted.fetch_add(1, Ordering::Relaxed)),
                // A polite client: no storm of requests against a process that is gone.
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            self.ledger.lock().expect("no holder panics").push(entry);
        }
    }

    async fn send(&self, entry: &Entry) -> Outcome {
        let request = self.client.post(&self.url).header("content-type", entry.content_type());
        match request.body(entry.body()).send().await {
            Err(error) if error.is_connect() => Outcome::Refused,
            Err(_) => Outcome::Broken,
            Ok(response) => match super::Answer::of(response).await {
                Err(_) => Outcome::Broken,
                Ok(answer) if answer.status == 202 => {
                    answer.accepted(entry.records);
                    Outcome::Accepted
                }
                // A machine so busy that the server did not see the request in time.
                Ok(answer) if answer.status == 408 => Outcome::Refused,
                Ok(answer) => match answer.unavailable() {
                    "no" => Outcome::Refused,
                    _ => Outcome::Unknown(answer.json["batchId"].as_str().unwrap_or_default().to_owned()),
                },
            },
        }
    }
}

/// How often each message of the load is in the table, as (prefix, number of the record) → rows.
async fn stored(database: &Database) -> HashMap<String, i64> {
    let query = "select message, count(*) from logs where message like 'load-%' group by message";
    let rows = database.connect().await.query(query, &[]).await.expect("the table can be read");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Records of the ledger that were accepted and are not stored (yet).
pub async fn missing(ledger: &[Entry], database: &Database) -> Vec<String> {
    let stored = stored(database).await;
    let accepted = ledger.iter().filter(|entry| entry.outcome == Outcome::Accepted);
    let names = accepted.flat_map(|entry| (0..entry.records).map(move |n| format!("{}-{n}", entry.prefix)));
    names.filter(|name| !stored.contains_key(name)).collect()
}

/// Holds the ledger against the table.
pub async fn check(ledger: &[Entry], database: &Database) {
    let stored = stored(database).await;
    let mut faults = Vec::new();
    let mut known = 0;
    for entry in ledger {
        let counts: Vec<i64> = (0..entry.records)
            .map(|n| stored.get(&format!("{}-{n}", entry.prefix)).copied().unwrap_or(0))
            .collect();
        known += counts.iter().filter(|count| **count > 0).count();
        let legal = match entry.outcome {
            Outcome::Accepted => counts.iter().all(|count| *count == 1),
            Outcome::Refused => counts.iter().all(|count| *count == 0),
            // At most once, and a request of one message is all or nothing.
            Outcome::Unknown(_) | Outcome::Broken => {
                counts.iter().all(|count| *count == counts[0]) && counts[0] <= 1
            }
        };
        if !legal {
            let (some, most) = (counts.iter().filter(|count| **count > 0).count(), counts.iter().max());
            faults.push(format!(
                "{:?}: {some} of {} stored, at most {most:?} times",
                entry.outcome, entry.records
            ));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} requests: {:#?}",
        faults.len(),
        ledger.len(),
        &faults[..faults.len().min(10)]
    );
    assert_eq!(known, stored.len(), "rows that nobody sent");
}
