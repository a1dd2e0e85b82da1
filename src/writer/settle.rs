//! Sorts out a batch that did not go through: what of it is stored already, and which of its rows Postgres refuses. In: a [`Batch`] that
//! was rolled back. Out: the same with marks, so that the next attempt leaves them out.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    batch::{Batch, Entry, ids_hash},
    error::{Failure, Phase, classify},
    place,
    session::Session,
    store::Store,
};
use crate::record::RecordId;

/// Tenant, key, part and hash of the body of a message.
type Identity = (i16, Uuid, i16, i64);
/// How many records a message holds, and which: unknown for those of an earlier release.
type Contents = (usize, Option<i64>);

/// More rows at fault in one batch mean that the schema is, not the rows.
const ROWS_AT_FAULT_MAX: usize = 100;

/// Marks rows whose record is stored already: those that the client has named, by name, and those of a message whose key is stored with
/// other records, by time and id. Of equal ones the first in the batch stays.
pub async fn skip_stored(session: &Session, batch: &mut Batch) -> Result<(), Failure> {
    let entries = batch.entries();
    let is_named = |entry: &Entry| batch.meta(*entry).named;
    let is_doubtful = |(message, _): &Entry| batch.messages[*message].key_stored;
    let named: Vec<Entry> = entries.iter().filter(|entry| is_named(entry)).copied().collect();
    let doubtful: Vec<Entry> = entries.iter().filter(|entry| is_doubtful(entry)).copied().collect();
    let mut stored = HashSet::new();
    if !named.is_empty() {
        let ids: Vec<Uuid> = named.iter().map(|entry| batch.meta(*entry).id.0).collect();
        let statement = "select id from record_names where id = any ($1)";
        let rows = session.client.query(statement, &[&ids]).await;
        let rows = rows.map_err(|error| classify(&error, Phase::BeforeCommit))?;
        stored.extend(rows.iter().map(|row| RecordId(row.get(0))));
    }
    if !doubtful.is_empty() {
        let times: Vec<DateTime<Utc>> =
            doubtful.iter().map(|entry| batch.meta(*entry).timestamp.datetime()).collect();
        let ids: Vec<Uuid> = doubtful.iter().map(|entry| batch.meta(*entry).id.0).collect();
        let (first, last) = (times.iter().min().expect("not empty"), times.iter().max().expect("not empty"));
        let statement = "select r.id from unnest($1::timestamptz[], $2::uuid[]) as u (t, i) \
            join records r on r.timestamp = u.t and r.id = u.i where r.timestamp between $3 and $4";
        let rows = session.client.query(statement, &[&times, &ids, first, last]).await;
        let rows = rows.map_err(|error| classify(&error, Phase::BeforeCommit))?;
        stored.extend(rows.iter().map(|row| RecordId(row.get(0))));
        // The first message of that key may be in this very batch.
        let plain = entries.iter().filter(|entry| !is_named(entry) && !is_doubtful(entry));
        stored.extend(plain.map(|entry| batch.meta(*entry).id));
    }
    let suspects = entries.iter().filter(|entry| is_named(entry) || is_doubtful(entry));
    let known = suspects.filter(|entry| !stored.insert(batch.meta(**entry).id)).copied();
    for (message, row) in known.collect::<Vec<Entry>>() {
        batch.messages[message].stored_before.push(row);
    }
    Ok(())
}

/// Marks messages whose key is stored already with the same records.
pub async fn mark_repeated(session: &Session, batch: &mut Batch) -> Result<(), Failure> {
    let keys: Vec<Uuid> = batch.keys().map(|(key, _)| key.key).collect();
    let statement =
        "select tenant, key, part, body_hash, records, ids_hash from ingest_keys where key = any ($1)";
    let rows = session.client.query(statement, &[&keys]).await;
    let rows = rows.map_err(|error| classify(&error, Phase::BeforeCommit))?;
    let mut stored: HashMap<Identity, Contents> = rows
        .iter()
        .map(|row| {
            let identity = (row.get(0), row.get(1), row.get(2), row.get(3));
            (identity, (row.get::<_, i32>(4) as usize, row.get(5)))
        })
        .collect();
    for message in &mut batch.messages {
        let Some(key) = &message.key else { continue };
        let identity = (key.tenant, key.key, key.part, key.body_hash);
        let (records, hash) = (message.rows.len(), ids_hash(&message.rows));
        match stored.get(&identity) {
            Some((known, None)) if *known == records => message.repeated = true,
            Some((known, Some(known_hash))) if (*known, *known_hash) == (records, hash) => {
                message.repeated = true;
            }
            // The repeat holds other records than the first, because a timestamp came within the allowed range in between, or left it:
            // each of its rows is looked up by id.
            Some(_) => message.key_stored = true,
            None => {
                stored.insert(identity, (records, Some(hash)));
            }
        }
    }
    Ok(())
}

/// Finds the rows at fault by halving and rolling back, and marks them.
pub async fn mark_refused(store: &mut Store, batch: &mut Batch) -> Result<(), Failure> {
    let mut suspects = vec![batch.entries()];
    let mut culprits = Vec::new();
    while let Some(entries) = suspects.pop() {
        let outcome = try_rows(store, batch, entries.clone()).await;
        store.roll_back().await;
        match outcome {
            Ok(()) => {}
            Err(Failure::RowAtFault { sqlstate, reason }) => match entries.as_slice() {
                [culprit] => culprits.push((*culprit, sqlstate, reason)),
                _ => {
                    let (left, right) = entries.split_at(entries.len() / 2);
                    suspects.extend([right.to_vec(), left.to_vec()]);
                }
            },
            Err(other) => return Err(other),
        }
        if culprits.len() > ROWS_AT_FAULT_MAX {
            let (_, sqlstate, reason) = &culprits[0];
            return Err(Failure::NotStored(format!(
                "more than {ROWS_AT_FAULT_MAX} rows of a batch are refused, so the schema is at fault: {reason} ({sqlstate})"
            )));
        }
    }
    for ((message, row), sqlstate, reason) in culprits {
        log::error!("Postgres refuses a row that was accepted: {reason} ({sqlstate})");
        batch.refuse((message, row), sqlstate, reason);
    }
    Ok(())
}

/// Whether Postgres takes these rows. They are rolled back, so their place in the index does not matter.
async fn try_rows(store: &mut Store, batch: &Batch, entries: Vec<Entry>) -> Result<(), Failure> {
    let leaves = store.shared.leaves.clone();
    let session = store.session().await?;
    let groups = place::by_leaf(&leaves, &session.client, batch, entries).await?;
    let failed = |error: tokio_postgres::Error| classify(&error, Phase::BeforeCommit);
    session.client.batch_execute("begin").await.map_err(failed)?;
    for target in place::targets(groups) {
        session.copy_rows(batch, &target, |_| 0).await.map_err(failed)?;
    }
    Ok(())
}
