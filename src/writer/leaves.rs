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
/// How long a measured rate is believed.
const RATE_AGE_MAX: Duration = Duration::from_secs(30);
/// Rows of the last hour and of the last ten minutes, by all writers and by event time: late rows go elsewhere. Restarts change nothing.
const MEASURE: &str = "\
select coalesce(sum(n), 0)::bigint as hour, coalesce(sum(n) filter (where minute >= $1 - 10), 0)::bigint as ten_minutes,
  coalesce($1 - min(minute), 0) as minutes, exists (select from minute_counts where minute < $1 - 60) as is_old
from minute_counts
where minute > $1 - 60 and minute <= $1";

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
#[derive(Default)]
pub struct Leaves {
    known: RwLock<Vec<Arc<Leaf>>>,
    rate: Mutex<Option<(Instant, Rate)>>,
}

/// How many rows of the present come a second; None if nothing is stored yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(Option<f64>);

impl Rate {
    /// The higher of the last ten minutes and the last hour, so that a pause does not make the next leaf too wide. A system that is
    /// younger than that counts from its first row on.
    fn of(hour: i64, ten_minutes: i64, minutes: i32, is_old: bool) -> Self {
        if hour <= 0 {
            return Self(is_old.then_some(0.0));
        }
        let age = if is_old { 60.0 } else { f64::from(minutes.max(1)) };
        let per_second = |rows: i64, minutes: f64| rows as f64 / (60.0 * minutes.min(age));
        Self(Some(per_second(ten_minutes, 10.0).max(per_second(hour, 60.0))))
    }

    pub fn is_busy(self) -> bool {
        self.0.is_some_and(|per_second| per_second > 0.0)
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
        let known = *self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = match known.filter(|(since, _)| since.elapsed() < RATE_AGE_MAX) {
            Some((_, rate)) => rate,
            None => self.measure(client).await?,
        };
        let (from, to) = wanted(at.datetime(), Utc::now(), rate.0);
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

    /// How fast rows come.
    pub async fn measure(&self, client: &Client) -> Result<Rate, tokio_postgres::Error> {
        let row = client.query_one(MEASURE, &[&Timestamp::now().minute()]).await?;
        let rate = Rate::of(row.get(0), row.get(1), row.get(2), row.get(3));
        *self.rate.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), rate));
        Ok(rate)
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
    fn rate_is_the_higher_one_and_counts_from_the_first_row() {
        assert_eq!(Rate::of(0, 0, 0, false), Rate(None));
        assert_eq!(Rate::of(0, 0, 0, true), Rate(Some(0.0)));
        assert_eq!(Rate::of(3_600_000, 600_000, 59, true), Rate(Some(1_000.0)));
        assert_eq!(Rate::of(3_600_000, 0, 59, true), Rate(Some(1_000.0)));
        assert_eq!(Rate::of(600_000, 600_000, 5, true), Rate(Some(1_000.0)));
        assert_eq!(Rate::of(120_000, 120_000, 2, false), Rate(Some(1_000.0)));
        assert!(!Rate::of(0, 0, 0, true).is_busy());
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
