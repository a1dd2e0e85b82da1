//! One row of `records`. In: what Postgres returned. Out: typed fields, and the JSON of a record in the shape in which it came in.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{cursor::Position, error::SearchError, statement::Time};
use crate::record::{Level, Timestamp, packed};

/// A stored record; absent fields are left out of its JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    #[serde(serialize_with = "as_text")]
    pub id: Uuid,
    #[serde(serialize_with = "as_text")]
    pub timestamp: Timestamp,
    #[serde(serialize_with = "as_text")]
    pub level: Level,
    pub message: String,
    pub resource_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// As Postgres prints it, so that numbers keep every digit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

impl Row {
    pub fn read(row: &tokio_postgres::Row) -> Result<Self, SearchError> {
        let internal = |cause: String| SearchError::Internal { cause };
        let level: i16 = row.try_get("level")?;
        let metadata: Option<String> = row.try_get("metadata")?;
        let id = |column: &str| {
            let packed: Option<&[u8]> = row.try_get(column)?;
            let text = |packed| {
                packed::unpack(packed).ok_or_else(|| internal(format!("a row has a broken {column}")))
            };
            packed.map(text).transpose()
        };
        Ok(Self {
            id: row.try_get("id")?,
            timestamp: row.try_get::<_, Time>("timestamp")?.0,
            level: Level::from_number(level)
                .ok_or_else(|| internal(format!("a row has the level {level}")))?,
            message: row.try_get("message")?,
            resource_id: row.try_get("resource_id")?,
            trace_id: id("trace_id")?,
            span_id: id("span_id")?,
            commit: row.try_get("commit")?,
            metadata: metadata
                .map(RawValue::from_string)
                .transpose()
                .map_err(|error| internal(format!("metadata of a row: {error}")))?,
            client_id: row.try_get("client_id")?,
        })
    }

    pub fn position(&self) -> Position {
        Position { timestamp: self.timestamp, id: self.id }
    }

    /// Bytes of text, as a page counts them.
    pub fn bytes(&self) -> i64 {
        (self.message.len() + self.metadata.as_ref().map_or(0, |metadata| metadata.get().len())) as i64
    }
}
