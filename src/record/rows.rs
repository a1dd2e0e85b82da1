//! Records as rows of a binary COPY, encoded once at the place where they are parsed. In: [`Record`]s. Out: one buffer and, for each
//! row, what batching must know of it. Sorting and splitting a batch then moves 60-byte entries, and the COPY is a sequence of
//! memory copies.

use super::{Level, Record, RecordId, TENANT_DEFAULT, Timestamp};

/// Columns in the order of [`Rows::push`].
pub const COLUMNS: &str =
    r#"timestamp, id, tenant, level, resource_id, trace_id, span_id, "commit", message, metadata, client_id"#;
const COLUMN_COUNT: i16 = 11;

/// PGCOPY signature, flags and extension length (PostgreSQL documentation, COPY, "Binary Format").
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// What batching knows of a row without decoding it.
#[derive(Debug, Clone, Copy)]
pub struct RowMeta {
    start: usize,
    end: usize,
    pub timestamp: Timestamp,
    pub id: RecordId,
    pub level: Level,
    /// Place of the record in its request or message.
    pub index: usize,
    /// The client has named it: it may be stored already.
    pub named: bool,
}

/// Encoded rows.
#[derive(Debug, Default)]
pub struct Rows {
    bytes: Vec<u8>,
    pub meta: Vec<RowMeta>,
}

impl Rows {
    pub fn push(&mut self, record: &Record<'_>, index: usize) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&COLUMN_COUNT.to_be_bytes());
        self.field(&record.timestamp.postgres_micros().to_be_bytes());
        self.field(record.id.0.as_bytes());
        self.field(&TENANT_DEFAULT.to_be_bytes());
        self.field(&(record.level as i16).to_be_bytes());
        self.field(record.resource_id.as_bytes());
        self.optional(record.trace_id.as_deref());
        self.optional(record.span_id.as_deref());
        self.optional(record.commit.as_deref());
        self.field(record.message.as_bytes());
        match &record.metadata {
            Some(text) => {
                // jsonb in binary form is a version byte, 1, and the text.
                self.bytes.extend_from_slice(&(text.len() as i32 + 1).to_be_bytes());
                self.bytes.push(1);
                self.bytes.extend_from_slice(text.as_bytes());
            }
            None => self.optional(None),
        }
        self.optional(record.client_id.as_deref());
        self.meta.push(RowMeta {
            start,
            end: self.bytes.len(),
            timestamp: record.timestamp,
            id: record.id,
            level: record.level,
            index,
            named: record.client_id.is_some(),
        });
    }

    /// The encoded row, as COPY takes it.
    pub fn row(&self, meta: &RowMeta) -> &[u8] {
        &self.bytes[meta.start..meta.end]
    }

    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    pub fn len(&self) -> usize {
        self.meta.len()
    }

    pub fn is_empty(&self) -> bool {
        self.meta.is_empty()
    }

    fn field(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.field(text.as_bytes()),
            None => self.bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
}
