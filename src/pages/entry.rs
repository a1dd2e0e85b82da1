//! A record as one entry of a log: when, how bad, who, what. In: a row. Out: a struct that templates only branch and loop over. It is as
//! lean as it can be, because a trace shows ten thousand of them. Pure.

use super::{
    message::{Block, blocks},
    text::shown,
    when::{Form, Zone, show},
};
use crate::search::row::Row;

/// Bytes of a message that an entry shows; the record's own page shows all.
const MESSAGE_BYTES_MAX: usize = 2 << 10;

pub struct Entry {
    pub id: String,
    /// In the reader's zone.
    pub time: String,
    /// In UTC.
    pub datetime: String,
    /// The reader's zone is another.
    pub is_local: bool,
    pub level: &'static str,
    pub resource: String,
    pub message: Vec<Block>,
    /// Bytes of the message that are not shown.
    pub message_rest: usize,
}

impl Entry {
    pub fn new(row: &Row, zone: Zone) -> Self {
        let cut = row.message.floor_char_boundary(MESSAGE_BYTES_MAX);
        Self {
            id: row.id.to_string(),
            time: show(row.timestamp, zone, Form::Full),
            datetime: row.timestamp.to_string(),
            is_local: zone != Zone::UTC,
            level: row.level.name(),
            resource: shown(&row.resource_id),
            message: blocks(&row.message[..cut]),
            message_rest: row.message.len() - cut,
        }
    }
}
