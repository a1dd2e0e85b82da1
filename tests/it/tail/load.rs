//! Writers that a reader keeps up with, and what the reader was told: held against each other and against the table at the end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::harness::{
    Answer,
    app::{INGEST, NDJSON},
    follower::Follower,
    postgres::Database,
    records::{Dice, many},
    run::{eventually, seconds, unique},
};

/// Records that were accepted and not told yet: an event holds them all, so that none is skipped.
const AHEAD_MAX: usize = 600;
const CONNECTIONS: usize = 3;

/// What a reader was told so far.
#[derive(Clone, Default)]
pub struct Told {
    ids: Arc<Mutex<Vec<String>>>,
    count: watch::Sender<usize>,
    ends: Arc<AtomicBool>,
    reader: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Connections that post one request after the other.
pub struct Writers {
    told: Told,
    /// For each connection the ids of its requests, in order.
    accepted: Arc<Mutex<BTreeMap<String, Vec<Vec<String>>>>>,
    count: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    posting: JoinSet<()>,
}

pub struct Outcome {
    told: Vec<String>,
    accepted: BTreeMap<String, Vec<Vec<String>>>,
}

impl Told {
    /// Reads without a break, from here on.
    pub async fn follow(urls: &[&str], query: &str) -> Self {
        Self::read(urls, query, None).await
    }

    /// Leaves after a few events each time, sometimes at once, and goes on at any of these processes; now and then not before everything
    /// is sealed.
    pub async fn by_visits(urls: &[&str], query: &str, database: &Arc<Database>) -> Self {
        Self::read(urls, query, Some((Dice(7), database.clone()))).await
    }

    async fn read(urls: &[&str], query: &str, mut visits: Option<(Dice, Arc<Database>)>) -> Self {
        let told = Self::default();
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        // What is stored before a tail begins is not told.
        let mut begun = Some(Follower::open(&urls[0], query).await);
        let (to, query) = (told.clone(), query.to_owned());
        let reader = async move {
            let mut last = None::<String>;
            loop {
                let (url, mut events) = match &mut visits {
                    Some((dice, database)) => {
                        if last.is_some() && dice.roll(4) == 0 {
                            sealed(database).await;
                        }
                        (dice.roll(urls.len() as u64) as usize, dice.roll(4))
                    }
                    None => (0, u64::MAX),
                };
                let mut follower = match begun.take() {
                    Some(follower) => follower,
                    None => Follower::resume(&urls[url], &query, last.as_deref()).await,
                };
                while events > 0 {
                    if to.ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(event) = tokio::time::timeout(Duration::from_millis(200), follower.next()).await
                    else {
                        continue;
                    };
                    let event = event.expect("the process goes on");
                    events -= 1;
                    match event.name.as_str() {
                        "beat" => {}
                        "records" => to.add(&event.json(), event.values("id")),
                        _ => panic!("{event:?}"),
                    }
                }
                last = Some(follower.last.clone());
            }
        };
        *told.reader.lock().unwrap() = Some(tokio::spawn(reader));
        told
    }

    fn add(&self, data: &Value, ids: Vec<String>) {
        assert_eq!(data["skipped"], 0, "the writers wait for the reader");
        let count = ids.len();
        self.ids.lock().unwrap().extend(ids);
        self.count.send_modify(|told| *told += count);
    }

    fn has_failed(&self) -> bool {
        self.reader.lock().unwrap().as_ref().is_some_and(JoinHandle::is_finished)
    }
}

/// Until what the writers have signed is in groups; they do not run on without the reader.
async fn sealed(database: &Arc<Database>) {
    let (database, runtime) = (database.clone(), Handle::current());
    // On a thread of its own: the compiler cannot tell that what waits with an async closure may change threads.
    let waits = move || {
        runtime.block_on(eventually("all signatures are sealed", seconds(30), async || {
            (database.number("select count(*) from signatures").await == 0).then_some(())
        }));
    };
    tokio::task::spawn_blocking(waits).await.expect("it is sealed");
}

impl Writers {
    /// A few connections to each process.
    pub fn start(told: &Told, urls: &[&str]) -> Self {
        let (accepted, count, ends) = (Arc::default(), Arc::default(), Arc::default());
        let mut writers = Self { told: told.clone(), accepted, count, ends, posting: JoinSet::new() };
        for url in urls {
            writers.join(url);
        }
        writers
    }

