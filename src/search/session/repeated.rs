//! Statements that come again. In: a statement. Out: the same prepared, so that a connection parses it once and soon plans it no more; None
//! for one that nobody has run before, because to prepare it takes a round trip of its own.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use deadpool_postgres::Object;
use tokio_postgres::{Error, types::Type};

/// Texts that are remembered; then all are forgotten.
const SEEN_MAX: usize = 4_096;
/// Prepared statements of a connection, of some 50 to 150 KiB in the server; then all are given up.
const PREPARED_MAX: usize = 64;

/// What all connections of a process have run. Values do not stand in texts, so there are as many as searches have shapes, times the leaves
/// that they reach over.
#[derive(Default)]
pub struct Repeated {
    seen: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Repeated {
    pub(super) async fn prepared(
        &self,
        client: &Object,
        text: &str,
        types: &[Type],
    ) -> Result<Option<tokio_postgres::Statement>, Error> {
        // A plan that is shown has its values in it.
        if text.starts_with("explain") || !self.came_before(text) {
            return Ok(None);
        }
        let prepared = client.prepare_typed_cached(text, types).await?;
        let cache = &client.statement_cache;
        if cache.size() > PREPARED_MAX {
            cache.clear();
        }
        Ok(Some(prepared))
    }

    fn came_before(&self, text: &str) -> bool {
        let hash = self.hasher.hash_one(text);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        !seen.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_time_it_came_before() {
        let repeated = Repeated::default();
        assert!(!repeated.came_before("a"));
        assert!(repeated.came_before("a"));
        for other in 0..SEEN_MAX {
            assert!(!repeated.came_before(&other.to_string()));
        }
        assert!(!repeated.came_before("a"), "it was forgotten");
    }
}
