//! Integration tests: the real binary, a real Postgres, a real Kafka, looked at from outside.

// `pub` here means: for the other files of this binary.
#![allow(unreachable_pub, dead_code)]

mod harness;

mod contract;
mod smoke;
