//! The writer alone: parsed records, to committed rows with signatures, counts and keys, over as many connections as bare COPY has. In: the
//! messages that the door would hand over. The writer runs in this process beside the product's own, which has nothing to do meanwhile.

use std::{sync::Arc, time::Instant};

use futures_util::future::join_all;
use log_ingestor::{
    health::Health,
    ingest::{
        element::Unknown,
        intake::{Encoder, Intake},
        parse::Format,
    },
    metrics::Metrics,
    queue::{Budget, Message, Outcome, direct},
    record::Timestamp,
    writer::{
        self,
        leaves::Leaves,
        store::{Shared, Store},
    },
};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

use crate::{
    cpu::Cpu,
    feed::{BATCH_RECORDS, Maker},
    product::Product,
    report::Row,
};

const CONNECTIONS: usize = 2;
/// Messages under way, so that the batches of both connections are full.
const UNDER_WAY: usize = 8;

/// Stores the batches `numbers` of the maker.
pub(crate) async fn run(product: &Product, maker: &Maker, numbers: std::ops::Range<u64>, name: &str) -> Row {
    let records = (numbers.end - numbers.start) * BATCH_RECORDS;
    let messages = messages(maker, numbers);
    let config = product.database();
    let cpu = (own_seconds(), product.postgres_cpu());
    // The product has a runtime with several threads; this driver has not.
    let seconds = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(store(config, messages))
    })
    .join()
    .expect("everything is stored");
    let cpu = Cpu { own: own_seconds() - cpu.0, postgres: product.postgres_cpu() - cpu.1, ..Cpu::default() };
    Row::new(name, records as usize, seconds, cpu, Vec::new())
}

/// What the door makes of the requests, before the clock starts.
fn messages(maker: &Maker, numbers: std::ops::Range<u64>) -> Vec<Message> {
    let mut body = String::new();
    numbers
        .flat_map(|number| {
            body.clear();
            maker(number, &mut body);
            let intake = Intake::new(Encoder::Rows, uuid::Uuid::now_v7(), 0, Timestamp::now(), None);
            let intake = intake.read(Format::Ndjson, body.as_bytes(), Unknown::Keep, BATCH_RECORDS as usize);
            intake.expect("good records").messages
        })
        .collect()
}

async fn store(config: tokio_postgres::Config, mut messages: Vec<Message>) -> f64 {
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::default());
    let (queue, receiver) =
        direct::channel(Budget::new(64 << 20, metrics.queued_bytes.clone()), health.clone());
    let (queue, receiver) = (Arc::new(queue), Arc::new(receiver));
    let shared = Shared {
        config,
        topic: "direct".to_owned(),
        leaves: Arc::new(Leaves::default()),
        commits: Arc::default(),
        metrics,
        filling: None,
    };
    let started = Instant::now();
    let writers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::spawn(writer::direct::run(receiver.clone(), Store::new(shared.clone()), health.clone()))
        })
        .collect();
    let share = messages.len().div_ceil(UNDER_WAY);
    let mut shares = Vec::new();
    while !messages.is_empty() {
        shares.push(messages.split_off(messages.len().saturating_sub(share)));
    }
    let senders = shares.into_iter().map(|share| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for message in share {
                let room = queue.budget.reserve(message.payload.byte_len()).expect("room for a few messages");
                let outcomes = queue.send(vec![message], room).await;
                assert!(matches!(outcomes[..], [Outcome::Durable { .. }]), "{outcomes:?}");
            }
        })
    });
    for sent in join_all(senders).await {
        sent.expect("stored");
    }
    let seconds = started.elapsed().as_secs_f64();
    receiver.close();
    for ended in join_all(writers).await {
        ended.expect("the writer ends");
    }
    seconds
}

fn own_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}
