//! Kafka mode: the consumer, on a thread of its own because rebalance callbacks block on Postgres. It assigns partitions at the
//! offsets that Postgres holds, hands messages to the lanes, and never stops polling, so that the group does not throw it out.
//!
//! A partition is halted, loudly, when going on would lose or repeat records: a gap or a rewind in its offsets, an offset that the
//! broker does not have, a topic that was made anew under the same name. The others go on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use super::{
    error::describe,
    lane::{Control, LaneEvent, QueuedMessage, lane},
    store::{Shared, Store},
};
use crate::{
    db,
    health::{Health, Trouble},
    metrics::Partition,
    queue::kafka::{client_config, message_key},
};

/// Bytes of messages the lanes may hold before the consumer waits for them.
const HELD_BYTES_MAX: usize = 16 << 20;
/// After so long a wait the partitions are paused and polling goes on.
const WAIT_BEFORE_PAUSE: Duration = Duration::from_millis(500);
/// How often offsets are told to Kafka (for lag tools only; they are never read back).
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// Each step of a claim: watermarks from the broker, epochs from Postgres.
const CLAIM_WAIT_MAX: Duration = Duration::from_secs(5);

/// What the consumer needs to know.
pub struct Settings {
    pub brokers: String,
    pub group: String,
    pub flush_wait_max: Duration,
    /// Postgres connections that write side by side.
    pub lanes: usize,
}

/// The running consumer and its lanes.
pub struct ConsumerThread {
    thread: thread::JoinHandle<()>,
    stop: Arc<AtomicBool>,
    lanes: JoinSet<()>,
    senders: Vec<mpsc::UnboundedSender<LaneEvent>>,
    stop_waiting: watch::Sender<bool>,
}

impl ConsumerThread {
    /// Starts the lanes and the thread; it joins the group once `topic_ready` is true.
    pub fn start(
        settings: Settings,
        shared: Shared,
        health: Arc<Health>,
        topic_ready: watch::Receiver<bool>,
    ) -> Result<Self, KafkaError> {
        let control = Arc::new(Control::default());
        let mut lanes = JoinSet::new();
        let mut senders = Vec::new();
        for _ in 0..settings.lanes {
            let (sender, events) = mpsc::unbounded_channel();
            let store = Store::new(shared.clone());
            let (collector, storer) =
                lane(events, store, control.clone(), health.clone(), settings.flush_wait_max);
            lanes.spawn(collector.run());
            lanes.spawn(storer.run());
            senders.push(sender);
        }
        let context = Context {
            runtime: Handle::current(),
            owner: format!("{}-{}", std::process::id(), Uuid::new_v4()),
            lanes: senders.clone(),
            expected: Mutex::default(),
            halted: Mutex::default(),
            control,
            shared,
            health: health.clone(),
        };
        let consumer = consumer(&settings, context)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_waiting, mut stopped) = watch::channel(false);
        let (stop_flag, runtime) = (stop.clone(), Handle::current());
        let over = OverWhenDropped(health.clone());
        let thread = thread::Builder::new().name("consumer".into()).spawn(move || {
            let mut ready = topic_ready;
            runtime.block_on(async {
                tokio::select! {
                    _ = ready.wait_for(|ready| *ready) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
            let _over = over;
            poll_until(&consumer, &stop_flag);
        });
        let thread = thread.expect("the system can start a thread");
        Ok(Self { thread, stop, lanes, senders, stop_waiting })
    }

    /// Stops reading, lets the lanes store what they hold, leaves the group.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        self.stop_waiting.send_replace(true);
        for sender in &self.senders {
            let _ = sender.send(LaneEvent::Stop); // a lane that is gone has stopped
        }
        while self.lanes.join_next().await.is_some() {}
        let left = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(left, Ok(Ok(()))) {
            log::error!("the consumer thread ended badly");
        }
    }
}

/// Says that nobody reads the topic any more, should the thread end by a panic.
struct OverWhenDropped(Arc<Health>);

impl Drop for OverWhenDropped {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.report(Trouble::Halted, "the consumer thread has ended by a bug: restart the process");
        }
    }
}

