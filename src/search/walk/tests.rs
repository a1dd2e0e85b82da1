use super::*;
use crate::{
    index::{
        signature::BYTES,
        span::{BlockSpan, Unit},
    },
    search::{as_of::AsOf, catalogue::Chunk},
};

const CHUNKS: usize = 40;

/// One leaf of forty chunks, each a block whose two units follow those of the block before.
fn snapshot() -> Snapshot {
    let unit =
        |at: usize| Unit { rows: 32, from: Timestamp(at as i64 * 10), to: Timestamp(at as i64 * 10 + 9) };
    let chunk = |n: usize| {
        let span = BlockSpan { number: n as i32, level: 3, units: vec![unit(2 * n), unit(2 * n + 1)] };
        Arc::new(Chunk::of(span, &[0xff; BYTES]))
    };
    let leaf = LeafView {
        number: 1,
        name: "records_1".into(),
        from: Timestamp(0),
        to: Timestamp(10_000),
        groups: Vec::new(),
        chunks: (0..CHUNKS).map(chunk).collect(),
        unreadable: Vec::new(),
    };
    Snapshot {
        as_of: AsOf::parse("1-1-").unwrap(),
        stored: None,
        leaves: Arc::new(vec![Arc::new(leaf)]),
        open: Vec::new(),
    }
}

fn take(walk: &mut Walk<'_>, units_max: usize) -> Vec<i32> {
    let stage = walk.stage.as_mut().unwrap();
    let mut portion = Portion::of(stage.leaf.clone());
    stage.take(&walk.aim, i64::MIN, units_max, &mut None, &mut portion, &mut walk.blocks);
    portion.units
}

#[test]
fn chunks_are_looked_into_when_their_turn_comes() {
    let (snapshot, catalogue) = (snapshot(), Catalogue::default());
    for direction in [Direction::Older, Direction::Newer] {
        let aim = Aim { need: Need::anything(), from: Timestamp(100), to: Timestamp(700), direction };
        let mut walk = Walk::new(&snapshot, &catalogue, aim);
        let leaf = walk.leaves.pop_front().unwrap();
        walk.enter(leaf);
        let mut handed_out = Vec::new();
        let mut left = Vec::new();
        loop {
            let before = walk.frontier();
            let units = take(&mut walk, 7);
            let Some(before) = before else {
                assert_eq!(units, [] as [i32; 0]);
                break;
            };
            let at = |unit: &i32| i64::from(unit >> 3) * 20 + i64::from(unit & 7) * 10;
            let is_behind = |unit: &i32| match direction {
                Direction::Older => at(unit) + 9 <= before.0,
                Direction::Newer => at(unit) >= before.0,
            };
            assert!(units.iter().all(is_behind), "{units:?} are nearer than {before:?}");
            handed_out.extend(units.iter().map(at));
            left.push(walk.stage.as_ref().unwrap().chunks.len());
        }
        // Sixty units of thirty chunks lie in the range; the first seven are in four chunks.
        assert_eq!(left[0], 26, "chunks that need not be looked into yet");
        let mut expected: Vec<i64> = (10..70).map(|unit| unit * 10).collect();
        if direction == Direction::Older {
            expected.reverse();
        }
        assert_eq!(handed_out, expected);
    }
}

#[test]
fn a_page_of_whatever_there_is_takes_no_more_than_should_fill_it() {
    let (snapshot, catalogue) = (snapshot(), Catalogue::default());
    for (direction, first) in
        [(Direction::Older, [690, 680, 670, 660]), (Direction::Newer, [100, 110, 120, 130])]
    {
        let aim = Aim { need: Need::anything(), from: Timestamp(100), to: Timestamp(700), direction };
        let mut walk = Walk::new(&snapshot, &catalogue, aim);
        walk.expect_all(60);
        let leaf = walk.leaves.pop_front().unwrap();
        walk.enter(leaf);
        let stage = walk.stage.as_mut().unwrap();
        let mut portion = Portion::of(stage.leaf.clone());
        let mut take =
            || stage.take(&walk.aim, i64::MIN, 64, &mut walk.filled, &mut portion, &mut walk.blocks);
        assert!(take());
        walk.filled = None;
        let at = |unit: &i32| (unit >> 3) * 20 + (unit & 7) * 10;
        assert_eq!(portion.units.iter().map(at).collect::<Vec<_>>(), first, "{direction:?}");
        // What is left comes when it is asked for.
        let stage = walk.stage.as_mut().unwrap();
        assert!(!stage.take(&walk.aim, i64::MIN, 64, &mut walk.filled, &mut portion, &mut walk.blocks));
        assert_eq!(portion.units.len(), 60);
    }
}
