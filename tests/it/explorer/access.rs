//! Whether everybody can use the pages: axe-core finds nothing wrong with any page in any state, by day, by night, and on a phone.

use serde_json::json;

use super::{OPEN_ALL, filled, has_opened, open_all, samples};
use crate::harness::{
    TestApp,
    browser::{Browser, Scripts},
};

/// A page and what is done to it before it is judged. `{id}` stands for the newest record.
const PAGES: &[(&str, &str)] = &[
    ("/?limit=10", ""),
    ("/?limit=10", "document.querySelector('.row > .text').click()"),
    ("/?limit=10&wrap=1&column=metadata.user.id&column=spanId&facet=metadata.path", ""),
    ("/?limit=3&level=error&off=timeout&q=-resourceId%3Aapi-1+request", OPEN_ALL),
    ("/?limit=3", "document.getElementById('help').showPopover()"),
    ("/?limit=3&explain=1", OPEN_ALL),
    ("/?limit=3&from=7d", ""),
    ("/?limit=3&live=1", ""),
    ("/?q=nowhere", ""),
    ("/?q=level%3Abanana", ""),
    ("/?t=soonish&q=a", ""),
    ("/?regex=a(&limit=0", ""),
    ("/?mk=a&metadata.b=", ""),
    ("/?bogus=1", ""),
    ("/logs/{id}", OPEN_ALL),
    ("/logs/{id}/context", ""),
    ("/logs/{id}/context?q=level%3Abanana", ""),
    ("/traces/trace-3", ""),
    ("/traces/trace-3", OPEN_ALL),
    ("/traces/trace-3?view=logs", ""),
    ("/traces/nowhere", ""),
    ("/traces", ""),
    ("/views", ""),
    ("/patterns", OPEN_ALL),
    ("/patterns?q=level%3Abanana", ""),
    ("/logs/nothing", ""),
    ("/nowhere", ""),
];

/// Opens each page as it looks to somebody, and lists what is wrong with it.
async fn faults(browser: &Browser, app: &TestApp, look: &str, pages: &[(&str, &str)]) -> Vec<String> {
    let newest = app.search(&[("limit", "1")]).await["logs"][0]["id"].as_str().unwrap_or("").to_owned();
    let mut faults = Vec::new();
    for (path, action) in pages {
        browser.goto(&format!("{}{}", app.url, path.replace("{id}", &newest))).await;
        browser.script(action).await;
        has_opened(browser).await;
        if *action == OPEN_ALL {
            open_all(browser).await;
        }
        faults
            .extend(browser.axe().await.into_iter().map(|fault| format!("{look} {path} {action}: {fault}")));
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_can_use_every_page() {
    let app = filled().await;
    // Whatever a record can hold is on one of the pages.
    let mut odd = samples().next().unwrap();
    odd["message"] = json!(format!(
        "\u{1b}[31mred\u{1b}[0m https://example.org/ {}\nat a.B.c(D.java:1)",
        "long ".repeat(900)
    ));
    odd["metadata"] = json!({"ms": 1.5, "list": [1, {"a": null}], "empty": {}, "text": "x".repeat(3_000)});
    odd["timestamp"] = json!("2026-01-02T04:00:00Z");
    odd["level"] = json!("fatal");
    app.post_json(&odd).await.accepted(1);
    app.wait_rows(121).await;
    let browser = Browser::open(1280, Scripts::On).await;
    let mut wrong = faults(&browser, &app, "by day", PAGES).await;
    browser.resize(360, 740).await;
    wrong.extend(faults(&browser, &app, "on a phone", PAGES).await);
    browser.resize(1280, 900).await;
    browser.prefers_dark().await;
    wrong.extend(faults(&browser, &app, "by night", PAGES).await);
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_can_use_an_empty_page() {
    let app = TestApp::plan().ready().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&app.url).await;
    assert_eq!(browser.texts(".state h2").await, ["Nothing here yet"]);
    let wrong = faults(&browser, &app, "empty", &[("/", ""), ("/", OPEN_ALL)]).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // It sees what is wrong.
    browser.script("document.querySelector('.brand img').removeAttribute('alt')").await;
    let seen = browser.axe().await;
    assert!(seen.len() == 1 && seen[0].starts_with("image-alt: img"), "{seen:?}");
    browser.close().await;
    app.finish().await;
}
