//! Counts by minute: each batch appends its own, and here they are added up. Whoever counts sees the rows before or the rows after.

use tokio_postgres::Client;

use crate::record::Timestamp;

/// They are added up when so many have come since, which a histogram would have to read.
const COUNTS_MAX: i64 = 2_000;

const COMPACT: &str = "\
with many as (
  select minute from minute_counts where minute < $1 group by minute, level having count(*) > 1
), gone as (
  delete from minute_counts where minute in (select minute from many) returning minute, level, n
)
insert into minute_counts (minute, level, n) select minute, level, sum(n) from gone group by minute, level having sum(n) <> 0";

/// Adds up counts if many have come since there were `before`; how many there are now.
pub(super) async fn compact(client: &Client, before: i64) -> Result<i64, tokio_postgres::Error> {
    let count = async || Ok(client.query_one("select count(*) from minute_counts", &[]).await?.get(0));
    let now = count().await?;
    if now < before + COUNTS_MAX {
        return Ok(before.min(now));
    }
    // The present minute is still growing.
    client.execute(COMPACT, &[&Timestamp::now().minute()]).await?;
    count().await
}
