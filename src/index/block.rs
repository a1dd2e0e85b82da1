//! Blocks that the writer fills. In: rows on their way into a leaf. Out: for each row the number of its unit, and the blocks that are
//! complete. A block takes rows of one leaf and one level, in the order of arrival, over many batches; nobody else writes into it.
//!
//! The numbers in here are only true if the batch they were made for is committed: whoever does not know that for sure throws the
//! [`Blocks`] away, and its writer's number with it. What was left open then is signed from the table by the sealer.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    filling::FillingBlocks,
    group::Signed,
    signature::{BLOCK_ROWS, ONES_MAX, Signature, Token, UNIT_ROWS, UNITS},
    span::{BlockSpan, Unit},
    tokens,
};
use crate::record::{Level, Timestamp, rows::RowText};

/// Numbers that a writer takes at once, for one leaf, or more if it may need more.
pub const NUMBERS: i32 = 64;
/// A block that got no row for so long is signed as it is: late rows would otherwise leave blocks open, hence always searched, for ever.
pub const IDLE_MAX: Duration = Duration::from_secs(60);
/// The same when the writer has placed so many rows for each of its open blocks since: a busy one has left this block behind, and every
/// search would read its rows for a minute. One signature in so many rows is 3 bytes a row at most.
const IDLE_ROWS_MAX: u64 = 4_096;
/// A row that is so much older than the newest one of its leaf is late, or very late: batches that overtake each other, and what somebody
/// sends after an outage.
const LATE_MICROS: [i64; 2] = [10_000_000, 120_000_000];
/// Rows that are no farther apart are never late beside each other, in whichever order they are placed.
pub const TOGETHER_MICROS: i64 = LATE_MICROS[0];
/// Where a block was filled within so much event time, rows of the next one stand in its units by resource, and no longer in the order in which they
/// came: whoever asks for one of many resources reads some of the units and not all. Where rows are few, a unit would reach over hours.
const QUICK_MICROS: i64 = 60_000_000;
/// Streams of a leaf: its levels, each on time, late and very late.
const STREAMS_MAX: usize = Level::ALL.len() * (LATE_MICROS.len() + 1);
/// A byte of an encoded row sets no more bits than this: two in a message, and in metadata a value of two bytes, `1,`, sets eight.
const BYTE_ONES_MAX: usize = 4;
/// Leaves of which a writer keeps numbers though no block of them is open.
const LEAVES_MAX: usize = 64;
/// Blocks one writer keeps open, 12 KiB each and the hashes of their values; beyond that the ones that wait longest are signed.
const OPEN_MAX: usize = 512;

/// The blocks of one writer.
pub struct Blocks {
    pub writer: i32,
    open: HashMap<Stream, Open>,
    /// Rows so far, and those that were placed when a batch was last finished.
    placed: u64,
    finished_at: u64,
    /// Time of the newest row by leaf.
    newest: HashMap<i32, Timestamp>,
    /// Those that filled their last block within a minute of event time.
    quick: HashSet<Stream>,
    /// Numbers that were reserved, by leaf.
    numbers: HashMap<i32, VecDeque<i32>>,
    /// What the searches of this process may know; None if nobody here searches.
    filling: Option<Arc<FillingBlocks>>,
}

/// Rows that fill the same block. Late ones have blocks of their own, and very late ones others: one such row would make a whole unit reach
/// back in time, and every page and every narrow time range would read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Stream {
    leaf: i32,
    level: i16,
    /// How many of the limits it is beyond.
    lateness: usize,
}

struct Open {
    span: BlockSpan,
    rows: usize,
    signature: Signature,
    /// The unit that takes the next row of each resource; None if rows fill one unit after the other.
    homes: Option<HashMap<Token, usize>>,
    registered: bool,
    /// When the batch of its last row was finished.
    touched: Instant,
    /// Rows that the writer had placed when this got its last one.
    touched_at: u64,
}

/// What a batch changes in the index.
#[derive(Default)]
pub struct Changes {
    /// Complete, by leaf.
    pub signed: Vec<(i32, Signed)>,
    /// Left open for the first time: leaf, block, level.
    pub opened: Vec<(i32, i32, i16)>,
    /// Registered as open, and now signed: leaf, block.
    pub closed: Vec<(i32, i32)>,
}

impl Blocks {
    pub fn new(writer: i32, filling: Option<Arc<FillingBlocks>>) -> Self {
        Self {
            writer,
            open: HashMap::new(),
            placed: 0,
            finished_at: 0,
            newest: HashMap::new(),
            quick: HashSet::new(),
            numbers: HashMap::new(),
            filling,
        }
    }

