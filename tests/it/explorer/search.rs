//! Searches by typing and by clicking.

use std::collections::BTreeSet;

use super::{act, filled};
use crate::harness::{
    TestApp,
    browser::{Browser, Scripts},
};

/// Type a query, use the field panel, then narrow by facets, levels, resources and what an opened row holds.
async fn a_search(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&app.url).await;
    browser.fill("#f-q", "timeout level>=WARN").await;
    browser.click("#search button[type=submit]").await;
    browser.arrives("/?q=timeout+level%3E%3DWARN").await;
    assert_eq!(browser.texts("#total").await, ["40 records"]);
    assert_eq!(browser.count(".row").await, 40);

    browser.fill("#f-q", "timeout").await;
    browser.click(".byfield > summary").await;
    browser.fill("#f-limit", "10").await;
    browser.click("input[name=level][value=error]").await;
    browser.click("#search button[type=submit]").await;
    browser.arrives("/?q=timeout&level=error&limit=10").await;
    assert_eq!(browser.texts(".row > .level").await, ["error"; 10]);
    let text = browser.texts(".row .text").await;
    assert_eq!((text[0].as_str(), text[9].as_str()), ("timeout of request 114", "timeout of request 60"));

    browser.click(".facet a[title='Only api-0']").await;
    browser.arrives("&q=timeout+resourceId%3Aapi-0").await;
    assert_eq!(browser.texts(".row > .resource").await, ["api-0"; 10]);
    browser.click(".facet a[aria-label='Without c0ffee2']").await;
    browser.arrives("&q=timeout+resourceId%3Aapi-0+-commit%3Ac0ffee2").await;
    assert_eq!(browser.texts("#total").await, ["5 records"]);

    browser.goto(&format!("{}/?q=fine", app.url)).await;
    browser.click(".row > .level").await;
    browser.arrives("/?q=fine+level%3Ainfo").await;
    assert_eq!(browser.texts("#total").await, ["20 records"]);
    browser.click(".row > .resource").await;
    browser.arrives("/?q=fine+level%3Ainfo+resourceId%3Aapi-3").await;
    let message = match scripts {
        Scripts::On => ".row:first-child .message",
        Scripts::Off => "pre.message",
    };
    browser.click(".row > .text").await;
    assert!(browser.find(message).await.text().await.unwrap().contains("at Pay.java:119"));
    match scripts {
        Scripts::On => browser.click(".row > .text").await,
        Scripts::Off => browser.back().await,
    }
    act(&browser, scripts, "Only metadata.user.id 4").await;
    browser.arrives("+user.id%3A4").await;
    act(&browser, scripts, "Without spanId span-119").await;
    browser.arrives("+-spanId%3Aspan-119").await;
    assert_eq!(browser.texts("#total").await, ["1 record"]);
    browser.close().await;
    app.finish().await;
}

