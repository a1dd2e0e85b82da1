//! What is wrong with a parameter, in words that say what is needed and what was seen. Pure.

use std::fmt;

use crate::{record::rules::excerpt, search::slips::slips};

/// A parameter that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub field: String,
    pub error: String,
    /// Where in the value, if it is a text with a grammar.
    pub columns: Option<Columns>,
}

/// Part of a value, in characters counted from 1; `end` is the one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    pub start: usize,
    pub end: usize,
}

impl Fault {
    pub fn new(field: &str, error: impl Into<String>) -> Self {
        Self { field: field.to_owned(), error: error.into(), columns: None }
    }

    /// A fault that points into the value.
    pub fn at(field: &str, columns: Columns, error: &str) -> Self {
        let error = format!("column {}: {error}", columns.start);
        Self { field: field.to_owned(), error, columns: Some(columns) }
    }

    /// A value of another kind.
    pub fn needed(field: &str, what: impl fmt::Display, got: &str) -> Self {
        Self::new(field, format!("{what} is needed, got `{}`", excerpt(got)))
    }

    /// A value that is too long, in bytes.
    pub fn too_long(field: &str, bytes_max: usize, got: usize) -> Self {
        Self::new(field, format!("at most {bytes_max} bytes, got {got}"))
    }

    /// A parameter that there is not, where there are `known`.
    pub fn unknown(name: &str, known: &[&str]) -> Self {
        Self::new(name, format!("unknown parameter{}", meant(name, known).unwrap_or_default()))
    }

    /// The same, where fields of metadata are parameters too.
    pub fn unknown_field(name: &str, known: &[&str]) -> Self {
        Self::new(name, format!("unknown parameter{}", meant_field(name, known)))
    }

    /// A value that names a field, where there are `known` and those of metadata.
    pub fn needed_field(field: &str, what: &str, name: &str, known: &[&str]) -> Self {
        let mut fault = Self::needed(field, what, name);
        fault.error.push_str(&meant_field(name, known));
        fault
    }
}

/// The field that may have been meant, or how one of metadata is named.
fn meant_field(name: &str, known: &[&str]) -> String {
    let path = if name == "metadata" { "<path>".to_owned() } else { excerpt(name) };
    let below = || format!("; a field of metadata is asked for as `metadata.{path}`");
    meant(name, known).or_else(|| (!name.is_empty()).then(below)).unwrap_or_default()
}

/// What is a few slips of the hand away, or written in another case.
fn meant(name: &str, known: &[&str]) -> Option<String> {
    let asked = name.to_lowercase();
    let near = known.iter().filter_map(|known| Some((slips(&asked, &known.to_lowercase())?, known)));
    near.min_by_key(|(slips, _)| *slips).map(|(_, known)| format!("; did you mean `{known}`?"))
}
