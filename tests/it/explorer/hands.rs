//! The keyboard: every key does what the help says, and nothing keeps the focus.

use super::{filled, open_all};
use crate::harness::{
    browser::{Browser, Scripts},
    devtools::{ENTER, ESCAPE, TAB},
    run::{eventually, seconds},
};

/// What has the focus: its id, or its text.
async fn focus(browser: &Browser) -> String {
    let focus = browser
        .script("const here = document.activeElement; return here === document.body ? 'nothing' : here.id || here.textContent.trim()")
        .await;
    focus.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&app.url).await;
    for (key, focused) in [
        ('/', "f-q"),
        ('j', "f-q"), // a letter like any other
        (ESCAPE, "nothing"),
        ('t', "f-t"),
        (ESCAPE, "nothing"),
        ('j', "fine, request 119"),
        ('j', "timeout of request 118"),
        ('k', "fine, request 119"),
        ('k', "fine, request 119"),
        ('j', "timeout of request 118"),
    ] {
        browser.press(key).await;
        assert_eq!(focus(&browser).await, focused, "after {key:?}");
    }
    assert_eq!(browser.find("#f-q").await.prop("value").await.unwrap().as_deref(), Some("j"));
    browser.press(ENTER).await;
    assert_eq!(browser.count(".row.open:nth-child(2) > .text[aria-expanded=true]").await, 1);
    // One level at a time: the help, the record, the focus.
    browser.press('?').await;
    assert_eq!(browser.count("#help:popover-open").await, 1);
    assert_eq!(focus(&browser).await, "help");
    browser.press('j').await;
    assert_eq!(focus(&browser).await, "help", "rows behind the help are left alone");
    browser.press(ESCAPE).await;
    assert_eq!((browser.count("#help:popover-open").await, browser.count(".row.open").await), (0, 1));
    browser.press(ESCAPE).await;
    assert_eq!(
        (browser.count(".row.open").await, browser.count(".row > [aria-expanded=false]").await),
        (0, 1)
    );
    assert_eq!(focus(&browser).await, "timeout of request 118");
    browser.press(ESCAPE).await;
    assert_eq!(focus(&browser).await, "nothing");
    browser.press('?').await;
    browser.press('?').await;
    assert_eq!(browser.count("#help:popover-open").await, 0);
    browser.close().await;
    app.finish().await;
}

/// The help opens by its button, with scripts and without.
async fn help(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&app.url).await;
    browser.click("button[popovertarget=help]").await;
    assert!(browser.texts("#help").await[0].contains("duration_ms>200"));
    browser.click("#help button").await;
    assert_eq!(browser.texts("#help").await, [""]);
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_with_scripts() {
    help(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_without_scripts() {
    help(Scripts::Off).await;
}

/// The key of the query line goes on behind what is there; what was typed and not run is taken along, wherever one goes next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_is_not_lost() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    let type_more = async |text: &str| {
        browser.press('/').await;
        for letter in text.chars() {
            browser.press(letter).await;
        }
    };
    browser.goto(&format!("{}/?q=timeout", app.url)).await;
    type_more(" 118").await;
    browser.click(".ranges a:last-child").await;
    browser.arrives("/?q=timeout+118").await;
    let facet_after = async |text: &str, wanted: &str| {
        type_more(text).await;
        browser.click(".facets a[href*='resourceId']").await;
        eventually("the facet and the text are asked for", seconds(10), async || {
            browser.address().await.starts_with(wanted).then_some(())
        })
        .await;
    };
    facet_after("8", "/?q=timeout+1188+resourceId%3A").await;
    // A facet holds for each of what was typed.
    browser.goto(&format!("{}/?q=timeout", app.url)).await;
    facet_after(" or request", "/?q=%28timeout+or+request%29+resourceId%3A").await;
    // A drag over the histogram takes it along too, and ends Live.
    browser.goto(&format!("{}/?q=timeout&live=1", app.url)).await;
    type_more(" request").await;
    let drag = "const bars = document.querySelector('svg.bars'), box = bars.getBoundingClientRect();
        const at = (type, share) => bars.dispatchEvent(new PointerEvent(type, { bubbles: true, button: 0, clientX: box.left + box.width * share, clientY: box.top + 5 }));
        at('pointerdown', .2); at('pointermove', .8); at('pointerup', .8);";
    browser.script(drag).await;
    eventually("the part is asked for", seconds(10), async || {
        let address = browser.address().await;
        let has = |part: &str| address.contains(part);
        (has("q=timeout+request") && has("from=") && has("to=") && !has("live")).then_some(())
    })
    .await;
    browser.close().await;
    app.finish().await;
}

