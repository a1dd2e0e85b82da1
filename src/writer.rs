//! The writer: collects messages into batches and stores each batch in one transaction, on a few connections side by side.
//!
//! Exactly once: rows, offsets and idempotency keys commit together. `advance()` is a compare-and-swap on (offset, epoch), so of any
//! number of owners of a partition at most one moves it from N; the others' rows are rolled back. An unknown COMMIT is resolved by
//! raising the epoch and reading the offset (Kafka mode) or by repeating with the same keys (direct mode).

pub mod batch;
pub mod store;
pub mod session;
pub mod place;
pub mod commits;
pub mod finish;
pub mod settle;
pub mod leaves;
pub mod ahead;
pub mod retention;
mod ended;
pub mod error;
pub mod direct;
pub mod lane;
pub mod consumer;
pub mod janitor;
pub mod sealer;

/// How the writer's connections name themselves to Postgres; the janitor looks for it.
pub const APPLICATION_NAME: &str = "log-ingestor writer";
