//! Counts by minute: each batch appends its own, and here they are added up. In: what came since the last time, found by an index of its
//! own. Out: one row for each of these minutes and level. Whoever counts sees the rows before or the rows after; as of a moment before, the
//! sums are of no use, and the null in `is_new` says so.

use tokio_postgres::Client;

use crate::record::Timestamp;

/// They are added up when so many have come since, which a histogram would have to read.
const COUNTS_MAX: i64 = 2_000;
/// Minutes of one transaction; a day has 1,440.
const MINUTES_MAX: i64 = 10_000;

const IS_MUCH: &str = "\
select count(*) >= $2 from (select from minute_counts where is_new and minute < $1 limit $2) c";
const MINUTES: &str = "\
select distinct minute from minute_counts where is_new and minute < $1 order by minute limit $2";
/// An array, so that whatever the statistics say the minutes are looked up in the index.
const COMPACT: &str = "\
with gone as (
  delete from minute_counts where minute = any ($1) returning minute, level, n
)
insert into minute_counts (minute, level, n, is_new)
select minute, level, sum(n), null from gone group by minute, level having sum(n) <> 0";

/// Adds up counts of minutes that are over, if many have come.
pub(super) async fn compact(client: &Client) -> Result<(), tokio_postgres::Error> {
    // The present minute is still growing.
    let present = Timestamp::now().minute();
    if !client.query_one(IS_MUCH, &[&present, &COUNTS_MAX]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    loop {
        let minutes = client.query(MINUTES, &[&present, &MINUTES_MAX]).await?;
        let minutes: Vec<i32> = minutes.iter().map(|row| row.get(0)).collect();
        client.execute(COMPACT, &[&minutes]).await?;
        // What came meanwhile can wait.
        if (minutes.len() as i64) < MINUTES_MAX {
            return Ok(());
        }
    }
}
