//! Reads while records come in: the newest page and a trace, over the HTTP API. Pages as browsers get them: `make bench-search`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{client::Connection, generate, product::Product, report::Report};

const READS: usize = 200;

pub(crate) async fn run(product: &Product, report: &mut Report) {
    let traces = product
        .sql()
        .query("select trace_id from logs order by random() limit 200", &[])
        .await
        .expect("traces");
    let traces: Vec<String> = traces.iter().map(|row| row.get(0)).collect();
    for ingest in [false, true] {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = ingest.then(|| keep_posting(product.address().to_owned(), stop.clone()));
        let suffix = if ingest { "while one connection posts NDJSON without pause" } else { "quiet" };
        let newest = latencies(product, |_| "/api/logs".to_owned()).await;
        report.read(&format!("newest page, {suffix}"), newest);
        let trace = latencies(product, |at| format!("/api/logs?traceId={}", traces[at % traces.len()])).await;
        report.read(&format!("trace without time range, {suffix}"), trace);
        stop.store(true, Ordering::Release);
        if let Some(writer) = writer {
            writer.join().expect("the writer ends well");
        }
    }
}

async fn latencies(product: &Product, path: impl Fn(usize) -> String) -> Vec<Duration> {
    let mut connection = Connection::open(product.address()).await;
    let mut latencies = Vec::new();
    for at in 0..READS {
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", path(at), product.address());
        let started = Instant::now();
        let status = connection.exchange(request.as_bytes()).await;
        assert_eq!(status, 200);
        latencies.push(started.elapsed());
    }
    latencies.sort_unstable();
    latencies
}

/// On a thread of its own, so that it does not wait for the reads.
fn keep_posting(address: String, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let requests = generate::requests(&address, "application/x-ndjson", 200, 1_000);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = Connection::open(&address).await;
            for request in requests.iter().cycle() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                assert_eq!(connection.exchange(request).await, 202);
            }
        });
    })
}
