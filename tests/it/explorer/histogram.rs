//! The histogram: its bars are links, a drag zooms, Back undoes both, and its bars add up to the total.

use fantoccini::actions::{InputSource, MouseActions, PointerAction};

use super::filled;
use crate::harness::{
    browser::{Browser, Scripts},
    run::{eventually, seconds},
};

/// Records of each bar, as its label says them.
async fn bars(browser: &Browser) -> Vec<u64> {
    let mut bars = Vec::new();
    for bar in browser.page.find_all(fantoccini::Locator::Css("svg.bars a:not(:has(.mark))")).await.unwrap() {
        let label = bar.attr("aria-label").await.unwrap().expect("a bar says what it is");
        let words = label.rsplit(": ").next().expect("the counts come last");
        let counts = words.split(", ").map(|words| words.split(' ').next().unwrap().replace(',', ""));
        bars.push(counts.map(|count| count.parse::<u64>().unwrap_or_else(|_| panic!("{label}"))).sum());
    }
    bars
}

async fn total(browser: &Browser) -> u64 {
    let text = browser.texts("#total").await.remove(0);
    text.split(' ').next().unwrap().replace(',', "").parse().unwrap_or_else(|_| panic!("{text}"))
}

async fn zoom_by_click(scripts: Scripts) {
    let app = filled().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&app.url).await;
    let counts = bars(&browser).await;
    assert!(counts.len() > 20, "{counts:?}");
    assert_eq!((counts.iter().sum::<u64>(), total(&browser).await), (120, 120));
    let before = browser.address().await;
    for _ in 0..2 {
        browser.click("svg.bars a:nth-of-type(7)").await;
        eventually("the bar is opened", seconds(10), async || {
            browser.address().await.contains("from=2026-01-02T03").then_some(())
        })
        .await;
        assert_eq!(total(&browser).await, counts[6]);
        assert_eq!(browser.count(".row").await, counts[6] as usize);
        assert_eq!(bars(&browser).await.iter().sum::<u64>(), counts[6]);
        browser.back().await;
        assert_eq!((browser.address().await, total(&browser).await), (before.clone(), 120));
    }
    browser.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_is_a_link() {
    zoom_by_click(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_is_a_link_without_scripts() {
    zoom_by_click(Scripts::Off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drag_zooms_and_back_undoes() {
    let app = filled().await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/?q=request", app.url)).await;
    let bars = browser
        .script("return [...document.querySelectorAll('svg.bars > a')].map(bar => bar.href.baseVal)")
        .await;
    let bars: Vec<String> =
        bars.as_array().unwrap().iter().map(|href| href.as_str().unwrap().to_owned()).collect();
    let picture = browser.find("svg.bars").await.rectangle().await.unwrap();
    let at = |share: f64| (picture.0 + picture.2 * share, picture.1 + 40.0);
    let (start, end) = (at(0.25), at(0.5));
    let to = |(x, y): (f64, f64)| PointerAction::MoveTo { duration: None, x, y };
    let drag = MouseActions::new("mouse".to_owned())
        .then(to(start))
        .then(PointerAction::Down { button: 0 })
        .then(to(at(0.4)))
        .then(to(end))
        .then(PointerAction::Up { button: 0 });
    browser.page.perform_actions(drag).await.unwrap();
    eventually("the range is opened", seconds(10), async || {
        browser.address().await.contains("from=").then_some(())
    })
    .await;
    let address = browser.address().await;
    for end in ["from=", "to="] {
        let of =
            |address: &str| address.split(['?', '&']).find(|pair| pair.starts_with(end)).map(str::to_owned);
        let edge = of(&address).unwrap().replace(".000000Z", "Z");
        assert!(bars.iter().any(|bar| of(bar) == Some(edge.clone())), "{edge} is no edge of a bar: {bars:?}");
    }
    let found = total(&browser).await;
    assert!((28..=32).contains(&found), "{found} of 120 records are in a quarter of the time");
    assert!(browser.address().await.contains("q=request"), "the search stays");
    browser.back().await;
    assert_eq!((browser.address().await.as_str(), total(&browser).await), ("/?q=request", 120));
    // The first click afterwards counts.
    browser.click(".row > .level").await;
    browser.arrives("+level%3Ainfo").await;
    browser.close().await;
    app.finish().await;
}
