//! The keys of metadata that this process has seen, so that a word being typed does not read records for each letter. In: keys as they were
//! counted. Out: the same again for half a minute, for each time range by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::search::{
    count::{Is, facets::Values},
    filter::Bound,
    params::Query,
};

/// How long keys are told without a look.
const KEPT_MAX: Duration = Duration::from_secs(30);
/// Time ranges with keys of their own.
const RANGES_MAX: usize = 64;
/// Keys of one time range, each of up to 256 bytes.
const KEYS_MAX: usize = 1_000;

/// Keys of one time range, the most frequent first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pub counts: Vec<(String, u64)>,
    pub is: Option<Is>,
}

impl From<Values> for Keys {
    fn from(mut values: Values) -> Self {
        values.top.truncate(KEYS_MAX);
        Self { counts: values.top, is: Some(values.is) }
    }
}

/// A time range as it was asked for, `24h` being the same one all the time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bucket(String);

pub fn bucket(query: &Query) -> Bucket {
    let text = |bound: Option<Bound>| bound.map_or(String::new(), Bound::write);
    Bucket(format!("{}/{}", text(query.filter.from), text(query.filter.to)))
}

/// What all completions of the process share.
#[derive(Default)]
pub struct KeysSeen {
    ranges: Mutex<HashMap<Bucket, (Instant, Arc<Keys>)>>,
}

impl KeysSeen {
    pub fn get(&self, bucket: &Bucket, now: Instant) -> Option<Arc<Keys>> {
        let ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen_at, keys) = ranges.get(bucket)?;
        (now.saturating_duration_since(*seen_at) < KEPT_MAX).then(|| keys.clone())
    }

    pub fn put(&self, bucket: Bucket, keys: Keys, now: Instant) -> Arc<Keys> {
        let keys = Arc::new(keys);
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        ranges.retain(|_, (seen_at, _)| now.saturating_duration_since(*seen_at) < KEPT_MAX);
        if ranges.len() >= RANGES_MAX
            && let Some(oldest) =
                ranges.iter().min_by_key(|(_, (seen_at, _))| *seen_at).map(|(bucket, _)| bucket.clone())
        {
            ranges.remove(&oldest);
        }
        ranges.insert(bucket, (now, keys.clone()));
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_for_a_while_and_not_too_many() {
        let seen = KeysSeen::default();
        let now = Instant::now();
        let bucket = |n: usize| Bucket(n.to_string());
        for n in 0..=RANGES_MAX {
            seen.put(bucket(n), Keys::default(), now + Duration::from_millis(n as u64));
        }
        assert_eq!(seen.get(&bucket(0), now), None, "the oldest made room");
        assert!(seen.get(&bucket(1), now + KEPT_MAX).is_some());
        assert_eq!(seen.get(&bucket(1), now + KEPT_MAX + Duration::from_millis(1)), None);
        seen.put(bucket(7), Keys::default(), now + KEPT_MAX * 2);
        assert_eq!(seen.ranges.lock().unwrap().len(), 1);
    }
}
