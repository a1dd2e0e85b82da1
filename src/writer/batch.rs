//! A batch: messages that are stored in one transaction, and what became of each. Pure; no I/O.

use uuid::Uuid;

use crate::{
    queue::MessageKey,
    record::rows::{RowMeta, RowText, Rows},
};

/// Rows of one batch; one message may hold as many.
pub const ROWS_MAX: usize = crate::queue::MESSAGE_RECORDS_MAX;
/// Bytes of one batch.
pub const BYTES_MAX: usize = 4 << 20;

/// A row of the batch: number of the message, number of the row in it.
pub type Entry = (usize, usize);

/// One message and its fate so far.
pub struct BatchMessage {
    /// None for a message whose headers are not ours; it has no rows either.
    pub key: Option<MessageKey>,
    pub rows: Rows,
    /// Where it stands in the topic; None in direct mode.
    pub origin: Option<Origin>,
    /// Stored already under the same key: nothing of it is written.
    pub repeated: bool,
    /// The key is stored already, though not with the same records: rows are written, the key is not.
    pub key_stored: bool,
    /// Rows that Postgres refuses (number of the row, SQLSTATE, reason).
    pub refused: Vec<(usize, String, String)>,
    /// Rows whose record is stored already (numbers of the rows).
    pub stored_before: Vec<usize>,
}

/// A message of the topic, kept until its batch is committed.
pub struct Origin {
    pub partition: i32,
    pub offset: i64,
    /// The payload: one record a line.
    pub lines: Vec<u8>,
}

impl Origin {
    /// The line of a record, as it was.
    pub fn line(&self, index: usize) -> Vec<u8> {
        self.lines.split(|byte| *byte == b'\n').nth(index).unwrap_or(&self.lines).to_vec()
    }
}

impl BatchMessage {
    pub fn new(key: Option<MessageKey>, rows: Rows, origin: Option<Origin>) -> Self {
        let (refused, stored_before) = (Vec::new(), Vec::new());
        Self { key, rows, origin, repeated: false, key_stored: false, refused, stored_before }
    }
}

/// Which records these are: the first 64 bits of BLAKE3 over their ids.
pub fn ids_hash(rows: &Rows) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for meta in &rows.meta {
        hasher.update(meta.id.0.as_bytes());
    }
    let hash = hasher.finalize();
    i64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

/// Where a partition stands before and after the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
    pub epoch: i64,
    /// Key of the message at `to - 1`, if it has one.
    pub last_key: Option<Uuid>,
}

/// A line that cannot be stored, as it was.
pub struct DeadLetter {
    pub partition: i32,
    pub offset: i64,
    pub index: usize,
    pub sqlstate: Option<String>,
    pub reason: String,
    pub raw: Vec<u8>,
}

/// What one transaction writes.
#[derive(Default)]
pub struct Batch {
    pub messages: Vec<BatchMessage>,
    pub dead_letters: Vec<DeadLetter>,
    /// Empty in direct mode.
    pub advances: Vec<Advance>,
}

impl Batch {
    /// Rows that are to be written.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (number, message) in self.messages.iter().enumerate().filter(|(_, message)| !message.repeated) {
            let skipped = |row: &usize| {
                message.refused.iter().any(|(refused, ..)| refused == row)
                    || message.stored_before.contains(row)
            };
            entries.extend((0..message.rows.len()).filter(|row| !skipped(row)).map(|row| (number, row)));
        }
        entries
    }

    pub fn meta(&self, (message, row): Entry) -> &RowMeta {
        &self.messages[message].rows.meta[row]
    }

    pub fn row(&self, entry: Entry) -> &[u8] {
        self.messages[entry.0].rows.row(self.meta(entry))
    }

    pub fn text(&self, entry: Entry) -> RowText<'_> {
        self.messages[entry.0].rows.text(self.meta(entry))
    }

    pub fn resource_id(&self, entry: Entry) -> &[u8] {
        self.messages[entry.0].rows.resource_id(self.meta(entry))
    }

    /// Id and the client's own name of a row that has one.
    pub fn name(&self, entry: Entry) -> Option<(Uuid, &str)> {
        let name = self.messages[entry.0].rows.name(entry.1)?;
        Some((self.meta(entry).id.0, name))
    }

    /// Marks a row that Postgres refuses; if it came from the topic, its line becomes a dead letter.
    pub fn refuse(&mut self, (message, row): Entry, sqlstate: String, reason: String) {
        let message = &mut self.messages[message];
        let index = message.rows.meta[row].index;
        if let Some(origin) = &message.origin {
            self.dead_letters.push(DeadLetter {
                partition: origin.partition,
                offset: origin.offset,
                index,
                sqlstate: Some(sqlstate.clone()),
                reason: reason.clone(),
                raw: origin.line(index),
            });
        }
        message.refused.push((row, sqlstate, reason));
    }

    /// Keys that are written with the rows.
    pub fn keys(&self) -> impl Iterator<Item = (&MessageKey, &Rows)> {
        let fresh = self.messages.iter().filter(|message| !message.repeated && !message.key_stored);
        fresh.filter_map(|message| message.key.as_ref().map(|key| (key, &message.rows)))
    }
}
