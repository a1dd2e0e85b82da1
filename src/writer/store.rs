//! One Postgres connection that writes batches. In: a [`Batch`]. Out: committed, or a [`Failure`] that says what is certain.
//!
//! One transaction a batch: the rows by binary COPY, straight into the leaf when they fall into few, and the signatures of the blocks
//! they complete; then, as one message to the server, what the index and the counts change, `advance()` and COMMIT. What `advance`
//! locks (offsets, keys) is thus held only while the server commits: a writer that is paused in mid-COPY blocks nobody, and when it
//! wakes up it is refused and its rows are rolled back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    batch::{Batch, BatchMessage},
    commits::{self, Sightings},
    error::{Failure, Phase, classify, describe},
    finish,
    leaves::Leaves,
    place,
    session::Session,
    settle,
};
use crate::{
    db,
    index::{
        block::{Blocks, Changes},
        filling::FillingBlocks,
    },
    metrics::{Metrics, Reason},
};

/// Times a batch is sorted out anew before it is given back.
const ATTEMPTS_MAX: usize = 8;
/// How often a writer that has nothing to write looks for blocks that wait.
pub const IDLE_CHECK: Duration = Duration::from_secs(15);

/// What all stores of a process share.
#[derive(Clone)]
pub struct Shared {
    pub config: tokio_postgres::Config,
    pub topic: String,
    pub leaves: Arc<Leaves>,
    pub commits: Arc<commits::Known>,
    pub metrics: Arc<Metrics>,
    /// What the searches of the process are told of the blocks that are being filled; None if it has none.
    pub filling: Option<Arc<FillingBlocks>>,
}

/// A connection, made when it is needed and thrown away when it fails.
pub struct Store {
    pub(super) shared: Shared,
    session: Option<Session>,
    /// There was a session before this one.
    reconnects: bool,
}

/// Which blocks a batch signs beside those that are complete.
#[derive(Clone, Copy)]
enum Closing {
    Idle,
    All,
}

impl Store {
    pub fn new(shared: Shared) -> Self {
        Self { shared, session: None, reconnects: false }
    }

    /// Writes a batch in one transaction. Messages and rows that turn out to be stored already are marked and skipped; rows that
    /// Postgres refuses are marked, and in Kafka mode become dead letters of the same transaction.
    pub async fn write(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let started = Instant::now();
        for _ in 0..ATTEMPTS_MAX {
            let failure = match self.attempt(batch, Closing::Idle).await {
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
                    settle::mark_repeated(self.session().await?, batch).await?;
                }
                Failure::LeafGone => {
                    self.count_retry("leaf gone");
                    self.shared.leaves.forget();
                }
                Failure::RowAtFault { .. } => {
                    self.count_retry("row at fault");
                    settle::mark_refused(self, batch).await?;
                }
                other => return Err(other),
            }
        }
        Err(Failure::NotStored(format!("the batch could not be sorted out in {ATTEMPTS_MAX} attempts")))
    }

    /// Signs blocks that have waited for a row for too long; for the times when there is nothing to write.
    pub async fn sign_idle(&mut self) {
        let blocks = self.session.as_ref().and_then(Session::blocks);
        if blocks.is_some_and(Blocks::has_idle) {
            self.sign(Closing::Idle).await;
        }
    }

    /// Signs all blocks: the writer ends.
    pub async fn close(mut self) {
        let blocks = self.session.as_ref().and_then(Session::blocks);
        if blocks.is_some_and(Blocks::has_open) {
            self.sign(Closing::All).await;
        }
    }

    /// What cannot be signed here stays listed as open, for the sealer.
    async fn sign(&mut self, closing: Closing) {
        if let Err(failure) = self.attempt(&mut Batch::default(), closing).await {
            log::debug!("blocks are left to the sealer: {failure:?}");
            self.roll_back().await;
        }
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

    pub(super) async fn session(&mut self) -> Result<&mut Session, Failure> {
        if self.session.as_ref().is_none_or(|session| !session.is_in_step()) {
            let mut config = self.shared.config.clone();
            config.application_name(super::APPLICATION_NAME);
            let away = |error: tokio_postgres::Error| {
                Failure::NotStored(format!("cannot reach Postgres: {}", describe(&error)))
            };
            let client = db::connect(&config).await.map_err(away)?;
            if std::mem::replace(&mut self.reconnects, true) {
                self.shared.commits.forget();
            }
            self.session = Some(Session::new(client, self.shared.filling.clone()));
        }
        Ok(self.session.as_mut().expect("a session was just made"))
    }

    pub(super) async fn roll_back(&mut self) {
        let Some(session) = &self.session else { return };
        if !session.is_in_step() || session.client.batch_execute("rollback").await.is_err() {
            self.session = None;
        }
    }

    async fn attempt(&mut self, batch: &mut Batch, closing: Closing) -> Result<usize, Failure> {
        let shared = self.shared.clone();
        let session = self.session().await?;
        let before = |error: tokio_postgres::Error| classify(&error, Phase::BeforeCommit);
        // 1. What is stored already is left out; there is room for the rest.
        settle::skip_stored(session, batch).await?;
        let batch = &*batch;
        let mut blocks = session.take_blocks().await?;
        let (mut changes, mut seen) = (Changes::default(), Sightings::default());
        let groups = place::by_leaf(&shared.leaves, &session.client, batch, batch.entries()).await?;
        place::supply(&session.client, batch, &groups, &mut blocks).await?;
        let targets = place::targets(groups);
        // 2. Rows and signatures.
        session.client.batch_execute("begin").await.map_err(before)?;
        for target in &targets {
            let place = |row| place::into_block(batch, row, &mut blocks, &mut changes, &mut seen);
            session.copy_rows(batch, target, place).await.map_err(before)?;
            place::check(&session.client, target).await?;
        }
        match closing {
            Closing::Idle => blocks.finish(&mut changes),
            Closing::All => blocks.close_all(&mut changes),
        }
        session.copy_signatures(&changes).await.map_err(before)?;
        session.insert_names(batch).await.map_err(before)?;
        session.insert_dead_letters(&shared.topic, batch).await.map_err(before)?;
        // 3. The index, the counts, new commits, offsets and keys, and COMMIT, in one message.
        let counts = place::minute_counts(batch, &targets);
        let news = shared.commits.news(&seen);
        let finish = finish::sql(&shared.topic, batch, &changes, blocks.writer, &counts, &news);
        session.client.batch_execute(&finish).await.map_err(|error| classify(&error, Phase::Commit))?;
        session.put_back(blocks);
        shared.commits.learn(&news);
        Ok(targets.iter().map(|target| target.rows.len()).sum())
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
        log::debug!("batch: {rows} rows of {} messages in {:?}", batch.messages.len(), started.elapsed());
    }

    fn count_retry(&self, reason: &str) {
        self.shared.metrics.writer_retries.get_or_create(&Reason { reason: reason.to_owned() }).inc();
    }
}
