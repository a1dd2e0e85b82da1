//! The page of a search. In: the rows that were found and why the search ended. Out: rows newest first, what they cost, and the cursors
//! that lead on from there. Pure.

use std::time::Duration;

use super::{End, Found, Stats};
use crate::{
    record::Timestamp,
    search::{
        as_of::AsOf,
        cursor::{Cursor, Direction, Position},
        params::Query,
        row::Row,
        walk::Blocks,
    },
};

/// What a search took.
pub(super) struct Cost {
    pub(super) rows_read: u64,
    pub(super) blocks: Blocks,
    pub(super) took: Duration,
}

/// Puts the rows newest first and says where to go from here.
pub(super) fn page(
    query: &Query,
    as_of: &AsOf,
    direction: Direction,
    mut rows: Vec<Row>,
    end: End,
    cost: Cost,
) -> Found {
    rows.truncate(query.limit);
    let far = rows.last().map(Row::position);
    if direction == Direction::Newer {
        rows.reverse();
    }
    let cursor = |direction, position| Cursor {
        direction,
        position,
        asked_at: query.asked_at,
        as_of: Some(as_of.clone()),
    };
    let (onward, reached, complete) = match end {
        End::Full => (far.map(|position| cursor(direction, position)), far, true),
        End::Exhausted => (None, None, true),
        End::OutOfTime(position) => (Some(cursor(direction, position)), Some(position), false),
    };
    let (next, prev) = match (direction, &query.cursor) {
        (Direction::Older, None) => (onward, None),
        (Direction::Older, Some(at)) => {
            let newest = rows.first().map_or(at.position.before(), Row::position);
            (onward, Some(cursor(Direction::Newer, newest)))
        }
        (Direction::Newer, at) => {
            let start = at.as_ref().map_or(Position::start_of(Timestamp::MAX), |at| at.position.after());
            let oldest = rows.last().map_or(start, Row::position);
            (Some(cursor(Direction::Older, oldest)), onward)
        }
    };
    let searched_back_to = match direction {
        Direction::Older => reached.map(|position| position.timestamp),
        Direction::Newer => None,
    };
    let Cost { rows_read, blocks, took } = cost;
    let stats = Stats {
        rows_read,
        blocks_read: blocks.read,
        blocks_skipped: blocks.skipped,
        took,
        complete,
        searched_back_to,
    };
    Found { rows, next, prev, as_of: as_of.clone(), stats, uncertain: 0, explain: None }
}
