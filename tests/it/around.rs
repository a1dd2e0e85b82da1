//! What is around a record: its trace and its neighbours, over HTTP and in a real browser, with scripts and without.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::{ndjson, with},
    run::{eventually, seconds},
};

/// A step of a path, everything escaped that can be.
fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

async fn stored(app: &TestApp, records: Vec<Value>) -> Vec<String> {
    let count = records.len();
    app.post(NDJSON, ndjson(records), &[]).await.accepted(count)
}

fn record(message: &str, seconds: f64, resource: &str, span: Option<&str>, metadata: Value) -> Value {
    let at = format!("2026-01-02T03:04:{seconds:09.6}Z");
    let mut record = json!({"level": "info", "message": message, "resourceId": resource, "timestamp": at, "traceId": "t", "metadata": metadata});
    if let Some(span) = span {
        record["spanId"] = json!(span);
    }
    record
}

/// A request through three resources; the payment's span is named only, a cache logs without spans, and two spans go round in a circle.
fn checkout() -> Vec<Value> {
    let mut failed = record("card declined", 1.5, "payments", Some("c"), json!({"parentSpanId": "lost"}));
    failed["level"] = json!("error");
    vec![
        record("POST /checkout", 1.0, "gateway", Some("a"), json!({})),
        record("reserve stock", 1.1, "stock", Some("b"), json!({"parent_span_id": "a"})),
        record("reserved", 1.2, "stock", Some("b"), json!({"durationMs": 150})),
        failed,
        record("miss", 1.6, "cache", None, json!({"parentResourceId": "gateway"})),
        record("one", 1.7, "worker", Some("x"), json!({"parentSpanId": "y"})),
        record("two", 1.8, "worker", Some("y"), json!({"parentSpanId": "x"})),
        record("402", 3.0, "gateway", Some("a"), json!({})),
    ]
}

fn ids(logs: &Value) -> Vec<String> {
    let logs = logs.as_array().unwrap_or_else(|| panic!("no list: {logs}"));
    logs.iter().map(|log| log["id"].as_str().expect("a log has an id").to_owned()).collect()
}

