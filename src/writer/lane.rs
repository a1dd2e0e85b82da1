//! Kafka mode: one lane, that is one Postgres connection and the partitions that fall to it. In: claims and messages in the order in
//! which the consumer saw them. Out: batches of at most 2,000 rows, 4 MiB or 200 ms, each stored with its offsets.
//!
//! Two tasks: one reads and parses while the other waits for Postgres, so neither stands idle.
//! A message is never split over two batches. Whatever belongs to an older generation (before a rebalance) is dropped: its owner will
//! read it again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{Instant, timeout, timeout_at},
};

use super::{
    batch::{Advance, BYTES_MAX, Batch, BatchMessage, DeadLetter, Origin, ROWS_MAX},
    error::Failure,
    store::{self, Store},
};
use crate::{
    health::{Health, Trouble},
    ingest::element::Element,
    queue::MessageKey,
    record::{
        rows::Rows,
        rules::{EventTimes, Fault, IdSource},
    },
};

/// A transaction takes milliseconds; one that takes this long is given up and resolved.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(30);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What the consumer tells a lane.
pub enum LaneEvent {
    /// The partition is ours from this generation on and goes on at `next_offset`.
    Claimed {
        generation: u64,
        partition: i32,
        next_offset: i64,
        epoch: i64,
    },
    Message(QueuedMessage),
    /// Store what is here and end.
    Stop,
}

/// A message as it was read from the topic.
pub struct QueuedMessage {
    pub generation: u64,
    pub partition: i32,
    pub offset: i64,
    /// The headers, or why they are not ours.
    pub key: Result<MessageKey, String>,
    pub payload: Vec<u8>,
}

/// What consumer and lanes share.
#[derive(Default)]
pub struct Control {
    /// Raised by each rebalance.
    pub generation: AtomicU64,
    /// A lane has lost its certainty: leave the group and join again.
    pub rejoin: AtomicBool,
    /// Bytes of messages that lanes hold.
    pub held_bytes: AtomicUsize,
    /// Next offset by partition, as committed to Postgres.
    pub stored: Mutex<HashMap<i32, i64>>,
}

/// The first half of a lane: collects messages into batches while the second half stores the one before.
pub struct Collector {
    events: UnboundedReceiver<LaneEvent>,
    work: mpsc::Sender<Work>,
    control: Arc<Control>,
    flush_wait_max: Duration,
    /// By partition: generation and the offset after the last message collected.
    positions: HashMap<i32, (u64, i64)>,
    /// Did not fit into the last batch.
    carried: Option<QueuedMessage>,
}

/// The second half of a lane: one Postgres connection.
pub struct Storer {
    work: mpsc::Receiver<Work>,
    store: Store,
    control: Arc<Control>,
    health: Arc<Health>,
    epochs: HashMap<i32, i64>,
}

enum Work {
    Claimed { partition: i32, epoch: i64 },
    Store(Filling),
}

/// A batch that is being filled.
struct Filling {
    batch: Batch,
    generation: u64,
    rows: usize,
    bytes: usize,
    due: Instant,
}

/// Makes a lane; both halves run until the consumer tells them to stop, or is gone.
pub fn lane(
    events: UnboundedReceiver<LaneEvent>,
    store: Store,
    control: Arc<Control>,
    health: Arc<Health>,
    flush_wait_max: Duration,
) -> (Collector, Storer) {
    let (sender, work) = mpsc::channel(1);
    let collector = Collector {
        events,
        work: sender,
        control: control.clone(),
        flush_wait_max,
        positions: HashMap::new(),
        carried: None,
    };
    (collector, Storer { work, store, control, health, epochs: HashMap::new() })
}

impl Collector {
    pub async fn run(mut self) {
        let mut filling: Option<Filling> = None;
        loop {
            let event = match (self.carried.take(), &filling) {
                (Some(message), _) => Some(LaneEvent::Message(message)),
                (None, None) => self.events.recv().await,
                (None, Some(due)) => match timeout_at(due.due, self.events.recv()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.hand_over(filling.take()).await;
                        continue;
                    }
                },
            };
            match event {
                None | Some(LaneEvent::Stop) => return self.hand_over(filling).await,
                Some(LaneEvent::Claimed { generation, partition, next_offset, epoch }) => {
                    self.positions.insert(partition, (generation, next_offset));
                    let _ = self.work.send(Work::Claimed { partition, epoch }).await; // gone only at the end
                }
                Some(LaneEvent::Message(message)) => {
                    if self.add(&mut filling, message) {
                        self.hand_over(filling.take()).await;
                    }
                }
            }
        }
    }

    async fn hand_over(&self, filling: Option<Filling>) {
        if let Some(filling) = filling {
            let _ = self.work.send(Work::Store(filling)).await; // gone only at the end
        }
    }

    /// Puts a message into the batch, or aside; true when the batch is to be stored now.
    fn add(&mut self, filling: &mut Option<Filling>, message: QueuedMessage) -> bool {
        let current = self.control.generation.load(Ordering::Acquire);
        let bytes = message.payload.len();
        let position = self.positions.get_mut(&message.partition);
        let Some((_, next_offset)) = position
            .filter(|(generation, _)| *generation == message.generation && current == message.generation)
        else {
            self.control.held_bytes.fetch_sub(bytes, Ordering::AcqRel);
            return false;
        };
        let lines = memchr::memchr_iter(b'\n', &message.payload).count();
        if filling.as_ref().is_some_and(|filling| {
            filling.generation != message.generation
                || filling.bytes + bytes > BYTES_MAX
                || filling.rows + lines > ROWS_MAX
        }) {
            self.carried = Some(message);
            return true;
        }
        let filling = filling.get_or_insert_with(|| Filling {
            batch: Batch::default(),
            generation: message.generation,
            rows: 0,
            bytes: 0,
            due: Instant::now() + self.flush_wait_max,
        });
        let (partition, to) = (message.partition, message.offset + 1);
        let last_key = message.key.as_ref().ok().map(|key| key.key);
        match filling.batch.advances.iter_mut().find(|advance| advance.partition == partition) {
            Some(advance) => (advance.to, advance.last_key) = (to, last_key),
            None => {
                filling.batch.advances.push(Advance { partition, from: *next_offset, to, epoch: 0, last_key })
            }
        }
        *next_offset = to;
        filling.bytes += bytes;
        let (message, dead_letters) = parse(message);
        filling.rows += message.rows.len();
        filling.batch.messages.push(message);
        filling.batch.dead_letters.extend(dead_letters);
        filling.rows >= ROWS_MAX || filling.bytes >= BYTES_MAX
    }
}

