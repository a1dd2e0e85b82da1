//! One Postgres session of the writer: its prepared COPYs, and the blocks that are open in it. The session holds the advisory lock
//! (7312, number) as long as its backend lives; so a block whose lock is free receives no more rows, whatever a zombie thinks.

use std::{collections::HashMap, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::{Client, CopyInSink, Statement};
use uuid::Uuid;

use super::{
    batch::{Batch, Entry},
    error::{Failure, Phase, classify},
    place::Target,
};
use crate::{
    index::{
        block::{Blocks, Changes},
        filling::FillingBlocks,
        span::write_units,
    },
    record::rows,
};

/// Bytes handed to the driver at once; it passes each chunk over a channel of capacity 1.
const CHUNK_BYTES: usize = 64 << 10;
/// Prepared COPY statements a connection keeps.
const STATEMENTS_MAX: usize = 256;
/// Class of the advisory locks that say that a writer lives.
pub const WRITER_LOCKS: i32 = 7312;

pub struct Session {
    pub client: Client,
    copies: HashMap<String, Statement>,
    /// None while a batch is under way, and after one whose end is not known.
    blocks: Option<Blocks>,
    filling: Option<Arc<FillingBlocks>>,
    /// A COPY was refused before it began.
    out_of_step: bool,
}

impl Session {
    pub fn new(client: Client, filling: Option<Arc<FillingBlocks>>) -> Self {
        Self { client, copies: HashMap::new(), blocks: None, filling, out_of_step: false }
    }

    /// The open blocks; they must be put back when the batch is committed, and only then. After a batch that was not, the writer gets a
    /// new number, and the blocks it left open are the sealer's.
    pub async fn take_blocks(&mut self) -> Result<Blocks, Failure> {
        if let Some(blocks) = self.blocks.take() {
            return Ok(blocks);
        }
        let statement = "with released as materialized (select pg_advisory_unlock_all()), \
            next as materialized (select nextval('writer_numbers')::int as n from released) \
            select n, pg_advisory_lock($1, n) from next";
        let row = self.client.query_one(statement, &[&WRITER_LOCKS]).await;
        let row = row.map_err(|error| classify(&error, Phase::BeforeCommit))?;
        Ok(Blocks::new(row.get(0), self.filling.clone()))
    }

    /// False if the next answer might be that of an earlier message: the driver sends a Sync behind the Execute of a COPY and another when it
    /// ends (query::encode and copy_in of tokio-postgres 0.7.18), so one that is refused before it begins has an answer too many.
    pub fn is_in_step(&self) -> bool {
        !self.out_of_step && !self.client.is_closed()
    }

    pub fn put_back(&mut self, blocks: Blocks) {
        self.blocks = Some(blocks);
    }

    /// The blocks of a session between two batches.
    pub fn blocks(&self) -> Option<&Blocks> {
        self.blocks.as_ref()
    }

    /// `place` says what the column `block` of a row is to hold. It is asked when the rows before are on their way already: so this side fills
    /// blocks while the other one stores rows.
    pub async fn copy_rows(
        &mut self,
        batch: &Batch,
        target: &Target,
        mut place: impl FnMut((Entry, i32)) -> i32,
    ) -> Result<(), tokio_postgres::Error> {
        let text = format!("copy \"{}\" ({}) from stdin (format binary)", target.table, rows::COLUMNS);
        self.copy(text, target.rows.iter(), |chunk, row| {
            chunk.extend_from_slice(batch.row(row.0));
            chunk.put_i32(4);
            chunk.put_i32(place(*row));
        })
        .await
    }

    pub async fn copy_signatures(&mut self, changes: &Changes) -> Result<(), tokio_postgres::Error> {
        if changes.signed.is_empty() {
            return Ok(());
        }
        let text =
            "copy signatures (leaf, block, level, units, bits, value_hashes) from stdin (format binary)";
        self.copy(text.to_owned(), changes.signed.iter(), |chunk, (leaf, block)| {
            let mut units = Vec::with_capacity(80);
            write_units(&block.span.units, &mut units);
            chunk.put_i16(6);
            chunk.put_i32(4);
            chunk.put_i32(*leaf);
            chunk.put_i32(4);
            chunk.put_i32(block.span.number);
            chunk.put_i32(2);
            chunk.put_i16(block.span.level);
            chunk.put_i32(units.len() as i32);
            chunk.extend_from_slice(&units);
            chunk.put_i32(block.signature.len() as i32);
            chunk.extend_from_slice(&block.signature);
            match &block.values {
                Some(values) => {
                    chunk.put_i32(values.len() as i32);
                    chunk.extend_from_slice(values);
                }
                None => chunk.put_i32(-1),
            }
        })
        .await
    }

    /// The names that clients gave. In the order of their ids, so that two writers cannot wait for each other.
    pub async fn insert_names(&self, batch: &Batch) -> Result<(), tokio_postgres::Error> {
        let names = batch.entries().into_iter().filter_map(|entry| batch.name(entry));
        let mut names: Vec<(Uuid, &str)> = names.collect();
        if names.is_empty() {
            return Ok(());
        }
        names.sort_unstable();
        let (ids, texts): (Vec<Uuid>, Vec<&str>) = names.into_iter().unzip();
        let statement =
            "insert into record_names (id, client_id) select * from unnest($1::uuid[], $2::text[])";
        self.client.execute(statement, &[&ids, &texts]).await.map(|_| ())
    }

    pub async fn insert_dead_letters(&self, topic: &str, batch: &Batch) -> Result<(), tokio_postgres::Error> {
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
            self.client.execute(statement, &values).await?;
        }
        Ok(())
    }

    /// A binary COPY of items that `write` encodes, each with its number of columns in front.
    async fn copy<T>(
        &mut self,
        text: String,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut BytesMut, T),
    ) -> Result<(), tokio_postgres::Error> {
        let statement = match self.copies.get(&text) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(&text).await?;
                if self.copies.len() >= STATEMENTS_MAX {
                    self.copies.clear();
                }
                self.copies.insert(text, statement.clone());
                statement
            }
        };
        let sink: CopyInSink<Bytes> =
            self.client.copy_in(&statement).await.inspect_err(|_| self.out_of_step = true)?;
        let mut sink = std::pin::pin!(sink);
        let sent = async {
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES + (8 << 10));
            chunk.extend_from_slice(rows::HEADER);
            for item in items {
                write(&mut chunk, item);
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
