//! Direct mode: a bounded channel from the requests to the writer of this process. A request is answered when its transaction has
//! committed; many requests share one COPY.
//!
//! A submission is taken by exactly one side: the writer takes it to store it, or the request takes it back when nobody came for it in
//! time. So "not stored" is said only of what the writer will never touch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify, mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{Budget, MESSAGE_RECORDS_MAX, Message, Outcome, Reservation};
use crate::health::{Health, Trouble};

/// How long a request waits for a writer to come for it; longer means Postgres is away.
const TAKEN_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a request waits for its commit once the writer has it; below the 35 s after which no request may hang.
pub const COMMIT_WAIT_MAX: Duration = Duration::from_secs(25);
/// Bytes of one batch.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Submissions in the channel; the byte budget is what bounds memory.
const CHANNEL_CAPACITY: usize = 65_536;

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const TAKEN_BACK: u8 = 2;

/// The sending half.
pub struct DirectQueue {
    sender: mpsc::Sender<Submission>,
    pub budget: Budget,
    health: Arc<Health>,
}

/// A message on its way to the writer.
pub struct Submission {
    pub message: Message,
    pub reply: oneshot::Sender<Outcome>,
    /// When the writer must give up on it.
    pub deadline: Instant,
    state: Arc<AtomicU8>,
    _reservation: Arc<Reservation>,
}

/// The receiving half; the writer's connections share it.
pub struct DirectReceiver {
    receiver: Mutex<Inbox>,
    closing: Notify,
    closed: AtomicBool,
}

struct Inbox {
    receiver: mpsc::Receiver<Submission>,
    /// Did not fit into the last batch.
    next: Option<Submission>,
}

/// Makes the two halves.
pub fn channel(budget: Budget, health: Arc<Health>) -> (DirectQueue, DirectReceiver) {
    let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    let receiver = DirectReceiver {
        receiver: Mutex::new(Inbox { receiver, next: None }),
        closing: Notify::new(),
        closed: AtomicBool::new(false),
    };
    (DirectQueue { sender, budget, health }, receiver)
}

impl DirectQueue {
    pub async fn send(&self, messages: Vec<Message>, reservation: Reservation) -> Vec<Outcome> {
        if self.health.has(Trouble::Postgres) || self.health.has(Trouble::Schema) {
            return messages.iter().map(|_| Outcome::NotStored("Postgres is away")).collect();
        }
        let reservation = Arc::new(reservation);
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            let (reply, receiver) = oneshot::channel();
            let state = Arc::new(AtomicU8::new(WAITING));
            let submission = Submission {
                message,
                reply,
                deadline: Instant::now() + TAKEN_WAIT_MAX + COMMIT_WAIT_MAX,
                state: state.clone(),
                _reservation: reservation.clone(),
            };
            let sent = self.sender.try_send(submission).is_ok();
            waiting.push(sent.then_some((receiver, state)));
        }
        let mut outcomes = Vec::with_capacity(waiting.len());
        for entry in waiting {
            outcomes.push(match entry {
                Some((receiver, state)) => wait(receiver, &state).await,
                None => Outcome::NotStored("the queue is full"),
            });
        }
        outcomes
    }
}

async fn wait(mut receiver: oneshot::Receiver<Outcome>, state: &AtomicU8) -> Outcome {
    let lost = Outcome::Unknown("the writer stopped");
    if let Ok(outcome) = timeout(TAKEN_WAIT_MAX, &mut receiver).await {
        return outcome.unwrap_or(lost);
    }
    if state.compare_exchange(WAITING, TAKEN_BACK, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        return Outcome::NotStored("the writer is busy or Postgres is away");
    }
    match timeout(COMMIT_WAIT_MAX, receiver).await {
        Ok(outcome) => outcome.unwrap_or(lost),
        Err(_) => Outcome::Unknown("Postgres did not confirm in time"),
    }
}

impl DirectReceiver {
    /// Takes nothing more; what is inside is still handed out.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits for the first submission and takes what else is there, up to one batch. None when closed and empty.
    pub async fn batch(&self) -> Option<Vec<Submission>> {
        let mut inbox = self.receiver.lock().await;
        let mut batch = Vec::new();
        let (mut records, mut bytes) = (0, 0);
        loop {
            let submission = match inbox.next.take() {
                Some(submission) => submission,
                None if batch.is_empty() => tokio::select! {
                    biased;
                    submission = inbox.receiver.recv() => submission?,
                    () = self.closing.notified() => {
                        inbox.receiver.close();
                        continue;
                    }
                },
                None => match inbox.receiver.try_recv() {
                    Ok(submission) => submission,
                    Err(_) => return Some(batch),
                },
            };
            let full = records + submission.message.records > MESSAGE_RECORDS_MAX
                || bytes + submission.message.payload.byte_len() > BATCH_BYTES_MAX;
            if full && !batch.is_empty() {
                inbox.next = Some(submission);
                return Some(batch);
            }
            if submission.state.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
            {
                records += submission.message.records;
                bytes += submission.message.payload.byte_len();
                batch.push(submission);
            }
        }
    }
}
