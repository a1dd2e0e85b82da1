//! The page of a large trace, as a browser paints it.

use std::{fmt::Write, sync::Arc};

use log_ingestor::record::Timestamp;

use crate::{
    browser::{Browser, Frame},
    client::{self, Load},
    feed::{self, BATCH_RECORDS, Maker},
    page::painted_cells,
    product::Product,
    progress::Progress,
    settings::Settings,
    tables::Tables,
};

const LOGS: u64 = 10_000;
/// One with many spans, one with few.
const SPANS: [u64; 2] = [1_200, 12];
const PAINTED_GOAL_MS: f64 = 300.0;
/// Before everything that other parts look at.
const AGE_MICROS: i64 = 3 * 86_400_000_000;
/// From one log to the next.
const STEP_MICROS: i64 = 700;

pub(crate) async fn run(
    product: &Product,
    browser: &Browser,
    settings: &Settings,
    tables: &mut Tables,
    progress: &Progress,
) {
    tables.section(
        "Trace of 10,000 logs in Chromium",
        &["view", "first byte p50 ms", "painted p50 ms", "p95 ms", "max ms", "goal p50", ""],
    );
    let begin = Timestamp::now().0 - AGE_MICROS;
    for spans in SPANS {
        let requests = feed::ready_made(product.address(), &maker(spans, begin), 0..LOGS / BATCH_RECORDS);
        client::run(product.address(), Load { requests, connections: 1 }).await;
        for (name, view) in [("spans", ""), ("logs by time", "?view=logs")] {
            let name = format!("{spans} spans: {name}");
            let url = format!("http://{}/traces/{}{view}", product.address(), id(spans));
            let seen = browser.watch(&url, Frame::Whole, settings.repeats * 4).await;
            tables.row(&painted_cells(&name, &seen, PAINTED_GOAL_MS));
            progress.say(&format!("trace, {name}: painted p50 {:.1} ms", seen.painted_p50()));
        }
    }
}

fn id(spans: u64) -> String {
    format!("bench-of-{spans}-spans")
}

/// Each span but the first is below one of those before it; log after log, each belongs to one of those that are open.
fn maker(spans: u64, begin: i64) -> Maker {
    let open = 40.min(spans / 3);
    Arc::new(move |batch, body| {
        let from = body.len();
        for number in batch * BATCH_RECORDS..(batch + 1) * BATCH_RECORDS {
            let span = (number * spans / LOGS).saturating_sub(number * 7 % open);
            let level =
                ["info", "debug", "warn", "error"][[0, 0, 0, 0, 0, 0, 1, 1, 2, 3][(number % 10) as usize]];
            let _ = write!(
                body,
                "{{\"level\":\"{level}\",\"message\":\"handled request {} in {} ms\",\"resourceId\":\"service-{}\",\"timestamp\":\"{}\",\"traceId\":\"{}\",\"spanId\":\"{span:016x}\",\"commit\":\"a1b2c3d\",\"metadata\":{{",
                number * 31 % 99_991,
                number * 17 % 997,
                span % 6,
                Timestamp(begin + number as i64 * STEP_MICROS),
                id(spans),
            );
            if span > 0 {
                let _ = write!(body, "\"parentSpanId\":\"{:016x}\"", span - 1 - span * 13 % span.min(open));
            }
            body.push_str("}}\n");
        }
        (body.len() - from) as u64 - BATCH_RECORDS
    })
}
