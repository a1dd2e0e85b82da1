//! Leaves: the time ranges in which the table `records` is kept. In: the time of a row. Out: the leaf that holds it, made before the
//! first row that needs it. Leaves never overlap: the database clips what is wanted against the neighbours.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::Client;

use crate::record::{Timestamp, timestamp::calendar_floor};

/// Rows a leaf should hold at most; 1 to 4 million is the flat optimum (docs/decisions.md).
const LEAF_ROWS_MAX: f64 = 4_000_000.0;
/// Widths of a leaf of the present, widest first.
const WIDTHS: [TimeDelta; 4] =
    [TimeDelta::days(1), TimeDelta::hours(6), TimeDelta::hours(1), TimeDelta::minutes(10)];
/// Until a rate is known.
const WIDTH_AT_START: TimeDelta = TimeDelta::hours(1);
/// Rates are measured over at least this long.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// One leaf: rows with `from <= timestamp < to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What the index calls it.
    pub number: i32,
    pub name: String,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// The leaves that this process knows, and how fast rows come.
pub struct Leaves {
    known: RwLock<Vec<Arc<Leaf>>>,
    rate: Mutex<Rate>,
}

struct Rate {
    since: Instant,
    rows: u64,
    per_second: Option<f64>,
}

impl Default for Leaves {
    fn default() -> Self {
        let rate = Rate { since: Instant::now(), rows: 0, per_second: None };
        Self { known: RwLock::default(), rate: Mutex::new(rate) }
    }
}

impl Leaves {
    /// The leaf of a row if this process knows it.
    pub fn find(&self, at: Timestamp) -> Option<Arc<Leaf>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let after = known.partition_point(|leaf| leaf.from <= at);
        known[..after].last().filter(|leaf| at < leaf.to).cloned()
    }

    /// Makes the leaf of a row, or learns of it from the database.
    pub async fn ensure(&self, client: &Client, at: Timestamp) -> Result<Arc<Leaf>, tokio_postgres::Error> {
        let (from, to) = wanted(at.datetime(), Utc::now(), self.rows_per_second());
        let statement = "select leaf, name, from_at, to_at from ensure_leaf($1, $2, $3)";
        let row = client.query_one(statement, &[&at.datetime(), &from, &to]).await?;
        let leaf = Arc::new(Leaf {
            number: row.get(0),
            name: row.get(1),
            from: row.get::<_, DateTime<Utc>>(2).into(),
            to: row.get::<_, DateTime<Utc>>(3).into(),
        });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let place = known.partition_point(|other| other.from < leaf.from);
        if known.get(place).is_none_or(|other| **other != *leaf) {
            log::info!("leaf {}: {} to {}", leaf.name, leaf.from, leaf.to);
            known.insert(place, leaf.clone());
        }
        Ok(leaf)
    }

    /// Forgets everything: a leaf that was known is gone.
    pub fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts rows for the rate.
    pub fn stored(&self, rows: usize) {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.rows += rows as u64;
        let elapsed = rate.since.elapsed();
        if elapsed >= RATE_WINDOW {
            rate.per_second = Some(rate.rows as f64 / elapsed.as_secs_f64());
            (rate.since, rate.rows) = (Instant::now(), 0);
        }
    }

    fn rows_per_second(&self) -> Option<f64> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).per_second
    }
}

/// The range a new leaf should have. The present gets leaves as wide as the rate allows; what is late or early a day, what is older
/// a month, and what is older than 400 days a year: a year of random timestamps makes about twenty leaves.
fn wanted(
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    rows_per_second: Option<f64>,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let hour = floor(now, TimeDelta::hours(1));
    let present_from = hour - TimeDelta::hours(1);
    let present_to = hour + TimeDelta::hours(2);
    let yesterday = floor(now, TimeDelta::days(1)) - TimeDelta::days(1);
    let year_old = calendar_floor(now - TimeDelta::days(400), 1);
    if at >= present_from && at < present_to {
        let width = match rows_per_second {
            None => WIDTH_AT_START,
            Some(rate) => {
                let fits = |width: &TimeDelta| rate * width.num_seconds() as f64 <= LEAF_ROWS_MAX;
                WIDTHS.into_iter().find(fits).unwrap_or(WIDTHS[WIDTHS.len() - 1])
            }
        };
        let from = floor(at, width);
        (from, from + width)
    } else if at >= present_to {
        let day = floor(at, TimeDelta::days(1));
        (day.max(present_to), day + TimeDelta::days(1))
    } else if at >= yesterday {
        let day = floor(at, TimeDelta::days(1));
        (day, (day + TimeDelta::days(1)).min(present_from))
    } else if at >= year_old {
        let month = calendar_floor(at, 1);
        (month.max(year_old), calendar_floor(month + TimeDelta::days(32), 1).min(yesterday))
    } else {
        let year = calendar_floor(at, 12);
        (year, calendar_floor(year + TimeDelta::days(367), 12).min(year_old))
    }
}

fn floor(at: DateTime<Utc>, width: TimeDelta) -> DateTime<Utc> {
    let seconds = at.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(width.num_seconds()), 0)
        .expect("a floor is no later")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        Timestamp::parse(text).unwrap().datetime()
    }

    fn range(at: &str, rate: Option<f64>) -> String {
        let (from, to) = wanted(time(at), time("2026-03-15T10:20:30Z"), rate);
        assert!(from <= time(at) && time(at) < to, "{at} is outside {from} to {to}");
        format!("{} {}", Timestamp::from(from), Timestamp::from(to))
    }

    #[test]
    fn width_follows_rate_and_age() {
        let now = "2026-03-15T10:20:30Z";
        assert_eq!(range(now, None), "2026-03-15T10:00:00Z 2026-03-15T11:00:00Z");
        assert_eq!(range(now, Some(10.0)), "2026-03-15T00:00:00Z 2026-03-16T00:00:00Z");
        assert_eq!(range(now, Some(1e5)), "2026-03-15T10:20:00Z 2026-03-15T10:30:00Z");
        assert_eq!(range("2026-03-15T04:00:00Z", None), "2026-03-15T00:00:00Z 2026-03-15T09:00:00Z");
        assert_eq!(range("2026-03-16T01:00:00Z", None), "2026-03-16T00:00:00Z 2026-03-17T00:00:00Z");
        assert_eq!(range("2026-03-14T01:00:00Z", None), "2026-03-14T00:00:00Z 2026-03-15T00:00:00Z");
        assert_eq!(range("2026-03-13T01:00:00Z", None), "2026-03-01T00:00:00Z 2026-03-14T00:00:00Z");
        assert_eq!(range("2025-12-31T23:59:59Z", None), "2025-12-01T00:00:00Z 2026-01-01T00:00:00Z");
        assert_eq!(range("2025-01-01T00:00:00Z", None), "2025-01-01T00:00:00Z 2025-02-01T00:00:00Z");
        assert_eq!(range("1970-01-01T00:00:00Z", None), "1970-01-01T00:00:00Z 1971-01-01T00:00:00Z");
    }
}
