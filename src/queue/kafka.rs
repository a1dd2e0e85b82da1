//! Kafka mode, sending half: one request part = one message, answered when all in-sync brokers have it (`acks=all`).
//!
//! The producer is not an idempotent one. librdkafka takes a batch that failed for delivered once a later batch of the same partition
//! is ("implicitly acked"), but a broker that knows nothing of the producer yet takes a later batch without the first: it was
//! acknowledged and lost (confluent-kafka-go issue 921; docs/decisions.md). What a repeated send leaves twice in the topic is stored
//! once, because the writer knows it by its key.
//!
//! A message is lines of JSON, one record each, readable with any Kafka tool; what only we need stands in its headers:
//! `v` (1), `tenant`, `key`, `part`, `body_hash`, `received_at` (microseconds), all as decimal text, the key as a UUID.
//!
//! What was never given to librdkafka is certainly not stored. Everything that fails later may have reached the broker: unknown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, DeliveryResult, Header, Headers, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Budget, Message, MessageKey, Outcome, Payload, Reservation};
use crate::{
    health::{Health, Trouble},
    record::Timestamp,
};

/// Partitions of a topic that we create: the most writers that can share it; it cannot shrink.
const PARTITIONS: i32 = 12;
/// Format of the messages; a reader refuses another.
const VERSION: &str = "1";
/// How long librdkafka tries before it gives a message up; with it the door answers within 5 s when the brokers are away.
const MESSAGE_TIMEOUT_MS: &str = "4500";

/// The sending half.
pub struct KafkaQueue {
    producer: ThreadedProducer<DeliveryContext>,
    topic: String,
    pub budget: Budget,
    health: Arc<Health>,
}

/// Settings that producer, consumer and admin client share.
pub fn client_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "log-ingestor")
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", "1000")
        .set("log.connection.close", "false")
        // Its error lines repeat what health.rs says once.
        .set_log_level(RDKafkaLogLevel::Critical);
    config
}

impl KafkaQueue {
    pub fn new(brokers: &str, topic: &str, budget: Budget, health: Arc<Health>) -> Result<Self, KafkaError> {
        Ok(Self { producer: producer(brokers, &health)?, topic: topic.to_owned(), budget, health })
    }

    pub async fn send(&self, messages: Vec<Message>, reservation: Reservation) -> Vec<Outcome> {
        if self.health.has(Trouble::Producer) || self.health.has(Trouble::Topic) {
            return messages.iter().map(|_| Outcome::NotStored("Kafka is away")).collect();
        }
        let reservation = Arc::new(reservation);
        let receipts: Vec<_> = messages.iter().map(|message| self.produce(message, &reservation)).collect();
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            outcomes.push(match receipt {
                Ok(receipt) => receipt.await.unwrap_or(Outcome::Unknown("the producer stopped")),
                Err(why) => Outcome::NotStored(why),
            });
        }
        outcomes
    }

    fn produce(
        &self,
        message: &Message,
        reservation: &Arc<Reservation>,
    ) -> Result<oneshot::Receiver<Outcome>, &'static str> {
        let Payload::Lines(lines) = &message.payload else {
            unreachable!("the door encodes lines in Kafka mode")
        };
        let (sender, receipt) = oneshot::channel();
        let opaque = Box::new(Pending { reply: sender, _reservation: reservation.clone() });
        let record = BaseRecord::<(), _, _>::with_opaque_to(&self.topic, opaque)
            .payload(lines)
            .headers(headers(&message.key));
        match self.producer.send(record) {
            Ok(()) => Ok(receipt),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Err("the queue is full"),
            Err((error, _)) => {
                log::error!("cannot produce: {error}");
                Err("the producer refused the message")
            }
        }
    }

    /// Waits until all that was sent is answered; at the end of the process. Blocking.
    pub fn flush(&self, wait_max: Duration) {
        if let Err(error) = self.producer.flush(wait_max) {
            log::warn!("some messages were not delivered: {error}");
        }
    }
}

