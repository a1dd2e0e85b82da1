//! The live page in a real browser: records come by themselves, and never under the eyes of who reads.

use serde_json::json;

use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::{named, ndjson},
    run::{eventually, seconds},
};

const STATE: &str = "return document.querySelector('#tail')?.dataset.state ?? ''";
const HIDE: &str = "Object.defineProperty(document, 'hidden', {value: true, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))";
const UNHIDE: &str = "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))";

/// One a second, the last one newest.
async fn post(app: &TestApp, prefix: &str, count: usize) {
    let records = (0..count).map(|n| {
        let mut record = named(&format!("{prefix} {n}"));
        record["timestamp"] = json!(format!("2026-01-02T03:{:02}:{:02}Z", n / 60, n % 60));
        record
    });
    app.post(NDJSON, ndjson(records), &[]).await.accepted(count);
}

async fn is_state(browser: &Browser, state: &str) {
    eventually(&format!("the page is {state}"), seconds(20), async || {
        (browser.script(STATE).await == json!(state)).then_some(())
    })
    .await;
}

/// Texts of the first rows.
async fn first(browser: &Browser, count: usize) -> Vec<String> {
    let code = format!(
        "return [...document.querySelectorAll('ol.rows > li .text')].slice(0, {count}).map(e => e.textContent)"
    );
    let texts = browser.script(&code).await;
    texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn on_top(browser: &Browser, text: &str) {
    eventually(&format!("{text} is on top"), seconds(20), async || {
        (first(browser, 1).await == [text]).then_some(())
    })
    .await;
}

async fn waits(browser: &Browser, text: &str) {
    eventually(&format!("`{text}` is on the button"), seconds(20), async || {
        let shown = browser
            .script("const b = document.querySelector('#tail .news'); return b.hidden ? '' : b.textContent");
        (shown.await == json!(text)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_come_by_themselves() {
    let app = TestApp::plan().ready().await;
    let browser = Browser::open(1280, Scripts::On).await;
    // Nothing is there yet, and the list appears with the first record.
    browser.goto(&format!("{}/?live=1", app.url)).await;
    is_state(&browser, "live").await;
    post(&app, "one", 3).await;
    on_top(&browser, "one 2").await;
    assert!(browser.texts("#results .state").await.is_empty());
    // What is stored between the page and its tail comes too: a page of a moment ago.
    let as_of = app.search(&[]).await["asOf"].as_str().unwrap().to_owned();
    post(&app, "between", 2).await;
    browser.goto(&format!("{}/?live=1&asOf={as_of}&message=e&limit=1&column=traceId&wrap=1", app.url)).await;
    on_top(&browser, "between 1").await;
    assert_eq!(first(&browser, 9).await, ["between 1", "between 0", "one 2"]);
    // Text of records stays text.
    let hostile =
        "<img src=x onerror=\"window.hacked = 1\"></span></a></li><script>window.hacked = 1</script> e";
    app.post_json(&named(hostile)).await.accepted(1);
    on_top(&browser, hostile).await;
    let shape = "return [...document.querySelectorAll('ol.rows > li')].slice(0, 2).map(row => [...row.querySelectorAll('*')].map(e => e.tagName).join())";
    let shape = browser.script(shape).await;
    assert_eq!(shape[0], shape[1], "a hostile record looks like any other");
    assert_eq!(browser.script("return window.hacked === undefined").await, true);
    // Filters hold, and links of new rows keep the page's state.
    browser.goto(&format!("{}/?live=1&level=error&q=-boring", app.url)).await;
    is_state(&browser, "live").await;
    assert!(
        browser.texts(".total").await[0].contains("records when Live began"),
        "numbers say of when they are"
    );
    let record = |message: &str, level: &str| json!({"level": level, "message": message, "resourceId": "r", "timestamp": "2026-01-02T03:04:05Z"});
    for (message, level) in [("good", "info"), ("boring", "error"), ("bad", "error")] {
        app.post_json(&record(message, level)).await.accepted(1);
    }
    on_top(&browser, "bad").await;
    assert_eq!(first(&browser, 9).await, ["bad"]);
    let href =
        browser.script("return document.querySelector('ol.rows .resource').getAttribute('href')").await;
    assert_eq!(href, "/?level=error&q=-boring+resourceId%3Ar");
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_moves_under_the_eyes_of_who_reads() {
    let app = TestApp::plan().ready().await;
    post(&app, "old", 150).await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?live=1&limit=150", app.url)).await;
    is_state(&browser, "live").await;
    // Further down.
    let place = "return [scrollY, document.querySelector('ol.rows > li:nth-child(40)').getBoundingClientRect().top, document.querySelector('ol.rows > li').id]";
    browser.script("scrollTo(0, 600)").await;
    let before = browser.script(place).await;
    assert!(before[0].as_f64() > Some(500.0), "{before}");
    post(&app, "new", 2).await;
    waits(&browser, "2 new").await;
    post(&app, "newer", 1).await;
    waits(&browser, "3 new").await;
    assert_eq!(browser.script(place).await, before);
    browser.click("#tail .news").await;
    assert_eq!(first(&browser, 4).await[..3], ["newer 0", "new 1", "new 0"]);
    assert_eq!(browser.script("return scrollY").await, 0);
    waits(&browser, "").await;
    // The button keeps the focus out of the list; then a record is open, or has the focus.
    post(&app, "top", 1).await;
    on_top(&browser, "top 0").await;
    for (begin, end) in [
        (
            "document.querySelector('.row > .text').click()",
            "document.querySelector('.row.open > .text').click()",
        ),
        ("document.querySelector('.row > .text').focus()", "document.activeElement.blur()"),
        (
            "getSelection().selectAllChildren(document.querySelector('ol.rows .text'))",
            "getSelection().removeAllRanges()",
        ),
    ] {
        let top = first(&browser, 1).await;
        browser.script(begin).await;
        post(&app, "held", 1).await;
        waits(&browser, "1 new").await;
        assert_eq!(first(&browser, 1).await, top, "{begin}");
        browser.script(end).await;
        post(&app, "free", 1).await;
        on_top(&browser, "free 0").await;
        assert_eq!(first(&browser, 2).await, ["free 0", "held 0"]);
        waits(&browser, "").await;
    }
    // Paused by hand.
    browser.click("#tail button:not(.news)").await;
    is_state(&browser, "paused").await;
    post(&app, "paused", 1).await;
    waits(&browser, "1 new").await;
    browser.click("#tail button:not(.news)").await;
    on_top(&browser, "paused 0").await;
    is_state(&browser, "live").await;
    // What waits, and what is shown, has an end.
    browser.script("scrollTo(0, 600)").await;
    for (n, label) in
        ["200 new", "400 new", "600 new", "800 new", "1,000 new", "1,000+ new"].into_iter().enumerate()
    {
        post(&app, &format!("many{n}"), 200).await;
        waits(&browser, label).await;
    }
    browser.click("#tail .news").await;
    assert_eq!(first(&browser, 1).await, ["many5 199"]);
    assert_eq!(browser.script("return document.querySelectorAll('ol.rows > li').length").await, 1_000);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_page_stops_and_goes_on() {
    let mut app = TestApp::plan().ready().await;
    post(&app, "old", 3).await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?live=1", app.url)).await;
    is_state(&browser, "live").await;
    post(&app, "seen", 1).await;
    on_top(&browser, "seen 0").await;
    browser.script(HIDE).await;
    is_state(&browser, "paused").await;
    eventually("nobody follows", seconds(10), async || {
        (app.metric("log_ingestor_tails").await == 0).then_some(())
    })
    .await;
    post(&app, "missed", 2).await;
    browser.script(UNHIDE).await;
    on_top(&browser, "missed 1").await;
    assert_eq!(first(&browser, 9).await, ["missed 1", "missed 0", "seen 0", "old 2", "old 1", "old 0"]);
    // The process stops, and another one takes its place.
    let again = app.plan_again().env("LISTEN", format!("127.0.0.1:{}", app.port));
    app.sigterm();
    assert_eq!(app.wait_exit(seconds(30)).await.code(), Some(0));
    is_state(&browser, "trouble").await;
    let app = again.ready().await;
    post(&app, "back", 1).await;
    on_top(&browser, "back 0").await;
    assert_eq!(first(&browser, 2).await, ["back 0", "missed 1"]);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_a_live_page_is_simply_the_page() {
    let app = TestApp::plan().ready().await;
    post(&app, "old", 3).await;
    let browser = Browser::open(1280, Scripts::Off).await;
    browser.goto(&format!("{}/?live=1", app.url)).await;
    browser.find("#live[aria-current]").await;
    assert_eq!(browser.texts("ol.rows .text").await, ["old 2", "old 1", "old 0"]);
    let elements = browser.page.find_all(fantoccini::Locator::Css("#tail")).await.unwrap();
    assert_eq!(elements.len(), 0);
    let page = app.get("/?live=1").await;
    let csp: &str = page.header("content-security-policy").unwrap();
    assert!(csp.contains("script-src 'self'"), "{csp}");
    assert!(page.text().contains("/tail.js") && !app.get("/").await.text().contains("/tail.js"));
    browser.close().await;
    app.finish().await;
}
