//! Where partitions start, and what may follow: claims them in Postgres, assigns them at the offsets that the rows have reached, and
//! holds every message against the offset that must come.
//!
//! A partition is halted, loudly, when going on would lose or repeat records: a gap or a rewind in its offsets, an offset that the
//! broker does not have, a topic that was made anew under the same name. The others go on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use rdkafka::{
    ClientContext, Message, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use uuid::Uuid;

use crate::{
    db,
    health::{Health, Trouble},
    metrics::Partition,
    queue::kafka::message_key,
    writer::{
        error::describe,
        lane::{Control, LaneEvent, QueuedMessage},
        store::Shared,
    },
};

/// Each step of a claim: watermarks from the broker, epochs from Postgres.
const CLAIM_WAIT_MAX: Duration = Duration::from_secs(5);

/// What rebalance callbacks and the poll loop share.
pub(super) struct Context {
    pub(super) runtime: Handle,
    pub(super) owner: String,
    pub(super) lanes: Vec<mpsc::UnboundedSender<LaneEvent>>,
    pub(super) expected: Mutex<HashMap<i32, Expected>>,
    pub(super) halted: Mutex<BTreeMap<i32, String>>,
    pub(super) control: Arc<Control>,
    pub(super) shared: Shared,
    pub(super) health: Arc<Health>,
}

/// What the next message of a partition must be.
#[derive(Clone, Copy)]
pub(super) struct Expected {
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

    pub(super) fn halted(&self) -> MutexGuard<'_, BTreeMap<i32, String>> {
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

    pub(super) fn dispatch(&self, consumer: &BaseConsumer<Self>, message: &BorrowedMessage<'_>) {
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

    pub(super) fn poll_failed(&self, error: &KafkaError) {
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
    pub(super) fn tell_kafka(&self, consumer: &BaseConsumer<Self>) {
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
