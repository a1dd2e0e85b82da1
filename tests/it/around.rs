//! What is around a record: its trace and its neighbours, over HTTP and in a real browser, with scripts and without.

mod context;
mod trace;

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
        let line = browser.find(&format!("[id='{}'] > span", all[3])).await;
        line.is_displayed().await.unwrap_or(false).then_some(())
    })
    .await;
    browser.click(&format!("[id='{}'] > a", all[3])).await;
    browser.find("main.record").await;
    browser.goto(&format!("{}/logs/{}", app.url, all[40])).await;
    browser.page.find(fantoccini::Locator::LinkText("Context")).await.unwrap().click().await.unwrap();
    browser.find(".entry.anchor").await;
    let shown = async || browser.texts(".entry > span").await;
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
    assert_eq!(browser.texts(".entry.anchor > span").await, ["line 32"]);
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
