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
    let (snapshot, catalogue) = (snapshot(), Catalogue::new(Arc::default()));
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
    let (snapshot, catalogue) = (snapshot(), Catalogue::new(Arc::default()));
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

#[test]
fn groups_are_asked_for_the_grams_that_rule_out_most_of_what_is_in_memory() {
    // Of forty grams all are in each block but the first two, of which one is in every second and one in every fourth.
    let need = Need::Grams((0..40).map(|at| at * 8).collect());
    let chunk = |n: usize| {
        let mut signature = [1; BYTES];
        signature[0] = u8::from(n.is_multiple_of(2));
        signature[1] = u8::from(n.is_multiple_of(4));
        let span = BlockSpan { number: n as i32, level: 3, units: Vec::new() };
        Arc::new(Chunk::of(span, &signature))
    };
    let chunks: Vec<_> = (0..80).map(chunk).collect();
    assert!(Grams::by_chunks(&need, &chunks[..10]).chosen(&need).is_none(), "too few to tell");
    let mut grams = Grams::by_chunks(&need, &chunks);
    let chosen = grams.chosen(&need).expect("enough to tell");
    assert!(chosen.contains(&8) && chosen.len() < 8, "{chosen:?}");
    assert!(Grams::All.chosen(&need).is_none());
}
