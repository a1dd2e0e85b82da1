//! The search index: which blocks of rows can hold a hit.

pub mod need;
