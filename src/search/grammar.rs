//! The query line: one grammar for page and API. In: text such as `level>=warn resourceId:api-* -path:/health`. Out: the tree
//! [`Expr`], or a [`Fault`] that points at the columns; and the canonical text of a tree, which reads as that tree again.
//!
//! ```text
//! line   = any
//! any    = all { "or" all }
//! all    = term { ["and"] term }
//! term   = { "-" | "!" | "not" } ( "(" any ")" | word | "phrase" | /regex/[i] | name sign value )
//! sign   = ":" | "=" | "!=" | ">" | ">=" | "<" | "<="
//! value  = text [ "*" ] | "text" [ "*" ] | "(" value { "or" value } ")"
//! ```
//!
//! What looks like a field but hardly is one (`10.0.0.1:8080`, `http://x`, `std::io`, `2026-01-31T08:00:00Z`, `a=b`) is a word. Text
//! that can be neither is an error that says how to quote it: a query never means something else in silence.

mod lexer;
mod parser;
pub mod place;
mod print;

use std::ops::Range;

use super::{
    expr::Expr,
    params::{Columns, Fault},
};
pub use print::{print, print_name, print_value};

/// Bytes of a query line.
pub const BYTES_MAX: usize = 8 << 10;
/// Parentheses inside each other.
pub const DEPTH_MAX: usize = 32;
/// Words, phrases, regexes, comparisons and values.
pub const TERMS_MAX: usize = 100;

/// What is wrong, at these bytes of the text.
#[derive(Debug)]
struct Mistake {
    span: Range<usize>,
    error: String,
}

impl Mistake {
    fn new(span: Range<usize>, error: impl Into<String>) -> Self {
        Self { span, error: error.into() }
    }
}

/// Reads a query line; blanks alone mean everything.
pub fn parse(text: &str) -> Result<Expr, Fault> {
    let too_long = |bytes: usize| Fault::too_long("q", BYTES_MAX, bytes);
    if text.len() > BYTES_MAX {
        return Err(too_long(text.len()));
    }
    let expr = parser::Parser::new(text).line().map_err(|mistake| {
        let columns = columns(text, &mistake.span);
        Fault::at("q", columns, &mistake.error)
    })?;
    // The canonical text may be longer, and is what links carry.
    match print(&expr).len() {
        bytes if bytes > BYTES_MAX => Err(too_long(bytes)),
        _ => Ok(expr),
    }
}

/// Characters from 1.
fn columns(text: &str, span: &Range<usize>) -> Columns {
    let column = |at: usize| text[..at].chars().count() + 1;
    Columns { start: column(span.start), end: column(span.end) }
}

#[cfg(test)]
mod tests;
