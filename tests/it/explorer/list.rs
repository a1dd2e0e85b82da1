//! The list: columns, wrapped lines, older rows, the page of one record, and the SQL behind it.

use fantoccini::actions::{InputSource, MouseActions, PointerAction};
use serde_json::json;

use super::{act, filled, samples};
use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::{ndjson, with},
    run::{eventually, seconds},
};

async fn columns(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&format!("{}/?limit=5&q=timeout&level=error&metadata.path=%2Fpay", app.url)).await;
    browser.click(".menu > summary").await;
    browser.fill("#column", "user.id").await;
    browser.click(".menu button").await;
    browser.arrives("/?level=error&metadata.path=%2Fpay&limit=5&q=timeout&column=user.id").await;
    assert_eq!(browser.texts(".row .cell").await, ["4", "3", "2", "1", "0"]);
    act(&browser, scripts, "spanId as a column").await;
    browser.arrives("&column=metadata.user.id&column=spanId&q=timeout").await;
    assert_eq!(browser.count(".head.cols-2 > span").await, 6);
    assert_eq!(browser.texts(".row:first-child .cell").await, ["4", "span-114"]);
    browser.click(".menu > summary").await;
    browser.click("[aria-label='Take away the column metadata.user.id']").await;
    browser.arrives("/?level=error&metadata.path=%2Fpay&limit=5&column=spanId&q=timeout").await;
    browser.click(".row > a.cell").await;
    browser.arrives("&q=timeout+spanId%3Aspan-114").await;
    assert_eq!(browser.count(".row").await, 1);

    browser.goto(&format!("{}/?limit=5", app.url)).await;
    browser.click(".tools [role=switch][aria-checked=false]").await;
    browser.arrives("/?limit=5&wrap=1").await;
    browser.find(".rows.wrapped").await;
    browser.click(".tools [role=switch][aria-checked=true]").await;
    browser.arrives("/?limit=5").await;
    browser.click(".tools a[href*='explain=1']").await;
    browser.find(".sql pre").await;
    assert_eq!(browser.texts(".tools a:last-child").await, ["Hide SQL"]);
    assert!(browser.texts(".sql pre").await[0].contains("select"));
    browser.click(".tools a:last-child").await;
    browser.arrives("/?limit=5").await;
    assert_eq!(browser.texts(".tools a:last-child").await, ["Show SQL"]);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_wrap_and_sql() {
    columns(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_wrap_and_sql_without_scripts() {
    columns(Scripts::Off).await;
}

/// A row is opened and nothing comes: its record is gone, or the server is. The page says which, and the next opening asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_opened_says_why() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?limit=2", app.url)).await;
    let link = "document.querySelector('.row > .text')";
    let real = browser.script(&format!("return {link}.getAttribute('href')")).await;
    browser.script(&format!("{link}.href = '/logs/019b7d9a-0000-7000-8000-000000000000'")).await;
    browser.click(".row > .text").await;
    let fault = browser.find(".row:first-child > .opened.fault").await;
    assert_eq!(fault.text().await.unwrap(), "there is no record with this id");
    browser.script(&format!("{link}.href = {real}")).await;
    let offline = async |is: bool| {
        let conditions =
            json!({"offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        browser.devtools("Network.emulateNetworkConditions", conditions).await;
    };
    offline(true).await;
    browser.click(".row > .text").await;
    browser.click(".row > .text").await;
    browser.find("#offline:not([hidden])").await;
    assert_eq!(browser.count(".row.open").await, 0);
    offline(false).await;
    browser.click(".row > .text").await;
    browser.find(".row:first-child dl .copy").await;
    assert_eq!(browser.count("#offline:not([hidden]), .fault").await, 0);
    browser.close().await;
    app.finish().await;
}

/// The line of a row is a link that a click opens in place; a drag over it chooses its text, and a new tab has the record's page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_a_line_is_chosen_like_any_other() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?limit=3&q=timeout", app.url)).await;
    let line = browser.find(".row > .text").await.rectangle().await.unwrap();
    let time = browser.find(".row > .time").await.rectangle().await.unwrap();
    let to = |x: f64| PointerAction::MoveTo { duration: None, x, y: line.1 + line.3 / 2.0 };
    for (from, by, whole) in
        [(line.0, 120.0, "timeout of request 118"), (time.0, 60.0, "2026-01-02 03:01:58.000118")]
    {
        let drag = MouseActions::new("mouse".to_owned())
            .then(to(from + 1.0))
            .then(PointerAction::Down { button: 0 })
            .then(to(from + by / 2.0))
            .then(to(from + by))
            .then(PointerAction::Up { button: 0 });
        browser.page.perform_actions(drag).await.unwrap();
        let chosen = browser.script("return getSelection().toString()").await;
        let chosen = chosen.as_str().unwrap();
        assert!(chosen.len() > 5 && whole.starts_with(chosen), "{chosen:?}");
        assert_eq!((browser.count(".row").await, browser.count(".row.open").await), (3, 0));
        browser.script("getSelection().removeAllRanges()").await;
    }
    // What is copied are lines: from a time to a message, over rows, and within one part as it is.
    let copied = async |from: &str, to: &str| {
        let copy = format!(
            "const text = (css) => document.querySelector(css).firstChild;
            getSelection().setBaseAndExtent(text('{from}'), 5, text('{to}'), 7);
            const event = new ClipboardEvent('copy', {{clipboardData: new DataTransfer(), bubbles: true, cancelable: true}});
            document.activeElement.dispatchEvent(event);
            getSelection().removeAllRanges();
            return event.defaultPrevented && event.clipboardData.getData('text/plain')"
        );
        browser.script(&copy).await
    };
    assert_eq!(copied(".row > .time", ".row > .text").await, "01-02 03:01:58.000118  warn  api-2  timeout");
    assert_eq!(
        copied(".row > .resource", ".row:last-child > .text").await,
        "  timeout of request 118\n2026-01-02 03:01:56.000116  info  api-0  timeout of request 116\n2026-01-02 03:01:54.000114  error  api-2  timeout"
    );
    assert_eq!(copied(".row > .text", ".row > .text").await, false);
    browser.click(".row > .text").await;
    browser.find(".row.open > .opened dl .copy").await;
    assert_eq!(copied(".row > .time", ".row > .text").await, false, "what is open is not a line");
    assert_eq!(browser.texts(".opened > .acts").await, ["Open Context Trace Copy JSON"]);
    browser.click(".row.open > .text").await;
    assert_eq!(
        (browser.count(".row.open").await, browser.find(".opened").await.is_displayed().await.unwrap()),
        (0, false)
    );
    browser.close().await;
    app.finish().await;
}

/// What a line does not hold is in the page, for the browser's own search; what shows nothing can be opened all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_behind_a_line_is_in_the_page() {
    let app = TestApp::plan().ready().await;
    let mut records: Vec<_> = samples().take(3).collect();
    let long = format!("{} the end", "word ".repeat(200));
    for (record, message) in
        records.iter_mut().zip(["first\n\tat Second.java:2", &long, "\u{1b}[31m\u{1b}[0m"])
    {
        record["message"] = json!(message);
    }
    app.post(NDJSON, ndjson(records), &[]).await.accepted(3);
    app.wait_rows(3).await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&app.url).await;
    let behind = "return [...document.querySelectorAll('.row > .text')].map(it => [it.textContent.length, it.nextElementSibling?.textContent ?? '', it.nextElementSibling?.hidden])";
    let behind = browser.script(behind).await;
    assert_eq!(
        behind,
        json!([[7, "", null], [600, long, "until-found"], [5, "first\n\tat Second.java:2", "until-found"]])
    );
    let height = async || browser.find(".row:last-child").await.rectangle().await.unwrap().3;
    assert!(height().await < 30.0, "it takes no room");
    // Found, it is shown until the row is opened, which has all of it.
    browser.script("document.querySelector('.row:last-child > .beyond').hidden = false").await;
    assert!(height().await > 60.0);
    browser.click(".row:last-child > .text").await;
    browser.find(".row:last-child > .opened dl").await;
    assert_eq!(browser.texts(".row:last-child > .beyond").await, [""]);
    assert!(browser.texts(".row:last-child .message").await[0].ends_with("at Second.java:2"));
    assert_eq!(browser.texts(".row:first-child > .text").await, ["(blank)"]);
    browser.close().await;
    app.finish().await;
}

