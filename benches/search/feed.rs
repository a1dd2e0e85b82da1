//! Loads records while they are made: threads write requests into a short channel, connections post them. Never more than a few requests
//! are in memory, and the CPU of making them is counted apart. In: a source of request bodies. Out: what was sent and how long it took.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::{
    sync::{Mutex, mpsc},
    task::LocalSet,
};

use crate::{client::Connection, progress::Progress, records::Records};

pub(crate) const BATCH_RECORDS: u64 = 1_000;
/// A second one only helps while the product waits for the disk.
const MAKERS: u64 = 2;
/// Requests waiting for a connection; 400 kB each.
const QUEUED_MAX: usize = 8;

/// Makes the body of request `number`, and says how many bytes of it are JSON.
pub(crate) type Maker = Arc<dyn Fn(u64, &mut String) -> u64 + Send + Sync>;

/// What went in.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fed {
    pub(crate) records: u64,
    pub(crate) json_bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) maker_cpu: f64,
    /// The first batch that nobody has made yet.
    pub(crate) next_batch: u64,
}

/// Request bodies of [`BATCH_RECORDS`] records each, as NDJSON; line ends are not counted.
pub(crate) fn maker(records: Records) -> Maker {
    Arc::new(move |batch, body| {
        for number in batch * BATCH_RECORDS..(batch + 1) * BATCH_RECORDS {
            records.write(number, body);
            body.push('\n');
        }
        body.len() as u64 - BATCH_RECORDS
    })
}

/// Posts the batches `from..to` over so many connections; ends early when `stop` is set.
pub(crate) async fn feed(
    address: &str,
    maker: Maker,
    batches: std::ops::Range<u64>,
    connections: usize,
    stop: Arc<AtomicBool>,
    progress: &Progress,
) -> Fed {
    let (sender, receiver) = mpsc::channel(QUEUED_MAX);
    let next = Arc::new(AtomicU64::new(batches.start));
    let makers: Vec<JoinHandle<f64>> = (0..MAKERS)
        .map(|_| {
            let (sender, maker, next, address) =
                (sender.clone(), maker.clone(), next.clone(), address.to_owned());
            let end = batches.end;
            std::thread::spawn(move || {
                loop {
                    let batch = next.fetch_add(1, Ordering::Relaxed);
                    if batch >= end || sender.blocking_send(request(&address, &maker, batch)).is_err() {
                        return thread_cpu();
                    }
                }
            })
        })
        .collect();
    drop(sender);
    let receiver = Rc::new(Mutex::new(receiver));
    let fed = Rc::new(std::cell::Cell::new(Fed::default()));
    let started = Instant::now();
    let set = LocalSet::new();
    for _ in 0..connections {
        let (receiver, fed, stop, address) =
            (receiver.clone(), fed.clone(), stop.clone(), address.to_owned());
        let progress = progress.clone();
        set.spawn_local(async move {
            let mut connection = Connection::open(&address).await;
            loop {
                let Some((request, json_bytes)) = receiver.lock().await.recv().await else { break };
                assert_eq!(connection.exchange(&request).await, 202, "a batch was refused");
                let mut sum = fed.get();
                sum.records += BATCH_RECORDS;
                sum.json_bytes += json_bytes;
                fed.set(sum);
                progress.now_and_then(|| format!("{} records", sum.records));
                if stop.load(Ordering::Acquire) {
                    receiver.lock().await.close();
                    break;
                }
            }
        });
    }
    set.await;
    let seconds = started.elapsed().as_secs_f64();
    drop(receiver);
    let maker_cpu = makers.into_iter().map(|maker| maker.join().expect("a maker ends well")).sum();
    let next_batch = next.load(Ordering::Relaxed).min(batches.end);
    Fed { seconds, maker_cpu, next_batch, ..fed.get() }
}

fn request(address: &str, maker: &Maker, batch: u64) -> (Vec<u8>, u64) {
    let mut body = String::with_capacity(420_000);
    let json_bytes = maker(batch, &mut body);
    let mut request = format!(
        "POST /public/ingest HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body.as_bytes());
    (request, json_bytes)
}

/// Requests made before the clock starts, for a measurement without their cost.
pub(crate) fn ready_made(address: &str, maker: &Maker, batches: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    batches.map(|batch| request(address, maker, batch).0).collect()
}

/// A load that goes on in threads of its own until it is told to stop.
pub(crate) struct Background {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Fed>,
}

impl Background {
    /// Two connections post without pause, from batch `first` on.
    pub(crate) fn start(address: &str, maker: Maker, first: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (address, stopped) = (address.to_owned(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let progress = Progress::silent();
            runtime.block_on(feed(&address, maker, first..u64::MAX, 2, stopped, &progress))
        });
        std::thread::sleep(Duration::from_millis(500));
        Self { stop, thread }
    }

    pub(crate) async fn stop(self) -> Fed {
        self.stop.store(true, Ordering::Release);
        let joined =
            tokio::task::spawn_blocking(move || self.thread.join()).await.expect("a blocking thread");
        joined.expect("the load ends well")
    }
}

/// CPU seconds of the calling thread.
fn thread_cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("usage of this thread");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}
