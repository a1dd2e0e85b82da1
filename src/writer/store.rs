//! One Postgres connection that writes batches. In: a [`Batch`]. Out: committed, or a [`Failure`] that says what is certain.
//!
//! One transaction a batch: the rows by binary COPY, straight into the leaf when they fall into few; then, as one message to the
//! server, `advance()` and COMMIT. What `advance` locks (offsets, keys) is thus held only while the server commits: a writer that is
//! paused in mid-COPY blocks nobody, and when it wakes up it is refused and its rows are rolled back.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    sync::Arc,
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::SinkExt;
use tokio_postgres::{Client, CopyInSink, Statement};
use uuid::Uuid;

use super::{
    batch::{Batch, BatchMessage, Entry},
    error::{Failure, Phase, classify, describe},
    leaves::{Leaf, Leaves},
};
use crate::{
    db,
    metrics::{Metrics, Reason},
    record::{RecordId, Timestamp, rows},
};

/// Bytes handed to the driver at once; it passes each chunk over a channel of capacity 1.
const CHUNK_BYTES: usize = 256 << 10;
/// Up to so many leaves each get a COPY of their own; beyond, one COPY goes through the parent, which costs 5-15 %.
const LEAVES_DIRECT_MAX: usize = 4;
/// More rows at fault in one batch mean that the schema is, not the rows.
const ROWS_AT_FAULT_MAX: usize = 100;
/// Times a batch is sorted out anew before it is given back.
const ATTEMPTS_MAX: usize = 8;
/// Prepared COPY statements a connection keeps.
const STATEMENTS_MAX: usize = 256;

/// What all stores of a process share.
#[derive(Clone)]
pub struct Shared {
    pub config: tokio_postgres::Config,
    pub topic: String,
    pub leaves: Arc<Leaves>,
    pub metrics: Arc<Metrics>,
}

/// A connection, made when it is needed and thrown away when it fails.
pub struct Store {
    shared: Shared,
    session: Option<Session>,
}

struct Session {
    client: Client,
    copies: HashMap<String, Statement>,
}

impl Store {
    pub fn new(shared: Shared) -> Self {
        Self { shared, session: None }
    }

