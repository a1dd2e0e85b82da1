//! Ids of records: the event time in front, so that an id leads to its leaf and row, and behind it bits that repeat when the same
//! record is sent again.

use uuid::Uuid;

use super::Timestamp;

/// UUIDv7 layout (RFC 9562): 48 bits of event time in milliseconds, version, 74 bits of identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub Uuid);

impl RecordId {
    fn new(at: Timestamp, identity: u128) -> Self {
        let millis = (at.0 / 1000) as u128 & 0xffff_ffff_ffff;
        let version = 0x7_u128 << 76;
        let variant = 0b10_u128 << 62;
        let high = (identity >> 62 & 0xfff) << 64;
        let low = identity & 0x3fff_ffff_ffff_ffff;
        Self(Uuid::from_u128(millis << 80 | version | high | variant | low))
    }

    /// The millisecond of event time in front of the id; None for what is no id of ours.
    pub fn millis(self) -> Option<i64> {
        (self.0.get_version_num() == 7).then(|| (self.0.as_u128() >> 80) as i64)
    }
}

/// What makes the ids of one request: the same key and body give the same ids again.
#[derive(Debug, Clone, Copy)]
pub struct IdSeed(u128);

impl IdSeed {
    pub fn new(tenant: i16, key: Uuid, body_hash: i64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"request").update(&tenant.to_be_bytes());
        hasher.update(key.as_bytes()).update(&body_hash.to_be_bytes());
        Self(first_128(&hasher))
    }

    /// The id of the record at `index` of the request.
    pub fn record(self, at: Timestamp, index: usize) -> RecordId {
        RecordId::new(at, self.0.wrapping_add(index as u128))
    }
}

/// The id of a record that the client has named itself: the same name and time give the same id.
pub fn from_client_id(tenant: i16, at: Timestamp, client_id: &str) -> RecordId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"record").update(&tenant.to_be_bytes()).update(&at.0.to_be_bytes());
    hasher.update(client_id.as_bytes());
    RecordId::new(at, first_128(&hasher))
}

pub(crate) fn first_128(hasher: &blake3::Hasher) -> u128 {
    let hash = hasher.finalize();
    u128::from_be_bytes(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_in_front_and_identity_repeats() {
        let at = Timestamp(1_694_764_800_123_456);
        let seed = IdSeed::new(1, Uuid::from_u128(7), 9);
        let id = seed.record(at, 3);
        assert_eq!(id.millis(), Some(1_694_764_800_123));
        assert_eq!(id, IdSeed::new(1, Uuid::from_u128(7), 9).record(at, 3));
        assert_ne!(id, seed.record(at, 4));
        assert_ne!(id, IdSeed::new(1, Uuid::from_u128(7), 10).record(at, 3));
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(from_client_id(1, at, "a"), from_client_id(1, at, "a"));
        assert_ne!(from_client_id(1, at, "a"), from_client_id(2, at, "a"));
        assert_eq!(RecordId(Uuid::from_u128(0)).millis(), None);
    }
}
