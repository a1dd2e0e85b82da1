//! Kafka mode, sending half: one request part = one message, answered when the broker has it (`acks=all`, idempotent producer).
//!
//! A message is lines of JSON, one record each, readable with any Kafka tool; what only we need stands in its headers:
//! `v` (1), `tenant`, `key`, `part`, `body_hash`, `received_at` (microseconds), all as decimal text, the key as a UUID.
//!
//! What was never given to librdkafka is certainly not stored. Everything that fails later may have reached the broker: unknown.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
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
    producer: RwLock<Arc<ThreadedProducer<DeliveryContext>>>,
    brokers: String,
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
        let producer = RwLock::new(Arc::new(producer(brokers, &health)?));
        Ok(Self { producer, brokers: brokers.to_owned(), topic: topic.to_owned(), budget, health })
    }

    pub async fn send(&self, messages: Vec<Message>, reservation: Reservation) -> Vec<Outcome> {
        if self.health.has(Trouble::Producer) || self.health.has(Trouble::Topic) {
            return messages.iter().map(|_| Outcome::NotStored("Kafka is away")).collect();
        }
        let producer = self.producer.read().unwrap_or_else(PoisonError::into_inner).clone();
        let reservation = Arc::new(reservation);
        let receipts: Vec<_> =
            messages.iter().map(|message| self.produce(&producer, message, &reservation)).collect();
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            outcomes.push(match receipt {
                Ok(receipt) => receipt.await.unwrap_or(Outcome::Unknown("the producer stopped")),
                Err(why) => Outcome::NotStored(why),
            });
        }
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Unknown(_))) {
            self.replace_if_dead(&producer);
        }
        outcomes
    }

    fn produce(
        &self,
        producer: &ThreadedProducer<DeliveryContext>,
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
        match producer.send(record) {
            Ok(()) => Ok(receipt),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Err("the queue is full"),
            Err((error, _)) => {
                log::error!("cannot produce: {error}");
                Err("the producer refused the message")
            }
        }
    }

    /// After a fatal error an idempotent producer refuses everything for good: a new one takes its place.
    fn replace_if_dead(&self, dead: &Arc<ThreadedProducer<DeliveryContext>>) {
        let Some((code, reason)) = dead.client().fatal_error() else { return };
        let mut current = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, dead) {
            log::error!("producer died ({code}: {reason}), making a new one");
            match producer(&self.brokers, &self.health) {
                Ok(fresh) => *current = Arc::new(fresh),
                Err(error) => log::error!("cannot make a producer: {error}"),
            }
        }
    }

    /// Waits until all that was sent is answered; at the end of the process. Blocking.
    pub fn flush(&self, wait_max: Duration) {
        let producer = self.producer.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = producer.flush(wait_max) {
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
        .set("enable.idempotence", "true")
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
