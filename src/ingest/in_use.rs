//! Keys that clients have sent and whose records are not in the database yet. In: a key and the hash of a body. Out: a hold on the key, unless
//! another body goes under it just now, or did and is still in the topic. What is stored is for the database to say (`key`). One process knows
//! nothing of the others: two bodies that come under one key to two processes at the same moment are both stored, because both were
//! acknowledged.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;
use uuid::Uuid;

/// Keys that were acknowledged and are remembered, 80 bytes each.
const SENT_MAX: usize = 100_000;
/// By then the writer has stored what is in the topic, or the key is as good as new.
const SENT_FOR: Duration = Duration::from_secs(3_600);

pub struct KeysInUse {
    /// The hash of the body, and how many requests hold it.
    held: Mutex<HashMap<Uuid, (i64, usize)>>,
    /// What may be in the topic, since when.
    sent: Cache<Uuid, (i64, Instant)>,
}

/// As long as it lives no other body goes under the key.
pub struct Hold {
    keys: Arc<KeysInUse>,
    key: Uuid,
    body_hash: i64,
}

impl Default for KeysInUse {
    fn default() -> Self {
        Self { held: Mutex::default(), sent: Cache::new(SENT_MAX) }
    }
}

impl KeysInUse {
    /// None if another body is under way with this key.
    pub fn hold(self: &Arc<Self>, key: Uuid, body_hash: i64) -> Option<Hold> {
        // A body is sent before it is let go, so who holds the lock sees it here or there.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = |(sent, at): (i64, Instant)| sent != body_hash && at.elapsed() < SENT_FOR;
        if self.sent.get(&key).is_some_and(is_other) {
            return None;
        }
        let (known, count) = held.entry(key).or_insert((body_hash, 0));
        if *known != body_hash {
            return None;
        }
        *count += 1;
        Some(Hold { keys: self.clone(), key, body_hash })
    }
}

impl Hold {
    /// The body is in the topic, or may be.
    pub fn sent(&self) {
        self.keys.sent.insert(self.key, (self.body_hash, Instant::now()));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.keys.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = held.entry(self.key) {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_body_at_a_time() {
        let keys = Arc::new(KeysInUse::default());
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let first = keys.hold(one, 7);
        let again = keys.hold(one, 7);
        assert!(first.is_some() && again.is_some());
        assert!(keys.hold(one, 8).is_none() && keys.hold(other, 8).is_some());
        drop(first);
        assert!(keys.hold(one, 8).is_none(), "the repeat holds it still");
        drop(again);
        let next = keys.hold(one, 8).expect("nobody holds it");
        next.sent();
        drop(next);
        assert!(keys.hold(one, 7).is_none() && keys.hold(one, 8).is_some(), "it is in the topic");
        assert!(keys.held.lock().unwrap().is_empty());
    }
}