    /// How many numbers this leaf may lack for so many rows, of so many encoded bytes in all: a stream may have to open a block before its first row
    /// and after the one that fills what was open; each block after that takes 256 rows or as many bits as make it full.
    pub fn lack(&self, leaf: i32, rows: usize, bytes: usize) -> usize {
        let most = 2 * STREAMS_MAX + rows / BLOCK_ROWS + bytes * BYTE_ONES_MAX / ONES_MAX as usize;
        most.saturating_sub(self.numbers.get(&leaf).map_or(0, VecDeque::len))
    }

    /// Gives this leaf more numbers that nobody else has.
    pub fn supply(&mut self, leaf: i32, numbers: Range<i32>) {
        self.numbers.entry(leaf).or_default().extend(numbers);
    }

    /// Places a row: what its column `block` is to hold. The leaf must [lack](Self::lack) no numbers.
    pub fn place(
        &mut self,
        leaf: i32,
        level: i16,
        at: Timestamp,
        row: &RowText<'_>,
        changes: &mut Changes,
    ) -> i32 {
        let newest = self.newest.entry(leaf).or_insert(at);
        *newest = at.max(*newest);
        let lateness = LATE_MICROS.iter().filter(|late| at.0 < newest.0 - **late).count();
        let key = Stream { leaf, level, lateness };
        let open = self.open.entry(key).or_insert_with(|| {
            let number = self.numbers.get_mut(&leaf).and_then(VecDeque::pop_front);
            let number = number.expect("the leaf was supplied with what it may need");
            Open::new(number, level, self.quick.contains(&key))
        });
        let unit = open.add(at, row);
        self.placed += 1;
        open.touched_at = self.placed;
        let id = open.span.unit_id(unit);
        if open.rows == BLOCK_ROWS || open.signature.is_full() {
            // Late rows lie far apart, however quickly they come.
            if lateness == 0 && open.span.to().0 - open.span.from().0 <= QUICK_MICROS {
                self.quick.insert(key);
            } else {
                self.quick.remove(&key);
            }
            self.close(key, changes);
        }
        id
    }

    /// Signs what is idle or too much, lists what is left open and not known to be, and tells the searches of this process.
    pub fn finish(&mut self, changes: &mut Changes) {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.finished_at, self.placed);
        for open in self.open.values_mut().filter(|open| open.touched_at > before) {
            open.touched = now;
        }
        let mut waiting: Vec<(u64, Stream)> =
            self.open.iter().map(|(key, open)| (open.touched_at, *key)).collect();
        waiting.sort_unstable();
        let too_many = waiting.len().saturating_sub(OPEN_MAX);
        let rows_max = IDLE_ROWS_MAX * waiting.len() as u64;
        for (at, (touched_at, key)) in waiting.into_iter().enumerate() {
            let is_left_behind = self.placed - touched_at >= rows_max;
            let is_idle = || self.open.get(&key).is_some_and(|open| open.touched.elapsed() >= IDLE_MAX);
            if at < too_many || is_left_behind || is_idle() {
                self.close(key, changes);
            }
        }
        if self.numbers.len() > LEAVES_MAX {
            let has_open = |leaf: &i32| self.open.keys().any(|stream| stream.leaf == *leaf);
            self.numbers.retain(|leaf, _| has_open(leaf));
            self.newest.retain(|leaf, _| has_open(leaf));
            self.quick.retain(|stream| has_open(&stream.leaf));
        }
        for (stream, open) in self.open.iter_mut().filter(|(_, open)| !open.registered) {
            open.registered = true;
            changes.opened.push((stream.leaf, open.span.number, stream.level));
        }
        if let Some(filling) = &self.filling {
            for (stream, open) in self.open.iter().filter(|(_, open)| open.touched_at > before) {
                filling.open(self.writer, stream.leaf, &open.span, open.signature.bytes());
            }
            for (leaf, block) in &changes.signed {
                filling.signed(self.writer, *leaf, &block.span, &block.signature);
            }
        }
    }

    /// Signs everything: the writer ends.
    pub fn close_all(&mut self, changes: &mut Changes) {
        for key in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(key, changes);
        }
    }

    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub fn has_idle(&self) -> bool {
        self.open.values().any(|open| open.touched.elapsed() >= IDLE_MAX)
    }

    fn close(&mut self, key: Stream, changes: &mut Changes) {
        let Some(open) = self.open.remove(&key) else { return };
        if open.registered {
            changes.closed.push((key.leaf, open.span.number));
        }
        changes.signed.push((key.leaf, open.signed()));
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if let Some(filling) = &self.filling {
            filling.forget(self.writer);
        }
    }
}

impl Open {
    fn new(number: i32, level: i16, by_resource: bool) -> Self {
        let span = BlockSpan { number, level, units: Vec::with_capacity(8) };
        Self {
            span,
            rows: 0,
            signature: Signature::default(),
            homes: by_resource.then(HashMap::new),
            registered: false,
            touched: Instant::now(),
            touched_at: 0,
        }
    }

