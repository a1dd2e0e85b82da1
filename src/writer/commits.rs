//! Deploy markers: when each commit was first seen. In: the rows of a batch. Out: the few commits that the table may not have yet, or not
//! so early; they go into the last message of the batch's own transaction, so a marker is there if and only if its rows are.
//!
//! A process remembers what it has seen committed, so in daily life a batch has nothing to add. Whoever sends another commit with every
//! record costs little: a batch adds at most [`BATCH_MAX`], those with the most rows first, a process at most [`NEW_MAX`] a minute, and
//! the table keeps the [`KEPT`] that were first seen last. What is left out is tried again with the next batch that has it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::record::Timestamp;

/// Commits that one batch adds.
const BATCH_MAX: usize = 100;
/// New commits of a process in [`WINDOW`].
const NEW_MAX: usize = 1_000;
const WINDOW: Duration = Duration::from_secs(60);
/// Commits that a process remembers at least, and at most twice as many: 2 MB when each is as long as it may be.
const REMEMBERED: usize = 2_048;

/// Commits that the table keeps.
pub const KEPT: i64 = 10_000;

/// Deletes commits beyond those that are kept. It waits for nobody, so no writer can wait for it in a circle.
pub const PRUNE: &str = "\
delete from commits where (tenant, \"commit\") in (
  select tenant, \"commit\" from commits
  where (first_at, tenant, \"commit\") <= (
    select first_at, tenant, \"commit\" from commits order by first_at desc, tenant desc, \"commit\" desc offset $1 limit 1)
  for update skip locked)";

/// The commits of a batch.
#[derive(Default)]
pub struct Sightings<'a> {
    by_commit: HashMap<&'a str, Sighting<'a>>,
}

#[derive(Clone, Copy)]
struct Sighting<'a> {
    at: Timestamp,
    resource: &'a str,
    rows: u32,
}

/// A commit that the table may not have yet, or not so early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct First<'a> {
    pub commit: &'a str,
    pub at: Timestamp,
    pub resource: &'a str,
}

impl<'a> Sightings<'a> {
    pub fn add(&mut self, commit: &'a str, at: Timestamp, resource: &'a str) {
        if commit.is_empty() {
            return;
        }
        let seen = self.by_commit.entry(commit).or_insert(Sighting { at, resource, rows: 0 });
        seen.rows += 1;
        if at < seen.at {
            (seen.at, seen.resource) = (at, resource);
        }
    }
}

/// What a process knows to be in the table, with a time that is not before the one there.
#[derive(Default)]
pub struct Known(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// What was asked for since `old` was put aside.
    young: HashMap<Box<str>, Timestamp>,
    old: HashMap<Box<str>, Timestamp>,
    /// When the present minute began, and new commits in it.
    minute: Option<Instant>,
    new: usize,
}

impl Known {
    /// What this batch has to add, in the order of the commits, so that two writers cannot wait for each other.
    pub fn news<'a>(&self, seen: &Sightings<'a>) -> Vec<First<'a>> {
        if seen.by_commit.is_empty() {
            return Vec::new();
        }
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = memory.room();
        let mut news: Vec<(&Sighting<'a>, First<'a>, Option<Timestamp>)> = Vec::new();
        for (commit, sighting) in &seen.by_commit {
            let known = memory.find(commit);
            if known.is_none_or(|at| sighting.at < at) {
                let Sighting { at, resource, .. } = *sighting;
                news.push((sighting, First { commit, at, resource }, known));
            }
        }
        drop(memory);
        news.sort_by_key(|(sighting, first, _)| (std::cmp::Reverse(sighting.rows), *first));
        news.retain(|(.., known)| {
            let fits = known.is_some() || room > 0;
            room -= usize::from(known.is_none() && fits);
            fits
        });
        news.truncate(BATCH_MAX);
        let mut news: Vec<First<'a>> = news.into_iter().map(|(_, first, _)| first).collect();
        news.sort_unstable();
        news
    }

    /// Postgres may have been restored meanwhile: what was stored may be stored no longer.
    pub fn forget(&self) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.young.clear();
        memory.old.clear();
    }

    /// Remembers what was committed.
    pub fn learn(&self, news: &[First<'_>]) {
        if news.is_empty() {
            return;
        }
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for first in news {
            let known = memory.find(first.commit);
            memory.new += usize::from(known.is_none());
            memory.remember(first.commit, known.map_or(first.at, |at| at.min(first.at)));
        }
    }
}