/// With scripts, older rows come below those that are read; nothing moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_rows_are_added() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?limit=50", app.url)).await;
    for rows in [100, 120] {
        browser.click("a[rel=next]").await;
        eventually("more rows", seconds(10), async || (browser.count(".row").await == rows).then_some(()))
            .await;
    }
    assert_eq!(browser.address().await, "/?limit=50");
    let focused = browser.script("return document.activeElement.textContent").await;
    assert_eq!(
        focused.as_str().unwrap().lines().next(),
        Some("fine, request 19"),
        "the first of those that came"
    );
    assert_eq!(browser.texts("#total").await, ["120 records"]);
    assert!(browser.texts("#more p").await[0].starts_with("20 more rows shown"));
    assert_eq!(browser.count("a[rel=prev]").await, 0, "what is newer is on the page");
    assert_eq!((browser.count("a[rel=next]").await, browser.count("#more").await), (0, 1));
    let texts = browser.script("return [...document.querySelectorAll('.row .text')].map(text => text.textContent.match(/\\d+/)[0])").await;
    let numbers: Vec<usize> =
        texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..120).rev().collect::<Vec<_>>(), "each once, newest first");
    // What was added is as alive as the rest.
    browser.click(".rows:last-of-type .row:last-child > .text").await;
    browser.click(".rows:last-of-type .row:last-child dl .copy").await;
    // Who comes back finds all of it.
    browser.click(".rows:last-of-type .row:last-child .acts [href*=context]").await;
    browser.find(".entry.anchor").await;
    browser.back().await;
    browser.find(".rows:last-of-type .row.open:last-child > .opened").await;
    assert_eq!(browser.count(".row").await, 120);
    browser.close().await;
    app.finish().await;
}

