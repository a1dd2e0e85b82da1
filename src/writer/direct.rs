//! Direct mode: takes what the requests have left, stores it, answers them. Batching is natural: a connection that is free takes what
//! is waiting at once, so a lone request waits for one commit and no timer, and under load batches fill by themselves.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{
    batch::{Batch, BatchMessage},
    error::Failure,
    store::{self, Store},
};
use crate::{
    health::{Health, Trouble},
    queue::{
        Outcome, Payload,
        direct::{DirectReceiver, Submission},
    },
};

/// How long a batch that is certainly not stored is tried again before its requests hear 503.
const NOT_STORED_PATIENCE: Duration = Duration::from_secs(3);
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Runs until all senders are gone and everything taken is answered.
pub async fn run(receiver: Arc<DirectReceiver>, mut store: Store, health: Arc<Health>) {
    loop {
        let Ok(submissions) = tokio::time::timeout(store::IDLE_CHECK, receiver.batch()).await else {
            store.sign_idle().await;
            continue;
        };
        let Some(submissions) = submissions else { break };
        let (mut batch, replies, deadline) = unpack(submissions);
        match store_within(&mut store, &mut batch, deadline, &health).await {
            Ok(()) => {
                health.clear(Trouble::Postgres);
                for (message, reply) in batch.messages.into_iter().zip(replies) {
                    let _ = reply.send(durable(message)); // the client may have left
                }
            }
            Err(outcome) => {
                for reply in replies {
                    let _ = reply.send(outcome());
                }
                wait_for_postgres(&mut store, &health, &receiver).await;
            }
        }
    }
    store.close().await;
}

fn unpack(submissions: Vec<Submission>) -> (Batch, Vec<oneshot::Sender<Outcome>>, Instant) {
    let mut batch = Batch::default();
    let mut replies = Vec::with_capacity(submissions.len());
    let mut deadline = None;
    for submission in submissions {
        let Payload::Rows(rows) = submission.message.payload else {
            unreachable!("the door encodes rows in direct mode")
        };
        batch.messages.push(BatchMessage::new(Some(submission.message.key), rows, None));
        replies.push(submission.reply);
        let earliest = deadline.unwrap_or(submission.deadline);
        deadline = Some(submission.deadline.min(earliest));
    }
    (batch, replies, deadline.expect("a batch has a submission"))
}

fn durable(message: BatchMessage) -> Outcome {
    let index = |row: usize| message.rows.meta[row].index;
    let reason = |sqlstate: &str, reason: &str| format!("Postgres refuses it: {reason} ({sqlstate})");
    let refused =
        message.refused.iter().map(|(row, sqlstate, why)| (index(*row), reason(sqlstate, why))).collect();
    Outcome::Durable { repeated: message.repeated, refused }
}

/// Tries until the batch is stored, or says what is certain. Repeating after an unknown COMMIT is safe: the keys are in the
/// transaction, so if the first one did commit, the repeat finds them and stores nothing.
async fn store_within(
    store: &mut Store,
    batch: &mut Batch,
    deadline: Instant,
    health: &Health,
) -> Result<(), fn() -> Outcome> {
    let patience = Instant::now() + NOT_STORED_PATIENCE;
    let mut unknown = false;
    let mut backoff = BACKOFF_MIN;
    loop {
        let reason = match tokio::time::timeout_at(deadline, store.write(batch)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Failure::Unknown(reason))) => {
                unknown = true;
                reason
            }
            Ok(Err(Failure::NotStored(reason))) => reason,
            Ok(Err(failure)) => format!("{failure:?}"),
            Err(_) => {
                // Cut off in the middle: nobody knows how far it came.
                unknown = true;
                "Postgres did not answer in time".to_owned()
            }
        };
        health.report(Trouble::Postgres, format!("cannot store: {reason}"));
        let now = Instant::now();
        if now >= deadline || (!unknown && now >= patience) {
            store.disconnect();
            return Err(match unknown {
                true => || Outcome::Unknown("Postgres did not confirm in time"),
                false => || Outcome::NotStored("Postgres is away"),
            });
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Probes Postgres until it is back; requests that wait meanwhile give up by themselves.
async fn wait_for_postgres(store: &mut Store, health: &Health, receiver: &DirectReceiver) {
    let mut backoff = BACKOFF_MIN;
    loop {
        match tokio::time::timeout(Duration::from_secs(5), store.probe()).await {
            Ok(Ok(())) => break,
            Ok(Err(reason)) => health.report(Trouble::Postgres, reason),
            Err(_) => {
                store.disconnect();
                health.report(Trouble::Postgres, "Postgres did not answer within 5 s");
            }
        }
        if receiver.is_closed() {
            return;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
    health.clear(Trouble::Postgres);
}