/// Ids of the lines of a page, in order.
fn lines(page: &str) -> Vec<String> {
    let line = |piece: &str| {
        let (class, rest) = piece.split_once('"')?;
        let id = rest.strip_prefix(" id=\"")?.split('"').next()?;
        class.starts_with("entry").then(|| id.to_owned())
    };
    page.split("<li class=\"").skip(1).filter_map(line).collect()
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn context_among_equal_timestamps() {
    let app = TestApp::plan().ready().await;
    let all = stored(&app, (0..100).map(|n| with("message", json!(format!("line {n}")))).collect()).await;
    let mut all: Vec<String> = all;
    all.sort();
    let context = async |parameters: &str| {
        let answer = app.get(&format!("/api/logs/{}/context?{parameters}", all[50])).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json
    };
    let found = context("before=10&after=7").await;
    assert_eq!(ids(&found["before"]), all[40..50]);
    assert_eq!(found["record"]["id"], json!(all[50]));
    assert_eq!(ids(&found["after"]), all[51..58]);
    assert_eq!((&found["moreBefore"], &found["moreAfter"]), (&json!(true), &json!(true)));
    let found = context("before=500&after=49").await;
    assert_eq!((ids(&found["before"]), ids(&found["after"])), (all[..50].to_vec(), all[51..].to_vec()));
    assert_eq!((&found["moreBefore"], &found["moreAfter"]), (&json!(false), &json!(false)));
    let found = context("before=0&after=0").await;
    assert_eq!((ids(&found["before"]).len(), ids(&found["after"]).len()), (0, 0));
    assert_eq!((&found["moreBefore"], &found["moreAfter"]), (&json!(true), &json!(true)));
    let page = app.get(&format!("/logs/{}/context?before=10&after=7", all[50])).await.text();
    assert_eq!(lines(&page), all[40..58], "the page shows the same");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn context_of_resource_trace_and_everything_with_filters() {
    let app = TestApp::plan().ready().await;
    let records: Vec<Value> = (0..60)
        .map(|n| {
            json!({
                "level": if n % 4 == 0 { "warn" } else { "info" },
                "message": format!("{} {n}", if n % 3 == 0 { "timeout" } else { "fine" }),
                "resourceId": format!("r*{}", n % 2),
                "traceId": format!("t/{}", n % 5),
                "timestamp": format!("2026-01-02T03:04:{n:02}Z"),
            })
        })
        .collect();
    let all = stored(&app, records.clone()).await;
    // Everything that holds for a neighbour of the thirtieth, found by looking at every record.
    let around = |holds: &dyn Fn(&Value) -> bool| {
        let of = |range: std::ops::Range<usize>| -> Vec<String> {
            range.filter(|n| holds(&records[*n])).map(|n| all[n].clone()).collect()
        };
        (of(0..30), of(31..60))
    };
    let same = |field: &'static str| move |record: &Value| record[field] == records_thirty(field);
    let (resource, trace) = (same("resourceId"), same("traceId"));
    let timeout = |record: &Value| record["message"].as_str().unwrap().contains("timeout");
    type Holds<'a> = &'a dyn Fn(&Value) -> bool;
    let cases: [(&str, Holds<'_>); 6] = [
        ("by=all", &|_| true),
        ("", &resource),
        ("by=trace", &trace),
        ("by=all&q=timeout", &timeout),
        ("by=resource&q=timeout&level=warn", &|record| {
            resource(record) && timeout(record) && record["level"] == "warn"
        }),
        ("by=trace&q=fine+or+level:warn", &|record| {
            trace(record) && (!timeout(record) || record["level"] == "warn")
        }),
    ];
    for (parameters, holds) in cases {
        let answer =
            app.get(&format!("/api/logs/{}/context?before=500&after=500&{parameters}", all[30])).await;
        let found = (ids(&answer.json["before"]), ids(&answer.json["after"]));
        assert_eq!(found, around(holds), "{parameters}");
        assert_eq!(
            answer.json["record"]["id"],
            json!(all[30]),
            "the record itself is there whatever the filter"
        );
    }
    let lonely = stored(&app, vec![json!({"level": "info", "message": "alone", "resourceId": "r", "timestamp": "2026-01-02T03:04:05Z"})]).await;
    for (path, status, field) in [
        (format!("{}/context?by=banana", all[0]), 400, Some("by")),
        (format!("{}/context?by=trace", lonely[0]), 400, Some("by")),
        (format!("{}/context?before=501", all[0]), 400, Some("before")),
        (format!("{}/context?after=-1", all[0]), 400, Some("after")),
        (format!("{}/context?limit=5", all[0]), 400, Some("limit")),
        (format!("{}/context?q=level:banana", all[0]), 400, Some("q")),
        (format!("{}/context?q=/a(/", all[0]), 400, Some("q")),
        (format!("{}/context?nonsense=5", all[0]), 400, Some("nonsense")),
        ("nonsense/context".to_owned(), 400, Some("id")),
        ("019b7d9a-0000-7000-8000-000000000000/context".to_owned(), 404, None),
    ] {
        let answer = app.get(&format!("/api/logs/{path}")).await;
        assert_eq!(
            (answer.status, answer.json["field"].as_str()),
            (status, field),
            "{path}: {}",
            answer.text()
        );
        assert_eq!(app.get(&format!("/logs/{path}")).await.status, status, "the page says the same: {path}");
    }
    app.finish().await;
}

/// What the record in the middle has in a field.
fn records_thirty(field: &str) -> Value {
    match field {
        "resourceId" => json!("r*0"),
        _ => json!("t/0"),
    }
}

/// Waits until the address ends so, at this record.
async fn lands(browser: &Browser, end: &str, id: &str) {
    browser.arrives(end).await;
    let at = format!("{end}#{id}");
    eventually(&format!("the address ends in {at}"), seconds(10), async || {
        let url = browser.page.current_url().await.expect("the window is open");
        url.as_str().ends_with(&at).then_some(())
    })
    .await;
}

/// From a record to its trace, by a tick to a log, to its context, and further both ways.
async fn a_walk(scripts: Scripts) {
    let app = TestApp::plan().ready().await;
    let mut records = checkout();
    records.extend(
        (0..70).map(|n| {
            record(&format!("line {n}"), 4.0 + f64::from(n) / 10.0, "gateway", Some("z"), json!({}))
        }),
    );
    let all = stored(&app, records).await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&format!("{}/logs/{}", app.url, all[3])).await;
    browser.page.find(fantoccini::Locator::LinkText("This trace")).await.unwrap().click().await.unwrap();
    browser.find(".waterfall").await;
    assert!(browser.texts(".span .operation").await.contains(&"card declined".to_owned()));
    // A tick opens its span and shows its log.
    browser.click(".span.failed svg a.error").await;
    lands(&browser, "/traces/t", &all[3]).await;
    eventually("the log of the tick is seen", seconds(10), async || {
        let line = browser.find(&format!("[id='{}'] .message", all[3])).await;
        line.is_displayed().await.unwrap_or(false).then_some(())
    })
    .await;
    browser.click(&format!("[id='{}'] .time", all[3])).await;
    browser.find("main.record").await;
    browser.goto(&format!("{}/logs/{}", app.url, all[40])).await;
    browser.page.find(fantoccini::Locator::LinkText("Context")).await.unwrap().click().await.unwrap();
    browser.find(".entry.anchor").await;
    let shown = async || browser.texts(".entry .message").await;
    let texts: Vec<String> = (12..=52).map(|n| format!("line {n}")).collect();
    assert_eq!(shown().await, texts);
    browser
        .page
        .find(fantoccini::Locator::LinkText("↑ 20 more earlier"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    lands(&browser, &format!("/logs/{}/context?before=40", all[40]), &all[20]).await;
    assert_eq!(
        shown().await.first().map(String::as_str),
        Some("POST /checkout"),
        "two of the gateway are before the lines"
    );
    browser.page.find(fantoccini::Locator::LinkText("↓ 20 more later")).await.unwrap().click().await.unwrap();
    lands(&browser, &format!("/logs/{}/context?before=40&after=40", all[40]), &all[60]).await;
    assert_eq!(shown().await.last().map(String::as_str), Some("line 69"));
    assert_eq!(browser.texts(".edge").await, ["Nothing earlier.", "Nothing later."]);
    // The filter of the form; what it asks is in the address.
    browser.find("#f-q").await.send_keys("checkout or \"line 7\"").await.unwrap();
    browser.click("form.narrow button").await;
    browser.arrives("before=40&after=40&q=checkout+or+%22line+7%22").await;
    assert_eq!(shown().await, ["POST /checkout", "line 7", "line 32"]);
    assert_eq!(browser.texts(".entry.anchor .message").await, ["line 32"]);
    browser.page.find(fantoccini::Locator::LinkText("Same trace")).await.unwrap().click().await.unwrap();
    browser.find(".views a[aria-current]:nth-child(2)").await;
    assert_eq!(shown().await, ["POST /checkout", "line 7", "line 32"]);
    // What is wrong is said beside the field, and what was typed stays.
    browser.find("#f-q").await.send_keys(" (").await.unwrap();
    browser.click("form.narrow button").await;
    let field = browser.find("#f-q[aria-invalid=true]").await;
    assert_eq!(field.prop("value").await.unwrap().as_deref(), Some("checkout or \"line 7\" ("));
    assert!(browser.texts("#e-q").await[0].contains("column"));
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_in_the_browser() {
    a_walk(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_without_scripts() {
    a_walk(Scripts::Off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_text_stays_text_around_a_record() {
    let app = TestApp::plan().ready().await;
    let hostile = [
        "harmless",
        "<script>window.hacked = 1</script>",
        "</title></svg></details></li><h1>x</h1>",
        "\"><img src=x onerror=\"window.hacked = 1\">",
        "' onmouseover='window.hacked = 1",
        "javascript:window.hacked=1",
        "{{ 7 * 7 }} {% raw %} &lt;b&gt; <!-- ",
        "\u{1b}]0;title\u{7} \u{202e}desrever",
    ];
    let twin = |text: &str| {
        let mut record = with("message", json!(text));
        for field in ["resourceId", "traceId", "spanId", "commit"] {
            record[field] = json!(text);
        }
        record["metadata"] = json!({"parentSpanId": format!("{text}!"), "parentResourceId": text});
        record
    };
    let all = stored(&app, hostile.map(twin).to_vec()).await;
    let browser = Browser::open(1280, Scripts::On).await;
    // Names and attribute names of all elements, in order.
    let shape = "return [...document.querySelectorAll('main *, title')].map(e => e.tagName + ' ' + e.getAttributeNames().join(' '))";
    let mut harmless: Option<Vec<Value>> = None;
    for (text, id) in hostile.iter().zip(&all) {
        let mut shapes = Vec::new();
        let trace = format!("/traces/{}", escaped(text));
        for path in [
            trace.clone(),
            format!("{trace}?view=logs"),
            format!("/logs/{id}/context?message={}", escaped(text)),
        ] {
            browser.goto(&format!("{}{path}", app.url)).await;
            browser.find(".entry").await;
            shapes.push(browser.script(shape).await);
        }
        assert_eq!(browser.script("return window.hacked === undefined").await, true);
        match &harmless {
            None => harmless = Some(shapes),
            Some(harmless) => assert_eq!(&shapes, harmless, "{text}"),
        }
    }
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_needs_no_sideways_scrolling_around_a_record() {
    let app = TestApp::plan().ready().await;
    let long = "x".repeat(250);
    let mut records: Vec<Value> = (0..30)
        .map(|n| {
            let parent = json!({"parentSpanId": format!("s{}", n + 1)});
            record(&long.repeat(4), 1.0 + f64::from(n), &long, Some(&format!("s{n}")), parent)
        })
        .collect();
    for record in &mut records {
        record["traceId"] = json!(long);
    }
    let all = stored(&app, records).await;
    let browser = Browser::open(360, Scripts::On).await;
    for path in [
        format!("/traces/{long}"),
        format!("/traces/{long}?view=logs"),
        format!("/logs/{}/context?by=all&message={long}", all[3]),
        format!("/logs/{}/context?q=%28", all[3]),
    ] {
        browser.goto(&format!("{}{path}", app.url)).await;
        browser.find("#results").await;
        browser.script("document.querySelectorAll('details').forEach(d => d.open = true)").await;
        let width = browser.script("return document.documentElement.scrollWidth").await;
        assert!(width.as_u64() <= Some(360), "{path} is {width} pixels wide");
    }
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_can_use_what_is_around_a_record() {
    let app = TestApp::plan().ready().await;
    let mut records = checkout();
    for (n, level) in ["trace", "debug", "warn", "fatal"].into_iter().enumerate() {
        let mut one = record(
            "\u{1b}[31mred\u{1b}[0m https://example.org/",
            2.0,
            &format!("other-{n}"),
            Some("o"),
            json!({}),
        );
        one["level"] = json!(level);
        records.push(one);
    }
    // More roots than are shown at once, so that some are folded.
    records.extend((0..310).map(|n| record("many", 5.0, "many", Some(&format!("m{n}")), json!({}))));
    let all = stored(&app, records).await;
    let open_all = "document.querySelectorAll('details').forEach(it => it.open = true)";
    let open_some = "[...document.querySelectorAll('details')].slice(0, 12).forEach(it => it.open = true)";
    let pages = [
        ("/traces/t".to_owned(), open_some),
        ("/traces/t?view=logs".to_owned(), ""),
        ("/traces/nobody".to_owned(), ""),
        (format!("/logs/{}/context?by=trace&message=e", all[3]), open_all),
        (format!("/logs/{}/context?q=%28", all[3]), ""),
        (format!("/logs/{}/context?by=banana", all[3]), ""),
    ];
    let browser = Browser::open(1280, Scripts::On).await;
    let mut wrong = Vec::new();
    for look in ["by day", "on a phone", "by night"] {
        match look {
            "on a phone" => browser.resize(360, 740).await,
            "by night" => browser.prefers_dark().await,
            _ => {}
        }
        for (path, action) in &pages {
            browser.goto(&format!("{}{path}", app.url)).await;
            browser.script(action).await;
            wrong.extend(browser.axe().await.into_iter().map(|fault| format!("{look} {path}: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    browser.close().await;
    app.finish().await;
}
