//! The index alone, without Postgres: records go through the door into blocks, blocks into groups, and every unit that holds a hit
//! must be among those that a search would read.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use log_ingestor::{
    index::{
        block::{Blocks, Changes},
        group::{Group, Signed},
        probe::{Whole, candidates},
        signature::{BLOCK_ROWS, UNIT_ROWS},
        span::{read_directory, write_directory},
    },
    ingest::element::{Element, Unknown},
    record::{
        Level, RecordId, Timestamp, packed,
        rows::{RowMeta, Rows},
        rules::{EventTimes, IdSource},
    },
    search::{expr::regexes, need::need, params},
};
use uuid::Uuid;

use super::{
    filters::{Pairs, a_filter, a_filter_for},
    meaning::{Json, Regexes, Seen},
    rows::{Texts, a_line},
    seed, times,
};
use crate::harness::records::Dice;

/// Records, in what unit each is, and the groups.
struct Universe {
    all: Vec<Seen>,
    units: Vec<i32>,
    units_count: usize,
    groups: Vec<Group>,
}

const ROWS: usize = 900;

impl Universe {
    fn new(dice: &mut Dice, texts: Texts) -> Self {
        let now: DateTime<Utc> = Timestamp(1_790_000_000_000_000).datetime();
        let mut rows = Rows::default();
        for index in 0..ROWS {
            read(&a_line(dice, now, texts), index, &mut rows);
        }
        let mut blocks = Blocks::new(1, None);
        let mut changes = Changes::default();
        blocks.supply(1, 0..1_000);
        let mut units = Vec::new();
        for meta in &rows.meta {
            let place = blocks.place(1, meta.level as i16, meta.timestamp, &rows.text(meta), &mut changes);
            units.push(place);
            if texts == Texts::Mixed && dice.roll(2_000) == 0 {
                blocks.close_all(&mut changes);
            }
        }
        blocks.close_all(&mut changes);
        let signed: Vec<Signed> = changes.signed.into_iter().map(|(_, signed)| signed).collect();
        let mut groups: Vec<Group> =
            signed.chunks(1 + dice.roll(11) as usize).map(|some| Group::turn(some.to_vec())).collect();
        while groups.len() > 1 && dice.roll(3) > 0 {
            let (last, before) = (groups.pop().unwrap(), groups.pop().unwrap());
            groups.push(before.joined(last));
        }
        let all = rows.meta.iter().map(|meta| seen(&rows, meta)).collect();
        let units_count = units.iter().collect::<HashSet<_>>().len();
        Self { all, units, units_count, groups }
    }

    fn rows(&self) -> impl Iterator<Item = (&Seen, &i32)> {
        self.all.iter().zip(&self.units)
    }

    /// Every row is within what the directory says of its unit, and the numbers add up.
    fn check_directories(&self) {
        let mut rows: HashMap<i32, usize> = HashMap::new();
        self.units.iter().for_each(|unit| *rows.entry(*unit).or_default() += 1);
        let mut total = 0;
        for group in &self.groups {
            assert_eq!(read_directory(&write_directory(&group.directory)).as_ref(), Some(&group.directory));
            for block in group.blocks() {
                for (at, unit) in block.units.iter().enumerate() {
                    assert_eq!(rows.get(&block.unit_id(at)), Some(&usize::from(unit.rows)));
                    assert!(usize::from(unit.rows) <= UNIT_ROWS);
                    total += usize::from(unit.rows);
                    let here = self.units.iter().zip(&self.all).filter(|(id, _)| **id == block.unit_id(at));
                    for (_, row) in here {
                        assert!(unit.from <= row.timestamp && row.timestamp <= unit.to);
                        assert_eq!(row.level as i16, block.level);
                    }
                }
            }
        }
        assert_eq!(total, self.all.len());
    }
}

fn read(line: &str, index: usize, rows: &mut Rows) {
    let element = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let Element::Object(fields) = element else { panic!("{line}: no object") };
    let id = RecordId(Uuid::from_u128(index as u128));
    let draft = fields.sent(Unknown::Keep).unwrap_or_else(|fault| panic!("{line}: {fault:?}"));
    let (record, _) =
        draft.check(EventTimes::ANY, IdSource::Known(id)).unwrap_or_else(|fault| panic!("{line}: {fault:?}"));
    rows.push(&record, index);
}

