//! Every width, paper, and the colours the reader has chosen.

use serde_json::{Value, json};

use super::{OPEN_ALL, filled, open_all, samples};
use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::ndjson,
    run::{eventually, seconds},
};

/// Two records whose every value is as long as may be.
async fn with_long_values(app: &TestApp) -> String {
    let mut long = samples().next().unwrap();
    long["message"] = json!("x".repeat(5_000));
    for field in ["resourceId", "traceId", "spanId", "commit"] {
        long[field] = json!(field.repeat(256 / field.len()));
    }
    long["metadata"] =
        json!({"k".repeat(200): "v".repeat(1_900), "deep": {"er": {"list": vec!["w".repeat(300); 3]}}});
    long["timestamp"] = json!("2026-01-02T04:00:00Z");
    let id = app.post_json(&long).await.accepted(1).remove(0);
    app.wait_rows(121).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_width_needs_sideways_scrolling() {
    let app = filled().await;
    let id = with_long_values(&app).await;
    let long = "y".repeat(200);
    let paths = [
        "/".to_owned(),
        "/?wrap=1&limit=3".to_owned(),
        format!(
            "/?limit=3&column=traceId&column=spanId&column=commit&column=metadata.{}&column=metadata.user.id&column=metadata.path",
            "k".repeat(200)
        ),
        "/?level=error&limit=0".to_owned(),
        format!("/?q={long}+-{long}&off={long}&resourceId={long}"),
        format!("/?q=level:{long}"),
        format!("/?explain=1&limit=1&q={long}"),
        "/nowhere".to_owned(),
        format!("/logs/{id}"),
        format!("/logs/{id}/context"),
        format!("/traces/{}", "traceId".repeat(256 / "traceId".len())),
        "/views".to_owned(),
        "/patterns".to_owned(),
    ];
    let browser = Browser::open(1280, Scripts::On).await;
    let mut wide = Vec::new();
    for width in [360, 768, 1280, 3840] {
        browser.resize(width, 900).await;
        for path in &paths {
            browser.goto(&format!("{}{path}", app.url)).await;
            for state in ["", OPEN_ALL, "document.getElementById('help').showPopover()"] {
                browser.script(state).await;
                if state == OPEN_ALL {
                    open_all(&browser).await;
                }
                let seen = browser.script("return document.documentElement.scrollWidth").await;
                if seen.as_u64() > Some(u64::from(width)) {
                    wide.push(format!("{path} {state}: {seen} instead of {width} pixels"));
                }
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
    browser.close().await;
    app.finish().await;
}

/// Room is kept for what is counted later: rows stay where they were first seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_stay_where_they_are_when_the_histogram_comes() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser
        .before_pages("window.moved = []; new PerformanceObserver(list => list.getEntries().forEach(it => moved.push(it.sources.map(of => of.node?.id || of.node?.className)))).observe({type: 'layout-shift', buffered: true})")
        .await;
    for search in ["", "?q=-user.id:3", "?q=level:error", "?q=request"] {
        browser.goto(&format!("{}/{search}", app.url)).await;
        browser.find("svg.bars").await;
        assert_eq!(browser.script("return moved").await, json!([]), "{search}");
    }
    let pending = "const pending = document.querySelector('.pending'); const seen = [pending.checkVisibility()];
        const top = () => document.querySelector('#results').getBoundingClientRect().top; const before = top();
        document.querySelector('section.hist').remove(); return [...seen, pending.checkVisibility(), Math.abs(top() - before) < 1]";
    assert_eq!(browser.script(pending).await, json!([false, true, true]));
    browser.close().await;
    app.finish().await;
}

/// Text is text: the browser's own search finds it, and paper shows all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rows_are_found_and_printed() {
    let app = TestApp::plan().ready().await;
    let many = (0..1_000).map(|n| {
        let mut record = samples().next().unwrap();
        record["message"] = json!(format!("row {n:04} {} end {n:04}", "long ".repeat(60)));
        record
    });
    app.post(NDJSON, ndjson(many), &[]).await.accepted(1_000);
    app.wait_rows(1_000).await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?limit=1000", app.url)).await;
    // Rows out of sight are not laid out; who selects or prints them has them all the same.
    browser.script("getSelection().selectAllChildren(document.body)").await;
    let text = browser.script("return getSelection().toString()").await;
    let missing = |text: &Value| {
        (0..1_000).filter(|n| !text.as_str().unwrap().contains(&format!("row {n:04}"))).count()
    };
    assert_eq!(missing(&text), 0);
    let found = "getSelection().removeAllRanges(); return [window.find('row 0000'), window.find('row 9999')]";
    assert_eq!(browser.script(found).await, json!([true, false]));

    browser.script("document.documentElement.dataset.theme = 'dark'").await;
    browser.on_paper().await;
    let seen = browser.script("return document.body.innerText").await;
    assert_eq!(missing(&seen), 0);
    let hidden = "return ['.ask', '.facets', '.top', '.pages'].filter(css => document.querySelector(css).checkVisibility())";
    assert_eq!(browser.script(hidden).await, json!([]));
    let cut = "return [...document.querySelectorAll('.row .text')].filter(it => it.scrollWidth > it.clientWidth + 1 || it.scrollHeight > it.parentElement.clientHeight + 1).length";
    assert_eq!(browser.script(cut).await, 0, "no line is cut off");
    let ink = "return getComputedStyle(document.body).color";
    assert_eq!(browser.script(ink).await, "rgb(28, 33, 39)", "dark on white, whatever the screen has");
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_are_chosen_and_never_flash() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    // What the page is when there is first something to paint.
    browser
        .before_pages("new MutationObserver((_, self) => { if (!document.body) return; self.disconnect(); window.first = getComputedStyle(document.documentElement).colorScheme; }).observe(document, {childList: true, subtree: true})")
        .await;
    let ground = async || browser.script("return getComputedStyle(document.body).backgroundColor").await;
    let (light, dark) = ("rgb(247, 247, 245)", "rgb(20, 22, 26)");
    browser.goto(&app.url).await;
    assert_eq!(ground().await, light);
    browser.click("[data-set-theme=dark]").await;
    assert_eq!(ground().await, dark);
    browser.find("[data-set-theme=dark][aria-pressed=true]").await;
    browser.goto(&format!("{}/?limit=1", app.url)).await;
    assert_eq!((browser.script("return window.first").await, ground().await), (json!("dark"), json!(dark)));
    browser.find("[data-set-theme=dark][aria-pressed=true]").await;
    browser.click("[data-set-theme=light]").await;
    browser.prefers_dark().await;
    browser.goto(&app.url).await;
    assert_eq!((browser.script("return window.first").await, ground().await), (json!("light"), json!(light)));
    browser.click("[data-set-theme=auto]").await;
    assert_eq!(ground().await, dark);
    browser.close().await;
    app.finish().await;
}

/// Without scripts the colours are those of the system, and nothing is offered that would not work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_without_scripts() {
    let app = TestApp::plan().ready().await;
    let browser = Browser::open(1280, Scripts::Off).await;
    browser.goto(&app.url).await;
    assert!(!browser.find(".theme").await.is_displayed().await.unwrap());
    assert!(browser.find("[popovertarget=help]").await.is_displayed().await.unwrap());
    browser.close().await;
    app.finish().await;
}

/// Times are the reader's: from the first page on, and after a journey.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_in_the_zone_of_the_reader() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    // East of Greenwich; west of it; where clocks show what UTC shows, and where they do without being it.
    for (zone, newest) in [
        ("Australia/Adelaide", "2026-01-02 13:31:59.000119"),
        ("America/New_York", "2026-01-01 22:01:59.000119"),
        ("UTC", "2026-01-02 03:01:59.000119"),
        ("Africa/Abidjan", "2026-01-02 03:01:59.000119"),
    ] {
        browser.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": zone})).await;
        browser.goto(&format!("{}/?limit=1", app.url)).await;
        eventually(&format!("times of {zone}"), seconds(20), async || {
            // The page may just be asked for again.
            let read = "const head = document.querySelector('.head span'), time = document.querySelector('.row .time');
                return head && time ? head.textContent + ' ' + time.textContent : ''";
            let shown = browser.page.execute(read, vec![]).await.ok()?;
            (shown == format!("Time ({zone}) {newest}")).then_some(())
        })
        .await;
        let cookie = browser.script("return document.cookie").await;
        assert!(cookie.as_str().unwrap().contains(&format!("tz={zone}")), "{zone}: {cookie}");
    }
    browser.close().await;
    app.finish().await;
}
