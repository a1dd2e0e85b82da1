//! What must hold in the tables, whatever happened: every block with rows is open, or has a signature, or is in one group, and only one
//! of these; and what a signature says of rows and times is what is there, because a block that has one never receives another row.

use std::{collections::BTreeMap, sync::Arc};

use log_ingestor::{
    index::span::{BlockSpan, Unit, read_directory, read_units},
    record::Timestamp,
};

use crate::harness::postgres::Database;

/// How many blocks are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    pub open: usize,
    pub signed: usize,
    pub sealed: usize,
}

type Blocks = BTreeMap<(i32, i32), BlockSpan>;

/// Checks one snapshot; what is written meanwhile does not matter.
pub async fn check(database: &Arc<Database>) -> Ledger {
    let mut sql = database.connect().await;
    let snapshot = sql.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let snapshot = snapshot.start().await.expect("a transaction begins");
    let query =
        async |text: &str| snapshot.query(text, &[]).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    let stored = stored(&query("select leaf, block, min(level), max(level), count(*)::int, \
        (extract(epoch from min(timestamp)) * 1000000)::bigint, (extract(epoch from max(timestamp)) * 1000000)::bigint, max(next_block) \
        from records r join leaves l on r.timestamp >= l.from_at and r.timestamp < l.to_at \
        group by leaf, block order by leaf, block").await);
    let mut covered: BTreeMap<(i32, i32), &str> = BTreeMap::new();
    let mut cover = |place: (i32, i32), by: &'static str| {
        let other = covered.insert(place, by);
        assert_eq!(other, None, "block {place:?} is covered twice: {by}");
    };
    let mut signed = Blocks::new();
    for row in query("select leaf, block, level, units from signatures").await {
        let (leaf, number): (i32, i32) = (row.get(0), row.get(1));
        let units = read_units(&mut row.get(3)).expect("units can be read");
        cover((leaf, number), "signature");
        signed.insert((leaf, number), BlockSpan { number, level: row.get(2), units });
    }
    let of_signatures = signed.len();
    for row in query("select leaf, directory, blocks, from_at, to_at, width from groups").await {
        let leaf: i32 = row.get(0);
        let directory = read_directory(row.get(1)).expect("a directory can be read");
        assert_eq!(directory.len(), row.get::<_, i32>(5) as usize * 8, "places of a group");
        let blocks: Vec<BlockSpan> = directory.into_iter().flatten().collect();
        let mut numbers: Vec<i32> = blocks.iter().map(|block| block.number).collect();
        let mut listed: Vec<i32> = row.get(2);
        numbers.sort_unstable();
        listed.sort_unstable();
        assert_eq!(numbers, listed, "the list of blocks of a group");
        let (from, to) = (blocks.iter().map(BlockSpan::from).min(), blocks.iter().map(BlockSpan::to).max());
        assert_eq!(
            (from, to),
            (Some(Timestamp(row.get(3))), Some(Timestamp(row.get(4)))),
            "times of a group"
        );
        for block in blocks {
            cover((leaf, block.number), "group");
            signed.insert((leaf, block.number), block);
        }
    }
    let mut ledger = Ledger { open: 0, signed: of_signatures, sealed: signed.len() - of_signatures };
    for row in query("select leaf, block, level from open_blocks").await {
        let place = (row.get(0), row.get(1));
        cover(place, "open");
        ledger.open += 1;
        assert!(
            stored.get(&place).is_none_or(|block| block.level == row.get::<_, i16>(2)),
            "level of {place:?}"
        );
    }
    for (place, block) in &stored {
        assert!(
            covered.contains_key(place),
            "block {place:?} has rows and is neither open nor signed nor sealed"
        );
        if let Some(known) = signed.get(place) {
            assert_eq!(known, block, "{place:?}: what the index knows of it, and what is there");
        }
    }
    for place in signed.keys() {
        assert!(stored.contains_key(place), "{place:?} is signed and has no rows");
    }
    ledger
}

/// The blocks as their rows make them.
fn stored(rows: &[tokio_postgres::Row]) -> Blocks {
    let mut stored = Blocks::new();
    for row in rows {
        let (leaf, id): (i32, i32) = (row.get(0), row.get(1));
        let (number, unit) = (id >> 3, id as usize & 7);
        let (least, most): (i16, i16) = (row.get(2), row.get(3));
        assert_eq!(least, most, "a block holds one level");
        assert!(number < row.get::<_, i32>(7), "block {number} of leaf {leaf} was handed out");
        let block = stored.entry((leaf, number)).or_insert_with(|| BlockSpan {
            number,
            level: least,
            units: Vec::new(),
        });
        assert_eq!(block.units.len(), unit, "units of block {number} of leaf {leaf} follow each other");
        let rows = u8::try_from(row.get::<_, i32>(4)).expect("a unit holds 32 rows at most");
        block.units.push(Unit { rows, from: Timestamp(row.get(5)), to: Timestamp(row.get(6)) });
        assert_eq!(block.level, least);
    }
    stored
}
