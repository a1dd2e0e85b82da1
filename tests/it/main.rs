//! Integration tests: the real binary, a real Postgres, a real Kafka, looked at from outside.

// `pub` here means: for the other files of this binary.
#![allow(unreachable_pub)]
// A test that cannot go on may panic where it stands, in its helpers too.
#![allow(clippy::unwrap_used)]

mod harness;

mod as_of;
mod around;
mod complete;
mod contract;
mod counts;
mod delete;
mod export;
mod explorer;
mod deploys;
mod grammar;
mod idempotency;
mod kafka;
mod leaves;
mod matches;
mod operate;
mod outage;
mod patterns;
mod retention;
mod roundtrip;
mod sealing;
mod search;
mod shutdown;
mod sql;
mod true_numbers;
mod tail;
mod truth;
mod upgrade;
mod views;