fn consumer(settings: &Settings, context: Context) -> Result<BaseConsumer<Context>, KafkaError> {
    client_config(&settings.brokers)
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A reset policy would jump over records silently.
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "range")
        // A killed writer's partitions move after this.
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "2000")
        // Few large answers instead of one for each message: single POSTs cost the broker a third of the CPU.
        .set("fetch.min.bytes", "65536")
        .set("fetch.wait.max.ms", "50")
        .set("queued.max.messages.kbytes", "16384")
        // By default a full queue stops fetching for a whole second: a third of the throughput.
        .set("fetch.queue.backoff.ms", "5")
        .set("check.crcs", "true")
        .set("statistics.interval.ms", "1000")
        .create_with_context(context)
}

fn poll_until(consumer: &BaseConsumer<Context>, stop: &AtomicBool) {
    let context = consumer.context();
    let mut committed_at = Instant::now();
    context.control.rejoin.store(true, Ordering::Release);
    let mut joined = false;
    while !stop.load(Ordering::Acquire) {
        if context.control.rejoin.swap(false, Ordering::AcqRel) {
            if joined {
                consumer.unsubscribe();
                thread::sleep(Duration::from_millis(500)); // not in a tight circle with another owner
            }
            joined = true;
            if let Err(error) = consumer.subscribe(&[&context.shared.topic]) {
                context.health.report(Trouble::Consumer, format!("cannot subscribe: {error}"));
            }
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => context.dispatch(consumer, &message),
            Some(Err(error)) => context.poll_failed(&error),
        }
        wait_for_room(consumer, stop);
        if committed_at.elapsed() >= COMMIT_EVERY {
            context.tell_kafka(consumer);
            committed_at = Instant::now();
        }
    }
    context.tell_kafka(consumer);
    consumer.unsubscribe();
}

/// Waits while the lanes hold too much: first without polling, then with the partitions paused.
fn wait_for_room(consumer: &BaseConsumer<Context>, stop: &AtomicBool) {
    let context = consumer.context();
    let full = || {
        context.control.held_bytes.load(Ordering::Acquire) > HELD_BYTES_MAX && !stop.load(Ordering::Acquire)
    };
    let since = Instant::now();
    while full() && since.elapsed() < WAIT_BEFORE_PAUSE {
        thread::sleep(Duration::from_millis(2));
    }
    if !full() {
        return;
    }
    log::info!("the writer is behind: pausing the consumer");
    let pause = |consumer: &BaseConsumer<Context>| consumer.assignment().and_then(|all| consumer.pause(&all));
    let mut generation = None;
    while full() {
        let now = context.control.generation.load(Ordering::Acquire);
        if generation != Some(now) {
            if let Err(error) = pause(consumer) {
                log::warn!("cannot pause: {error}");
            }
            generation = Some(now);
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => context.dispatch(consumer, &message),
            Some(Err(error)) => context.poll_failed(&error),
            None => {}
        }
        if context.control.rejoin.load(Ordering::Acquire) {
            return;
        }
    }
    let halted: Vec<i32> = context.halted().keys().copied().collect();
    let resumed = consumer.assignment().and_then(|all| {
        let mut well = TopicPartitionList::new();
        for element in all.elements().iter().filter(|element| !halted.contains(&element.partition())) {
            well.add_partition(element.topic(), element.partition());
        }
        consumer.resume(&well)
    });
    if let Err(error) = resumed {
        log::warn!("cannot resume: {error}");
    }
}

/// What rebalance callbacks and the poll loop share.
struct Context {
    runtime: Handle,
    owner: String,
    lanes: Vec<mpsc::UnboundedSender<LaneEvent>>,
    expected: Mutex<HashMap<i32, Expected>>,
    halted: Mutex<BTreeMap<i32, String>>,
    control: Arc<Control>,
    shared: Shared,
    health: Arc<Health>,
}

/// What the next message of a partition must be.
#[derive(Clone, Copy)]
struct Expected {
    offset: i64,
    /// The message before it, read again to see that the topic is still the same.
    proof: Option<Uuid>,
}

