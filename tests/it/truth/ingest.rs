//! Posts random records until each is stored once, through whatever happens to the product meanwhile.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, RwLock},
};

use chrono::{DateTime, Utc};

use super::rows::{Texts, a_line, one};
use crate::harness::{
    Answer, TestApp,
    app::{INGEST, NDJSON},
    records::Dice,
    run::{eventually, seconds, unique},
};

/// Where to post; the address may change while posters are under way.
#[derive(Clone)]
pub struct Door {
    client: reqwest::Client,
    url: Arc<RwLock<String>>,
    now: DateTime<Utc>,
    ids: Arc<Mutex<HashSet<String>>>,
}

impl Door {
    pub fn of(app: &TestApp) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(seconds(40)).build();
        let now = chrono::SubsecRound::trunc_subsecs(Utc::now(), 0);
        Self {
            client: client.expect("a client can be built"),
            url: Arc::new(RwLock::new(app.url.clone())),
            now,
            ids: Arc::default(),
        }
    }

    pub fn moves_to(&self, app: &TestApp) {
        *self.url.write().unwrap() = app.url.clone();
    }

    /// The same records, posted somewhere else.
    pub fn beside(&self, app: &TestApp) -> Self {
        Self { url: Arc::new(RwLock::new(app.url.clone())), ..self.clone() }
    }

    /// Ids of all that was accepted.
    pub fn ids(&self) -> HashSet<String> {
        self.ids.lock().unwrap().clone()
    }

    /// Returns when a batch more than now is accepted, so that others are on their way.
    pub async fn under_way(&self) {
        let before = self.ids().len();
        let more = async || (self.ids().len() > before).then_some(());
        eventually("a batch is accepted", seconds(20), more).await;
    }

    /// Random batches by several posters at once; returns when everything is stored.
    pub async fn post(&self, dice: &mut Dice, records: usize) {
        let posters = (0..3).map(|_| {
            let mut dice = Dice(dice.roll(u64::MAX));
            async move {
                let mut left = records / 3;
                while left > 0 {
                    let most = one(&mut dice, &[1, 1, 2, 5, 30, 100, 600, 2_000]);
                    let count = left.min(1 + dice.roll(most) as usize);
                    let texts = one(&mut dice, &[Texts::Short, Texts::Mixed]);
                    let lines = (0..count).map(|_| a_line(&mut dice, self.now, texts));
                    self.store(lines.collect(), count).await;
                    left -= count;
                }
            }
        });
        futures_util::future::join_all(posters).await;
    }

    /// A batch of one row.
    pub async fn post_one(&self, dice: &mut Dice) {
        self.store(a_line(dice, self.now, Texts::Short), 1).await;
    }

    /// Repeats with the same key until the answer is 202.
    pub async fn store(&self, body: String, count: usize) {
        let key = unique("truth");
        let accepted = eventually("the batch is accepted", seconds(90), async || {
            let url = format!("{}{INGEST}", self.url.read().unwrap());
            let request =
                self.client.post(url).header("content-type", NDJSON).header("idempotency-key", &key);
            let answer = Answer::of(request.body(body.clone()).send().await.ok()?).await.ok()?;
            match answer.status {
                202 => Some(answer.accepted(count)),
                503 => None,
                status => panic!("{status}: {}\n{body}", answer.text()),
            }
        });
        let accepted = accepted.await;
        self.ids.lock().unwrap().extend(accepted);
    }
}