/// Who does not want to wait for older rows stays where they are, and can ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_rows_can_be_waited_for_or_not() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?limit=50", app.url)).await;
    let latency = async |ms: u64| {
        let conditions =
            json!({"offline": false, "latency": ms, "downloadThroughput": -1, "uploadThroughput": -1});
        browser.devtools("Network.emulateNetworkConditions", conditions).await;
    };
    // While the page is not complete, and while what adds the rows is fetched.
    let (incomplete, complete) = (
        "Object.defineProperty(document, 'readyState', {get: () => 'interactive', configurable: true})",
        "delete document.readyState",
    );
    for (begin, end) in [(incomplete, complete), ("", "")] {
        browser.script(begin).await;
        latency(20_000).await;
        browser.click("a[rel=next]").await;
        browser.find("#progress:not([hidden])").await;
        browser.click("#stop").await;
        browser.find("#progress[hidden]").await;
        assert_eq!((browser.count(".row").await, browser.address().await.as_str()), (50, "/?limit=50"));
        latency(0).await;
        browser.script(end).await;
    }
    browser.click("a[rel=next]").await;
    eventually("more rows", seconds(10), async || (browser.count(".row").await == 100).then_some(())).await;
    assert_eq!(browser.count("#offline:not([hidden])").await, 0);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_rows_by_link_without_scripts() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::Off).await;
    browser.goto(&format!("{}/?limit=50", app.url)).await;
    let first = browser.texts(".row .text").await;
    browser.click("a[rel=next]").await;
    browser.find("a[rel=prev]").await;
    let second = browser.texts(".row .text").await;
    assert_eq!((second[0].as_str(), second.len()), ("fine, request 69", 50));
    browser.click("a[rel=prev]").await;
    browser.find(".pages:not(:has(a[rel=prev]))").await;
    assert_eq!(browser.texts(".row .text").await, first);
    browser.close().await;
    app.finish().await;
}

async fn a_record(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&format!("{}/?limit=5&q=timeout", app.url)).await;
    browser.click(".row > .time").await;
    browser.find("main.record").await;
    assert!(browser.address().await.starts_with("/logs/"));
    assert_eq!(browser.texts("pre.message").await, ["timeout of request 118"]);
    browser.back().await;
    browser.arrives("/?limit=5&q=timeout").await;
    browser.click(".row > .text").await;
    if let Scripts::On = scripts {
        browser.click(".row:first-child > .opened .acts a").await;
    }
    browser.find("main.record").await;
    // Its filters go on from the list, and so does the way back.
    assert_eq!(browser.texts("main.record .pages a:first-child").await, ["The list"]);
    browser.click("main.record a[href*='%2Fpay'][aria-label^=Without]").await;
    browser.arrives("/?limit=5&q=timeout+-path%3A%2Fpay").await;
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_has_a_page() {
    a_record(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_has_a_page_without_scripts() {
    a_record(Scripts::Off).await;
}

/// Lines that are wrapped show all of a message, each part of it once; many paths of metadata do not push everything else away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrapped_lines_are_whole() {
    let app = TestApp::plan().ready().await;
    let mut record = with("message", json!("failed\n  at one\n  at two"));
    record["metadata"] = (0..20).map(|n| (format!("key{n:02}"), json!(n))).collect();
    app.post_json(&record).await.accepted(1);
    app.wait_rows(1).await;
    let browser = Browser::open(1280, Scripts::Off).await;
    browser.goto(&app.url).await;
    let seen = async || browser.find(".rows").await.text().await.unwrap();
    assert!(seen().await.contains("failed") && !seen().await.contains("at two"), "{}", seen().await);
    browser.click(".tools a[role=switch]").await;
    browser.arrives("/?wrap=1").await;
    let text = eventually("the message is whole", seconds(10), async || {
        let text = seen().await;
        (text.contains("at one") && text.contains("at two")).then_some(text)
    })
    .await;
    assert_eq!(text.matches("failed").count(), 1, "{text}");
    let keys = async |wanted| {
        eventually("so many paths are in sight", seconds(10), async || {
            let keys = browser.texts(".facets .key").await;
            (keys.iter().filter(|key| !key.is_empty()).count() == wanted).then_some(())
        })
        .await;
    };
    keys(12).await;
    browser.click("[aria-label='8 more paths of metadata']").await;
    keys(20).await;
    browser.close().await;
    app.finish().await;
}
