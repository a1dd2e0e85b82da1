//! What writers tell the searches of their process of the blocks that they fill: nothing that somebody can see already is missing.

use std::sync::Arc;

use log_ingestor::{
    index::filling::{Filling, FillingBlocks},
    ingest::{
        element::Unknown,
        intake::{Encoder, Intake},
        parse::Format,
    },
    metrics::Metrics,
    queue::Payload,
    record::Timestamp,
    writer::{
        batch::{Batch, BatchMessage},
        leaves::Leaves,
        store::{Shared, Store},
    },
};
use uuid::Uuid;

use crate::harness::{
    postgres::Database,
    records::{ndjson, sample},
    run::{eventually, seconds},
};

fn batch(records: usize) -> Batch {
    let intake = Intake::new(Encoder::Rows, Uuid::now_v7(), 0, Timestamp::now(), None);
    let body = ndjson((0..records).map(|_| sample()));
    let messages = intake.read(Format::Ndjson, body.as_bytes(), Unknown::Keep, records).unwrap().messages;
    let message = messages.into_iter().next().unwrap();
    let Payload::Rows(rows) = message.payload else { panic!("rows were asked for") };
    Batch { messages: vec![BatchMessage::new(Some(message.key), rows, None)], ..Batch::default() }
}

fn store(database: &Database, filling: &Arc<FillingBlocks>) -> Store {
    Store::new(Shared {
        config: database.url(database.port).parse().unwrap(),
        topic: "direct".to_owned(),
        leaves: Arc::new(Leaves::default()),
        commits: Arc::default(),
        metrics: Arc::new(Metrics::new()),
        filling: Some(filling.clone()),
    })
}

fn rows(filling: &Filling) -> usize {
    filling.blocks.iter().flatten().flat_map(|block| &block.units).map(|unit| usize::from(unit.rows)).sum()
}

/// Between COMMIT and its answer others see the rows: so they must have been told of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_told_of_before_they_are_committed() {
    let database = Database::fresh().await;
    let filling = Arc::new(FillingBlocks::default());
    let mut store = store(&database, &filling);
    store.write(&mut batch(3)).await.unwrap();
    let place = &database.sql.query_one("select leaf, block from open_blocks", &[]).await.unwrap();
    let known = || filling.get(place.get(0), place.get(1)).map_or(0, |filling| rows(&filling));
    assert_eq!(known(), 3);
    let holder = database.connect().await;
    holder.batch_execute("begin; lock table minute_counts in share row exclusive mode").await.unwrap();
    let mut more = batch(4);
    let writing = store.write(&mut more);
    let looking = async {
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        eventually("the last message of the batch waits", seconds(20), async || {
            (database.number(waits).await > 0).then_some(())
        })
        .await;
        assert_eq!((database.rows().await, known()), (3, 7));
        holder.batch_execute("commit").await.unwrap();
    };
    let (written, ()) = tokio::join!(writing, looking);
    written.unwrap();
    assert_eq!(database.rows().await, 7);
    // A writer that does not know how its batch ended, or ends, has nothing to tell.
    store.disconnect();
    assert_eq!(known(), 0);
}

/// What was signed just now need not be fetched, once; what could not be stored is nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_blocks_are_handed_over_once() {
    let database = Database::fresh().await;
    let filling = Arc::new(FillingBlocks::default());
    let mut store = store(&database, &filling);
    store.write(&mut batch(300)).await.unwrap();
    let signed = &database.sql.query_one("select leaf, block, bits from signatures", &[]).await.unwrap();
    let open = &database.sql.query_one("select leaf, block from open_blocks", &[]).await.unwrap();
    let known = filling.learn(signed.get(0), signed.get(1)).unwrap();
    assert_eq!((&known.signature[..], rows(&known)), (signed.get::<_, &[u8]>(2), 256));
    assert!(filling.learn(signed.get(0), signed.get(1)).is_none());
    assert!(filling.learn(open.get(0), open.get(1)).is_none(), "it is not signed yet");
    assert_eq!(rows(&filling.get(open.get(0), open.get(1)).unwrap()), 44);
}
