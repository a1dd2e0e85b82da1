//! Saved views and the history: in a browser with and without scripts, under hostile names, from other sites, and on a standby.

use std::sync::Arc;

use log_ingestor::{
    config::Config,
    db::{self, Purpose},
    metrics::Metrics,
    search::{State, history},
};
use serde_json::{Value, json};

use crate::harness::{
    Answer, TestApp,
    browser::{Browser, Scripts},
    postgres::{Database, Postgres},
    run::{eventually, seconds},
};

const FORM: &str = "application/x-www-form-urlencoded";

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What the server itself says, redirects included.
async fn send(app: &TestApp, path: &str, pairs: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let url = format!("{}{path}", app.url);
    let client = client.expect("a client can be built");
    let mut request = match pairs {
        [("", "")] => client.get(url),
        pairs => client.post(url).header("content-type", FORM).body(form(pairs)),
    };
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.expect("the server answers")).await.expect("the server answers")
}

async fn open(app: &TestApp, path: &str) -> Answer {
    send(app, path, &[("", "")], &[]).await
}

async fn save(app: &TestApp, name: &str, params: &str) {
    let saved = send(app, "/views", &[("name", name), ("params", params)], &[]).await;
    assert_eq!((saved.status, saved.header("location")), (303, Some("/views")), "{}", saved.text());
}

/// (name, params) of all views, and their ids.
async fn views(app: &TestApp) -> (Vec<(String, String)>, Vec<String>) {
    let answer = app.get("/api/views").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let views = answer.json["views"].as_array().expect("a list");
    let text = |view: &Value, field: &str| view[field].as_str().expect("a text").to_owned();
    (
        views.iter().map(|view| (text(view, "name"), text(view, "params"))).collect(),
        views.iter().map(|view| text(view, "id")).collect(),
    )
}

