//! Idempotency keys at the door. In: the header. Out: the key as a UUID and, if it was used before, what is stored under it.

use std::collections::HashMap;

use actix_web::http::header::HeaderMap;
use chrono::{DateTime, Utc};
use deadpool_postgres::Pool;
use uuid::Uuid;

use super::error::IngestError;
use crate::record::{TENANT_DEFAULT, Timestamp};

const KEY_BYTES_MAX: usize = 256;

/// The key of a request.
pub struct RequestKey {
    pub key: Uuid,
    /// What the client must send to repeat the request.
    pub text: String,
    /// Whether the client sent it; else it is ours, and new.
    pub from_client: bool,
}

impl RequestKey {
    /// Reads `Idempotency-Key`. A UUID (such as a `batchId` of ours) is taken as it is, anything else is hashed to one.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, IngestError> {
        let Some(value) = headers.get("idempotency-key") else {
            let key = Uuid::now_v7();
            return Ok(Self { key, text: key.to_string(), from_client: false });
        };
        let count = headers.get_all("idempotency-key").count();
        if count > 1 {
            return Err(IngestError::Malformed(format!("Idempotency-Key: one is expected, got {count}")));
        }
        let text = value.to_str().map(str::trim).unwrap_or_default();
        if text.is_empty() || text.len() > KEY_BYTES_MAX {
            return Err(IngestError::Malformed(format!(
                "Idempotency-Key: 1 to {KEY_BYTES_MAX} visible ASCII characters, got {}",
                value.len()
            )));
        }
        let key = Uuid::try_parse(text).unwrap_or_else(|_| {
            let hash = blake3::hash(text.as_bytes());
            Uuid::from_slice(&hash.as_bytes()[..16]).expect("16 bytes are a UUID")
        });
        Ok(Self { key, text: text.to_owned(), from_client: true })
    }
}

/// What is stored under a key with the same body.
pub struct Stored {
    pub received_at: Timestamp,
    /// Numbers of the messages that are stored, and how many records each holds.
    pub parts: HashMap<i16, usize>,
}

/// Looks a key up. None: nothing is stored under it. Another body under the same key is an error, unless this one is stored as well (two
/// processes may have taken both at the same moment).
pub async fn look_up(pool: &Pool, key: Uuid, body_hash: i64) -> Result<Option<Stored>, LookUpError> {
    let client = pool.get().await.map_err(|error| LookUpError::Away(error.to_string()))?;
    let statement =
        "select body_hash, part, received_at, records from ingest_keys where tenant = $1 and key = $2";
    let rows = client.query(statement, &[&TENANT_DEFAULT, &key]).await;
    let rows = rows.map_err(|error| LookUpError::Away(error.to_string()))?;
    let mut stored: Option<Stored> = None;
    for row in rows.iter().filter(|row| row.get::<_, i64>(0) == body_hash) {
        let received_at: DateTime<Utc> = row.get(2);
        let stored =
            stored.get_or_insert_with(|| Stored { received_at: received_at.into(), parts: HashMap::new() });
        stored.parts.insert(row.get(1), row.get::<_, i32>(3) as usize);
    }
    if stored.is_none() && !rows.is_empty() {
        return Err(LookUpError::OtherBody);
    }
    Ok(stored)
}

/// Why a key says nothing.
pub enum LookUpError {
    OtherBody,
    Away(String),
}
