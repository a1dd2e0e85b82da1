//! What the index must know of a block of rows for the block to hold a hit. In: literals and field values that every hit has. Out: a
//! [`Need`], simplified. Pure.

use crate::record::Level;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    Anything,
    Nothing,
    Levels(Vec<Level>),
    Substring(String),
    Field(String, String),
    HasPath(String),
    All(Vec<Need>),
    Any(Vec<Need>),
}

/// A field of a record; metadata by its dotted path as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    ResourceId,
    TraceId,
    SpanId,
    Commit,
    Metadata(&'a str),
}

impl Need {
    /// Every block may hold a hit.
    pub fn anything() -> Self {
        Self::Anything
    }

    /// No block can hold a hit.
    pub fn nothing() -> Self {
        Self::Nothing
    }

    /// The block is of one of these levels.
    pub fn levels(levels: &[Level]) -> Self {
        if levels.is_empty() { Self::Nothing } else { Self::Levels(levels.to_vec()) }
    }

    /// A message contains these bytes, ASCII letters in any case.
    pub fn substring(literal: &str) -> Self {
        if literal.len() < 3 { Self::Anything } else { Self::Substring(literal.to_ascii_lowercase()) }
    }

    /// The field is exactly this.
    pub fn field(field: Field<'_>, value: &str) -> Self {
        Self::Field(format!("{field:?}"), value.to_owned())
    }

    /// Metadata has something at this path.
    pub fn has_path(path: &str) -> Self {
        Self::HasPath(path.to_owned())
    }

    pub fn all(needs: Vec<Self>) -> Self {
        if needs.contains(&Self::Nothing) {
            return Self::Nothing;
        }
        let mut needs: Vec<Self> = needs.into_iter().filter(|need| *need != Self::Anything).collect();
        match needs.len() {
            0 => Self::Anything,
            1 => needs.remove(0),
            _ => Self::All(needs),
        }
    }

    pub fn any(needs: Vec<Self>) -> Self {
        if needs.contains(&Self::Anything) {
            return Self::Anything;
        }
        let mut needs: Vec<Self> = needs.into_iter().filter(|need| *need != Self::Nothing).collect();
        match needs.len() {
            0 => Self::Nothing,
            1 => needs.remove(0),
            _ => Self::Any(needs),
        }
    }
}
