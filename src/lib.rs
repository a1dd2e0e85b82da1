//! Log Ingestor: a log store for teams that trust Postgres.
//!
//! Data flows one way, and the modules below stand in the order in which it meets them:
//!
//! ```text
//! HTTP body ─decode→ lines ─parse→ Record ─send→ Queue (Kafka | Direct) ─collect→ Batch ─COPY→ Postgres
//! URL ─parse→ Filter ─compile→ SQL ─fetch→ rows ─show→ page | fragment | JSON
//! ```
//!
//! A record answered 202 is stored once; a record that was refused is handed back with its reason; every number on a page is true.

pub mod config;
pub mod app;
pub mod record;
pub mod ingest;
pub mod queue;
pub mod index;
pub mod writer;
pub mod search;
pub mod pages;
pub mod db;
pub mod private_postgres;
pub mod health;
pub mod healthcheck;
pub mod metrics;