/// Over plain HTTP there is no clipboard to write to, but there is what is chosen in a field.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_copied_without_a_clipboard() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    let without = "Object.defineProperty(navigator, 'clipboard', { value: undefined });
        addEventListener('copy', () => { window.copied = document.activeElement.value; });";
    browser.before_pages(without).await;
    browser.goto(&format!("{}/?limit=1", app.url)).await;
    open_all(&browser).await;
    browser.click(".row.open dd button.copy").await;
    eventually("it says so", seconds(10), async || {
        (browser.texts(".row.open dd button.copy").await[0] == "copied").then_some(())
    })
    .await;
    let value = browser.texts(".row.open dd .value").await.remove(0);
    assert_eq!(browser.script("return window.copied").await, value);
    assert_eq!(focus(&browser).await, "copied");
    browser.close().await;
    app.finish().await;
}

/// The help tells the keys of the page that it lies over, and closes when the focus leaves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_is_of_its_page() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    for (path, keys) in [("/", "/ t j k Enter Esc ?"), ("/patterns", "/ t Esc ?"), ("/views", "Esc ?")] {
        browser.goto(&format!("{}{path}", app.url)).await;
        browser.press('?').await;
        let shown = "return [...document.querySelectorAll('#help kbd')].filter((key) => key.checkVisibility()).map((key) => key.textContent).join(' ')";
        assert_eq!(browser.script(shown).await, keys, "{path}");
        browser.press(TAB).await;
        browser.press(TAB).await;
        assert_eq!(browser.count("#help:popover-open").await, 0, "{path}: {}", focus(&browser).await);
    }
    browser.close().await;
    app.finish().await;
}

/// Tab goes from the first thing to the last and out of the page, even with everything open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_keeps_the_focus() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?limit=2&q=request", app.url)).await;
    open_all(&browser).await;
    let reachable = browser.script("return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), summary')].filter(it => it.checkVisibility()).length").await;
    let reachable = reachable.as_u64().unwrap() as usize;
    assert!(reachable > 100, "{reachable}");
    for step in 0..=reachable {
        browser.press(TAB).await;
        if focus(&browser).await == "nothing" {
            assert!(step + 20 > reachable, "the page ends after {step} of {reachable}");
            return browser.close().await;
        }
    }
    panic!("{reachable} steps do not lead out: {}", focus(&browser).await);
}

/// The time range that is shown can be edited where it stands; left as it is, it is no part of what is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_range_is_edited_in_its_field() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    let range = "from=2026-01-02T03%3A00%3A30Z&to=2026-01-02T03%3A01%3A30Z";
    browser.goto(&format!("{}/?{range}", app.url)).await;
    let value = async || browser.find("#f-t").await.prop("value").await.unwrap().unwrap();
    assert_eq!(value().await, "");
    browser.press('t').await;
    assert_eq!(value().await, "2026-01-02 03:00:30 - 03:01:30");
    browser.press(ESCAPE).await;
    assert_eq!(value().await, "");
    browser.press('t').await;
    browser.script("window.isBefore = true").await;
    browser.press(ENTER).await;
    eventually("the same page comes again", seconds(10), async || {
        let come = "return !window.isBefore && document.readyState === 'complete'";
        (browser.script(come).await == true).then_some(())
    })
    .await;
    assert_eq!(browser.address().await, format!("/?{range}"));
    assert_eq!(browser.texts("#total").await, ["60 records"]);
    browser.press('t').await;
    for key in "2026-01-02 03:01".chars() {
        browser.press(key).await;
    }
    assert_eq!(value().await, "2026-01-02 03:01");
    browser.press(ENTER).await;
    browser.arrives("/?from=2026-01-02T03%3A01%3A00Z&to=2026-01-02T03%3A02%3A00Z").await;
    assert_eq!(browser.texts("#total").await, ["60 records"]);
    // By the mouse: a click into the field leaves it empty, one on its name does not.
    browser.click("#f-t").await;
    assert_eq!(value().await, "");
    browser.click("label[for=f-t]").await;
    assert_eq!(value().await, "2026-01-02 03:01 - 03:02");
    browser.press('4').await;
    assert_eq!(value().await, "4");
    browser.close().await;
    app.finish().await;
}
