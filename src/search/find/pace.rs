//! How much to read at a time. In: what was read, what it took and what is wanted. Out: numbers of units. Pure.

use std::time::Duration;

use crate::index::signature::UNIT_ROWS;

/// Units of the first portion of a walk, and of the largest: 65,536 rows take about 80 ms to filter by a substring.
pub(in crate::search) const UNITS_FIRST: usize = 64;
pub(in crate::search) const UNITS_MAX: usize = 2_048;
/// A portion should take about this long: what is lost when the time is up in the middle of it.
const PORTION_TIME: Duration = Duration::from_millis(40);

/// Units to begin with: a page of thousands of rows is not begun with a few hundred.
pub(super) fn first_units(wanted: usize) -> usize {
    wanted.div_ceil(UNIT_ROWS).clamp(UNITS_FIRST, UNITS_MAX)
}

/// How many units more should fill a page, going by those that were read; a few more, because they differ.
pub(super) fn units_to_fill(wanted: usize, hits: usize, units_read: usize) -> usize {
    if hits == 0 {
        return UNITS_MAX;
    }
    let missing = wanted.saturating_sub(hits);
    (units_read * missing * 5 / (hits * 4)).clamp(UNITS_FIRST / 2, UNITS_MAX)
}

/// Twice as much while portions are quick, half when they are slow, and not more than what should fit into the rest of the time.
pub(in crate::search) fn next_units(units: usize, took: Duration, rest: Duration) -> usize {
    let wanted = if took < PORTION_TIME / 2 {
        units * 2
    } else if took > PORTION_TIME * 2 {
        units / 2
    } else {
        units
    };
    let fitting = units as f64 * 0.8 * rest.as_secs_f64() / took.as_secs_f64().max(1e-6);
    wanted.min(fitting as usize).clamp(8, UNITS_MAX)
}