    /// A few connections more, to another process.
    pub fn join(&mut self, url: &str) {
        for _ in 0..CONNECTIONS {
            let name = unique("seq");
            let (url, client) =
                (format!("{url}{INGEST}"), reqwest::Client::builder().no_proxy().build().unwrap());
            let (mut told, accepted, count, ends) =
                (self.told.count.subscribe(), self.accepted.clone(), self.count.clone(), self.ends.clone());
            self.posting.spawn(async move {
                let mut dice = Dice(name.len() as u64 + name.bytes().map(u64::from).sum::<u64>());
                for number in 0.. {
                    let is_near = |told: &usize| count.load(Ordering::SeqCst) <= *told + AHEAD_MAX;
                    told.wait_for(is_near).await.expect("somebody is told as long as anybody writes");
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let records = 1 + dice.roll(60) as usize;
                    let body = many(&format!("{name}.{number}"), records);
                    let request = client.post(&url).header("content-type", NDJSON).body(body);
                    // A process that was killed: nobody knows what became of the request.
                    let Ok(answer) = request.send().await else { return };
                    let Ok(answer) = Answer::of(answer).await else { return };
                    let ids = answer.accepted(records);
                    count.fetch_add(records, Ordering::SeqCst);
                    accepted.lock().unwrap().entry(name.clone()).or_default().push(ids);
                }
            });
        }
    }

    /// Until that many records were accepted.
    pub async fn until(&self, records: usize) {
        eventually(&format!("{records} records accepted"), seconds(120), async || {
            assert!(!self.told.has_failed(), "the reader has failed");
            (self.count.load(Ordering::SeqCst) >= records).then_some(())
        })
        .await;
    }

    /// Lets the requests under way end, and the reader come to the end.
    pub async fn end(mut self) -> Outcome {
        self.ends.store(true, Ordering::SeqCst);
        while let Some(ended) = self.posting.join_next().await {
            ended.expect("a writer does not panic");
        }
        let accepted = std::mem::take(&mut *self.accepted.lock().unwrap());
        let all: usize = accepted.values().flatten().map(Vec::len).sum();
        let told = &self.told;
        eventually("everything accepted is told", seconds(60), async || {
            assert!(!told.has_failed(), "the reader has failed");
            let known = told.ids.lock().unwrap();
            let known: std::collections::HashSet<&String> = known.iter().collect();
            let is_told = accepted.values().flatten().flatten().filter(|id| known.contains(id)).count();
            (is_told == all).then_some(())
        })
        .await;
        told.ends.store(true, Ordering::SeqCst);
        let reader = told.reader.lock().unwrap().take().expect("there is a reader");
        reader.await.expect("the reader does not panic");
        let told = told.ids.lock().unwrap().clone();
        Outcome { told, accepted }
    }
}

impl Outcome {
    /// The table and nothing else was told, each row once; and what one connection had sent before came before.
    pub async fn check(self, database: &Database) {
        let stored = database.texts("select id::text from logs order by id", &[]).await;
        let mut told = self.told.clone();
        told.sort();
        assert_eq!(told.len(), stored.len(), "told and stored");
        assert!(told == stored, "what was told is what is stored");
        let place: HashMap<&String, usize> = self.told.iter().zip(0..).collect();
        for (name, requests) in &self.accepted {
            let mut before = 0;
            for ids in requests {
                let places: Vec<usize> = ids.iter().map(|id| place[id]).collect();
                assert!(places.iter().all(|place| *place >= before), "{name} was told out of order");
                before = places.into_iter().max().unwrap_or(before);
            }
        }
    }
}
