//! Log text is never markup: whatever a record holds, each page has the elements and attributes that it has for a harmless record, no
//! script runs, and nothing is asked of anybody else.

mod corpus;

use serde_json::{Value, json};

use super::open_all;
use crate::harness::{
    TestApp,
    app::NDJSON,
    browser::{Browser, Scripts},
    records::ndjson,
    run::{eventually, seconds},
};

/// Names of all elements and of their attributes, in order. Parsed by the browser, whichever way a page comes in.
const SHAPE: &str = "const shape = (root) => [...root.querySelectorAll('*')].map((it) => it.tagName + ' ' + it.getAttributeNames().join(' '));";
/// Notes what the content security policy forbids, before any script of the page runs.
const WATCH: &str = "window.refused = []; addEventListener('securitypolicyviolation', (event) => window.refused.push(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample));";

/// A record that holds the text wherever a record can hold text.
fn record(text: &str) -> Value {
    // No name stands beside another, which would change places with it.
    let metadata = json!({text: [text, [text]]});
    json!({"level": "info", "message": text, "resourceId": text, "timestamp": "2026-01-02T03:04:05Z", "traceId": text, "spanId": text,
        "commit": text, "id": &text[..text.floor_char_boundary(128)], "metadata": metadata})
}

/// Parameters that bring the text into every part of the page: pills, fields, columns, facets.
fn everywhere(text: &str) -> String {
    let text = &text.replace('\0', "\u{fffd}"); // as it is stored
    let path = format!("metadata.{text}");
    let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    form_urlencoded::Serializer::new(String::new())
        .append_pair("message", text)
        .append_pair("q", &format!("{quoted} traceId:{quoted} -message:nowhere"))
        .append_pair("off", &format!("spanId:{quoted}"))
        .append_pair("column", &path)
        .append_pair("facet", &path)
        .append_pair("column", "commit")
        .finish()
}

struct Watched {
    app: TestApp,
    browser: Browser,
}

impl Watched {
    /// Opens a page and everything in it.
    async fn open(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.app.url)).await;
        open_all(&self.browser).await;
    }

    /// The shapes of the page that is open and of others.
    async fn shapes(&self, others: &[&str]) -> Vec<Value> {
        let run = format!(
            "{SHAPE} const [others, done] = arguments;
             const load = async (path) => shape(new DOMParser().parseFromString(await (await fetch(path)).text(), 'text/html'));
             Promise.all(others.map(load)).then((shapes) => done([shape(document), ...shapes]), (error) => done(String(error)));"
        );
        let shapes =
            self.browser.page.execute_async(&run, vec![json!(others)]).await.expect("the script runs");
        shapes.as_array().unwrap_or_else(|| panic!("{others:?}: {shapes}")).clone()
    }

    async fn is_counted(&self) -> bool {
        let is_partial =
            "return [...document.querySelectorAll('a')].some((a) => a.textContent === 'count longer')";
        self.browser.script(is_partial).await == json!(false)
    }

    /// Nothing has run, nothing was refused, nobody else was asked since the last call.
    async fn assert_calm(&self, what: &str) {
        let state = self.browser.script("return [window.hacked ?? null, window.refused]").await;
        assert_eq!(state, json!([null, []]), "{what}");
        assert_eq!(self.browser.console().await, Vec::<String>::new(), "{what}");
        for url in self.browser.requests().await {
            // The browser's own first page is there too.
            let is_ours = [&self.app.url, "chrome:", "data:"].iter().any(|front| url.starts_with(*front));
            assert!(is_ours, "{what} asks for {url}");
        }
    }
}

