//! The way through the index. In: a [`Snapshot`], what a hit needs, a time range and a direction. Out: portions of units that may hold
//! hits, those with the newest rows first (or the oldest, when walking the other way), and how far everything has been seen.
//!
//! Leaves do not overlap, so they come one after the other. Within one, a heap holds the units that are known; the chunks and groups that
//! could hold a nearer one are looked into first: chunks, which are in memory, one at a time, groups a few at a time, and their blocks one
//! by one. Units of open blocks that another process fills reach to the end of their leaf, because rows may be there. Where few units may hold a hit, a portion reaches
//! over groups and leaves: each portion is a round trip.

mod filled;
mod groups;
mod opened;
mod stage;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use self::{filled::Filled, groups::Grams, opened::Opened, stage::Stage};
use super::{
    catalogue::{Catalogue, GroupHead, LeafView, Snapshot},
    cursor::Direction,
    error::SearchError,
    session::{Session, Stopped},
    sql,
    statement::Statement,
};
use crate::{
    index::{need::Need, signature::Token},
    record::Timestamp,
};

/// Buckets that are read with one statement, of all values and groups together, 1.4 KB each; of many values a few groups all the same.
const BUCKETS_MAX: usize = 512;
/// Groups that are opened with one statement at most.
const GROUPS_MAX: usize = 32;
/// How many times as many the next statement opens.
const GROUPS_GROWTH: usize = 8;
/// What the index rules out in memory for each block that it lets through, from which on it counts as rare.
const RARE: u64 = 512;
/// How long a walk looks for more units while it has some.
const AHEAD_MAX: Duration = Duration::from_millis(10);

/// What to look for, and where.
#[derive(Debug, Clone)]
pub struct Aim {
    pub need: Need,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub direction: Direction,
}

pub struct Walk<'a> {
    snapshot: &'a Snapshot,
    catalogue: &'a Catalogue,
    aim: Aim,
    leaves: VecDeque<Arc<LeafView>>,
    /// All groups that are still to come, in the order of the walk.
    groups: VecDeque<(i32, Arc<GroupHead>)>,
    /// Groups that were opened in advance; None for those that hold no hit.
    opened: HashMap<(i32, i32), Option<Opened>>,
    open_next: usize,
    /// The values that a hit has, as far as they may rule out groups.
    values: Vec<Token>,
    /// Groups at the front that have been looked at and were not ruled out.
    admitted: usize,
    grams: Grams,
    stage: Option<Stage>,
    /// Nothing is handed out that is farther than this.
    farthest: i64,
    /// When a page of whatever there is should be full.
    filled: Option<Filled>,
    pub blocks: Blocks,
    /// Blocks of which units were handed out: leaf, number.
    met: HashSet<(i32, i32)>,
}

/// How many blocks a walk has met: those whose rows were to be read, and those that the index ruled out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blocks {
    pub read: u64,
    pub skipped: u64,
}

/// Units of one leaf that are to be read together.
pub struct Portion {
    pub leaf: Arc<LeafView>,
    pub units: Vec<i32>,
    /// Those of open blocks, of which nobody knows the size.
    open: Vec<i32>,
    /// Rows in the others.
    pub rows: u64,
}

impl Portion {
    fn of(leaf: Arc<LeafView>) -> Self {
        Self { leaf, units: Vec::new(), open: Vec::new(), rows: 0 }
    }
}

/// The statement that counts the rows of open blocks, if there are any.
pub fn count_open(portions: &[Portion]) -> Option<Statement> {
    let open = portions.iter().filter(|portion| !portion.open.is_empty());
    let places: Vec<_> = open.map(|portion| (portion.leaf.name.as_str(), portion.open.clone())).collect();
    (!places.is_empty()).then(|| sql::count_rows(places))
}

impl<'a> Walk<'a> {
    pub fn new(snapshot: &'a Snapshot, catalogue: &'a Catalogue, aim: Aim) -> Self {
        let within = |leaf: &&Arc<LeafView>| leaf.from < aim.to && aim.from < leaf.to;
        let mut leaves: VecDeque<_> = snapshot.leaves.iter().filter(within).cloned().collect();
        if aim.direction == Direction::Older {
            leaves.make_contiguous().reverse();
        }
        let mut groups = VecDeque::new();
        for leaf in &leaves {
            let within = |group: &&Arc<GroupHead>| group.from < aim.to && aim.from <= group.to;
            let mut of_leaf: Vec<_> = leaf.groups.iter().filter(within).cloned().collect();
            of_leaf.sort_by_key(|group| std::cmp::Reverse(key(aim.direction, group.from, group.to)));
            groups.extend(of_leaf.into_iter().map(|group| (leaf.number, group)));
        }
        let (opened, blocks, met) = (HashMap::new(), Blocks::default(), HashSet::new());
        let farthest = i64::MIN;
        let (open_next, admitted) = (1, 0);
        let values = aim.need.values();
        Self {
            snapshot,
            catalogue,
            aim,
            leaves,
            groups,
            opened,
            open_next,
            values,
            admitted,
            grams: Grams::All,
            stage: None,
            farthest,
            filled: None,
            blocks,
            met,
        }
    }

