//! The search index that the writer builds itself: what a block of rows contains, as bits.
//!
//! ```text
//! rows ─place→ block of ≤ 256 rows of one level ─sign→ Signature ─seal→ group of ≤ 4,096 blocks, bit by bit
//! expression ─need→ bits that a block must have ─probe→ units of 32 rows that may hold a hit
//! ```
//!
//! The index is a superset, always: it says where a hit can be, and the exact condition runs on the rows there. A block without a
//! signature is always searched, except by the process that fills it ([`filling`]), and a block with one never receives another row. What a
//! signature holds of a row, and what a search asks for, are made by the same functions ([`signature`], [`tokens`]); a change there needs a
//! new format number in [`group`].

pub mod signature;
pub mod tokens;
pub mod number;
pub mod need;
pub mod span;
pub mod block;
pub mod group;
pub mod values;
pub mod probe;
pub mod sparing;
pub mod filling;
