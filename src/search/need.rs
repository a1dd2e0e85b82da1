//! What a block of rows must have in its index so that it can hold a hit.
use super::expr::Expr;
use crate::index::need::Need;
pub fn need(_: &Expr) -> Need {
    Need::anything()
}