/// Where two shapes part.
fn difference(seen: &Value, twin: &Value) -> Option<String> {
    let (seen, twin) = (seen.as_array().unwrap(), twin.as_array().unwrap());
    let at = (0..seen.len().max(twin.len())).find(|at| seen.get(*at) != twin.get(*at))?;
    let around =
        |shape: &[Value]| shape[at.saturating_sub(2).min(shape.len())..(at + 2).min(shape.len())].to_vec();
    Some(format!("element {at}: {:?} instead of {:?}", around(seen), around(twin)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_text_stays_text() {
    let app = TestApp::plan().ready().await;
    // Harmless ones: what is said on a line, and what goes on behind it.
    let (twin, long_twin) = ("harmless", "harmless\nas well");
    let long = corpus::long_texts();
    let texts: Vec<&str> = [twin, long_twin]
        .into_iter()
        .chain(corpus::TEXTS.iter().copied())
        .chain(long.iter().map(String::as_str))
        .collect();
    assert!(texts.len() > 60);
    let ids =
        app.post(NDJSON, ndjson(texts.iter().map(|text| record(text))), &[]).await.accepted(texts.len());
    app.wait_rows(texts.len() as i64).await;
    let browser = Browser::open(1280, Scripts::On).await;
    browser.before_pages(WATCH).await;
    let page = Watched { app, browser };
    let mut wrong = Vec::new();

    // 1. All of them in one list: each row as the harmless one.
    page.open("/?limit=1000").await;
    page.assert_calm("the list").await;
    let rows = page.browser.script(&format!("{SHAPE} return Object.fromEntries([...document.querySelectorAll('.row')].map((row) => [row.id, shape(row)]))")).await;
    assert_eq!(rows.as_object().unwrap().len(), texts.len());
    let goes_on =
        |id: &str| rows[id].as_array().unwrap().iter().any(|it| it.as_str().unwrap().contains("hidden"));
    assert!(!goes_on(&ids[0]) && goes_on(&ids[1]));
    for (text, id) in texts.iter().zip(&ids) {
        let twin = &ids[usize::from(goes_on(id))];
        wrong.extend(difference(&rows[id], &rows[twin]).map(|it| format!("row of {text:?}: {it}")));
    }
    let links = page.browser.script("return Object.fromEntries([...document.querySelectorAll('.row')].map((row) => [row.id, [...row.querySelectorAll('a')].map((a) => a.getAttribute('href'))]))").await;

    // 2. Each in every part of a search of its own, and on every page about its record.
    let mut twins = [Vec::new(), Vec::new()];
    for (text, id) in texts.iter().zip(&ids) {
        let mut trace = links[id].as_array().unwrap().iter().filter_map(Value::as_str);
        let trace = trace.find(|link| link.starts_with("/traces")).expect("a record links to its trace");
        let search = format!("/?{}", everywhere(text));
        // What could not be counted in time says so, which has nothing to do with texts.
        eventually("a page that was counted in time", seconds(60), async || {
            page.open(&search).await;
            page.is_counted().await.then_some(())
        })
        .await;
        let [record, context] = [format!("/logs/{id}"), format!("/logs/{id}/context")];
        let shapes = page.shapes(&[&record, &context, trace]).await;
        page.assert_calm(&search).await;
        let twins = &mut twins[usize::from(goes_on(id))];
        for (at, shape) in shapes.into_iter().enumerate() {
            match twins.get(at) {
                Some(twin) => {
                    wrong.extend(difference(&shape, twin).map(|it| format!("page {at} of {text:?}: {it}")))
                }
                None => twins.push(shape),
            }
        }
    }
    assert!(twins.iter().flatten().all(|twin| twin.as_array().unwrap().len() > 50));

    // 3. Every link of a row leads to this process, and those that filter for a value find the record again.
    for (text, id) in texts.iter().zip(&ids) {
        let mut found = 0;
        for link in links[id].as_array().unwrap().iter().filter_map(Value::as_str) {
            assert!(link.starts_with('/') && !link.starts_with("//"), "{link}");
            let Some(query) = link
                .strip_prefix("/?")
                .filter(|query| query.starts_with("limit=1000&q=") && !query.contains("q=-"))
            else {
                continue;
            };
            let answer = page.app.get(&format!("/api/logs?{query}")).await;
            let finds =
                answer.json["logs"].as_array().is_some_and(|logs| logs.iter().any(|log| log["id"] == **id));
            found += usize::from(finds);
            if !finds {
                wrong.push(format!(
                    "{link} of {text:?} does not find it: {}",
                    answer.text().chars().take(200).collect::<String>()
                ));
            }
        }
        assert!(found > 5, "{found} links of {text:?}");
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    page.browser.close().await;
    page.app.finish().await;
}