async fn a_view(scripts: Scripts) {
    let app = TestApp::plan().ready().await;
    let browser = Browser::open(1280, scripts).await;
    browser.goto(&format!("{}/views", app.url)).await;
    browser.fill("#name", "Errors of today").await;
    browser.fill("#params", &format!("{}/?level=error&from=24h", app.url)).await;
    browser.click(".save button").await;
    browser.find(".kept .name").await;
    browser.arrives("/views").await;
    assert_eq!(browser.texts(".kept .name").await, ["Errors of today"]);
    assert_eq!(browser.texts("ul.kept .conditions span").await, ["level: error", "last: 24h"]);
    let link = browser.find(".kept .name").await.attr("href").await.unwrap().expect("it is a link");
    browser.click(".kept .name").await;
    browser.arrives("/?level=error&from=24h").await;

    // Another search under the same name, by the form filled with the view; the link stays.
    browser.goto(&format!("{}/views", app.url)).await;
    browser.click(".kept summary").await;
    browser.click(".kept details a").await;
    let name = browser.find("#name[value='Errors of today']").await;
    assert_eq!(name.prop("value").await.unwrap().as_deref(), Some("Errors of today"));
    browser.fill("#params", "level=fatal").await;
    browser.click(".save button").await;
    browser.arrives("/views").await;
    assert_eq!(browser.texts("ul.kept .conditions span").await, ["level: fatal"]);
    browser.goto(&format!("{}{link}", app.url)).await;
    browser.arrives("/?level=fatal").await;

    // Another name; a wrong one is told where it was typed.
    browser.goto(&format!("{}/views", app.url)).await;
    browser.click(".kept summary").await;
    browser.fill(".one input", " ").await;
    browser.click(".one button").await;
    assert_eq!(browser.find(".one .fault").await.text().await.unwrap(), "is needed");
    browser.find(".one input[aria-invalid=true]").await;
    browser.fill(".one input", "Fatal ones").await;
    browser.click(".one button").await;
    browser.arrives("/views").await;
    assert_eq!(browser.texts(".kept .name").await, ["Fatal ones"]);
    assert_eq!(browser.find(".kept .name").await.attr("href").await.unwrap(), Some(link.clone()));

    browser.click(".kept summary").await;
    browser.click(".kept .plain").await;
    browser.find(".views > .none").await;
    assert_eq!(views(&app).await.0, []);
    assert_eq!(open(&app, &link).await.status, 404);
    browser.close().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_saved_changed_and_deleted() {
    a_view(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_saved_changed_and_deleted_without_scripts() {
    a_view(Scripts::Off).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_link_leads_to_the_search() {
    let app = TestApp::plan().ready().await;
    save(&app, "everything", "").await;
    save(&app, "line", "?q=a b&cursor=abc&column=x&wrap=1&off=level:error").await;
    save(&app, "Everything", "/").await;
    let (saved, ids) = views(&app).await;
    let kept = "q=a+b&column=x&wrap=1&off=level%3Aerror";
    let wanted = [("Everything", ""), ("everything", ""), ("line", kept)];
    assert_eq!(saved, wanted.map(|(name, params)| (name.to_owned(), params.to_owned())));
    for (id, to) in ids.iter().zip(["/", "/", &format!("/?{kept}")]) {
        let opened = open(&app, &format!("/views/{id}")).await;
        assert_eq!((opened.status, opened.header("location")), (303, Some(to)));
    }
    for unknown in ["000000000000", "x", "%00", "../views"] {
        let answer = open(&app, &format!("/views/{unknown}")).await;
        assert!([404, 405].contains(&answer.status) || answer.text().contains("Saved views"), "{unknown}");
    }
    let gone = send(&app, "/views/000000000000/delete", &[], &[]).await;
    assert_eq!((gone.status, gone.json["error"].is_string()), (404, true));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_at_its_field() {
    let app = TestApp::plan().ready().await;
    save(&app, "first", "level=error").await;
    save(&app, "second", "level=warn").await;
    let ids = views(&app).await.1;
    let second = format!("/views/{}", ids[1]);
    let long = "x".repeat(81);
    let huge = format!("q={}", "x".repeat(9_000));
    for (path, name, params, field, error) in [
        ("/views", "", "", "name", "is needed"),
        ("/views", "a\nb", "", "name", "one line"),
        ("/views", &long, "", "name", "at most 80 characters, got 81"),
        ("/views", "x", "colour=red", "params", "colour: unknown parameter"),
        ("/views", "x", "level=banana", "params", "got `banana`"),
        ("/views", "x", &huge, "params", "at most 8192 bytes, got 9002"),
        (&second, "first", "", "name", "another view has this name"),
        (&second, "\u{7}", "", "name", "one line"),
    ] {
        let pairs = [("name", name), ("params", params)];
        let told = send(&app, path, &pairs, &[]).await;
        assert_eq!((told.status, told.json["field"].as_str()), (400, Some(field)), "{}", told.text());
        assert!(told.json["error"].as_str().unwrap().contains(error), "{}", told.text());
        let page = send(&app, path, &pairs, &[("accept", "text/html")]).await;
        assert_eq!((page.status, page.text().matches("aria-invalid").count()), (400, 1), "{}", page.text());
    }
    let body = "x".repeat(70_000);
    assert_eq!(send(&app, "/views", &[("name", &body)], &[]).await.status, 413);
    let json = app.post_at("/views", "application/json", r#"{"name":"x"}"#, &[]).await;
    assert_eq!(json.status, 415);
    assert_eq!(views(&app).await.1, ids, "nothing has changed");

    let fill = "insert into views (id, name, params) select 'filler' || n, 'filler' || n, '' from generate_series(1, 198) n";
    app.database().sql.batch_execute(fill).await.unwrap();
    let full = send(&app, "/views", &[("name", "one more"), ("params", "")], &[]).await;
    assert_eq!((full.status, full.json["field"].as_str()), (400, Some("name")), "{}", full.text());
    save(&app, "second", "level=fatal").await;
    app.stop().await;
}

/// Names and attribute names of all elements of an item, in order.
const SHAPE: &str = "return [...document.querySelectorAll('.kept li')].map(li => [...li.querySelectorAll('*')].map(e => e.tagName + ' ' + e.getAttributeNames().join(' ')))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_stay_text() {
    let app = TestApp::plan().ready().await;
    let hostile = [
        "<script>window.hacked = 1</script>",
        "</a></li></ul><h1>x</h1>",
        "\"><img src=x onerror=\"window.hacked=1\">",
        "' onmouseover='window.hacked = 1",
        "javascript:window.hacked=1",
        "{{ 7 * 7 }} {% raw %} &lt;b&gt; <!-- ",
        "\u{202e}desrever",
    ];
    for name in ["harmless"].into_iter().chain(hostile) {
        save(&app, name, &form(&[("message", name), (&format!("metadata.{name}"), name)])).await;
    }
    let fill = "insert into searches (params, last_at, times) select params, now(), 2 from views";
    app.database().sql.batch_execute(fill).await.unwrap();
    let browser = Browser::open(1280, Scripts::On).await;
    browser.goto(&format!("{}/views", app.url)).await;
    let shapes = browser.script(SHAPE).await;
    let shapes = shapes.as_array().unwrap();
    assert_eq!(shapes.len(), 2 * (1 + hostile.len()));
    for half in shapes.chunks(1 + hostile.len()) {
        assert!(half.iter().all(|shape| shape == &half[0]), "{half:#?}");
    }
    let counted = "return window.hacked === undefined && document.querySelectorAll('h1').length";
    assert_eq!(browser.script(counted).await, 1);
    let names = browser.texts(".kept .name").await;
    for name in hostile.iter().take(6) {
        assert!(names.iter().any(|seen| seen == name.trim()), "{name} is not among {names:?}");
    }
    // Each link filters for what was saved, and the form that edits holds it.
    for (name, params) in views(&app).await.0 {
        let filtered = form_urlencoded::parse(params.as_bytes()).all(|(_, value)| value.trim() == name);
        assert!(filtered, "{name}: {params}");
        browser.goto(&format!("{}/views?{}", app.url, form(&[("name", &name), ("params", &params)]))).await;
        let typed = browser.find("#name").await.prop("value").await.unwrap();
        assert_eq!(typed.as_deref(), Some(name.as_str()));
        assert_eq!(browser.script(counted).await, 1);
    }
    // A fault says it again.
    let page =
        send(&app, "/views", &[("name", hostile[0]), ("params", hostile[2])], &[("accept", "text/html")])
            .await;
    assert_eq!(
        (page.status, page.text().contains("<script>window"), page.text().contains("<img src=x")),
        (400, false, false)
    );
    browser.close().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_another_site_is_refused() {
    let app = TestApp::plan().ready().await;
    save(&app, "mine", "level=error").await;
    let id = views(&app).await.1.remove(0);
    let paths = ["/views".to_owned(), format!("/views/{id}"), format!("/views/{id}/delete")];
    for path in &paths {
        for header in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let refused = send(&app, path, &[("name", "theirs"), ("params", "")], &[header]).await;
            assert_eq!(refused.status, 403, "{path} {header:?}");
            assert!(refused.json["error"].as_str().unwrap().contains("another site"), "{}", refused.text());
        }
    }
    // A browser sends what was tried there.
    let browser = Browser::open(1280, Scripts::On).await;
    for host in ["127.0.0.1", "logs.test"] {
        let action = format!("http://{host}:{}/views", app.port);
        let page = format!(
            "<form method=post action={action}><input name=name value=theirs><button>x</button></form>"
        );
        browser.goto(&format!("data:text/html,{page}")).await;
        browser.click("button").await;
        assert_eq!(browser.find(".state h1").await.text().await.unwrap(), "Refused", "{host}");
    }
    assert_eq!(views(&app).await.0, [("mine".to_owned(), "level=error".to_owned())]);
    // Our own page may, also at a host to which browsers say less.
    for host in ["127.0.0.1", "localhost", "logs.test"] {
        browser.goto(&format!("http://{host}:{}/views", app.port)).await;
        browser.fill("#name", host).await;
        browser.click(".save button").await;
        eventually(&format!("a view from {host}"), seconds(10), async || {
            views(&app).await.0.iter().any(|(name, _)| name == host).then_some(())
        })
        .await;
    }
    browser.close().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_shows_views_and_takes_none() {
    let mut server = Postgres::start();
    let database = Database::on(&server, "product").await;
    let app = TestApp::plan().database(&database).ready().await;
    save(&app, "kept", "level=error").await;
    let id = views(&app).await.1.remove(0);
    server.crash();
    server.become_standby();
    server.start_again();
    let shown = eventually("views are there again", seconds(30), async || {
        let page = app.get("/views").await;
        (page.status == 200).then(|| page.text())
    });
    assert!(shown.await.contains("kept"));
    for path in ["/views".to_owned(), format!("/views/{id}"), format!("/views/{id}/delete")] {
        let refused = send(&app, &path, &[("name", "x"), ("params", "")], &[]).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("60")), "{path}");
        assert!(refused.text().contains("read-only transaction"), "{}", refused.text());
    }
    assert_eq!(open(&app, &format!("/views/{id}")).await.status, 303);
    drop(app);
}

/// The room of searches, without the process around it.
async fn search_state(database: &Database, history: &str) -> State {
    let url = database.url(database.port);
    let values = [("DATABASE_URL", url.as_str()), ("HISTORY", history)];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let config = Config::from_values(&values).expect("it is right");
    let pool = |purpose| db::pool(&url.parse().expect("a URL"), 2, purpose);
    State::new(
        pool(Purpose::Query),
        pool(Purpose::Door),
        &config.search,
        Arc::new(Metrics::new()),
        Arc::default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_remembered_once() {
    let database = Database::fresh().await;
    let state = search_state(&database, "on").await;
    for _ in 0..3 {
        history::remember(&state, "q=a+b&wrap=1&cursor=zzz");
        history::remember(&state, "q=a%20b&limit=200");
    }
    for params in ["", "wrap=1", "level=banana", "message=%FF", &"x".repeat(9_000)] {
        history::remember(&state, params);
    }
    history::remember(&state, "level=error");
    let newest = async || {
        let newest = history::newest(&state).await.expect("the table can be read");
        newest.into_iter().map(|search| (search.params, search.times)).collect::<Vec<_>>()
    };
    let wanted = [("level=error".to_owned(), 1), ("q=a+b".to_owned(), 6)];
    eventually("both are written", seconds(10), async || (newest().await == wanted).then_some(())).await;
    // Again later: it is the newest then.
    history::remember(&state, "q=a+b");
    let wanted = [("q=a+b".to_owned(), 7), ("level=error".to_owned(), 1)];
    eventually("the other is the newest", seconds(10), async || (newest().await == wanted).then_some(()))
        .await;
    // The oldest go.
    let fill = "insert into searches (params, last_at, times) select 'q=' || n, now() - interval '1 hour' - n * interval '1 second', 1 \
        from generate_series(1, 600) n";
    database.sql.batch_execute(fill).await.unwrap();
    history::remember(&state, "q=last");
    let kept = "select count(*) from searches";
    eventually("500 are left", seconds(10), async || (database.number(kept).await == 500).then_some(()))
        .await;
    assert_eq!(newest().await.len(), 50);
    assert_eq!(newest().await[0].0, "q=last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_on_the_page_is_listed_and_saved() {
    let app = TestApp::plan().ready().await;
    for path in
        ["/", "/?wrap=1", "/?level=banana", "/?q=timeout&column=spanId&tz=UTC", "/?q=timeout&limit=10"]
    {
        app.get(path).await;
    }
    let browser = Browser::open(1280, Scripts::On).await;
    eventually("the search is listed", seconds(10), async || {
        browser.goto(&format!("{}/views", app.url)).await;
        (browser.texts("ol.kept .times").await == ["2 times"]).then_some(())
    })
    .await;
    browser.click("ol.kept .button").await;
    browser.fill("#name", "Timeouts").await;
    browser.click(".save button").await;
    browser.find("ul.kept .name").await;
    assert_eq!(views(&app).await.0, [("Timeouts".to_owned(), "q=timeout".to_owned())]);
    browser.click("ol.kept a.conditions").await;
    browser.arrives("/?q=timeout").await;
    browser.close().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_the_history() {
    let database = Database::fresh().await;
    let state = search_state(&database, "on").await;
    let lock = database.connect().await;
    lock.batch_execute("begin; lock table searches in access exclusive mode").await.unwrap();
    let began = std::time::Instant::now();
    for n in 0..100_000 {
        history::remember(&state, &format!("q={n}"));
    }
    assert!(began.elapsed() < seconds(2), "{:?}", began.elapsed());
    lock.batch_execute("rollback").await.unwrap();
    // What did not fit is forgotten, what comes later is not.
    eventually("it goes on", seconds(30), async || {
        history::remember(&state, "q=after");
        let after = "select count(*) from searches where params = 'q=after'";
        (database.number(after).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_can_be_switched_off() {
    let database = Database::fresh().await;
    let state = search_state(&database, "off").await;
    history::remember(&state, "q=a");
    assert!(!state.history.is_on());
    let app = TestApp::plan().database(&database).env("HISTORY", "off").ready().await;
    let page = app.get("/views").await;
    assert!(page.text().contains("HISTORY=off"), "{}", page.text());
    assert_eq!(database.number("select count(*) from searches").await, 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_can_use_the_views() {
    let app = TestApp::plan().ready().await;
    for width in [1280, 360] {
        let browser = Browser::open(width, Scripts::On).await;
        for state in ["empty", "filled", "wrong"] {
            browser.goto(&format!("{}/views?name=%20&params=level%3Dbanana", app.url)).await;
            if state == "wrong" {
                browser.click(".save button").await;
                browser.find("#e-params").await;
            }
            browser.script("document.querySelectorAll('.kept details').forEach(it => it.open = true)").await;
            assert_eq!(browser.axe().await, Vec::<String>::new(), "{width} {state}");
            save(&app, "errors", "level=error&from=1h").await;
            let fill = "insert into searches (params, last_at, times) select params, now(), 1 from views on conflict do nothing";
            app.database().sql.batch_execute(fill).await.unwrap();
        }
        browser.close().await;
        app.database().sql.batch_execute("truncate views, searches").await.unwrap();
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_needs_no_sideways_scrolling_for_views() {
    let app = TestApp::plan().ready().await;
    let long = "n".repeat(80);
    save(&app, &long, &form(&[("message", &"x".repeat(300)), ("resourceId", &"r".repeat(200))])).await;
    let fill = "insert into searches (params, last_at, times) select params, now(), 1 from views";
    app.database().sql.batch_execute(fill).await.unwrap();
    let browser = Browser::open(360, Scripts::On).await;
    browser.goto(&format!("{}/views?params=level%3Derror", app.url)).await;
    browser.find("#save").await;
    browser.script("document.querySelectorAll('details').forEach(d => d.open = true)").await;
    let width = browser.script("return document.documentElement.scrollWidth").await;
    assert!(width.as_u64() <= Some(360), "{width} pixels wide");
    let small = "return [...document.querySelectorAll('main a, main button, main summary, main input')].filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML)";
    assert_eq!(browser.script(small).await, json!([]));
    browser.close().await;
    app.stop().await;
}
