//! One request's records on their way to the queue: checks each draft, encodes the good ones into messages of at most 2,000 records,
//! and keeps the faults of the others. Pure.
//!
//! Which record goes into which message depends on its index and its size in the body only, so a repeated body makes the same messages.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use uuid::Uuid;

use super::{element::Unknown, parse};
use crate::{
    queue::{MESSAGE_BYTES_MAX, MESSAGE_RECORDS_MAX, Message, MessageKey, Payload},
    record::{
        RecordId, TENANT_DEFAULT, Timestamp,
        id::IdSeed,
        json,
        rows::Rows,
        rules::{EventTimes, Fault, IdSource},
    },
};

/// Rejections that a reply lists.
const REJECTED_LISTED_MAX: usize = 100;
/// What a record takes in a message beyond its fields: id, names, punctuation.
const RECORD_OVERHEAD_BYTES: usize = 256;

/// What the queue wants its messages in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    Rows,
    Lines,
}

/// A record that was refused.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rejected {
    pub index: usize,
    #[serde(flatten)]
    pub fault: Fault,
}

/// A request, parsed.
pub struct Intake {
    encoder: Encoder,
    key: MessageKey,
    seed: IdSeed,
    times: EventTimes,
    pub messages: Vec<Message>,
    /// Index and id of each accepted record.
    pub accepted: Vec<(usize, RecordId)>,
    /// The first hundred.
    pub rejected: Vec<Rejected>,
    pub rejected_total: usize,
    /// Rejections by field, for the metrics.
    pub reasons: BTreeMap<Cow<'static, str>, u64>,
    pub nuls: usize,
    part: Part,
}

/// The message that is being filled.
#[derive(Default)]
struct Part {
    number: i16,
    first_index: usize,
    bytes: usize,
    records: usize,
    rows: Rows,
    lines: Vec<u8>,
}

/// Fingerprint of an inflated body and of how it is read: the same bytes read another way are another request.
pub fn body_hash(body: &[u8], format: parse::Format, unknown: Unknown) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[format as u8, unknown as u8]).update(body);
    i64::from_be_bytes(hasher.finalize().as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

impl Intake {
    /// `received_at` is the clock of the rules: for a repeated request, when the first one came. `age_max` is the retention.
    pub fn new(
        encoder: Encoder,
        key: Uuid,
        body_hash: i64,
        received_at: Timestamp,
        age_max: Option<Duration>,
    ) -> Self {
        Self {
            encoder,
            key: MessageKey { tenant: TENANT_DEFAULT, key, part: 0, body_hash, received_at },
            seed: IdSeed::new(TENANT_DEFAULT, key, body_hash),
            times: EventTimes::at(received_at, age_max),
            messages: Vec::new(),
            accepted: Vec::new(),
            rejected: Vec::new(),
            rejected_total: 0,
            reasons: BTreeMap::new(),
            nuls: 0,
            part: Part::default(),
        }
    }

    /// Parses a whole body.
    pub fn read(
        mut self,
        format: parse::Format,
        body: &[u8],
        unknown: Unknown,
        records_max: usize,
    ) -> Result<Self, parse::Malformed> {
        parse::records(format, body, unknown, records_max, &mut |item| self.take(item))?;
        self.close_part();
        Ok(self)
    }

    fn take(&mut self, item: parse::Item<'_>) {
        let bytes = item.bytes + RECORD_OVERHEAD_BYTES;
        if item.index - self.part.first_index >= MESSAGE_RECORDS_MAX
            || (self.part.bytes > 0 && self.part.bytes + bytes > MESSAGE_BYTES_MAX)
        {
            self.close_part();
            self.part.first_index = item.index;
        }
        self.part.bytes += bytes;
        let source = IdSource::Request { tenant: self.key.tenant, seed: self.seed, index: item.index };
        match item.draft.and_then(|draft| {
            let (record, nuls) = draft.check(self.times, source)?;
            match self.encoder {
                Encoder::Rows => self.part.rows.push(&record, item.index),
                Encoder::Lines => json::write_line(&mut self.part.lines, &record),
            }
            Ok((record.id, nuls))
        }) {
            Ok((id, nuls)) => {
                self.nuls += nuls;
                self.part.records += 1;
                self.accepted.push((item.index, id));
            }
            Err(fault) => self.reject(item.index, fault),
        }
    }

    fn reject(&mut self, index: usize, fault: Fault) {
        // The name of an unknown field comes from the client: it must not become a label.
        let known = matches!(
            &*fault.field,
            "level"
                | "message"
                | "resourceId"
                | "timestamp"
                | "traceId"
                | "spanId"
                | "commit"
                | "id"
                | "metadata"
                | "record"
        );
        let reason = if known { fault.field.clone() } else { Cow::Borrowed("unknown field") };
        *self.reasons.entry(reason).or_default() += 1;
        self.rejected_total += 1;
        if self.rejected.len() < REJECTED_LISTED_MAX {
            self.rejected.push(Rejected { index, fault });
        }
    }

    /// Moves a record that Postgres refused after all from the accepted to the rejected ones.
    pub fn refuse(&mut self, index: usize, error: String) {
        self.accepted.retain(|(accepted, _)| *accepted != index);
        self.reject(index, Fault::new("record", error));
        self.rejected.sort_by_key(|rejected| rejected.index);
    }

    fn close_part(&mut self) {
        let next = Part { number: self.part.number + 1, ..Part::default() };
        let part = std::mem::replace(&mut self.part, next);
        if part.records == 0 {
            return;
        }
        let payload = match self.encoder {
            Encoder::Rows => Payload::Rows(part.rows),
            Encoder::Lines => Payload::Lines(part.lines),
        };
        let key = MessageKey { part: part.number, ..self.key };
        self.messages.push(Message { key, records: part.records, payload });
    }
}
