//! The page of patterns in a real browser, with scripts and without, on a phone, and under text that means harm; and the list that completes
//! its query line.

use serde_json::json;

use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::{ndjson, with},
    run::{eventually, seconds},
};

async fn filled(app: &TestApp) {
    let records = (0..60).map(|n| {
        let message = match n % 6 {
            0 => format!("payment {n} <b>refused</b> for {n}ms"),
            _ => format!("user {n} logged in"),
        };
        let mut record = with("message", json!(message));
        record["level"] = json!(if n % 6 == 0 { "error" } else { "info" });
        record["commit"] = json!(if n < 30 { "aaa" } else { "bbb" });
        record["timestamp"] = json!(format!("2026-01-02T03:00:{n:02}Z"));
        record["metadata"] = json!({"user id": n, "ключ": "значение \"x\""});
        record
    });
    app.post(NDJSON, ndjson(records), &[]).await.accepted(60);
    app.post_json(&with("message", json!("<script>window.hacked = 1</script> \u{1b}[31m7")))
        .await
        .accepted(1);
    app.wait_rows(61).await;
}

async fn kinds(scripts: Scripts) {
    let app = TestApp::plan().ready().await;
    filled(&app).await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&format!("{}/patterns?level=info&level=error", app.url)).await;
    let kinds = browser.texts(".kinds .kind-text").await;
    assert_eq!(kinds[..2], ["user n logged in", "payment n <b>refused</b> for dur"]);
    assert_eq!(browser.texts(".kinds .kind-text i").await[..1], ["n"]);
    assert_eq!(browser.texts(".kinds td:first-child").await, ["50", "10", "1"]);

    browser.click(".kinds tr:first-child .kind-links a:nth-child(2)").await;
    browser.find(".rows, .row").await;
    let url = browser.page.current_url().await.expect("the window is open");
    assert!(url.path() == "/" && url.query().expect("a search").contains("q=-%2F%5Euser"), "{url}");
    assert!(url.query().expect("a search").contains("level=info"), "the rest stays: {url}");
    browser.page.back().await.expect("the browser answers");
    browser.click(".kinds tr:nth-child(2) .kind-links a:first-child").await;
    browser.find(".rows, .row").await;
    browser.page.back().await.expect("the browser answers");

    // What is new since a commit, by a click.
    browser.click(".kinds-commits a:nth-of-type(2)").await;
    browser.find(".kinds-since").await;
    let since = browser.texts(".kinds-since").await;
    assert!(since[0].starts_with("0 new since bbb (2026-01-02 03:00:30"), "{since:?}");
    browser.click(".ranges[aria-label=Order] a:nth-child(3)").await;
    browser.find(".state").await;
    let url = browser.page.current_url().await.expect("the window is open");
    assert!(url.query().expect("a search").ends_with("since=bbb&new=1"), "{url}");

    browser.find("#f-since").await.clear().await.expect("the browser answers");
    browser.find("#f-q").await.send_keys("payment").await.expect("the browser answers");
    browser.click("button[type=submit]").await;
    eventually("one kind is left", seconds(10), async || {
        (browser.texts(".kinds .kind-text").await == ["payment n <b>refused</b> for dur"]).then_some(())
    })
    .await;
    browser.click(".kinds .kind a").await;
    browser.find("main.record pre.message").await;
    browser.close().await;
    app.finish().await;
}

