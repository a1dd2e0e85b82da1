//! Kafka mode: the consumer, on a thread of its own because rebalance callbacks block on Postgres. It hands messages to the lanes and
//! never stops polling, so that the group does not throw it out; where partitions start is decided in [`assign`].

mod assign;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinSet,
};
use uuid::Uuid;

use self::assign::Context;
use super::{
    lane::{Control, LaneEvent, lane},
    store::{Shared, Store},
};
use crate::{
    health::{Health, Trouble},
    queue::kafka::client_config,
};

/// Bytes of messages the lanes may hold before the consumer waits for them.
const HELD_BYTES_MAX: usize = 16 << 20;
/// After so long a wait the partitions are paused and polling goes on.
const WAIT_BEFORE_PAUSE: Duration = Duration::from_millis(500);
/// How often offsets are told to Kafka (for lag tools only; they are never read back).
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// What the consumer needs to know.
pub struct Settings {
    pub brokers: String,
    pub group: String,
    pub flush_wait_max: Duration,
    /// Postgres connections that write side by side.
    pub lanes: usize,
}

/// The running consumer and its lanes.
pub struct ConsumerThread {
    thread: thread::JoinHandle<()>,
    stop: Arc<AtomicBool>,
    lanes: JoinSet<()>,
    senders: Vec<mpsc::UnboundedSender<LaneEvent>>,
    stop_waiting: watch::Sender<bool>,
}

impl ConsumerThread {
    /// Starts the lanes and the thread; it joins the group once `topic_ready` is true.
    pub fn start(
        settings: Settings,
        shared: Shared,
        health: Arc<Health>,
        topic_ready: watch::Receiver<bool>,
    ) -> Result<Self, KafkaError> {
        let control = Arc::new(Control::default());
        let mut lanes = JoinSet::new();
        let mut senders = Vec::new();
        for _ in 0..settings.lanes {
            let (sender, events) = mpsc::unbounded_channel();
            let store = Store::new(shared.clone());
            let (collector, storer) =
                lane(events, store, control.clone(), health.clone(), settings.flush_wait_max);
            lanes.spawn(collector.run());
            lanes.spawn(storer.run());
            senders.push(sender);
        }
        let context = Context {
            runtime: Handle::current(),
            owner: format!("{}-{}", std::process::id(), Uuid::new_v4()),
            lanes: senders.clone(),
            expected: Mutex::default(),
            halted: Mutex::default(),
            control,
            shared,
            health: health.clone(),
        };
        let consumer = consumer(&settings, context)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_waiting, mut stopped) = watch::channel(false);
        let (stop_flag, runtime) = (stop.clone(), Handle::current());
        let over = OverWhenDropped(health.clone());
        let thread = thread::Builder::new().name("consumer".into()).spawn(move || {
            let mut ready = topic_ready;
            runtime.block_on(async {
                tokio::select! {
                    _ = ready.wait_for(|ready| *ready) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
            let _over = over;
            poll_until(&consumer, &stop_flag);
        });
        let thread = thread.expect("the system can start a thread");
        Ok(Self { thread, stop, lanes, senders, stop_waiting })
    }

    /// Stops reading, lets the lanes store what they hold, leaves the group.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        self.stop_waiting.send_replace(true);
        for sender in &self.senders {
            let _ = sender.send(LaneEvent::Stop); // a lane that is gone has stopped
        }
        while self.lanes.join_next().await.is_some() {}
        let left = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(left, Ok(Ok(()))) {
            log::error!("the consumer thread ended badly");
        }
    }
}

/// Says that nobody reads the topic any more, should the thread end by a panic.
struct OverWhenDropped(Arc<Health>);

impl Drop for OverWhenDropped {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.report(Trouble::Halted, "the consumer thread has ended by a bug: restart the process");
        }
    }
}

fn consumer(settings: &Settings, context: Context) -> Result<BaseConsumer<Context>, KafkaError> {
    client_config(&settings.brokers)
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A reset policy would jump over records silently.
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "range")
        // A killed writer's partitions move after this.
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "2000")
        // Few large answers instead of one for each message (docs/decisions.md).
        .set("fetch.min.bytes", "65536")
        .set("fetch.wait.max.ms", "50")
        .set("queued.max.messages.kbytes", "16384")
        // By default a full queue stops fetching for a whole second (docs/decisions.md).
        .set("fetch.queue.backoff.ms", "5")
        .set("check.crcs", "true")
        .set("statistics.interval.ms", "1000")
        .create_with_context(context)
}

fn poll_until(consumer: &BaseConsumer<Context>, stop: &AtomicBool) {
    let context = consumer.context();
    let mut committed_at = Instant::now();
    context.control.rejoin.store(true, Ordering::Release);
    let mut joined = false;
    while !stop.load(Ordering::Acquire) {
        if context.control.rejoin.swap(false, Ordering::AcqRel) {
            if joined {
                consumer.unsubscribe();
                thread::sleep(Duration::from_millis(500)); // not in a tight circle with another owner
            }
            joined = true;
            if let Err(error) = consumer.subscribe(&[&context.shared.topic]) {
                context.health.report(Trouble::Consumer, format!("cannot subscribe: {error}"));
            }
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => context.dispatch(consumer, &message),
            Some(Err(error)) => context.poll_failed(&error),
        }
        wait_for_room(consumer, stop);
        if committed_at.elapsed() >= COMMIT_EVERY {
            context.tell_kafka(consumer);
            committed_at = Instant::now();
        }
    }
    context.tell_kafka(consumer);
    consumer.unsubscribe();
}

/// Waits while the lanes hold too much: first without polling, then with the partitions paused.
fn wait_for_room(consumer: &BaseConsumer<Context>, stop: &AtomicBool) {
    let context = consumer.context();
    let full = || {
        context.control.held_bytes.load(Ordering::Acquire) > HELD_BYTES_MAX && !stop.load(Ordering::Acquire)
    };
    let since = Instant::now();
    while full() && since.elapsed() < WAIT_BEFORE_PAUSE {
        thread::sleep(Duration::from_millis(2));
    }
    if !full() {
        return;
    }
    log::info!("the writer is behind: pausing the consumer");
    let pause = |consumer: &BaseConsumer<Context>| consumer.assignment().and_then(|all| consumer.pause(&all));
    let mut generation = None;
    while full() {
        let now = context.control.generation.load(Ordering::Acquire);
        if generation != Some(now) {
            if let Err(error) = pause(consumer) {
                log::warn!("cannot pause: {error}");
            }
            generation = Some(now);
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => context.dispatch(consumer, &message),
            Some(Err(error)) => context.poll_failed(&error),
            None => {}
        }
        if context.control.rejoin.load(Ordering::Acquire) {
            return;
        }
    }
    let halted: Vec<i32> = context.halted().keys().copied().collect();
    let resumed = consumer.assignment().and_then(|all| {
        let mut well = TopicPartitionList::new();
        for element in all.elements().iter().filter(|element| !halted.contains(&element.partition())) {
            well.add_partition(element.topic(), element.partition());
        }
        consumer.resume(&well)
    });
    if let Err(error) = resumed {
        log::warn!("cannot resume: {error}");
    }
}
