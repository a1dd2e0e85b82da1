//! The page in a real browser: by form and by click, with scripts and without, on a phone, and under text that means harm.

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::{ndjson, with},
};

async fn filled(app: &TestApp) {
    let records = (0..120).map(|n| {
        let mut record =
            with("message", json!(if n % 2 == 0 { format!("timeout {n}") } else { format!("fine {n}") }));
        record["level"] = json!(if n % 3 == 0 { "error" } else { "info" });
        record["timestamp"] = json!(format!("2026-01-02T03:{:02}:{:02}Z", n / 60, n % 60));
        record["metadata"] = json!({"user": {"id": n % 4}});
        record
    });
    app.post(NDJSON, ndjson(records), &[]).await.accepted(120);
    app.wait_rows(120).await;
}

/// Search by the form, narrow by a click, page there and back, open a record.
async fn a_search(scripts: Scripts) {
    let app = TestApp::plan().ready().await;
    filled(&app).await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&app.url).await;
    browser.find("#f-message").await.send_keys("TIMEOUT").await.expect("the browser answers");
    browser.find("#f-limit").await.send_keys("10").await.expect("the browser answers");
    browser.click("button[type=submit]").await;
    browser.arrives("/?message=TIMEOUT&limit=10").await;
    let rows = browser.texts(".rows .message").await;
    assert_eq!((rows.len(), rows[0].as_str()), (10, "timeout 118"));

    browser.click(".row.error > .level").await;
    browser.arrives("/?message=TIMEOUT&limit=10&level=error").await;
    browser.find("input[value=error]:checked").await;
    assert_eq!(browser.texts(".rows .level").await, ["error"; 10]);
    let first = browser.texts(".rows .message").await;

    browser.click("a[rel=next]").await;
    browser.find("a[rel=prev]").await;
    let second = browser.texts(".rows .message").await;
    assert!(second.len() == 10 && second.iter().all(|row| !first.contains(row)), "{second:?}");
    browser.click("a[rel=prev]").await;
    browser.find(".pages:not(:has(a[rel=prev]))").await;
    assert_eq!(browser.texts(".rows .message").await, first);

    browser.click("summary").await;
    browser.click("details[open] .json a").await;
    browser.find(".pills li:nth-child(3)").await;
    assert!(
        browser.page.current_url().await.expect("the browser answers").as_str().contains("metadata.user.id=")
    );
    browser.click("[aria-label='Remove the filter message: TIMEOUT']").await;
    browser.find(".pills li:nth-child(2):last-child").await;
    browser.click(".row > .time").await;
    browser.find("main.record pre.message").await;
    assert!(browser.page.current_url().await.expect("the browser answers").path().starts_with("/logs/"));
    browser.page.back().await.expect("the browser answers");
    browser.find(".rows").await;
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_in_the_browser() {
    a_search(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_without_scripts() {
    a_search(Scripts::Off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_field_is_marked() {
    let app = TestApp::plan().ready().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&app.url).await;
    assert_eq!(browser.texts(".state h2").await, ["Nothing here yet"]);
    browser.find("#f-regex").await.send_keys("a(").await.unwrap();
    browser.click("button[type=submit]").await;
    let field = browser.find("#f-regex[aria-invalid=true]").await;
    assert_eq!(field.prop("value").await.unwrap().as_deref(), Some("a("), "what was typed stays");
    assert!(browser.texts("#e-regex").await[0].contains("parentheses"));
    browser.close().await;
}

/// Names and attribute names of all elements of a row, in order.
const SHAPE: &str = "return [...document.querySelectorAll('.row')].map(row => [...row.querySelectorAll('*')].map(e => e.tagName + ' ' + e.getAttributeNames().join(' ')))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_text_stays_text() {
    let app = TestApp::plan().ready().await;
    let twin = |text: &str| {
        let mut record = with("message", json!(text));
        for field in ["resourceId", "traceId", "spanId", "commit"] {
            record[field] = json!(text);
        }
        record["metadata"] = json!({text: text, "~list": [text]});
        record
    };
    let hostile = [
        "<script>window.hacked = 1</script>",
        "</span></details></li><h1>x</h1>",
        "\"><img src=x onerror=\"window.hacked = 1\">",
        "' onmouseover='window.hacked = 1",
        "javascript:window.hacked=1",
        "{{ 7 * 7 }} {% raw %} &lt;b&gt; <!-- ",
        "\u{1b}[31mred\u{1b}[0m \u{7} \u{202e}desrever",
    ];
    let all: Vec<Value> = std::iter::once("harmless").chain(hostile).map(twin).collect();
    app.post(NDJSON, ndjson(all), &[]).await.accepted(1 + hostile.len());
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&app.url).await;
    let shapes = browser.script(SHAPE).await;
    let shapes = shapes.as_array().unwrap();
    assert_eq!(shapes.len(), 1 + hostile.len());
    for shape in shapes {
        assert_eq!(shape, &shapes[0]);
    }
    assert_eq!(
        browser.script("return window.hacked === undefined && document.querySelectorAll('h1').length").await,
        1
    );
    for text in hostile.iter().take(6) {
        let found = browser.texts(".rows .message").await;
        assert!(found.iter().any(|seen| seen == text.trim()), "{text} is not among {found:?}");
    }
    // Every link of a hostile row finds it again.
    let links = browser.script("return [...document.querySelectorAll('.row dd a, .row .json a')].map(a => a.getAttribute('href'))").await;
    for link in
        links.as_array().unwrap().iter().filter_map(Value::as_str).filter(|link| link.starts_with("/?"))
    {
        let page = app.get(link).await;
        assert!(page.status == 200 && page.text().contains("class=\"rows\""), "{link} finds nothing");
    }
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_needs_no_sideways_scrolling() {
    let app = TestApp::plan().ready().await;
    filled(&app).await;
    let long = with("message", json!("x".repeat(5_000)));
    let id = app.post_json(&with("resourceId", json!("r".repeat(256)))).await.accepted(1).remove(0);
    app.post_json(&long).await.accepted(1);
    app.wait_rows(122).await;
    let browser = Browser::open(360, Scripts::On).await;
    let long_value = "y".repeat(200);
    for path in [
        "/",
        "/?level=error&limit=0",
        &format!("/?resourceId={long_value}"),
        "/nowhere",
        &format!("/logs/{id}"),
    ] {
        browser.goto(&format!("{}{path}", app.url)).await;
        browser.find("#results, .state").await;
        browser.script("document.querySelectorAll('details').forEach(d => d.open = true)").await;
        let width = browser.script("return document.documentElement.scrollWidth").await;
        assert!(width.as_u64() <= Some(360), "{path} is {width} pixels wide");
    }
    browser.close().await;
    app.finish().await;
}
