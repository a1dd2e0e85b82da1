//! Drops leaves that are too old, or too much. In: the limits of the configuration. Out: leaves that are gone with everything that
//! belongs to them, and a row in `dropped_leaves` for each. Only whole leaves go, the oldest first, never that of the present. And the
//! oldest deploy markers, when there are too many.
//!
//! Dropping a partition needs its parent for itself. Whoever waits for that lock makes everybody behind wait too, so the wait is short
//! (`LOCK_WAIT_MAX_MS`) and the leaf's turn comes again later; what takes long is deleted before, under row locks alone. A writer that
//! still knows the leaf is refused (its table is gone) and makes a new one; what it signs for the old one later is swept up.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::{Client, Config, error::SqlState};
use uuid::Uuid;

use super::{
    commits::{self, PRUNE},
    ended,
    error::describe,
};
use crate::{config::RetentionConfig, db, metrics::Metrics, record::Timestamp};

const ROUND: Duration = Duration::from_secs(60);
/// After a lock that was not free.
const ROUND_AGAIN: Duration = Duration::from_secs(2);
const LOCK_WAIT_MAX_MS: u32 = 200;
const VACUUM_WAIT_MAX_MS: u32 = 5_000;
/// One process at a time.
const TAKE_TURN: &str = "select pg_try_advisory_lock(7311, 3)";

/// A leaf with all bytes that go with it. Signatures, groups, names and counts are counted by their rows, because the files of these
/// tables do not shrink when a leaf goes.
struct StoredLeaf {
    number: i32,
    name: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    bytes: i64,
}

const MEASURE: &str = "\
select l.leaf, l.name, l.from_at, l.to_at,
  coalesce(pg_total_relation_size(to_regclass(quote_ident(l.name))), 0) + coalesce(s.bytes, 0)::bigint + coalesce(g.bytes, 0)::bigint as bytes
from leaves l
left join (select leaf, sum(octet_length(bits) + octet_length(units) + coalesce(octet_length(value_hashes), 0) + 500) as bytes from signatures group by leaf) s using (leaf)
left join (select leaf, sum(octet_length(slices)::bigint + octet_length(directory) + coalesce(octet_length(value_hashes), 0)) as bytes from groups group by leaf) g using (leaf)
order by l.from_at";
/// About 100 bytes a name and 60 a count, indexes included.
const MEASURE_SHARED: &str = "\
select pg_stat_get_live_tuples('record_names'::regclass) * 100 + pg_stat_get_live_tuples('minute_counts'::regclass) * 60";

/// What writers put down for leaves that are gone.
const SWEEP: &str = "\
delete from signatures s where not exists (select from leaves l where l.leaf = s.leaf);
delete from groups g where not exists (select from leaves l where l.leaf = g.leaf);
delete from open_blocks o where not exists (select from leaves l where l.leaf = o.leaf)";

