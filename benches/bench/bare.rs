//! The baseline: binary COPY of the same rows from memory into a table without an index, 2 connections, batches of 2,000.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, future::join_all};
use log_ingestor::{
    ingest::{
        element::Unknown,
        intake::{Encoder, Intake},
        parse::Format,
    },
    queue::Payload,
    record::{Timestamp, rows},
};

use crate::{cpu::Cpu, generate::Records, product::Product, report::Row};

const BATCH_ROWS: usize = 2_000;
const CONNECTIONS: usize = 2;
/// The column that the writer appends: four bytes, number 0.
const BLOCK: [u8; 8] = [0, 0, 0, 4, 0, 0, 0, 0];

pub(crate) async fn run(product: &Product, records: usize) -> Row {
    product
        .sql()
        .batch_execute("create table bare (like records including defaults)")
        .await
        .expect("a table");
    let mut batches = batches(records);
    let mut shares = Vec::new();
    while !batches.is_empty() {
        shares.push(
            batches.split_off(batches.len() - batches.len().min(records / BATCH_ROWS / CONNECTIONS).max(1)),
        );
    }
    let clients = join_all((0..shares.len()).map(|_| product.connect())).await;
    let cpu = product.postgres_cpu();
    let started = Instant::now();
    join_all(clients.iter().zip(shares).map(|(client, share)| copy(client, share))).await;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = Cpu { postgres: product.postgres_cpu() - cpu, ..Cpu::default() };
    product.sql().batch_execute("drop table bare; checkpoint").await.expect("dropped");
    Row::new(
        "bare COPY, 2 connections, batches of 2,000 (Postgres' CPU only)",
        records,
        seconds,
        cpu,
        Vec::new(),
    )
}

async fn copy(client: &tokio_postgres::Client, batches: Vec<Bytes>) {
    let text = format!("copy bare ({}) from stdin (format binary)", rows::COLUMNS);
    let statement = client.prepare(&text).await.expect("prepared");
    for batch in batches {
        client.batch_execute("begin").await.expect("begin");
        let mut sink = std::pin::pin!(client.copy_in(&statement).await.expect("COPY"));
        for chunk in batch.chunks(256 << 10) {
            sink.feed(batch.slice_ref(chunk)).await.expect("a chunk");
        }
        sink.finish().await.expect("all rows");
        client.batch_execute("commit").await.expect("commit");
    }
}

/// The rows encoded by the product's own encoder, before the clock starts.
fn batches(records: usize) -> Vec<Bytes> {
    let mut source = Records::new(1);
    (0..records / BATCH_ROWS)
        .map(|_| {
            let mut body = Vec::new();
            for _ in 0..BATCH_ROWS {
                source.write(&mut body);
                body.push(b'\n');
            }
            let intake = Intake::new(Encoder::Rows, uuid::Uuid::now_v7(), 0, Timestamp::now(), None);
            let intake = intake.read(Format::Ndjson, &body, Unknown::Keep, BATCH_ROWS).expect("good records");
            let mut copy = rows::HEADER.to_vec();
            for message in &intake.messages {
                let Payload::Rows(rows) = &message.payload else { unreachable!("rows were asked for") };
                for meta in &rows.meta {
                    copy.extend_from_slice(rows.row(meta));
                    copy.extend_from_slice(&BLOCK);
                }
            }
            copy.extend_from_slice(rows::TRAILER);
            Bytes::from(copy)
        })
        .collect()
}