    /// From now on only units that can hold rows at this moment or nearer ones matter.
    pub fn only_up_to(&mut self, farthest: Timestamp) {
        self.farthest = key(self.aim.direction, farthest, farthest);
    }

    /// Whatever the units hold is a hit, and so many are wanted at first: no more units are handed out at once than should hold them.
    pub fn expect_all(&mut self, rows: usize) {
        let nearest = key(self.aim.direction, self.aim.from, Timestamp(self.aim.to.0 - 1));
        self.filled = Some(Filled::by(rows, nearest));
    }

    /// The next units, at most `units_max` and all of one leaf; None when all that matter were handed out.
    pub async fn next(
        &mut self,
        session: &mut Session,
        units_max: usize,
    ) -> Result<Option<Portion>, Stopped> {
        self.next_until(session, units_max, Instant::now() + AHEAD_MAX).await
    }

    /// The next units of as many leaves as it takes to have enough, at most `units_max`; none when all that matter were
    /// handed out.
    pub async fn next_of_leaves(
        &mut self,
        session: &mut Session,
        units_max: usize,
        leaves_max: usize,
    ) -> Result<Vec<Portion>, Stopped> {
        let until = Instant::now() + AHEAD_MAX;
        let (mut portions, mut units) = (Vec::<Portion>::new(), 0);
        let is_expected = self.filled.is_some();
        while portions.is_empty()
            || units < enough(units_max) && portions.len() < leaves_max && Instant::now() < until
        {
            let Some(portion) = self.next_until(session, units_max - units, until).await? else { break };
            units += portion.units.len();
            portions.push(portion);
            if is_expected && self.filled.is_none() {
                break;
            }
        }
        Ok(portions)
    }

    async fn next_until(
        &mut self,
        session: &mut Session,
        units_max: usize,
        until: Instant,
    ) -> Result<Option<Portion>, Stopped> {
        let mut portion: Option<Portion> = None;
        loop {
            let Some(stage) = &mut self.stage else {
                let direction = self.aim.direction;
                let matters = |leaf: &&Arc<LeafView>| leaf_key(direction, leaf) >= self.farthest;
                let Some(leaf) = self.leaves.front().filter(matters).cloned() else { return Ok(None) };
                self.leaves.pop_front();
                self.enter(leaf);
                continue;
            };
            let mut taken = portion.take().unwrap_or_else(|| Portion::of(stage.leaf.clone()));
            let filled = &mut self.filled;
            let is_filled =
                stage.take(&self.aim, self.farthest, units_max, filled, &mut taken, &mut self.blocks);
            if is_filled {
                self.filled = None;
                // The portions before this one have it all; one of no units would say that there are none left.
                if taken.units.is_empty() {
                    continue;
                }
            }
            let units = taken.units.len();
            // A group that was opened in advance costs no round trip.
            let next_group = stage.groups.front().map(|group| (stage.leaf.number, group.number));
            let is_at_hand = next_group.is_some_and(|place| self.opened.contains_key(&place));
            let is_enough = units >= if is_at_hand { units_max } else { enough(units_max) };
            let nearest = stage.nearest(self.aim.direction);
            let is_at_end = nearest.is_none_or(|nearest| nearest < self.farthest);
            if nearest.is_none() {
                self.stage = None;
            } else if is_at_end && units == 0 {
                return Ok(None);
            }
            if units > 0 && (is_filled || is_at_end || is_enough || Instant::now() >= until) {
                self.met.extend(taken.units.iter().map(|unit| (taken.leaf.number, unit >> 3)));
                self.blocks.read = self.met.len() as u64;
                return Ok(Some(taken));
            }
            if !is_at_end {
                portion = Some(taken);
                self.open_group(session).await?;
            }
        }
    }