    /// Adds a row and says in which unit it is.
    fn add(&mut self, at: Timestamp, row: &RowText<'_>) -> usize {
        let unit = self.unit_for(row);
        match self.span.units.get_mut(unit) {
            Some(known) => known.add(at),
            None => self.span.units.push(Unit::of(at)),
        }
        sign_row(&mut self.signature, unit, row);
        self.rows += 1;
        unit
    }

    /// The unit of the rows of the same resource before, until that is full; then one that is empty, or the emptiest.
    fn unit_for(&mut self, row: &RowText<'_>) -> usize {
        let Some(homes) = &mut self.homes else { return self.rows / UNIT_ROWS };
        let units = &self.span.units;
        let rows = |unit: usize| units.get(unit).map_or(0, |unit| usize::from(unit.rows));
        let resource = tokens::resource(row.resource_id.as_bytes());
        match homes.get(&resource) {
            Some(&home) if rows(home) < UNIT_ROWS => home,
            _ => {
                let emptiest = (0..UNITS).min_by_key(|unit| rows(*unit)).unwrap_or(0);
                homes.insert(resource, emptiest);
                emptiest
            }
        }
    }

    fn signed(self) -> Signed {
        Signed::new(self.span, self.signature)
    }
}

/// Puts everything that a search can ask of a row into the signature of its block.
pub fn sign_row(signature: &mut Signature, unit: usize, row: &RowText<'_>) {
    signature.add_message(row.message);
    signature.add_token(tokens::resource(row.resource_id.as_bytes()), unit);
    if let Some(packed) = row.trace_id {
        signature.add_token(tokens::trace(packed), unit);
    }
    if let Some(packed) = row.span_id {
        signature.add_token(tokens::span(packed), unit);
    }
    if let Some(commit) = row.commit {
        signature.add_token(tokens::commit(commit.as_bytes()), unit);
    }
    if let Some(metadata) = row.metadata {
        tokens::metadata(metadata, &mut |token| signature.add_token(token, unit));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn row() -> RowText<'static> {
        RowText {
            resource_id: "r",
            trace_id: None,
            span_id: None,
            commit: None,
            message: "m",
            metadata: None,
        }
    }

    fn place(blocks: &mut Blocks, leaf: i32, changes: &mut Changes) {
        if blocks.lack(leaf, 1, 0) > 0 {
            blocks.supply(leaf, 0..NUMBERS);
        }
        blocks.place(leaf, 3, Timestamp(0), &row(), changes);
    }

    /// One row of an hour ago would make a unit of rows of a minute ago reach over all between.
    #[test]
    fn late_and_very_late_rows_have_blocks_of_their_own() {
        let mut blocks = Blocks::new(1, None);
        let mut changes = Changes::default();
        blocks.supply(1, 0..NUMBERS);
        let mut place = |second: i64| {
            let at = Timestamp(second * 1_000_000);
            blocks.place(1, 3, at, &row(), &mut changes) >> 3
        };
        let on_time = place(10_000);
        let (late, very_late) = (place(10_000 - 11), place(10_000 - 121));
        assert!(on_time != late && late != very_late && very_late != on_time);
        assert_eq!([10_000 - 10, 10_000 - 120, 5].map(&mut place), [on_time, late, very_late]);
    }

    /// Units of three blocks that are filled with rows of sixteen resources in turn, `run` of each, so many microseconds apart: how many
    /// resources each unit has.
    fn resources_of_units(run: i64, micros: i64) -> Vec<Vec<usize>> {
        let mut blocks = Blocks::new(1, None);
        blocks.supply(1, 0..NUMBERS);
        let mut of_units: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
        for at in 0..3 * BLOCK_ROWS as i64 {
            let resource = format!("service-{}", at / run % 16);
            let row = RowText { resource_id: &resource, ..row() };
            let unit = blocks.place(1, 3, Timestamp(at * micros), &row, &mut Changes::default());
            of_units.entry(unit).or_default().insert(resource);
        }
        let counts: Vec<usize> = of_units.values().map(BTreeSet::len).collect();
        counts.chunks(UNITS).map(<[usize]>::to_vec).collect()
    }

    #[test]
    fn rows_that_come_quickly_stand_by_resource() {
        let (in_order, by_resource) = (vec![16; UNITS], vec![2; UNITS]);
        assert_eq!(
            resources_of_units(1, QUICK_MICROS / 255),
            [in_order.clone(), by_resource.clone(), by_resource]
        );
        assert_eq!(
            resources_of_units(1, QUICK_MICROS / 255 + 1),
            [in_order.clone(), in_order.clone(), in_order]
        );
        // Three of each, so that a unit for every row in turn would have all of them.
        let blocks = resources_of_units(3, 1);
        assert!(blocks[0].iter().all(|resources| *resources >= 11), "{blocks:?}");
        assert!(blocks[1..].iter().flatten().all(|resources| *resources <= 4), "{blocks:?}");
    }

    /// A resource with most of the rows fills the room that the others leave.
    #[test]
    fn units_by_resource_are_full_as_well() {
        let mut blocks = Blocks::new(1, None);
        let mut changes = Changes::default();
        blocks.supply(1, 0..NUMBERS);
        for at in 0..4 * BLOCK_ROWS {
            let resource = format!("service-{}", if at % 8 == 0 { at % 11 } else { 99 });
            blocks.place(1, 3, Timestamp(0), &RowText { resource_id: &resource, ..row() }, &mut changes);
        }
        let rows = changes.signed.iter().map(|(_, block)| block.span.units.iter().map(|unit| unit.rows));
        assert_eq!(rows.map(Iterator::collect::<Vec<u8>>).collect::<Vec<_>>(), vec![vec![32; UNITS]; 4]);
    }

    /// Rows that fill blocks by their number, by their messages and by what costs the fewest bytes a bit; every stream has a row now and then.
    #[test]
    fn no_batch_needs_more_numbers_than_its_leaf_may_lack() {
        let hex = |row: usize| blake3::hash(&row.to_be_bytes()).to_hex().to_string();
        let values = (10..100).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let short = |row: usize| (hex(row), "{}".to_owned());
        // Sixty-four characters, of which hardly a run comes twice.
        let long = |row: usize| {
            let hashes = (0..160).map(|n| blake3::hash(&(row * 160 + n).to_be_bytes()));
            let text = hashes.flat_map(|hash| hash.as_bytes().map(|byte| char::from(b'!' + byte % 64)));
            (text.collect(), "{}".to_owned())
        };
        let dense = |row: usize| {
            let lists: Vec<_> = (0..4).map(|n| format!("\"{n}{}\":[{values}]", row % 300)).collect();
            (String::new(), format!("{{{}}}", lists.join(",")))
        };
        let shapes: [&dyn Fn(usize) -> (String, String); 3] = [&short, &long, &dense];
        for shape in shapes {
            let mut blocks = Blocks::new(1, None);
            for batch in 0..2 {
                let rows: Vec<_> = (0..700).map(|row| shape(batch * 700 + row)).collect();
                let bytes = rows.iter().map(|(message, metadata)| 100 + message.len() + metadata.len()).sum();
                let lack = blocks.lack(1, rows.len(), bytes);
                blocks.supply(1, 0..lack as i32);
                for (at, (message, metadata)) in rows.iter().enumerate() {
                    let row = RowText { message, metadata: Some(metadata), ..row() };
                    let level = Level::ALL[at % 13 % Level::ALL.len()] as i16;
                    let late = [0, 0, 0, 11, 121][at % 5];
                    blocks.place(1, level, Timestamp(-late * 1_000_000), &row, &mut Changes::default());
                }
            }
        }
    }

    #[test]
    fn leaves_of_the_past_are_forgotten() {
        let mut blocks = Blocks::new(1, None);
        let mut changes = Changes::default();
        for leaf in 0..=LEAVES_MAX as i32 {
            blocks.close_all(&mut changes);
            place(&mut blocks, leaf, &mut changes);
        }
        let known = |blocks: &Blocks| (blocks.numbers.len(), blocks.newest.len());
        assert_eq!(known(&blocks), (LEAVES_MAX + 1, LEAVES_MAX + 1));
        blocks.finish(&mut changes);
        assert_eq!(known(&blocks), (1, 1));
        assert_eq!(blocks.lack(LEAVES_MAX as i32, 1, 0), 0);
    }

    #[test]
    fn a_block_that_a_busy_writer_has_left_behind_is_signed() {
        let mut blocks = Blocks::new(1, None);
        let mut changes = Changes::default();
        place(&mut blocks, 1, &mut changes);
        let mut is_signed_after = |rows: u64| {
            (0..rows).for_each(|_| place(&mut blocks, 2, &mut changes));
            blocks.finish(&mut changes);
            changes.signed.iter().any(|(leaf, _)| *leaf == 1)
        };
        // Two are open: the other one, which takes what comes, and this one.
        assert!(!is_signed_after(2 * IDLE_ROWS_MAX - 1));
        assert!(is_signed_after(1));
        let (leaf, block) = changes.signed.iter().find(|(leaf, _)| *leaf == 1).unwrap();
        assert_eq!((*leaf, block.span.units[0].rows), (1, 1));
        assert!(!blocks.has_idle());
    }
}