/// Conditions are switched off and on, turned round, edited and removed.
async fn pills(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&format!("{}/?q=timeout+resourceId%3Aapi-0", app.url)).await;
    assert_eq!(browser.texts("#total").await, ["30 records"]);
    browser.click("[aria-label='Switch off resourceId:api-0']").await;
    browser.arrives("/?off=resourceId%3Aapi-0&q=timeout").await;
    assert_eq!(browser.texts("#total").await, ["60 records"]);
    browser.click("[aria-label='Switch on resourceId:api-0']").await;
    browser.arrives("/?q=timeout+resourceId%3Aapi-0").await;
    browser.click("[aria-label='Invert resourceId:api-0']").await;
    browser.arrives("/?q=timeout+-resourceId%3Aapi-0").await;
    assert_eq!(browser.texts(".row > .resource").await, ["api-2"; 30]);

    browser.click(".pill.negative summary").await;
    browser.fill("[aria-label='Edit -resourceId:api-0']", "commit:c0ffee2 or commit:none").await;
    browser.click(".pill.negative form button").await;
    browser.arrives("/?q=timeout+%28commit%3Ac0ffee2+or+commit%3Anone%29").await;
    assert_eq!(browser.texts("#total").await, ["30 records"]);
    browser.click("[aria-label='Remove timeout']").await;
    browser.arrives("/?q=commit%3Ac0ffee2+or+commit%3Anone").await;
    assert_eq!(browser.texts("#total").await, ["60 records"]);
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
async fn pills_with_scripts() {
    pills(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pills_without_scripts() {
    pills(Scripts::Off).await;
}

/// What a pill was to become is wrong: it is said with its column, and everything else is as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pill_that_cannot_be_read_changes_nothing() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::Off).await;
    let range = "from=2026-01-02T03%3A00%3A30Z&to=2026-01-02T03%3A01%3A30Z";
    browser.goto(&format!("{}/?{range}&q=timeout+resourceId%3Aapi-0", app.url)).await;
    browser.click(".pill:last-child summary").await;
    browser.fill("[aria-label='Edit resourceId:api-0']", "(a or").await;
    browser.click(".pill:last-child form button").await;
    browser.find("#e-q pre").await;
    let pointer = browser.texts("#e-q pre").await.remove(0);
    assert!(pointer.starts_with("(a or\n"), "{pointer}");
    assert_eq!(browser.texts(".pill summary").await, ["timeout"]);
    assert_eq!(browser.find("#f-q").await.prop("value").await.unwrap().as_deref(), Some("timeout"));
    assert_eq!(browser.texts("label[for=f-t]").await, ["Time: 2026-01-02 03:00:30 - 03:01:30"]);
    browser.click("#e-q a").await;
    browser.arrives(&format!("/?{range}&q=timeout+%22%28a+or%22")).await;
    browser.close().await;
    app.finish().await;
}

/// What is wrong is said where it was typed, and what was typed stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_shown_at_its_place() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::Off).await;
    browser.goto(&app.url).await;
    browser.fill("#f-q", "timeout (level:banana or x)").await;
    browser.click("#search button[type=submit]").await;
    let field = browser.find("#f-q[aria-invalid=true][aria-describedby=e-q]").await;
    assert_eq!(field.prop("value").await.unwrap().as_deref(), Some("timeout (level:banana or x)"));
    let pointer = browser.find("#e-q pre").await.prop("textContent").await.unwrap().unwrap();
    assert_eq!(pointer, "timeout (level:banana or x)\n               ^^^^^^");
    assert!(browser.texts("#e-q p").await[0].contains("banana"));
    browser.click("#e-q a").await;
    browser.arrives("/?q=%22timeout+%28level%3Abanana+or+x%29%22").await;
    browser.find(".state").await;

    browser.fill("#f-q", "").await;
    browser.click(".byfield > summary").await;
    browser.fill("#f-regex", "a(").await;
    browser.click("#search button[type=submit]").await;
    let field = browser.find("#f-regex[aria-invalid=true]").await;
    assert_eq!(field.prop("value").await.unwrap().as_deref(), Some("a("));
    assert!(browser.texts("#e-regex").await[0].contains("parentheses"));

    browser.fill("#f-regex", "").await;
    browser.fill("#f-t", "soonish").await;
    browser.click("#search button[type=submit]").await;
    let field = browser.find("#f-t[aria-invalid=true]").await;
    assert_eq!(browser.address().await, "/?t=soonish", "no empty fields in it");
    assert_eq!(field.prop("value").await.unwrap().as_deref(), Some("soonish"));
    browser.fill("#f-t", "").await;
    browser.click("#search button[type=submit]").await;
    browser.find(".rows").await;
    browser.close().await;
}

/// Opens the page of a search that finds nothing. What takes longer than a moment to find out is not said there, so on a busy machine it
/// takes another look.
async fn hints(browser: &Browser, url: &str, said: &str) {
    for _ in 0..20 {
        browser.goto(url).await;
        if browser.texts(".meant").await.iter().any(|text| text.contains(said)) {
            return;
        }
    }
}