    /// No row that was not handed out is nearer than this; None if there is none at all.
    pub fn frontier(&self) -> Option<Timestamp> {
        let direction = self.aim.direction;
        let here = self.stage.as_ref().and_then(|stage| stage.nearest(direction));
        let there = || self.leaves.front().map(|leaf| leaf_key(direction, leaf));
        here.or_else(there).map(|key| match direction {
            Direction::Older => Timestamp(key),
            Direction::Newer => Timestamp(-key),
        })
    }

    fn enter(&mut self, leaf: Arc<LeafView>) {
        let of_leaf = self.groups.iter().filter(|(number, _)| *number == leaf.number);
        let mut groups: VecDeque<_> = of_leaf.map(|(_, group)| group.clone()).collect();
        // Groups that were opened in advance are not in the list any more.
        for known in &leaf.groups {
            if self.opened.contains_key(&(leaf.number, known.number)) {
                groups.push_back(known.clone());
            }
        }
        let nearest =
            |group: &Arc<GroupHead>| std::cmp::Reverse(key(self.aim.direction, group.from, group.to));
        groups.make_contiguous().sort_by_key(nearest);
        let open = self.snapshot.open.iter().filter(|open| open.leaf == leaf.number).cloned().collect();
        self.stage = Some(Stage::of(leaf, open, groups, &self.aim, &mut self.blocks));
    }

    /// Looks which of the next groups cannot hold a hit because a value is nowhere in them. Not for the first group: common values are
    /// in all of them, and it fills the page.
    async fn rule_out(&mut self, session: &mut Session) -> Result<(), Stopped> {
        if self.open_next == 1 || self.values.is_empty() {
            return Ok(());
        }
        while self.admitted < self.open_next.min(self.groups.len()) {
            let count = (BUCKETS_MAX / self.values.len()).max(GROUPS_GROWTH);
            let groups: Vec<_> = self.groups.iter().skip(self.admitted).take(count).cloned().collect();
            let may_hold =
                groups::may_hold(session, self.catalogue, &self.aim.need, &self.values, &groups).await?;
            let mut rest = self.groups.split_off(self.admitted + groups.len());
            self.groups.truncate(self.admitted);
            for (group, may_hold) in groups.into_iter().zip(may_hold) {
                if may_hold {
                    self.groups.push_back(group);
                } else {
                    self.blocks.skipped += group.1.blocks;
                    self.opened.insert((group.0, group.1.number), None);
                }
            }
            self.admitted = self.groups.len();
            self.groups.append(&mut rest);
        }
        Ok(())
    }

    /// Opens the nearest group of this leaf.
    async fn open_group(&mut self, session: &mut Session) -> Result<(), Stopped> {
        let stage = self.stage.as_mut().expect("a group is opened in its leaf");
        let Some(group) = stage.groups.front() else {
            // Rather no answer than one that goes round for ever, or that lacks rows.
            return Err(Stopped::Failed(SearchError::internal(&"units are left that no group holds")));
        };
        let place = (stage.leaf.number, group.number);
        if !self.opened.contains_key(&place) {
            // A value that is rare in what is in memory already is so in the first group as well.
            if self.blocks.skipped > RARE * (self.blocks.read + 1) {
                self.open_next = self.open_next.max(GROUPS_GROWTH);
                if matches!(self.grams, Grams::All) {
                    self.grams = Grams::by_chunks(&self.aim.need, &stage.leaf.chunks);
                }
            }
            self.rule_out(session).await?;
        }
        if !self.opened.contains_key(&place) {
            let count = self.open_next.min(self.groups.len());
            let wanted: Vec<(i32, Arc<GroupHead>)> = self.groups.iter().take(count).cloned().collect();
            let found =
                groups::read(session, self.catalogue, &self.aim, &wanted, &mut self.grams, &mut self.blocks)
                    .await?;
            self.opened.extend(found.into_iter().map(|(place, group)| (place, Some(group))));
            self.groups.drain(..count);
            self.admitted = self.admitted.saturating_sub(count);
            self.open_next = (self.open_next * GROUPS_GROWTH).min(GROUPS_MAX);
        }
        let stage = self.stage.as_mut().expect("the leaf is still the same");
        stage.opened(self.opened.remove(&place).flatten());
        Ok(())
    }
}

/// Units that are worth a round trip.
fn enough(units_max: usize) -> usize {
    units_max / 2
}

/// Larger is nearer.
fn key(direction: Direction, from: Timestamp, to: Timestamp) -> i64 {
    match direction {
        Direction::Older => to.0,
        Direction::Newer => -from.0,
    }
}

fn leaf_key(direction: Direction, leaf: &LeafView) -> i64 {
    key(direction, leaf.from, Timestamp(leaf.to.0 - 1))
}
