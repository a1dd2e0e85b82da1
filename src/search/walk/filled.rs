//! When a page should be full. In: the units that were handed out, where every row of them is a hit. Out: whether they should hold the rows of a page
//! that are nearer than any other unit. It is a guess, which takes the rows of a unit to lie evenly in its time: one that is wrong costs
//! another portion, or a few units too many. All times are keys, of which the larger is the nearer. Pure.

/// What is wanted is more than the page by a quarter, because rows do not lie evenly.
const MARGIN: f64 = 1.25;
/// How many units come between two looks.
const STEP: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Filled {
    rows: f64,
    /// Nothing nearer than this is a hit.
    nearest: i64,
    taken: Vec<Taken>,
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    nearest: i64,
    farthest: i64,
    rows: u8,
}

impl Filled {
    pub(super) fn by(rows: usize, nearest: i64) -> Self {
        Self { rows: rows as f64 * MARGIN, nearest, taken: Vec::new() }
    }

    /// A unit was handed out, with so many rows between two times.
    pub(super) fn add(&mut self, nearest: i64, farthest: i64, rows: u8) {
        self.taken.push(Taken { nearest, farthest, rows });
    }

    /// Whether no unit is needed whose nearest row is there.
    pub(super) fn is_full_before(&self, next: i64) -> bool {
        self.taken.len().is_multiple_of(STEP)
            && self.taken.iter().map(|unit| unit.rows_before(next, self.nearest)).sum::<f64>() >= self.rows
    }
}

impl Taken {
    /// Its rows nearer than `next`, if they lie evenly.
    fn rows_before(self, next: i64, nearest: i64) -> f64 {
        let within = self.nearest.min(nearest).saturating_sub(next.max(self.farthest - 1));
        let whole = self.nearest - self.farthest + 1;
        f64::from(self.rows) * within.max(0) as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit of 32 rows that ends at each multiple of ten, and reaches over a hundred.
    fn units_taken(rows: usize, nearest: i64) -> usize {
        let mut filled = Filled::by(rows, nearest);
        let mut taken = 0;
        while !filled.is_full_before(-10 * taken) {
            filled.add(-10 * taken, -10 * taken - 100, 32);
            taken += 1;
        }
        taken as usize
    }

    #[test]
    fn a_page_takes_the_units_that_reach_into_it() {
        // Before -40 lie forty, thirty, twenty and ten hundredths of their rows.
        assert_eq!(units_taken(25, 0), 4);
        assert_eq!(units_taken(26, 0), 8);
        // In the long run each adds as many as it has.
        assert_eq!(units_taken(4_000, 0) - units_taken(2_400, 0), 2_000 / 32 + 2);
        // A page that begins farther away does without what is nearer.
        assert_eq!(units_taken(25, -40), 8);
    }

    #[test]
    fn rows_of_one_moment_count_whole() {
        let unit = Taken { nearest: 7, farthest: 7, rows: 9 };
        assert_eq!([8, 7, 6, i64::MIN].map(|next| unit.rows_before(next, 7)), [0.0, 0.0, 9.0, 9.0]);
        // Rows nearer than the beginning are no hits.
        assert_eq!(unit.rows_before(i64::MIN, 6), 0.0);
    }
}