/// What is the value of a field, or the id of a record, is known wherever it is pasted.
async fn ids(app: &TestApp, browser: &Browser) {
    // An id without its field's name.
    hints(browser, &format!("{}/?q=trace-11&from=2026-01-02T03%3A00%3A00Z", app.url), "traceId:trace-11")
        .await;
    assert_eq!(browser.texts(".meant a").await, ["traceId:trace-11"], "no other time has one");
    browser.click(".meant a").await;
    browser.arrives("/?from=2026-01-02T03%3A00%3A00Z&q=traceId%3Atrace-11").await;
    assert_eq!(browser.texts("#total").await, ["10 records"]);
    // An id, and a value, of another time.
    hints(browser, &format!("{}/?q=trace-11&from=15m", app.url), "traceId:trace-11").await;
    let of_another = "trace-11 is a traceId of another time; words are looked for in messages.";
    assert_eq!(browser.texts(".meant").await, [format!("{of_another} Instead: traceId:trace-11")]);
    browser.click(".meant a").await;
    browser.arrives("/?q=traceId%3Atrace-11").await;
    hints(browser, &format!("{}/?q=spanId%3Atrace-11", app.url), "traceId:trace-11").await;
    let of_another = "trace-11 is a traceId, not a spanId. Instead: traceId:trace-11";
    assert_eq!(browser.texts(".meant").await, [of_another]);
    hints(browser, &format!("{}/?q=commit%3AC0FFEE2&from=15m", app.url), "commit:c0ffee2").await;
    let meant = browser.texts(".meant").await;
    assert!(
        meant[0].ends_with("; records of another time have something like it. Instead: commit:c0ffee2"),
        "{meant:?}"
    );
    browser.click(".meant a").await;
    browser.arrives("/?q=commit%3Ac0ffee2").await;
    assert_eq!(browser.texts("#total").await, ["60 records"]);
    hints(browser, &format!("{}/?q=commit%3Ac0ffee2&from=15m", app.url), "of another time have").await;
    let at_another = "No record of this time range has c0ffee2 as its commit; records of another time have.";
    assert_eq!(browser.texts(".meant").await[0], at_another);
    // The id of a record, under a name or none.
    let id = app.search(&[("limit", "1")]).await["logs"][0]["id"].as_str().unwrap().to_owned();
    for line in [id.clone(), format!("id%3A{id}")] {
        hints(browser, &format!("{}/?q={line}", app.url), "the record").await;
        let is_record = format!("{id} is the id of a record. Instead: the record");
        assert_eq!(browser.texts(".meant").await, [is_record]);
    }
    browser.click(".meant a").await;
    browser.arrives(&format!("/logs/{id}")).await;
    // The value of a field, under a name that is none.
    hints(browser, &format!("{}/?q=sha%3Ac0ffee2", app.url), "commit:c0ffee2").await;
    let meant = browser.texts(".meant").await;
    assert_eq!(meant[0], "No record has a value in sha.");
    assert_eq!(meant[1], "c0ffee2 is a commit, not a sha. Instead: commit:c0ffee2");
}

