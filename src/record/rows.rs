//! Records as rows of a binary COPY, encoded once at the place where they are parsed. In: [`Record`]s. Out: one buffer and, for each
//! row, what batching must know of it. Sorting and splitting a batch then moves 60-byte entries, and the COPY is a sequence of
//! memory copies.

use std::borrow::Cow;

use super::{Level, Record, RecordId, TENANT_DEFAULT, Timestamp, packed};

/// Columns in the order of [`Rows::push`]; the writer appends the last one, `block`, when it places the row.
pub const COLUMNS: &str =
    r#"timestamp, id, tenant, level, resource_id, trace_id, span_id, "commit", message, metadata, block"#;
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
    /// Names that clients gave, by number of the row.
    names: Vec<(usize, String)>,
}

/// What a search can ask of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowText<'a> {
    pub resource_id: &'a str,
    /// Packed.
    pub trace_id: Option<&'a [u8]>,
    /// Packed.
    pub span_id: Option<&'a [u8]>,
    pub commit: Option<&'a str>,
    pub message: &'a str,
    /// JSON.
    pub metadata: Option<&'a str>,
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
        let packed = |id: &Option<Cow<'_, str>>| id.as_deref().map(packed::pack);
        self.optional(packed(&record.trace_id).as_deref());
        self.optional(packed(&record.span_id).as_deref());
        self.optional(record.commit.as_deref().map(str::as_bytes));
        self.field(record.message.as_bytes());
        self.optional(record.metadata.as_deref().map(str::as_bytes));
        if let Some(name) = &record.client_id {
            self.names.push((self.meta.len(), name.clone().into_owned()));
        }
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

    /// The encoded row, as COPY takes it, but for its last column, `block`.
    pub fn row(&self, meta: &RowMeta) -> &[u8] {
        &self.bytes[meta.start..meta.end]
    }

    /// The texts of an encoded row.
    pub fn text(&self, meta: &RowMeta) -> RowText<'_> {
        fn text(bytes: &[u8]) -> &str {
            std::str::from_utf8(bytes).expect("encoded from a text")
        }
        let [.., resource_id, trace_id, span_id, commit, message, metadata] = self.fields(meta);
        RowText {
            resource_id: resource_id.map_or("", text),
            trace_id,
            span_id,
            commit: commit.map(text),
            message: message.map_or("", text),
            metadata: metadata.map(text),
        }
    }

    /// The resource of an encoded row, as bytes.
    pub fn resource_id(&self, meta: &RowMeta) -> &[u8] {
        let [.., resource_id, _, _, _, _, _] = self.fields(meta);
        resource_id.unwrap_or_default()
    }

    fn fields(&self, meta: &RowMeta) -> [Option<&[u8]>; COLUMN_COUNT as usize - 1] {
        let mut rest = &self.row(meta)[2..];
        let mut fields = [None; COLUMN_COUNT as usize - 1];
        for field in &mut fields {
            let (length, after) = rest.split_first_chunk::<4>().expect("every field has its length");
            let length = usize::try_from(i32::from_be_bytes(*length)).ok();
            let (bytes, after) = after.split_at(length.unwrap_or(0));
            *field = length.map(|_| bytes);
            rest = after;
        }
        fields
    }

    /// The client's own name for a row.
    pub fn name(&self, row: usize) -> Option<&str> {
        let at = self.names.binary_search_by_key(&row, |(number, _)| *number).ok()?;
        Some(&self.names[at].1)
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

    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.field(bytes),
            None => self.bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
}