fn producer(brokers: &str, health: &Arc<Health>) -> Result<ThreadedProducer<DeliveryContext>, KafkaError> {
    let context = DeliveryContext {
        brokers: brokers.to_owned(),
        health: health.clone(),
        probing: Arc::new(AtomicBool::new(false)),
    };
    client_config(brokers)
        .set("acks", "all")
        .set("enable.idempotence", "false")
        .set("message.timeout.ms", MESSAGE_TIMEOUT_MS)
        // A closed loop of 64 single POSTs is bounded by this wait: measured in docs/decisions.md.
        .set("linger.ms", "1")
        .set("compression.type", "lz4")
        // The byte budget of the door bounds memory; librdkafka's own limits stand just above it.
        .set("queue.buffering.max.kbytes", "1048576")
        .set("queue.buffering.max.messages", "1000000")
        .create_with_context(context)
}

struct Pending {
    reply: oneshot::Sender<Outcome>,
    _reservation: Arc<Reservation>,
}

struct DeliveryContext {
    brokers: String,
    health: Arc<Health>,
    probing: Arc<AtomicBool>,
}

impl ClientContext for DeliveryContext {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.away(reason);
        } else {
            log::debug!("producer: {error}: {reason}");
        }
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Box<Pending>) {
        let outcome = match result {
            Ok(_) => Outcome::Durable { repeated: false, refused: Vec::new() },
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    Outcome::NotStored("the topic's max.message.bytes is below 1 MB")
                }
                code => {
                    if code == Some(RDKafkaErrorCode::MessageTimedOut) {
                        self.away("a message was not confirmed in time");
                    }
                    Outcome::Unknown("Kafka did not confirm the message")
                }
            },
        };
        let _ = pending.reply.send(outcome); // the client may have left
    }
}

impl DeliveryContext {
    /// Says that Kafka is away and probes it until it is back, so that the door needs not wait for a time-out to say 503.
    fn away(&self, reason: &str) {
        if self.probing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.health
            .report(Trouble::Producer, format!("no Kafka broker of {} answers: {reason}", self.brokers));
        let (brokers, health, probing) = (self.brokers.clone(), self.health.clone(), self.probing.clone());
        std::thread::spawn(move || {
            wait_for_broker(&brokers);
            probing.store(false, Ordering::Release);
            health.clear(Trouble::Producer);
        });
    }
}