/// A slip in the name of a field finds nothing, but not in silence.
async fn slips(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    hints(&browser, &format!("{}/?q=timeout+levle%3Aerror+user.id%3A4", app.url), "level:error").await;
    let meant = browser.texts(".meant").await;
    assert_eq!(meant.len(), 1, "user.id is there: {meant:?}");
    assert!(meant[0].starts_with("No record has a value in levle. Instead: level:error"));
    browser.click(".meant a").await;
    browser.arrives("/?q=timeout+level%3Aerror+user.id%3A4").await;
    assert_eq!(browser.texts("#total").await, ["4 records"]);
    // What was pasted is a text and not a field.
    hints(&browser, &format!("{}/?q=Pay.java%3A7", app.url), "Pay.java:7").await;
    assert_eq!(browser.texts(".meant a").await, ["\"Pay.java:7\""]);
    browser.click(".meant a").await;
    browser.arrives("/?q=%22Pay.java%3A7%22").await;
    assert_eq!(browser.texts("#total").await, ["6 records"]);
    // No message has it either.
    hints(&browser, &format!("{}/?q=request%3A7", app.url), "request").await;
    let no_field = "No record has a value in request.";
    assert_eq!(browser.texts(".meant").await, [no_field]);
    ids(&app, &browser).await;
    // Another time has some.
    hints(&browser, &format!("{}/?q=timeout&from=15m", app.url), "All time").await;
    let meant = browser.texts(".meant").await;
    let newest = "The newest record that matches is of 2026-01-02 03:01:58.000118.";
    assert_eq!(meant, [format!("{newest} Instead: The hour up to it All time")]);
    browser.click(".meant a:last-of-type").await;
    browser.arrives("/?q=timeout").await;
    hints(&browser, &format!("{}/?q=timeout&from=15m", app.url), "All time").await;
    browser.click(".meant a").await;
    browser
        .arrives("/?from=2026-01-02T02%3A01%3A58.000118Z&to=2026-01-02T03%3A01%3A58.000119Z&q=timeout")
        .await;
    assert_eq!(browser.texts("#total").await, ["60 records"]);
    // It is there, with other values: near ones are offered.
    hints(&browser, &format!("{}/?q=timeout+path%3A%2Forders", app.url), "/orders").await;
    assert_eq!(browser.texts(".state h2").await, ["No record matches"]);
    assert_eq!(browser.texts(".meant").await, ["No record has /orders as its path."]);
    hints(&browser, &format!("{}/?q=timeout+resourceId%3Aapi&column=commit", app.url), "resourceId:api-")
        .await;
    let meant = browser.texts(".meant a").await;
    assert_eq!(meant[0], "resourceId:api*");
    let names: BTreeSet<&str> = meant[1..].iter().map(String::as_str).collect();
    assert_eq!(names.len(), 3, "{meant:?}");
    assert!(names.iter().all(|name| name.starts_with("resourceId:api-")), "{meant:?}");
    browser.click(".meant a").await;
    browser.arrives("/?column=commit&q=timeout+resourceId%3Aapi*").await;
    assert_eq!(browser.texts("#total").await, ["60 records"]);
    // As senders write it, it is a word.
    hints(&browser, &format!("{}/?q=timeout+path%3D%2Fpay", app.url), "path:/pay*").await;
    let is_field = "path is a field; words are looked for in messages. Instead: path:/pay path:/pay*";
    assert_eq!(browser.texts(".meant").await, [is_field]);
    browser.click(".meant a").await;
    browser.arrives("/?q=timeout+path%3A%2Fpay").await;
    assert_eq!(browser.texts("#total").await, ["60 records"]);
    // As a field of the form, in another case, beside a condition that holds.
    hints(&browser, &format!("{}/?q=traceId%3Atrace-1&commit=C0FFEE1", app.url), "commit:c0ffee1").await;
    let no_value = "No record has C0FFEE1 as its commit. Instead: commit:c0ffee1";
    assert_eq!(browser.texts(".meant").await, [no_value]);
    browser.click(".meant a").await;
    browser.arrives("/?q=traceId%3Atrace-1+commit%3Ac0ffee1").await;
    assert_eq!(browser.texts("#total").await, ["10 records"]);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slips_in_names() {
    slips(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slips_in_names_without_scripts() {
    slips(Scripts::Off).await;
}

/// Eight values of a facet are in sight, the others one click away.
async fn many_values(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&format!("{}/?facet=spanId", app.url)).await;
    let more = "[aria-label='112 more values of spanId']";
    assert_eq!(browser.texts(more).await, ["112 more values"]);
    browser.click(more).await;
    assert_eq!(browser.count(".facet .rest .value").await, 32);
    assert_eq!(browser.texts(".facet .rest .note").await, ["80 rarer ones are not listed"]);
    let last = browser.texts(".facet .rest li:last-child .value bdi").await.remove(0);
    browser.click(".facet .rest li:last-child .value").await;
    browser.arrives(&format!("/?facet=spanId&q=spanId%3A{last}")).await;
    assert_eq!(browser.texts("#total").await, ["1 record"]);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facets_of_many_values() {
    many_values(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facets_of_many_values_without_scripts() {
    many_values(Scripts::Off).await;
}