    /// Writes a batch in one transaction. Messages and rows that turn out to be stored already are marked and skipped; rows that
    /// Postgres refuses are marked, and in Kafka mode become dead letters of the same transaction.
    pub async fn write(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let started = Instant::now();
        let mut suspicious = false;
        for _ in 0..ATTEMPTS_MAX {
            let failure = match self.attempt(batch, suspicious).await {
                Ok(rows) => {
                    self.count(batch, rows, started);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            self.roll_back().await;
            match failure {
                Failure::Repeated => {
                    self.count_retry("repeated");
                    self.mark_repeated(batch).await?;
                    suspicious = true;
                }
                Failure::LeafGone => {
                    self.count_retry("leaf gone");
                    self.shared.leaves.forget();
                }
                Failure::RowAtFault { .. } => {
                    self.count_retry("row at fault");
                    self.mark_refused(batch).await?;
                }
                other => return Err(other),
            }
        }
        Err(Failure::NotStored(format!("the batch could not be sorted out in {ATTEMPTS_MAX} attempts")))
    }

    /// After an unknown COMMIT in Kafka mode: raises the epochs, which waits for the old transaction and shuts it out, and reads
    /// where the partitions stand. True: the batch is stored. False: it is not, and the new epochs are in the batch.
    pub async fn resolve(&mut self, batch: &mut Batch) -> Result<bool, Failure> {
        let partitions: Vec<i32> = batch.advances.iter().map(|advance| advance.partition).collect();
        let epochs: Vec<i64> = batch.advances.iter().map(|advance| advance.epoch).collect();
        let statement = "update kafka_progress k set epoch = k.epoch + 1, updated_at = now() \
            from unnest($2::int[], $3::bigint[]) as u (p, e) \
            where k.topic = $1 and k.partition = u.p and k.epoch = u.e \
            returning k.partition, k.next_offset, k.epoch";
        let topic = self.shared.topic.clone();
        let session = self.session().await?;
        let rows = session.client.query(statement, &[&topic, &partitions, &epochs]).await;
        let rows = rows.map_err(|error| classify(&error, Phase::BeforeCommit))?;
        if rows.len() != batch.advances.len() {
            return Err(Failure::Fenced);
        }
        let mut stored = true;
        for row in rows {
            let (partition, next_offset, epoch): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
            let advance = batch.advances.iter_mut().find(|advance| advance.partition == partition);
            let advance = advance.expect("only partitions of the batch were asked for");
            advance.epoch = epoch;
            stored &= next_offset == advance.to;
        }
        Ok(stored)
    }

    /// Throws the connection away; the next use makes a new one.
    pub fn disconnect(&mut self) {
        self.session = None;
    }

    /// Whether Postgres answers and takes writes.
    pub async fn probe(&mut self) -> Result<(), String> {
        let session = self.session().await.map_err(|failure| format!("{failure:?}"))?;
        let row = session.client.query_one("select pg_is_in_recovery()", &[]).await;
        match row {
            Ok(row) if row.get::<_, bool>(0) => Err("Postgres is a standby".into()),
            Ok(_) => Ok(()),
            Err(error) => {
                self.session = None;
                Err(describe(&error))
            }
        }
    }

    async fn session(&mut self) -> Result<&mut Session, Failure> {
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            let mut config = self.shared.config.clone();
            config.application_name(super::APPLICATION_NAME);
            let away = |error: tokio_postgres::Error| {
                Failure::NotStored(format!("cannot reach Postgres: {}", describe(&error)))
            };
            let client = db::connect(&config).await.map_err(away)?;
            self.session = Some(Session { client, copies: HashMap::new() });
        }
        Ok(self.session.as_mut().expect("a session was just made"))
    }

    async fn roll_back(&mut self) {
        let Some(session) = &self.session else { return };
        if session.client.is_closed() || session.client.batch_execute("rollback").await.is_err() {
            self.session = None;
        }
    }

    async fn attempt(&mut self, batch: &mut Batch, suspicious: bool) -> Result<usize, Failure> {
        self.skip_stored(batch, suspicious).await?;
        let entries = batch.entries();
        let finish = finish_sql(&self.shared.topic, batch);
        let groups = self.group_by_leaf(batch, entries).await?;
        let rows = groups.iter().map(|(_, entries)| entries.len()).sum();
        let topic = self.shared.topic.clone();
        let session = self.session().await?;
        let before = |error: tokio_postgres::Error| classify(&error, Phase::BeforeCommit);
        session.client.batch_execute("begin").await.map_err(before)?;
        for (table, entries) in &groups {
            session.copy(table, batch, entries).await.map_err(before)?;
        }
        for letter in &batch.dead_letters {
            let statement = "insert into dead_letters (topic, partition, \"offset\", index, sqlstate, reason, raw) \
                values ($1, $2, $3, $4, $5, $6, $7)";
            let index = letter.index as i32;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
                &topic,
                &letter.partition,
                &letter.offset,
                &index,
                &letter.sqlstate,
                &letter.reason,
                &letter.raw,
            ];
            session.client.execute(statement, &values).await.map_err(before)?;
        }
        session.client.batch_execute(&finish).await.map_err(|error| classify(&error, Phase::Commit))?;
        Ok(rows)
    }

    /// Rows by target table, within it sorted by level: free, and it keeps rows of a level together on the page.
    async fn group_by_leaf(
        &mut self,
        batch: &Batch,
        entries: Vec<Entry>,
    ) -> Result<Vec<(String, Vec<Entry>)>, Failure> {
        let leaves = self.shared.leaves.clone();
        let mut groups: Vec<(Arc<Leaf>, Vec<Entry>)> = Vec::new();
        for entry in entries {
            let at = batch.meta(entry).timestamp;
            if let Some((_, entries)) = groups.iter_mut().find(|(leaf, _)| leaf.from <= at && at < leaf.to) {
                entries.push(entry);
                continue;
            }
            let leaf = match leaves.find(at) {
                Some(leaf) => leaf,
                None => {
                    let session = self.session().await?;
                    let made = leaves.ensure(&session.client, at).await;
                    made.map_err(|error| match classify(&error, Phase::BeforeCommit) {
                        Failure::RowAtFault { reason, .. } => Failure::NotStored(reason),
                        failure => failure,
                    })?
                }
            };
            groups.push((leaf, vec![entry]));
        }
        let mut tables: Vec<(String, Vec<Entry>)> = if groups.len() > LEAVES_DIRECT_MAX {
            vec![("logs".to_owned(), groups.into_iter().flat_map(|(_, entries)| entries).collect())]
        } else {
            // In one order for all writers, so that two of them cannot wait for each other.
            groups.sort_by_key(|(leaf, _)| leaf.from);
            groups.into_iter().map(|(leaf, entries)| (leaf.name.clone(), entries)).collect()
        };
        for (_, entries) in &mut tables {
            entries.sort_by_key(|entry| batch.meta(*entry).level);
        }
        Ok(tables)
    }

