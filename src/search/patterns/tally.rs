//! Hits grouped by kind. In: rows of `sql::heads`. Out: a [`Kind`] for each template, with counts that are whole for what was read: one that
//! is kept has been kept since it was met first. What comes when there is no more room is counted as other.

use std::collections::{HashMap, hash_map::Entry};

use uuid::Uuid;

use super::template::{Template, template};
use crate::{
    record::{Level, Timestamp},
    search::{count::Levels, error::SearchError, statement::Time},
};

/// Kinds that are kept in memory, each with a text of up to 256 bytes.
const KINDS_MAX: usize = 5_000;
/// Commits that are kept in memory.
const COMMITS_MAX: usize = 1_000;

/// Messages with one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    pub levels: Levels,
    /// Of those that were read.
    pub first: Timestamp,
    pub last: Timestamp,
    /// Id of the newest one.
    pub example: Uuid,
}

#[derive(Default)]
pub struct Tally {
    pub kinds: HashMap<Template, Kind>,
    /// Records of kinds that are not kept.
    pub other: u64,
    /// All of them.
    pub records: u64,
    pub commits: HashMap<String, u64>,
}

/// What a row tells.
pub struct Head {
    pub id: Uuid,
    pub at: Timestamp,
    pub level: Level,
    pub template: Template,
}

impl Head {
    pub fn read(row: &tokio_postgres::Row) -> Result<Self, SearchError> {
        let level: i16 = row.try_get("level")?;
        let level = Level::from_number(level)
            .ok_or_else(|| SearchError::Internal { cause: format!("a row has the level {level}") })?;
        let at = row.try_get::<_, Time>("timestamp")?.0;
        Ok(Self { id: row.try_get("id")?, at, level, template: template(row.try_get("head")?) })
    }
}

impl Kind {
    pub fn count(&self) -> u64 {
        self.levels.sum()
    }

    fn add(&mut self, id: Uuid, at: Timestamp, level: Level) {
        self.levels.add(level, 1);
        self.first = self.first.min(at);
        if (at, id) > (self.last, self.example) {
            (self.last, self.example) = (at, id);
        }
    }
}

impl Tally {
    pub fn add(&mut self, row: &tokio_postgres::Row) -> Result<(), SearchError> {
        let commit: Option<&str> = row.try_get("commit")?;
        if let Some(commit) = commit {
            self.add_commit(commit);
        }
        self.add_head(Head::read(row)?);
        Ok(())
    }

    fn add_head(&mut self, Head { id, at, level, template }: Head) {
        self.records += 1;
        let has_room = self.kinds.len() < KINDS_MAX;
        match self.kinds.entry(template) {
            Entry::Occupied(mut kind) => kind.get_mut().add(id, at, level),
            Entry::Vacant(place) if has_room => {
                let kind = Kind { levels: Levels::default(), first: at, last: at, example: id };
                place.insert(kind).add(id, at, level);
            }
            Entry::Vacant(_) => self.other += 1,
        }
    }

    fn add_commit(&mut self, commit: &str) {
        if let Some(records) = self.commits.get_mut(commit) {
            *records += 1;
        } else if self.commits.len() < COMMITS_MAX {
            self.commits.insert(commit.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(at: i64, level: Level, message: &str) -> Head {
        Head { id: Uuid::from_u128(at as u128), at: Timestamp(at), level, template: template(message) }
    }

    #[test]
    fn kinds_are_counted_whole_and_the_rest_is_other() {
        let mut tally = Tally::default();
        for (at, level, message) in [
            (5, Level::Info, "user 1"),
            (9, Level::Error, "user 2"),
            (2, Level::Info, "user 3"),
            (1, Level::Warn, "x"),
        ] {
            tally.add_head(head(at, level, message));
        }
        let kind = &tally.kinds[&template("user 7")];
        assert_eq!((kind.count(), kind.first, kind.last), (3, Timestamp(2), Timestamp(9)));
        assert_eq!((kind.example, kind.levels.0), (Uuid::from_u128(9), [0, 0, 2, 0, 1, 0]));
        let name = |n: usize| format!("{}{}", "a".repeat(n / 200 + 1), "b".repeat(n % 200));
        for n in 0..KINDS_MAX {
            tally.add_head(head(1, Level::Info, &name(n)));
        }
        tally.add_head(head(1, Level::Info, "user 8"));
        assert_eq!((tally.kinds.len(), tally.other), (KINDS_MAX, 2));
        assert_eq!(tally.kinds[&template("user 7")].count(), 4);
        assert_eq!(tally.records, tally.kinds.values().map(Kind::count).sum::<u64>() + tally.other);
    }
}
