//! Single POSTs at a fixed rate, alone and while 64 clients ask what no index helps with. Latency counts from when a POST was due.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::LocalSet;

use crate::{
    client::{Connection, percentile},
    product::Product,
    progress::Progress,
    records::Records,
    settings::Settings,
    tables::{Tables, grouped, verdict},
};

const CONNECTIONS: u64 = 16;
const SEARCHERS: usize = 64;
const TIMES_ALONE_MAX: f64 = 2.0;
/// Without three literal characters in a row; most hardly occur.
const WORST: [&str; 6] = [
    "regex=%5Bq-z%5D%7B9%7D",
    "message=zq",
    "regex=%5B0-9%5D%7B13%7D",
    "message=vv",
    "regex=(aa%7Cbb%7Ccc)%7B4%7D",
    "message=qx",
];

pub(crate) async fn run(
    product: &Product,
    records: Records,
    settings: &Settings,
    tables: &mut Tables,
    progress: &Progress,
) {
    progress.say("single POSTs at a fixed rate");
    let title = format!(
        "Ingest at {} single POSTs a second, {CONNECTIONS} connections",
        grouped(settings.ingest_rate)
    );
    tables.section(&title, &["", "POSTs", "p50 ms", "p95 ms", "p99 ms", "max ms", "goal p99", ""]);
    let alone = posts(product, records, settings, 1 << 40).await;
    let searchers = Searchers::start(product.address());
    let beside = posts(product, records, settings, 1 << 41).await;
    let (answered, refused) = searchers.stop();
    let limit = percentile(&alone, 0.99) * TIMES_ALONE_MAX;
    for (name, latencies, is_judged) in
        [("alone", &alone, false), ("beside 64 clients that search for the worst", &beside, true)]
    {
        let mut cells = vec![name.to_owned(), grouped(latencies.len() as u64)];
        cells.extend([0.5, 0.95, 0.99, 1.0].map(|share| format!("{:.1}", percentile(latencies, share))));
        cells.push(if is_judged { format!("{limit:.1}") } else { String::new() });
        cells.push(if is_judged { verdict(percentile(latencies, 0.99) <= limit) } else { String::new() });
        progress.say(&format!("{name}: p50 {} ms, p99 {} ms", cells[2], cells[4]));
        tables.row(&cells);
    }
    tables.note(&format!("The searches: {answered} answered, {refused} refused with 503."));
}

async fn posts(product: &Product, records: Records, settings: &Settings, first: u64) -> Vec<Duration> {
    let pause = Duration::from_secs_f64(CONNECTIONS as f64 / settings.ingest_rate as f64);
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let set = LocalSet::new();
    let end = Instant::now() + Duration::from_secs(settings.ingest_seconds);
    for client in 0..CONNECTIONS {
        let (address, latencies) = (product.address().to_owned(), latencies.clone());
        set.spawn_local(async move {
            let mut connection = Connection::open(&address).await;
            let mut due = Instant::now() + pause.mul_f64(client as f64 / CONNECTIONS as f64);
            let mut number = first + client;
            while due < end {
                let mut body = String::new();
                records.write(number, &mut body);
                let head = format!(
                    "POST /public/ingest HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                // A timer that fires late is not the product's fault; a POST that had to wait for the one before is.
                let sent = match Instant::now() {
                    now if now < due => {
                        tokio::time::sleep_until(due.into()).await;
                        Instant::now()
                    }
                    _ => due,
                };
                assert_eq!(connection.exchange((head + &body).as_bytes()).await, 202, "a record was refused");
                latencies.borrow_mut().push(sent.elapsed());
                number += CONNECTIONS;
                due += pause;
            }
        });
    }
    set.await;
    let mut latencies = latencies.take();
    latencies.sort_unstable();
    latencies
}

/// Clients that search without pause, on a thread of their own.
struct Searchers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Searchers {
    fn start(address: &str) -> Self {
        let (stop, answered, refused) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let (address, stopped, good, bad) =
            (address.to_owned(), stop.clone(), answered.clone(), refused.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let set = LocalSet::new();
            for client in 0..SEARCHERS {
                let (address, stop, good, bad) =
                    (address.clone(), stopped.clone(), good.clone(), bad.clone());
                set.spawn_local(async move {
                    let mut connection = Connection::open(&address).await;
                    for at in client.. {
                        if stop.load(Ordering::Acquire) {
                            return;
                        }
                        let path = WORST[at % WORST.len()];
                        let request = format!("GET /api/logs?{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
                        let counter = match connection.exchange(request.as_bytes()).await {
                            200 => &good,
                            503 | 429 => &bad,
                            status => panic!("{path}: answered {status}"),
                        };
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            runtime.block_on(set);
        });
        std::thread::sleep(Duration::from_secs(1));
        Self { stop, answered, refused, thread }
    }

    fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("the searchers end well");
        (self.answered.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}
