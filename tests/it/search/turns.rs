//! Searches in each other's way: what takes long is cancelled or waits, what is quick does not.

use tokio::io::AsyncWriteExt;

use super::filled_by_sql;
use crate::harness::{
    Fault, TestApp,
    run::{eventually, seconds},
};

/// Statements of searches that run.
const RUNNING: &str = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query like '%offset 0%' and pid <> pg_backend_pid()";

/// The same, but what is quick.
const LONG_RUNNING: &str = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query like '%offset 0%' and pid <> pg_backend_pid() and now() - query_start > interval '1 second'";

/// A search that takes for ever, on its way in two halves. It ends with its connection.
async fn endless(app: &TestApp) -> tokio::net::TcpStream {
    // Back references over random text take minutes for one record. The newest have none, so that large portions are reached.
    let random = "case when n > 50000 then '' else (select string_agg(md5(n::text || k), '') from generate_series(1, 12) k) end";
    filled_by_sql(app, random).await;
    let request = "GET /api/logs?regex=(.%2B).*(.%2B).*%5C1%5C2%24 HTTP/1.1\r\nHost: x\r\n\r\n";
    // Where the processor is busy its portions stay too small for two halves; then it is asked again.
    eventually("both halves of the search run", seconds(60), async || {
        let count = async |statement: &str| app.database().number(statement).await;
        let nothing_runs = async || (count(RUNNING).await == 0).then_some(());
        eventually("the last one is cancelled", seconds(10), nothing_runs).await;
        let mut client = tokio::net::TcpStream::connect(("127.0.0.1", app.port)).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let it_runs = async || (count(LONG_RUNNING).await > 0).then_some(());
        eventually("the search is at the rows that take long", seconds(10), it_runs).await;
        (count(RUNNING).await == 2).then_some(client)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_is_cancelled_when_its_client_leaves() {
    let app = TestApp::plan().env("SEARCH_BUDGET_MS", 30_000).ready().await;
    drop(endless(&app).await);
    let stopped = async || (app.database().number(RUNNING).await == 0).then_some(());
    eventually("the search is cancelled", seconds(3), stopped).await;
    assert_eq!(app.get("/api/logs").await.status, 200);
}

/// Many scans wait for each other; what is quick does not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_search_does_not_wait_behind_scans() {
    let app = TestApp::plan().env("SEARCH_BUDGET_MS", 30_000).env("SEARCHES_MAX", 2).ready().await;
    let _endless = endless(&app).await;
    // Or every search reads all rows.
    eventually("the blocks are signed", seconds(30), async || {
        (app.database().number("select count(*) from open_blocks").await == 0).then_some(())
    })
    .await;
    let mut scans = Vec::new();
    for _ in 0..20 {
        let mut client = tokio::net::TcpStream::connect(("127.0.0.1", app.port)).await.unwrap();
        client.write_all(b"GET /api/logs?message=zq HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        scans.push(client);
    }
    for _ in 0..10 {
        let reply = app.get("/api/logs?limit=1").await;
        assert_eq!(reply.status, 200, "{}", reply.json);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_waits_for_a_long_search() {
    let app = TestApp::plan().through_proxy().env("SEARCH_BUDGET_MS", 30_000).ready().await;
    let endless = endless(&app).await;
    // Or a quick machine has the whole trace before it would have to wait.
    app.set_fault(Fault::Slow);
    let page = tokio::spawn(app.client.get(format!("{}/traces/trace-7?view=logs", app.url)).send());
    // Longer than a search waits that has something to answer.
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction' and now() - state_change > interval '700 ms'";
    eventually("the trace waits", seconds(8), async || {
        assert!(!page.is_finished(), "the trace was given up");
        (app.database().number(waiting).await > 0).then_some(())
    })
    .await;
    drop(endless);
    let page = page.await.unwrap().expect("the page comes");
    assert_eq!(page.status(), 200);
    let html = page.text().await.expect("all of it");
    assert_eq!(html.matches("<li class=\"entry ").count(), 600);
    assert!(html.trim_end().ends_with("</html>"));
}