/// A partition as Postgres holds it.
struct Claim {
    partition: i32,
    next_offset: i64,
    epoch: i64,
    last_key: Option<Uuid>,
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.shared.topic) else { return };
        let stored = self.control.stored.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, partition) in &topic.partitions {
            if let (Some(next), true) = (stored.get(number), partition.hi_offset >= 0) {
                let lag = self.shared.metrics.consumer_lag.get_or_create(&Partition { partition: *number });
                lag.set((partition.hi_offset - next).max(0));
            }
        }
        // A broker that is away for a moment is librdkafka's business; none at all for a whole interval is ours.
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.health.clear(Trouble::Consumer);
        } else {
            self.health.report(Trouble::Consumer, "no Kafka broker answers");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::debug!("consumer: {error}: {reason}");
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let generation = self.control.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let numbers: Vec<i32> = partitions.elements().iter().map(|element| element.partition()).collect();
        let done = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, generation, &numbers)
        } else {
            log::info!("partitions given up: {numbers:?}");
            self.expected().clear();
            consumer.unassign().map_err(|error| error.to_string())
        };
        if let Err(reason) = done {
            self.health.report(Trouble::Consumer, format!("cannot take partitions: {reason}"));
            // An empty assignment, not `unassign`: librdkafka waits for an `assign` and until then postpones every (un)subscribe.
            if let Err(error) = consumer.assign(&TopicPartitionList::new()) {
                log::error!("cannot give partitions back: {error}");
            }
            self.control.rejoin.store(true, Ordering::Release);
        }
    }
}

impl Context {
    fn expected(&self) -> MutexGuard<'_, HashMap<i32, Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halted(&self) -> MutexGuard<'_, BTreeMap<i32, String>> {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims the partitions in Postgres and starts each where the rows end.
    fn assign(&self, consumer: &BaseConsumer<Self>, generation: u64, numbers: &[i32]) -> Result<(), String> {
        self.halted().clear();
        self.expected().clear();
        let topic = self.shared.topic.as_str();
        let mut watermarks = HashMap::new();
        for number in numbers {
            let bounds = consumer.fetch_watermarks(topic, *number, CLAIM_WAIT_MAX);
            watermarks.insert(
                *number,
                bounds.map_err(|error| format!("no offsets of partition {number}: {error}"))?,
            );
        }
        let starts: Vec<i64> = numbers.iter().map(|number| watermarks[number].0).collect();
        let claims =
            self.runtime.block_on(async { timeout(CLAIM_WAIT_MAX, self.claim(numbers, &starts)).await });
        let claims = claims.map_err(|_| "Postgres did not answer in time".to_owned())?;
        let claims = claims.map_err(|error| describe(&error))?;
        let mut assignment = TopicPartitionList::new();
        for claim in claims {
            let (low, high) = watermarks[&claim.partition];
            let Claim { partition, next_offset, epoch, last_key } = claim;
            if next_offset < low || next_offset > high {
                let why = format!("stored up to offset {next_offset}, but the broker has {low} to {high}");
                self.halt(partition, &why);
                continue;
            }
            let proof = last_key.filter(|_| next_offset > low);
            let from = next_offset - i64::from(proof.is_some());
            let added = assignment.add_partition_offset(topic, partition, Offset::Offset(from));
            added.map_err(|error| error.to_string())?;
            self.expected().insert(partition, Expected { offset: next_offset, proof });
            self.control.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, next_offset);
            let _ =
                self.lane(partition).send(LaneEvent::Claimed { generation, partition, next_offset, epoch });
        }
        consumer.assign(&assignment).map_err(|error| error.to_string())?;
        log::info!("partitions taken: {numbers:?}");
        self.health.clear(Trouble::Consumer);
        self.say_halted();
        Ok(())
    }

    async fn claim(&self, numbers: &[i32], starts: &[i64]) -> Result<Vec<Claim>, tokio_postgres::Error> {
        let client = db::connect(&self.shared.config).await?;
        let statement = "select claimed, next_offset, epoch, last_key from claim_partitions($1, $2, $3, $4)";
        let rows = client.query(statement, &[&self.shared.topic, &numbers, &starts, &self.owner]).await?;
        let claim = |row: &tokio_postgres::Row| Claim {
            partition: row.get(0),
            next_offset: row.get(1),
            epoch: row.get(2),
            last_key: row.get(3),
        };
        Ok(rows.iter().map(claim).collect())
    }

