//! A log record and its parts as types that cannot hold a wrong value. Pure: no I/O, no clock; what is "now" is passed in.

pub mod level;
pub mod timestamp;
pub mod id;
pub mod rules;
pub mod metadata;
pub mod packed;
pub mod json;
pub mod rows;

use std::borrow::Cow;

pub use id::RecordId;
pub use level::Level;
pub use timestamp::Timestamp;

/// Number of the tenant `default`, to which everything belongs.
pub const TENANT_DEFAULT: i16 = 1;

/// A record that passed every rule of [`rules`]: Postgres will store it. Texts are borrowed from the request where they can be.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    pub id: RecordId,
    pub timestamp: Timestamp,
    pub level: Level,
    pub resource_id: Cow<'a, str>,
    pub trace_id: Option<Cow<'a, str>>,
    pub span_id: Option<Cow<'a, str>>,
    pub commit: Option<Cow<'a, str>>,
    pub message: Cow<'a, str>,
    /// A JSON object as text; its numbers and its order are the client's.
    pub metadata: Option<Cow<'a, str>>,
    /// The client's own name for the record.
    pub client_id: Option<Cow<'a, str>>,
}
