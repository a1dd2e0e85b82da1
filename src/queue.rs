//! What stands between the door and the writer. In: messages of at most 2,000 records. Out: what became of each, once that is certain
//! or the time is up. Bytes in flight are admitted against a budget; when it is full the door says 503 at once.

pub mod budget;
pub mod direct;
pub mod kafka;

use uuid::Uuid;

use crate::record::{Timestamp, rows::Rows};

pub use budget::{Budget, Reservation};

/// Records of one message; a message is never split over two transactions, so a batch can hold it.
pub const MESSAGE_RECORDS_MAX: usize = 2_000;
/// Bytes of one message as JSON; Kafka brokers refuse more than 1 MiB unless told otherwise.
pub const MESSAGE_BYTES_MAX: usize = 900_000;

/// Identity of a message: the same key, part and body hash is stored once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageKey {
    pub tenant: i16,
    pub key: Uuid,
    /// Number of the message within its request.
    pub part: i16,
    /// First 64 bits of BLAKE3 over the inflated body.
    pub body_hash: i64,
    /// When the door received the request.
    pub received_at: Timestamp,
}

/// Up to 2,000 accepted records of one request.
#[derive(Debug)]
pub struct Message {
    pub key: MessageKey,
    pub records: usize,
    pub payload: Payload,
}

/// The records in the form the next room takes.
#[derive(Debug)]
pub enum Payload {
    /// Direct mode: rows, ready for COPY.
    Rows(Rows),
    /// Kafka mode: one record a line.
    Lines(Vec<u8>),
}

impl Payload {
    pub fn byte_len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.byte_len(),
            Self::Lines(lines) => lines.len(),
        }
    }
}

/// What became of a message.
#[derive(Debug)]
pub enum Outcome {
    /// Durable. `refused` lists records that Postgres would not take (index in the request, reason); empty unless a rule of ours is wrong.
    Durable { repeated: bool, refused: Vec<(usize, String)> },
    /// Certainly not stored.
    NotStored(&'static str),
    /// Nobody knows; repeating it with its key stores it once.
    Unknown(&'static str),
}

/// The two ways to the writer.
pub enum Queue {
    Direct(direct::DirectQueue),
    Kafka(kafka::KafkaQueue),
}

impl Queue {
    /// Sends the messages of one request and waits for all of them.
    pub async fn send(&self, messages: Vec<Message>, reservation: Reservation) -> Vec<Outcome> {
        match self {
            Self::Direct(queue) => queue.send(messages, reservation).await,
            Self::Kafka(queue) => queue.send(messages, reservation).await,
        }
    }

    /// Room for `bytes` more, or None when the queue is full.
    pub fn reserve(&self, bytes: usize) -> Option<Reservation> {
        match self {
            Self::Direct(queue) => queue.budget.reserve(bytes),
            Self::Kafka(queue) => queue.budget.reserve(bytes),
        }
    }
}
