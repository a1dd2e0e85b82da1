//! How much a visit carries over the wire.

use super::samples;
use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::ndjson,
};

/// Bytes of a first visit, with headers, compressed as the browser gets them.
const VISIT_BYTES_MAX: u64 = 150 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_visit_is_light() {
    let app = TestApp::plan().ready().await;
    // Each value of its own, which compresses badly.
    let varied = (0..200).map(|n| {
        let mut record = samples().nth(n % 120).unwrap();
        let name = |salt: &str| blake3::hash(format!("{salt} {n}").as_bytes()).to_hex();
        record["message"] = format!(
            "GET /orders/{} took {n}1 ms for user {}, connection {} kept",
            &name("a")[..8],
            n * 7919,
            &name("b")[..12]
        )
        .into();
        record["traceId"] = name("trace")[..32].into();
        record["spanId"] = name("span")[..16].into();
        record["metadata"]["ip"] = format!("10.{}.{}.{}", n % 7, n % 250, n * 31 % 250).into();
        record
    });
    app.post(NDJSON, ndjson(varied), &[]).await.accepted(200);
    app.wait_rows(200).await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?limit=200", app.url)).await;
    assert_eq!(browser.count(".row").await, 200);
    let parts = browser.script("return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map(it => [new URL(it.name).pathname, it.transferSize])").await;
    let parts = parts.as_array().unwrap();
    let bytes: u64 = parts.iter().map(|part| part[1].as_u64().unwrap()).sum();
    println!("a first visit with 200 rows: {bytes} bytes: {parts:?}");
    assert!(parts.len() >= 5 && bytes > 20_000, "everything is counted: {parts:?}");
    assert!(bytes < VISIT_BYTES_MAX, "{bytes} bytes: {parts:?}");
    browser.close().await;
    app.finish().await;
}