fn seen(rows: &Rows, meta: &RowMeta) -> Seen {
    let text = rows.text(meta);
    let id = |packed: Option<&[u8]>| packed.map(|packed| packed::unpack(packed).unwrap());
    let (message, resource) = (text.message.to_owned(), text.resource_id.to_owned());
    let mut seen = Seen::new(meta.id.0, meta.timestamp, meta.level, message, resource);
    (seen.trace_id, seen.span_id) = (id(text.trace_id), id(text.span_id));
    seen.commit = text.commit.map(str::to_owned);
    seen.metadata = text.metadata.map(Json::read);
    seen
}

#[derive(Default)]
struct Sum {
    hits: u64,
    read: u64,
    ruled_out: u64,
}

impl Sum {
    /// The search must be led to every hit among these rows.
    fn check<'a>(
        &mut self,
        universe: &Universe,
        pairs: &Pairs,
        rows: impl Iterator<Item = (&'a Seen, &'a i32)>,
    ) {
        let Ok(query) = params::read(pairs, Timestamp(0)) else { return };
        let expr = query.filter.expr();
        // What they match is Postgres' business; search/need/literals.rs has a test of its own for them.
        if !regexes(&expr).is_empty() {
            return;
        }
        let need = need(&expr);
        let mut found = HashSet::new();
        for group in &universe.groups {
            let slices = Whole { width: group.width(), slices: &group.slices };
            candidates(&need, &slices, &group.directory, |place, unit| {
                let block = group.directory[place].as_ref().expect("a candidate is a block");
                found.insert(block.unit_id(unit));
            });
        }
        for (row, unit) in rows.filter(|(row, _)| row.matches(&expr, &Regexes::new())) {
            self.hits += 1;
            assert!(
                found.contains(unit),
                "SEED={}: {pairs:?} does not find {row:#?}; it needs {need:?}",
                seed()
            );
        }
        self.read += found.len() as u64;
        self.ruled_out += (universe.units_count - found.len()) as u64;
    }
}

#[test]
fn no_unit_with_a_hit_is_ruled_out() {
    let mut dice = Dice(seed());
    let mut sum = Sum::default();
    for round in 0..times(10) {
        let texts = if round % 3 == 0 { Texts::Short } else { Texts::Mixed };
        let universe = Universe::new(&mut dice, texts);
        universe.check_directories();
        for row in universe.rows() {
            for _ in 0..2 {
                let pairs = a_filter_for(&mut dice, row.0, &universe.all);
                sum.check(&universe, &pairs, std::iter::once(row));
            }
        }
        for _ in 0..300 {
            let pairs = a_filter(&mut dice, &universe.all);
            // A part of the rows, so that more searches fit into the time.
            let first = dice.roll(5) as usize;
            sum.check(&universe, &pairs, universe.rows().skip(first).step_by(5));
        }
    }
    let Sum { hits, read, ruled_out } = sum;
    assert!(hits > 20_000, "most searches find something: {hits}");
    assert!(ruled_out > read, "an index that rules out nothing is none: {ruled_out} of {}", ruled_out + read);
}

#[test]
fn blocks_are_closed_by_rows_and_by_bits() {
    let mut dice = Dice(seed());
    // By block, and how many more blocks there are than rows alone need; late rows have one of their own.
    let mut blocks = |texts| {
        let universe = Universe::new(&mut dice, texts);
        let infos = universe.rows().filter(|(row, _)| row.level == Level::Info).map(|(_, unit)| unit >> 3);
        let mut rows: HashMap<i32, usize> = HashMap::new();
        infos.for_each(|block| *rows.entry(block).or_default() += 1);
        let fewest = rows.values().sum::<usize>().div_ceil(BLOCK_ROWS);
        (rows.len() - fewest, rows)
    };
    for _ in 0..4 {
        let (more, rows) = blocks(Texts::Short);
        assert!(more <= 1, "{rows:?}");
    }
    let mixed: Vec<_> = (0..4).map(|_| blocks(Texts::Mixed)).collect();
    // Two in each on average.
    assert!(mixed.iter().map(|(more, _)| more).sum::<usize>() >= 2 * mixed.len(), "{mixed:?}");
}