    /// Marks rows whose record is stored already: of equal (timestamp, id) the first in the batch stays, if the table has none. Only
    /// rows that the client has named can be such, or any row after a unique violation.
    async fn skip_stored(&mut self, batch: &mut Batch, suspicious: bool) -> Result<(), Failure> {
        let named: Vec<Entry> =
            batch.entries().into_iter().filter(|entry| suspicious || batch.meta(*entry).named).collect();
        if named.is_empty() {
            return Ok(());
        }
        let identity = |entry: &Entry| (batch.meta(*entry).timestamp, batch.meta(*entry).id);
        let times: Vec<DateTime<Utc>> = named.iter().map(|entry| identity(entry).0.datetime()).collect();
        let ids: Vec<Uuid> = named.iter().map(|entry| identity(entry).1.0).collect();
        let statement = "select l.timestamp, l.id from unnest($1::timestamptz[], $2::uuid[]) as u (t, i) \
            join logs l on l.timestamp = u.t and l.id = u.i where l.timestamp between $3 and $4";
        let (first, last) = (times.iter().min().expect("not empty"), times.iter().max().expect("not empty"));
        let session = self.session().await?;
        let found = session.client.query(statement, &[&times, &ids, first, last]).await;
        let found = found.map_err(|error| classify(&error, Phase::BeforeCommit))?;
        let mut stored: HashSet<(Timestamp, RecordId)> =
            found.iter().map(|row| (row.get::<_, DateTime<Utc>>(0).into(), RecordId(row.get(1)))).collect();
        let again: Vec<Entry> =
            named.iter().filter(|entry| !stored.insert(identity(entry))).copied().collect();
        for (message, row) in again {
            batch.messages[message].stored_before.push(row);
        }
        Ok(())
    }

    /// Marks messages whose key is stored already with as many records.
    async fn mark_repeated(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let keys: Vec<Uuid> = batch.keys().map(|(key, _)| key.key).collect();
        let statement = "select tenant, key, part, body_hash, records from ingest_keys where key = any ($1)";
        let session = self.session().await?;
        let rows = session.client.query(statement, &[&keys]).await;
        let rows = rows.map_err(|error| classify(&error, Phase::BeforeCommit))?;
        let mut stored: HashMap<(i16, Uuid, i16, i64), usize> = rows
            .iter()
            .map(|row| ((row.get(0), row.get(1), row.get(2), row.get(3)), row.get::<_, i32>(4) as usize))
            .collect();
        for message in &mut batch.messages {
            let Some(key) = &message.key else { continue };
            let identity = (key.tenant, key.key, key.part, key.body_hash);
            match stored.get(&identity) {
                Some(records) if *records == message.rows.len() => message.repeated = true,
                // The repeat holds other records than the first, because a timestamp came within 24 hours of our clock in between:
                // each of its rows is looked up by id.
                Some(_) => message.key_stored = true,
                None => {
                    stored.insert(identity, message.rows.len());
                }
            }
        }
        Ok(())
    }

