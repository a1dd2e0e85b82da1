//! A trace, told by its records: over HTTP and in a real browser.

use std::{collections::BTreeSet, time::Instant};

use serde_json::{Value, json};

use super::{checkout, escaped, ids, lines, stored};
use crate::harness::{
    TestApp,
    browser::{Browser, Scripts},
    records::with,
};

/// The logs that the spans of a page say to have.
fn logs_counted(page: &str) -> usize {
    let count = |piece: &str| piece.split_once(" log")?.0.rsplit(' ').next()?.parse::<usize>().ok();
    page.split("<span class=\"numbers\">").skip(1).map(|piece| count(piece).expect("a number of logs")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_told_by_its_records() {
    let app = TestApp::plan().ready().await;
    let all = stored(&app, checkout()).await;
    stored(&app, vec![with("traceId", json!("other")), with("traceId", json!("t2"))]).await;
    let trace = app.get("/api/traces/t").await;
    assert_eq!(trace.status, 200, "{}", trace.text());
    assert_eq!(ids(&trace.json["logs"]), all);
    assert_eq!(trace.json["total"], json!({"count": 8, "is": "exact"}));
    let span = |span: &Value| {
        let text = |name: &str| span[name].as_str().unwrap_or("-").to_owned();
        let time = |name: &str| text(name).trim_start_matches("2026-01-02T03:04:").to_owned();
        format!(
            "{}/{} {} {}-{} {} {}",
            text("parentSpanId"),
            text("spanId"),
            text("resourceId"),
            time("from"),
            time("to"),
            span["logs"],
            span["errors"]
        )
    };
    let spans: Vec<String> = trace.json["spans"].as_array().unwrap().iter().map(span).collect();
    assert_eq!(
        spans,
        [
            "-/a gateway 01Z-03Z 2 0",
            "a/b stock 01.050Z-01.200Z 2 0",
            "a/- cache 01.600Z-01.600Z 1 0",
            "-/lost - 01.500Z-01.500Z 0 0",
            "lost/c payments 01.500Z-01.500Z 1 1",
            "-/x worker 01.700Z-01.800Z 1 0",
            "x/y worker 01.800Z-01.800Z 1 0",
        ]
    );
    let page = app.get("/traces/t").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert_eq!(lines(&text).into_iter().collect::<BTreeSet<_>>(), all.iter().cloned().collect());
    for told in ["<b>2 s</b>", "7 spans", "8 logs", "missing parent", "go round in a circle", "1 error<"] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    let by_time = app.get("/traces/t?view=logs").await.text();
    assert_eq!(lines(&by_time), all);
    assert!(by_time.contains("+200 ms"), "{by_time}");
    for (path, status, field) in [
        ("/api/traces/nobody", 404, None),
        ("/api/traces", 400, Some("traceId")),
        ("/api/traces?traceId=", 400, Some("traceId")),
        ("/api/traces?traceId=a&traceId=b", 400, Some("traceId")),
        ("/api/traces/%FF", 400, Some("traceId")),
        (&format!("/api/traces/{}", "x".repeat(257)), 400, Some("traceId")),
        ("/api/traces/t?from=1h", 400, Some("from")),
        ("/traces/t?view=banana", 400, Some("view")),
        ("/traces/t?view=logs&view=logs", 400, Some("view")),
        ("/traces/t?view=logs&limit=1", 400, Some("limit")),
        ("/traces/nobody", 404, None),
    ] {
        let answer = app.get(path).await;
        assert_eq!(
            (answer.status, answer.json["field"].as_str()),
            (status, field),
            "{path}: {}",
            answer.text()
        );
    }
    app.finish().await;
}

/// Ids that break what is built carelessly.
fn hostile_ids() -> Vec<String> {
    let long = "ü".repeat(128);
    [
        "a/b",
        "100%",
        "%2F",
        "a%252Fb",
        "ü 🚨",
        "a?b#c&d=e;f",
        "a+b c",
        "..",
        ".",
        "../../etc",
        "<script>alert(1)</script>",
        "\"'`",
        "line\nbreak",
        "abc*",
        "abc\\*",
        "\u{202e}desrever",
        "{{7*7}}",
        "\\",
        "\u{7f}\u{1}",
        &long,
    ]
    .map(str::to_owned)
    .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_may_have_any_id() {
    let app = TestApp::plan().ready().await;
    let hostile = hostile_ids();
    let all = stored(&app, hostile.iter().map(|id| with("traceId", json!(id))).collect()).await;
    for (trace, id) in hostile.iter().zip(&all) {
        let address = format!("/api/traces?traceId={}", escaped(trace));
        let answer = app.get(&address).await;
        assert_eq!((answer.status, ids(&answer.json["logs"])), (200, vec![id.clone()]), "{address}");
        assert_eq!(answer.json["traceId"], json!(trace));
        if trace != "." && trace != ".." {
            let answer = app.get(&format!("/api/traces/{}", escaped(trace))).await;
            assert_eq!((answer.status, ids(&answer.json["logs"])), (200, vec![id.clone()]), "{trace}");
        }
    }
    // Every link of the pages leads to the same record.
    let browser = Browser::open(1280, Scripts::On).await;
    for id in &all {
        browser.goto(&format!("{}/logs/{id}", app.url)).await;
        browser.page.find(fantoccini::Locator::LinkText("This trace")).await.unwrap().click().await.unwrap();
        browser.find("main h1 bdi").await;
        let found =
            browser.script("return [...document.querySelectorAll('.entry')].map(line => line.id)").await;
        assert_eq!(found, json!([id]));
        browser
            .page
            .find(fantoccini::Locator::LinkText("Logs by time"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        browser.find(".entries.timed").await;
        let links =
            "return [...document.querySelectorAll('main nav a, .counts a')].map(a => a.getAttribute('href'))";
        let links = browser.script(links).await;
        for link in links.as_array().unwrap().iter().filter_map(Value::as_str) {
            let page = app.get(link).await;
            assert!(page.status == 200 && page.text().contains(id), "{link} does not lead to {id}");
        }
    }
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_logs_of_a_trace() {
    let app = TestApp::plan().ready().await;
    let big = |n: usize| {
        let span = format!("{:08x}", n % 700);
        let parent = format!("{:08x}", n % 700 / 3);
        json!({
            "level": if n.is_multiple_of(97) { "error" } else { "info" },
            "message": format!("step {n} of the order of customer {} took its time and went on", n % 31),
            "resourceId": format!("service-{}", n % 700 % 12),
            "timestamp": format!("2026-01-02T03:04:{:02}.{:06}Z", n / 500, n % 500 * 2_000),
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
            "spanId": span,
            "metadata": {"parentSpanId": parent, "http": {"status": 200, "path": "/checkout"}, "durationMs": 0.5},
        })
    };
    let mut all = stored(&app, (0..10_000).map(big).collect()).await;
    app.wait_rows(10_000).await;
    let wanted: BTreeSet<String> = all.iter().cloned().collect();
    let read = app.get("/api/traces/4bf92f3577b34da6a3ce929d0e0e4736").await.json["stats"]["ms"].clone();
    println!("read: {read} ms");
    for view in ["spans", "logs"] {
        let path = format!("/traces/4bf92f3577b34da6a3ce929d0e0e4736?view={view}");
        app.get(&path).await;
        let started = Instant::now();
        let request = app.client.get(format!("{}{path}", app.url)).header("accept-encoding", "gzip");
        let response = request.send().await.expect("the page comes");
        assert_eq!(
            response.headers().get("content-encoding").map(|coding| coding.as_bytes()),
            Some(&b"gzip"[..])
        );
        let packed = response.bytes().await.expect("all of it").len();
        let took = started.elapsed();
        let page = app.get(&path).await;
        println!("{view}: {took:?}, {} KiB, {} KiB packed", page.body.len() >> 10, packed >> 10);
        let text = page.text();
        assert!(!text.contains("of more"));
        let found = lines(&text);
        let distinct: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(distinct.len(), found.len(), "{view}: no log twice");
        if view == "logs" {
            assert_eq!(distinct, wanted);
            continue;
        }
        // Those of folded spans are counted, and somewhere else.
        let folded = text.split("<li class=\"deeper\">").skip(1);
        let folded: String = folded.filter_map(|piece| piece.split("</ol></details></li>").next()).collect();
        assert!(folded.contains("are not on this page, because it has so many"));
        assert!(distinct.is_subset(&wanted) && lines(&folded).is_empty());
        let (spans, marks) =
            (folded.matches("<li class=\"span ").count(), folded.matches("class=\"begin\"").count());
        assert!(spans >= 600 && marks == spans, "{marks} of {spans} folded spans can be seen");
        assert_eq!(logs_counted(&text), 10_000);
        assert_eq!(logs_counted(&folded), 10_000 - found.len());
        let search = folded.split_once("<li class=\"span").unwrap().1.split_once("href=\"").unwrap().1;
        let search = search.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        let logs = app.get(&search).await.text();
        let expected = 10_000 / 700;
        let rows = logs.matches("<li class=\"row ").count();
        assert!((expected..=expected + 1).contains(&rows), "{rows} rows at {search}");
    }
    all.extend(stored(&app, vec![big(10_000)]).await);
    app.wait_rows(10_001).await;
    let trace = app.get("/api/traces/4bf92f3577b34da6a3ce929d0e0e4736").await.json;
    assert_eq!(trace["total"], json!({"count": 10_000, "is": "atLeast"}));
    assert_eq!(trace["stats"]["complete"], false);
    assert_eq!(ids(&trace["logs"]), all[..10_000], "the first ones, in order");
    let page = app.get("/traces/4bf92f3577b34da6a3ce929d0e0e4736").await.text();
    assert!(page.contains("These are the first 10,000 logs of more."));
    assert!(page.contains("≥ 700 spans · ≥ 10,000 logs") && page.contains("</b> ≥ 104</a>"), "{page}");
    let onward =
        page.split("logs of more. <a href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let onward = app.get(&onward.replace("&#38;", "&").replace("&amp;", "&")).await.text();
    assert!(
        onward.contains(&all[10_000]) && !onward.contains(&all[9_999]),
        "the search goes on exactly there"
    );
    app.finish().await;
}