impl Storer {
    pub async fn run(mut self) {
        loop {
            let Ok(work) = timeout(store::IDLE_CHECK, self.work.recv()).await else {
                self.store.sign_idle().await;
                continue;
            };
            let Some(work) = work else { break };
            match work {
                Work::Claimed { partition, epoch } => {
                    self.epochs.insert(partition, epoch);
                }
                Work::Store(filling) => {
                    let bytes = filling.bytes;
                    self.store(filling).await;
                    self.control.held_bytes.fetch_sub(bytes, Ordering::AcqRel);
                }
            }
        }
        self.store.close().await;
    }

    /// Tries until the batch is stored, or no longer ours.
    async fn store(&mut self, filling: Filling) {
        let Filling { mut batch, generation, .. } = filling;
        for advance in &mut batch.advances {
            advance.epoch = self.epochs.get(&advance.partition).copied().unwrap_or_default();
        }
        let started = std::time::Instant::now();
        let mut backoff = BACKOFF_MIN;
        let mut unknown = false;
        while self.control.generation.load(Ordering::Acquire) == generation {
            let attempt = async {
                if unknown {
                    // The old transaction is shut out; either it did commit, or the batch goes again under the new epochs.
                    if self.store.resolve(&mut batch).await? {
                        self.store.count(&batch, batch.entries().len(), started);
                        return Ok(());
                    }
                    unknown = false;
                }
                self.store.write(&mut batch).await
            };
            let failure = match timeout(WRITE_WAIT_MAX, attempt).await {
                Ok(Ok(())) => {
                    self.health.clear(Trouble::Postgres);
                    return self.stored(&batch);
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Unknown("Postgres did not answer in time".into()),
            };
            match failure {
                Failure::Fenced => {
                    log::warn!("another writer owns our partitions: joining the group again");
                    self.control.rejoin.store(true, Ordering::Release);
                    return;
                }
                Failure::Unknown(reason) => {
                    unknown = true;
                    self.store.disconnect();
                    self.health.report(Trouble::Postgres, format!("cannot store: {reason}"));
                }
                Failure::NotStored(reason) => {
                    self.health.report(Trouble::Postgres, format!("cannot store: {reason}"));
                }
                other => self.health.report(Trouble::Postgres, format!("cannot store: {other:?}")),
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn stored(&mut self, batch: &Batch) {
        let mut stored = self.control.stored.lock().unwrap_or_else(PoisonError::into_inner);
        for advance in &batch.advances {
            stored.insert(advance.partition, advance.to);
            self.epochs.insert(advance.partition, advance.epoch);
        }
    }
}

/// The rows of a message; lines that are no records become dead letters.
fn parse(message: QueuedMessage) -> (BatchMessage, Vec<DeadLetter>) {
    let QueuedMessage { partition, offset, key, payload, .. } = message;
    let origin = Origin { partition, offset, lines: payload };
    let letter = |index: usize, reason: String, raw: Vec<u8>| DeadLetter {
        partition,
        offset,
        index,
        sqlstate: None,
        reason,
        raw,
    };
    let key = match key {
        Ok(key) => key,
        Err(reason) => {
            let letters = vec![letter(0, reason, origin.lines.clone())];
            return (BatchMessage::new(None, Rows::default(), Some(origin)), letters);
        }
    };
    let mut rows = Rows::default();
    let mut letters = Vec::new();
    let lines = origin.lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    for (index, line) in lines {
        let outcome = match rows.len() < ROWS_MAX {
            true => parse_line(line, index, &mut rows),
            false => Err(Fault::new("record", format!("more than {ROWS_MAX} records in one message"))),
        };
        if let Err(fault) = outcome {
            letters.push(letter(index, format!("{}: {}", fault.field, fault.error), line.to_vec()));
        }
    }
    if rows.is_empty() && letters.is_empty() {
        letters.push(letter(0, "the message is empty".into(), Vec::new()));
    }
    (BatchMessage::new(Some(key), rows, Some(origin)), letters)
}

fn parse_line(line: &[u8], index: usize, rows: &mut Rows) -> Result<(), Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::new("record", "invalid UTF-8"))?;
    let element =
        serde_json::from_str(text).map_err(|error| Fault::new("record", format!("not JSON: {error}")))?;
    let Element::Object(fields) = element else { return Err(Fault::new("record", "not an object")) };
    let (draft, id) = fields.queued()?;
    let (record, _) = draft.check(EventTimes::ANY, IdSource::Known(id))?;
    rows.push(&record, index);
    Ok(())
}