/// Runs until it is aborted.
pub async fn run(config: Config, retention: RetentionConfig, metrics: Arc<Metrics>) {
    loop {
        let pause = match round(&config, &retention, &metrics).await {
            Ok(()) => ROUND,
            Err(error) if is_busy(&error) => {
                log::debug!("retention waits for its turn: {}", describe(&error));
                ROUND_AGAIN
            }
            Err(error) => {
                log::warn!("retention: {}", describe(&error));
                ROUND
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn is_busy(error: &tokio_postgres::Error) -> bool {
    let codes = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::QUERY_CANCELED];
    error.code().is_some_and(|code| codes.contains(code))
}

async fn round(
    config: &Config,
    retention: &RetentionConfig,
    metrics: &Metrics,
) -> Result<(), tokio_postgres::Error> {
    let mut client = db::connect(config).await?;
    client.batch_execute(&format!("set lock_timeout = {LOCK_WAIT_MAX_MS}; set jit = off")).await?;
    let (leaves, shared_bytes) = measure(&client).await?;
    let mut stored = shared_bytes + leaves.iter().map(|leaf| leaf.bytes).sum::<i64>();
    metrics.leaves.set(leaves.len() as i64);
    metrics.stored_bytes.set(stored);
    if !client.query_one(TAKE_TURN, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let now = Utc::now();
    for leaf in leaves.iter().take_while(|leaf| leaf.to <= now) {
        let Some(reason) = reason(retention, leaf, stored, now) else { break };
        drop_leaf(&mut client, leaf, &reason).await?;
        stored -= leaf.bytes;
        metrics.leaves.dec();
        metrics.stored_bytes.set(stored);
        metrics.dropped_leaves.inc();
        log::info!(
            "dropped leaf {} ({} to {}, {} bytes): {reason}",
            leaf.name,
            leaf.from,
            leaf.to,
            leaf.bytes
        );
    }
    client.execute(PRUNE, &[&commits::KEPT]).await?;
    client.batch_execute(SWEEP).await?;
    ended::index(&client).await
}

async fn measure(client: &Client) -> Result<(Vec<StoredLeaf>, i64), tokio_postgres::Error> {
    let leaves = client.query(MEASURE, &[]).await?;
    let leaves = leaves.iter().map(|row| StoredLeaf {
        number: row.get(0),
        name: row.get(1),
        from: row.get(2),
        to: row.get(3),
        bytes: row.get(4),
    });
    Ok((leaves.collect(), client.query_one(MEASURE_SHARED, &[]).await?.get(0)))
}

/// Why this leaf goes; None if it stays.
fn reason(retention: &RetentionConfig, leaf: &StoredLeaf, stored: i64, now: DateTime<Utc>) -> Option<String> {
    let too_old = |days: &u32| leaf.to <= now - TimeDelta::days(i64::from(*days));
    if let Some(days) = retention.days.filter(too_old) {
        return Some(format!("RETENTION_DAYS={days}"));
    }
    retention
        .bytes
        .filter(|bytes| stored > *bytes)
        .map(|bytes| format!("RETENTION_BYTES={bytes}, {stored} stored"))
}

/// All or nothing.
async fn drop_leaf(
    client: &mut Client,
    leaf: &StoredLeaf,
    reason: &str,
) -> Result<(), tokio_postgres::Error> {
    let lock = format!("lock table only records, only \"{}\" in access exclusive mode", leaf.name);
    let transaction = client.transaction().await?;
    // A vacuum of the leaf, which may take minutes, gives way to who has waited for deadlock_timeout (1 s); nobody waits behind this lock.
    let alone = format!(
        "set local lock_timeout = {VACUUM_WAIT_MAX_MS}; \
         lock table only \"{}\" in share update exclusive mode; \
         set local lock_timeout = {LOCK_WAIT_MAX_MS}",
        leaf.name
    );
    transaction.batch_execute(&alone).await?;
    // A look first: nothing is deleted only to be rolled back.
    transaction.batch_execute(&format!("savepoint look; {lock}; rollback to savepoint look")).await?;
    // The sealer's turn: it would put rows of the leaf together into new ones meanwhile.
    transaction.batch_execute("select pg_advisory_xact_lock(7313, 1)").await?;
    // 1. What takes long. Writers only add to these tables, so nobody waits for the rows.
    let names = "delete from record_names where id >= $1 and id < $2";
    let ids = [first_id(leaf.from), first_id(leaf.to)];
    transaction.execute(names, &[&ids[0], &ids[1]]).await?;
    transaction.execute("delete from signatures where leaf = $1", &[&leaf.number]).await?;
    transaction.execute("delete from groups where leaf = $1", &[&leaf.number]).await?;
    // 2. From here on nobody writes into the leaf, and all who did are done.
    transaction.batch_execute(&lock).await?;
    // 3. The rest, and what came in between.
    transaction.execute(names, &[&ids[0], &ids[1]]).await?;
    transaction.execute("delete from signatures where leaf = $1", &[&leaf.number]).await?;
    transaction.execute("delete from groups where leaf = $1", &[&leaf.number]).await?;
    transaction.execute("delete from open_blocks where leaf = $1", &[&leaf.number]).await?;
    let minutes = [leaf.from, leaf.to].map(|at| Timestamp::from(at).minute());
    let counts = "delete from minute_counts where minute >= $1 and minute < $2";
    transaction.execute(counts, &[&minutes[0], &minutes[1]]).await?;
    transaction.execute("delete from leaves where leaf = $1", &[&leaf.number]).await?;
    let audit = "insert into dropped_leaves (leaf, name, from_at, to_at, bytes, reason) values ($1, $2, $3, $4, $5, $6)";
    transaction
        .execute(audit, &[&leaf.number, &leaf.name, &leaf.from, &leaf.to, &leaf.bytes, &reason])
        .await?;
    transaction.batch_execute(&format!("drop table \"{}\"", leaf.name)).await?;
    transaction.commit().await
}

/// The lowest id that a record of this time can have.
fn first_id(at: DateTime<Utc>) -> Uuid {
    Uuid::from_u128((at.timestamp_millis().max(0) as u128) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_goes_when_its_last_row_is_too_old_or_all_is_too_much() {
        let at = |text: &str| Timestamp::parse(text).unwrap().datetime();
        let leaf = StoredLeaf {
            number: 1,
            name: "records_1".into(),
            from: at("2026-03-01T00:00:00Z"),
            to: at("2026-03-02T00:00:00Z"),
            bytes: 10,
        };
        let goes = |days, bytes, stored, now| {
            reason(&RetentionConfig { days, bytes }, &leaf, stored, at(now)).is_some()
        };
        assert!(!goes(None, None, i64::MAX, "2036-01-01T00:00:00Z"));
        assert!(!goes(Some(7), None, 0, "2026-03-08T23:59:59Z"));
        assert!(goes(Some(7), None, 0, "2026-03-09T00:00:00Z"));
        assert!(!goes(None, Some(100), 100, "2026-03-09T00:00:00Z"));
        assert!(goes(None, Some(100), 101, "2026-03-03T00:00:00Z"));
    }
}
