//! The explorer in a real browser: with scripts and without, by mouse and by keyboard, at every width, and under text that means harm.

mod access;
mod hands;
mod histogram;
mod hostile;
mod layout;
mod list;
mod search;
mod weight;

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::ndjson,
    run::{eventually, seconds},
};

/// Records of [`filled`].
const RECORDS: usize = 120;

/// Two minutes of records, one a second, the newest last.
fn samples() -> impl Iterator<Item = Value> {
    (0..RECORDS).map(|n| {
        json!({
            "level": if n % 3 == 0 { "error" } else if n % 3 == 1 { "warn" } else { "info" },
            "message": if n % 2 == 0 { format!("timeout of request {n}") } else { format!("fine, request {n}\n\tat Pay.java:{n}") },
            "resourceId": format!("api-{}", n % 4),
            "timestamp": format!("2026-01-02T03:{:02}:{:02}.{n:06}Z", n / 60, n % 60),
            "traceId": format!("trace-{}", n / 10),
            "spanId": format!("span-{n}"),
            "commit": if n < 60 { "c0ffee1" } else { "c0ffee2" },
            "metadata": {"user": {"id": n % 5}, "path": "/pay", "parentSpanId": if n % 10 == 0 { Value::Null } else { format!("span-{}", n / 10 * 10).into() }},
        })
    })
}

/// An app with the [`samples`].
async fn filled() -> TestApp {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, ndjson(samples()), &[]).await.accepted(RECORDS);
    app.wait_rows(RECORDS as i64).await;
    app
}

/// What can be done with a field of the first row: under the row with scripts, on the record's page without.
async fn act(browser: &Browser, scripts: Scripts, label: &str) {
    browser.click(".row > .text").await;
    let place = match scripts {
        Scripts::On => ".row > .opened",
        Scripts::Off => "main.record",
    };
    browser.click(&format!("{place} [aria-label='{label}']")).await;
}

/// Opens what can be opened on a page.
const OPEN_ALL: &str = "document.querySelectorAll('details').forEach(it => it.open = true);
    document.querySelectorAll('.row:not(.open) > .text').forEach(it => it.click())";

/// Opens everything that can be opened, with scripts, and what came when it was opened.
async fn open_all(browser: &Browser) {
    for _ in 0..2 {
        browser.script(OPEN_ALL).await;
        has_opened(browser).await;
    }
}

/// Waits for what comes when a row of the list is opened.
async fn has_opened(browser: &Browser) {
    let left = "return document.querySelectorAll('.row.open:not(:has(> .opened))').length";
    let is_there = async || (browser.script(left).await == 0).then_some(());
    eventually("what can be done with fields", seconds(20), is_there).await;
}