/// The time is typed as on the page of a search, and what is wrong with it is said there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_kinds_is_typed() {
    let app = TestApp::plan().ready().await;
    filled(&app).await;
    let browser = Browser::open(1280, Scripts::Off).await;
    browser.goto(&format!("{}/patterns?level=error", app.url)).await;
    browser.fill("#f-t", "2026-01-02 03:00:00 - 2026-01-02 03:00:30").await;
    browser.click(".kinds-form button").await;
    browser.arrives("/patterns?level=error&from=2026-01-02T03%3A00%3A00Z&to=2026-01-02T03%3A00%3A30Z").await;
    let counts = async |wanted: &str| {
        eventually("the kinds of that time are counted", seconds(10), async || {
            let is_asked = browser.address().await.contains(wanted);
            (is_asked && browser.texts(".kinds td:first-child").await == ["5"]).then_some(())
        })
        .await;
    };
    counts("from=").await;
    assert_eq!(browser.texts("label[for=f-t]").await, ["Time: 2026-01-02 03:00 - 03:00:30"]);
    // Left as it is it stays.
    browser.fill("#f-q", "payment").await;
    browser.click(".kinds-form button").await;
    counts("q=payment").await;
    assert_eq!(browser.texts("label[for=f-t]").await, ["Time: 2026-01-02 03:00 - 03:00:30"]);
    browser.fill("#f-t", "soonish").await;
    browser.click(".kinds-form button").await;
    browser.find("#f-t[aria-invalid=true]").await;
    assert_eq!(browser.find("#f-t").await.prop("value").await.unwrap().as_deref(), Some("soonish"));
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_in_the_browser() {
    kinds(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_without_scripts() {
    kinds(Scripts::Off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_kinds_stay_text_and_fit_on_a_phone() {
    let app = TestApp::plan().ready().await;
    filled(&app).await;
    app.post_json(&with("message", json!("x".repeat(400)))).await.accepted(1);
    app.post_json(&with("commit", json!("c".repeat(256)))).await.accepted(1);
    app.wait_rows(63).await;
    let browser = Browser::open(360, Scripts::On).await;
    for path in [
        "/patterns",
        "/patterns?since=<b>x</b>",
        "/patterns?q=level:banana",
        "/patterns?bogus=<b>1</b>&new=1",
    ] {
        browser.goto(&format!("{}{path}", app.url)).await;
        browser.find("#results").await;
        let state = "return [window.hacked === undefined, document.querySelectorAll('b, #results script').length, document.documentElement.scrollWidth]";
        assert_eq!(browser.script(state).await, json!([true, 0, 360]), "{path}");
    }
    browser.goto(&format!("{}/patterns?q=level:banana", app.url)).await;
    assert!(browser.texts("#e-q").await[0].starts_with("column 7"), "{:?}", browser.texts("#e-q").await);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_query_line_completes_itself() {
    let app = TestApp::plan().ready().await;
    filled(&app).await;
    // The keys are counted within 100 ms or not at all, and then known for a while.
    eventually("the keys are known", seconds(10), async || {
        let offered = app.get("/api/complete?q=клю&at=4").await.json["items"].to_string();
        offered.contains("ключ").then_some(())
    })
    .await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/patterns", app.url)).await;
    let field = browser.find("#f-q").await;
    let keys = async |keys: &str| field.send_keys(keys).await.expect("the browser answers");
    let value = async || field.prop("value").await.expect("the browser answers").unwrap_or_default();
    let offered = async |wanted: &str| {
        eventually(&format!("{wanted} is offered first"), seconds(10), async || {
            let texts = browser.texts("#f-q-list:not([hidden]) [role=option] span").await;
            texts.first().is_some_and(|first| first == wanted).then_some(())
        })
        .await;
    };
    const DOWN: &str = "\u{e015}";
    const ENTER: &str = "\u{e007}";
    const TAB: &str = "\u{e004}";
    const ESCAPE: &str = "\u{e00c}";

    // A field by Enter, its value by Tab; the list behind it opens by itself.
    keys("-lev").await;
    offered("level:").await;
    assert_eq!(field.attr("aria-expanded").await.unwrap().as_deref(), Some("true"));
    keys(DOWN).await;
    let active = field.attr("aria-activedescendant").await.unwrap().expect("one is active");
    browser.find(&format!("#{active}[role=option][aria-selected=true]")).await;
    keys(ENTER).await;
    assert_eq!(value().await, "-level:");
    offered("trace").await;
    keys("inf").await;
    offered("info").await;
    keys(DOWN).await;
    keys(TAB).await;
    assert_eq!(value().await, "-level:info");

    // Names and values with blanks and quotes, written so that they are read again.
    keys(" зн").await;
    keys("\u{e003}\u{e003}клю").await;
    offered("ключ:").await;
    keys(DOWN).await;
    keys(ENTER).await;
    offered("\"значение \\\"x\\\"\"").await;
    browser.click("#f-q-list [role=option]").await;
    assert_eq!(value().await, "-level:info ключ:\"значение \\\"x\\\"\"");

    // Escape closes; the focus is never caught.
    keys(" use").await;
    offered("\"metadata.user id\":").await;
    keys(ESCAPE).await;
    browser.find("#f-q-list[hidden]").await;
    assert_eq!(field.attr("aria-expanded").await.unwrap().as_deref(), Some("false"));
    keys("r").await;
    offered("\"metadata.user id\":").await;
    keys(TAB).await;
    browser.find("#f-q-list[hidden]").await;
    assert_eq!(browser.script("return document.activeElement.id").await, json!("f-t"));
    browser.close().await;
    app.finish().await;
}