    fn lane(&self, partition: i32) -> &mpsc::UnboundedSender<LaneEvent> {
        &self.lanes[partition as usize % self.lanes.len()]
    }

    fn dispatch(&self, consumer: &BaseConsumer<Self>, message: &BorrowedMessage<'_>) {
        let (partition, offset) = (message.partition(), message.offset());
        if self.halted().contains_key(&partition) {
            return;
        }
        let Some(expected) = self.expected().get(&partition).copied() else { return };
        let key = message_key(message);
        if let (Some(proof), true) = (expected.proof, offset == expected.offset - 1) {
            if key.as_ref().is_ok_and(|key| key.key == proof) {
                self.expected().insert(partition, Expected { proof: None, ..expected });
            } else {
                let why = format!(
                    "offset {offset} holds another message than the one stored: the topic was made anew"
                );
                self.halt_now(consumer, partition, &why);
            }
            return;
        }
        if offset != expected.offset {
            let why = format!(
                "expected offset {}, got {offset}: records are missing or come again",
                expected.offset
            );
            return self.halt_now(consumer, partition, &why);
        }
        self.expected().insert(partition, Expected { offset: offset + 1, proof: None });
        let payload = message.payload().unwrap_or_default().to_vec();
        self.control.held_bytes.fetch_add(payload.len(), Ordering::AcqRel);
        let generation = self.control.generation.load(Ordering::Acquire);
        let _ = self.lane(partition).send(LaneEvent::Message(QueuedMessage {
            generation,
            partition,
            offset,
            key,
            payload,
        }));
    }

    fn halt_now(&self, consumer: &BaseConsumer<Self>, partition: i32, why: &str) {
        let mut paused = TopicPartitionList::new();
        paused.add_partition(&self.shared.topic, partition);
        if let Err(error) = consumer.pause(&paused) {
            log::warn!("cannot pause partition {partition}: {error}");
        }
        self.halt(partition, why);
        self.say_halted();
    }

    fn halt(&self, partition: i32, why: &str) {
        log::error!("partition {partition} of `{}` is halted: {why}", self.shared.topic);
        self.halted().insert(partition, why.to_owned());
    }

    fn say_halted(&self) {
        let halted = self.halted();
        self.shared.metrics.halted_partitions.set(halted.len() as i64);
        if halted.is_empty() {
            self.health.clear(Trouble::Halted);
        } else {
            let list: Vec<String> =
                halted.iter().map(|(number, why)| format!("partition {number} is halted: {why}")).collect();
            self.health.report(Trouble::Halted, list.join("; "));
        }
    }

    fn poll_failed(&self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            // The claim sees which partition it is and halts it.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                log::error!("consumer: {error}: taking the partitions anew");
                self.control.rejoin.store(true, Ordering::Release);
            }
            Some(RDKafkaErrorCode::PollExceeded) => self.control.rejoin.store(true, Ordering::Release),
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure) => {
                log::debug!("consumer: {error}");
            }
            _ => self.health.report(Trouble::Consumer, format!("cannot read from Kafka: {error}")),
        }
    }

    /// Commits the stored offsets to Kafka, so that its tools can show the lag.
    fn tell_kafka(&self, consumer: &BaseConsumer<Self>) {
        let Ok(assigned) = consumer.assignment() else { return };
        let mut offsets = TopicPartitionList::new();
        {
            let stored = self.control.stored.lock().unwrap_or_else(PoisonError::into_inner);
            for element in assigned.elements() {
                if let Some(next) = stored.get(&element.partition()) {
                    let added = offsets.add_partition_offset(
                        element.topic(),
                        element.partition(),
                        Offset::Offset(*next),
                    );
                    added.expect("an offset from Postgres is no negative number");
                }
            }
        }
        if offsets.count() > 0
            && let Err(error) = consumer.commit(&offsets, CommitMode::Async)
        {
            log::debug!("cannot tell Kafka our offsets: {error}");
        }
    }
}