impl Memory {
    fn find(&mut self, commit: &str) -> Option<Timestamp> {
        if let Some(at) = self.young.get(commit) {
            return Some(*at);
        }
        let at = self.old.remove(commit)?;
        self.remember(commit, at);
        Some(at)
    }

    /// When the young are many, those that were not asked for meanwhile are forgotten.
    fn remember(&mut self, commit: &str, at: Timestamp) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(commit.into(), at);
    }

    /// New commits for which there is room in the present minute.
    fn room(&mut self) -> usize {
        let now = Instant::now();
        if self.minute.is_none_or(|began| now - began >= WINDOW) {
            (self.minute, self.new) = (Some(now), 0);
        }
        NEW_MAX.saturating_sub(self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(rows: &[(&'a str, i64, &'a str)]) -> Sightings<'a> {
        let mut seen = Sightings::default();
        for (commit, at, resource) in rows {
            seen.add(commit, Timestamp(*at), resource);
        }
        seen
    }

    fn first<'a>(commit: &'a str, at: i64, resource: &'a str) -> First<'a> {
        First { commit, at: Timestamp(at), resource }
    }

    #[test]
    fn the_earliest_row_of_each_commit_counts_once() {
        let known = Known::default();
        let batch = seen(&[("b", 5, "r5"), ("", 1, "r"), ("b", 3, "r3"), ("a", 4, "r4"), ("b", 4, "r4")]);
        let news = known.news(&batch);
        assert_eq!(news, [first("a", 4, "r4"), first("b", 3, "r3")]);
        assert_eq!(known.news(&batch).len(), 2, "what was not committed is not known");
        known.learn(&news);
        assert_eq!(known.news(&batch), []);
        assert_eq!(known.news(&seen(&[("a", 3, "late"), ("b", 3, "r")])), [first("a", 3, "late")]);
    }

    #[test]
    fn a_flood_is_bounded_and_real_commits_come_first() {
        let known = Known::default();
        let names: Vec<String> = (0..2_000).map(|n| format!("{n:04}")).collect();
        let mut batch = Sightings::default();
        for name in &names {
            batch.add(name, Timestamp(1), "r");
        }
        batch.add("zz", Timestamp(1), "r");
        batch.add("zz", Timestamp(1), "r");
        let mut written = 0;
        loop {
            let news = known.news(&batch);
            assert!(news.len() <= BATCH_MAX && news.is_sorted());
            assert_eq!(written == 0, news.contains(&first("zz", 1, "r")), "the one with the most rows");
            if news.is_empty() {
                break;
            }
            written += news.len();
            known.learn(&news);
        }
        assert_eq!(written, NEW_MAX);
        // An earlier time of a known commit needs no room.
        assert_eq!(known.news(&seen(&[("zz", 0, "r"), ("new", 0, "r")])), [first("zz", 0, "r")]);
    }

    #[test]
    fn what_is_in_use_is_not_forgotten() {
        let mut memory = Memory::default();
        memory.remember("used", Timestamp(1));
        memory.remember("idle", Timestamp(1));
        for n in 0..5 * REMEMBERED {
            memory.remember(&n.to_string(), Timestamp(1));
            assert_eq!(memory.find("used"), Some(Timestamp(1)));
            assert!(memory.young.len() + memory.old.len() <= 2 * REMEMBERED);
        }
        assert_eq!(memory.find("idle"), None);
    }
}