/// Blocks until some broker answers a metadata request.
fn wait_for_broker(brokers: &str) {
    loop {
        let client: Result<BaseConsumer, _> = client_config(brokers).create();
        let answer = client.and_then(|client| client.client().fetch_metadata(None, Duration::from_secs(2)));
        if answer.is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits for the brokers and creates the topic if it does not exist. Says at each change what it waits for.
pub async fn ensure_topic(brokers: &str, topic: &str, health: &Health) {
    health.report(Trouble::Topic, format!("waiting for Kafka at {brokers}"));
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    loop {
        let admin: Result<AdminClient<DefaultClientContext>, _> = client_config(brokers).create();
        let new_topic = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(-1));
        let created = match &admin {
            Ok(admin) => admin.create_topics([&new_topic], &options).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let outcome = created.and_then(|results| match results.into_iter().next() {
            Some(Ok(_)) => Ok(format!("created topic `{topic}` with {PARTITIONS} partitions")),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(format!("using topic `{topic}`")),
            Some(Err((_, code))) => Err(format!("cannot create topic `{topic}`: {code}")),
            None => Err("the broker did not answer".to_owned()),
        });
        match outcome {
            Ok(text) => {
                log::info!("{text}");
                health.clear(Trouble::Topic);
                return;
            }
            Err(why) => health.report(Trouble::Topic, format!("waiting for Kafka at {brokers}: {why}")),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Copies of the topic's first partition, for the durability tier.
pub fn replicas(brokers: &str, topic: &str) -> Option<usize> {
    let client: BaseConsumer = client_config(brokers).create().ok()?;
    let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
    metadata.topics().first()?.partitions().first().map(|partition| partition.replicas().len())
}

fn headers(key: &MessageKey) -> OwnedHeaders {
    let text = |name, value: String| (name, value);
    [
        text("v", VERSION.to_owned()),
        text("tenant", key.tenant.to_string()),
        text("key", key.key.to_string()),
        text("part", key.part.to_string()),
        text("body_hash", key.body_hash.to_string()),
        text("received_at", key.received_at.0.to_string()),
    ]
    .iter()
    .fold(OwnedHeaders::new_with_capacity(6), |headers, (name, value)| {
        headers.insert(Header { key: name, value: Some(value) })
    })
}

/// Reads the headers back; says what is missing or wrong.
pub fn message_key(message: &BorrowedMessage<'_>) -> Result<MessageKey, String> {
    let headers = message.headers().ok_or("no headers: the message is not ours")?;
    let find = |name: &str| {
        let header = headers.iter().find(|header| header.key == name);
        let value = header.and_then(|header| header.value).and_then(|value| std::str::from_utf8(value).ok());
        value.ok_or_else(|| format!("no header `{name}`"))
    };
    fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
        text.parse().map_err(|_| format!("header `{name}` is `{text}`"))
    }
    let version = find("v")?;
    if version != VERSION {
        return Err(format!("message version `{version}`, this program reads {VERSION}"));
    }
    Ok(MessageKey {
        tenant: number("tenant", find("tenant")?)?,
        key: Uuid::parse_str(find("key")?).map_err(|_| "header `key` is not a UUID".to_owned())?,
        part: number("part", find("part")?)?,
        body_hash: number("body_hash", find("body_hash")?)?,
        received_at: Timestamp(number("received_at", find("received_at")?)?),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::future::join_all;
    use prometheus_client::metrics::gauge::Gauge;
    use rdkafka::{
        Offset, TopicPartitionList,
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };

    use super::*;

    const TOPIC: &str = "logs";

    fn text(n: u128) -> String {
        format!("message {n}")
    }

    fn message(n: u128) -> Message {
        let key = MessageKey {
            tenant: 1,
            key: Uuid::from_u128(n),
            part: 0,
            body_hash: 0,
            received_at: Timestamp(0),
        };
        Message { key, records: 1, payload: Payload::Lines(text(n).into_bytes()) }
    }

    async fn send(queue: &KafkaQueue, n: u128) {
        let reservation = queue.budget.reserve(1).expect("there is room");
        let outcomes = queue.send(vec![message(n)], reservation).await;
        assert!(matches!(outcomes[..], [Outcome::Durable { .. }]), "{n}: {outcomes:?}");
    }

    /// What is in the one partition of the topic.
    fn stored(brokers: &str) -> BTreeSet<String> {
        let consumer: BaseConsumer = client_config(brokers).set("group.id", "tests").create().unwrap();
        let (low, high) = consumer.fetch_watermarks(TOPIC, 0, Duration::from_secs(10)).unwrap();
        let mut from_the_first = TopicPartitionList::new();
        from_the_first.add_partition_offset(TOPIC, 0, Offset::Offset(low)).unwrap();
        consumer.assign(&from_the_first).unwrap();
        let mut found = BTreeSet::new();
        let mut next = low;
        while next < high {
            // None: nothing yet, or librdkafka had something of its own to do.
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                let message = message.unwrap();
                found.insert(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
                next = message.offset() + 1;
            }
        }
        found
    }

    /// The broker refuses a batch and takes those behind it, as one does that has just become leader: nothing is acknowledged that is
    /// not there.
    #[tokio::test]
    async fn a_refused_batch_is_not_acknowledged_with_the_next() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let budget = Budget::new(1_000, Gauge::default());
        let queue = KafkaQueue::new(&brokers, TOPIC, budget, Arc::default()).unwrap();
        send(&queue, 0).await;
        // Batches leave faster than they are answered, so several are under way.
        cluster.broker_round_trip_time(1, Duration::from_millis(200)).unwrap();
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
        );
        join_all((1..=40).map(|n| {
            let queue = &queue;
            async move {
                tokio::time::sleep(Duration::from_millis(5) * n).await;
                send(queue, n.into()).await;
            }
        }))
        .await;
        cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        assert_eq!(stored(&brokers), (0..=40).map(text).collect());
    }
}
