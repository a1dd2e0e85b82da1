//! The six levels and the words that mean them.

use std::fmt;

/// Severity of a record; the number is what the table stores, and a larger one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum Level {
    Trace = 1,
    Debug = 2,
    Info = 3,
    Warn = 4,
    Error = 5,
    Fatal = 6,
}

impl Level {
    pub const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// For error messages: what may be sent.
    pub const EXPECTED: &'static str = "trace, debug, info, warn, error or fatal";

    /// Reads a level or one of its usual aliases (syslog's, Java's, Python's), in any case.
    pub fn parse(word: &str) -> Option<Self> {
        let mut lower = [0; 12];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"verbose" => Self::Trace,
            b"debug" => Self::Debug,
            b"info" | b"information" | b"notice" | b"success" => Self::Info,
            b"warn" | b"warning" => Self::Warn,
            b"error" | b"err" | b"severe" => Self::Error,
            b"fatal" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic" => Self::Fatal,
            _ => return None,
        })
    }

    /// Reads the number that the table stores.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|level| *level as i16 == number)
    }

    /// The word that pages and replies show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_come_back() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.name()), Some(level));
            assert_eq!(Level::parse(&level.name().to_uppercase()), Some(level));
            assert_eq!(Level::from_number(level as i16), Some(level));
        }
        assert_eq!(Level::parse("Warning"), Some(Level::Warn));
        assert_eq!(Level::parse("PANIC"), Some(Level::Fatal));
        for unknown in ["", "banana", "errorr", "a word longer than any level"] {
            assert_eq!(Level::parse(unknown), None);
        }
        assert_eq!(Level::from_number(7), None);
    }
}