    /// Finds the rows at fault by halving and rolling back, and marks them.
    async fn mark_refused(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let mut suspects = vec![batch.entries()];
        let mut culprits = Vec::new();
        while let Some(entries) = suspects.pop() {
            let outcome = self.try_rows(batch, entries.clone()).await;
            self.roll_back().await;
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

    async fn try_rows(&mut self, batch: &Batch, entries: Vec<Entry>) -> Result<(), Failure> {
        let groups = self.group_by_leaf(batch, entries).await?;
        let session = self.session().await?;
        let failed = |error: tokio_postgres::Error| classify(&error, Phase::BeforeCommit);
        session.client.batch_execute("begin").await.map_err(failed)?;
        for (table, entries) in &groups {
            session.copy(table, batch, entries).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Counts a batch that is committed.
    pub fn count(&self, batch: &Batch, rows: usize, started: Instant) {
        let metrics = &self.shared.metrics;
        metrics.batches.inc();
        metrics.batch_rows.observe(rows as f64);
        metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        metrics.stored_records.inc_by(rows as u64);
        metrics.dead_letters.inc_by(batch.dead_letters.len() as u64);
        let repeated = |message: &BatchMessage| match message.repeated {
            true => message.rows.len(),
            false => message.stored_before.len(),
        };
        metrics.repeated_records.inc_by(batch.messages.iter().map(repeated).sum::<usize>() as u64);
        self.shared.leaves.stored(rows);
        log::debug!("batch: {rows} rows of {} messages in {:?}", batch.messages.len(), started.elapsed());
    }

    fn count_retry(&self, reason: &str) {
        self.shared.metrics.writer_retries.get_or_create(&Reason { reason: reason.to_owned() }).inc();
    }
}

impl Session {
    async fn copy(
        &mut self,
        table: &str,
        batch: &Batch,
        entries: &[Entry],
    ) -> Result<(), tokio_postgres::Error> {
        let statement = match self.copies.get(table) {
            Some(statement) => statement.clone(),
            None => {
                let text = format!("copy \"{table}\" ({}) from stdin (format binary)", rows::COLUMNS);
                let statement = self.client.prepare(&text).await?;
                if self.copies.len() >= STATEMENTS_MAX {
                    self.copies.clear();
                }
                self.copies.insert(table.to_owned(), statement.clone());
                statement
            }
        };
        let sink: CopyInSink<Bytes> = self.client.copy_in(&statement).await?;
        let mut sink = std::pin::pin!(sink);
        let sent = async {
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES + (8 << 10));
            chunk.extend_from_slice(rows::HEADER);
            for entry in entries {
                chunk.extend_from_slice(batch.row(*entry));
                if chunk.len() >= CHUNK_BYTES {
                    sink.feed(chunk.split().freeze()).await?;
                    chunk.reserve(CHUNK_BYTES + (8 << 10));
                }
            }
            chunk.extend_from_slice(rows::TRAILER);
            sink.feed(chunk.freeze()).await
        }
        .await;
        // When the server has refused the data, its reason comes only now.
        let finished = sink.finish().await;
        finished.and(sent)
    }
}

/// `advance()` and COMMIT as one message. Only numbers, UUIDs and the topic (checked by config.rs) are formatted into it.
fn finish_sql(topic: &str, batch: &Batch) -> String {
    fn array<T: std::fmt::Display>(sql: &mut String, kind: &str, values: impl Iterator<Item = T>) {
        sql.push_str(", '{");
        for (at, value) in values.enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(sql, "{comma}{value}").expect("writing to a string succeeds");
        }
        write!(sql, "}}'::{kind}[]").expect("writing to a string succeeds");
    }
    let mut sql = format!("select advance('{topic}'");
    let advances = || batch.advances.iter();
    array(&mut sql, "int", advances().map(|advance| advance.partition));
    array(&mut sql, "bigint", advances().map(|advance| advance.from));
    array(&mut sql, "bigint", advances().map(|advance| advance.to));
    array(&mut sql, "bigint", advances().map(|advance| advance.epoch));
    let last_key = |key: Option<Uuid>| key.map_or_else(|| "null".to_owned(), |key| key.to_string());
    array(&mut sql, "uuid", advances().map(|advance| last_key(advance.last_key)));
    array(&mut sql, "smallint", batch.keys().map(|(key, _)| key.tenant));
    array(&mut sql, "uuid", batch.keys().map(|(key, _)| key.key));
    array(&mut sql, "smallint", batch.keys().map(|(key, _)| key.part));
    array(&mut sql, "bigint", batch.keys().map(|(key, _)| key.body_hash));
    array(&mut sql, "int", batch.keys().map(|(_, records)| records));
    array(&mut sql, "bigint", batch.keys().map(|(key, _)| key.received_at.0));
    sql.push_str("); commit");
    sql
}
