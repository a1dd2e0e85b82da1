//! Where rows stand in the index, and what a process remembers of it.

use serde_json::json;

use super::filled;
use crate::harness::{
    TestApp,
    app::NDJSON,
    postgres::{Database, Postgres},
    records::{ndjson, with},
    run::{eventually, seconds},
};

/// What comes in no order is put in order before it gets its places, so a minute of ten hours is in a few units, not in all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_in_no_order_makes_narrow_units() {
    let app = TestApp::plan().ready().await;
    let seconds = || (0..2_000).map(|n| n * 7_919 % 36_000);
    let record = |second: u64| {
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!(
            r#"{{"level":"info","message":"m","resourceId":"r","timestamp":"2026-01-02T{hour:02}:{minute:02}:{second:02}Z"}}"#
        ) + "\n"
    };
    app.post(NDJSON, seconds().map(record).collect::<String>(), &[]).await.accepted(2_000);
    let found = app.search(&[("from", "2026-01-02T05:00:00Z"), ("to", "2026-01-02T05:10:00Z")]).await;
    let wanted = seconds().filter(|second| (18_000..18_600).contains(second)).count();
    assert_eq!(found["logs"].as_array().unwrap().len(), wanted);
    // Ten minutes lie in three units at most.
    let rows_read = found["stats"]["rowsRead"].as_u64().unwrap();
    assert!(rows_read <= 3 * 32, "{rows_read}");
    app.finish_rows(2_000).await;
}

/// `count` info records of sixteen resources in turn, so many milliseconds apart.
async fn post_in_turn(app: &TestApp, count: usize, millis: usize) {
    let record = |n: usize| {
        let mut record = with("resourceId", json!(format!("service-{}", n % 16)));
        let at = n * millis;
        record["timestamp"] =
            json!(format!("2026-01-02T03:{:02}:{:02}.{:03}Z", at / 60_000, at / 1_000 % 60, at % 1_000));
        record
    };
    app.post(NDJSON, ndjson((0..count).map(record)), &[]).await.accepted(count);
}

/// Blocks behind the first are filled by resource; rows of a unit lie side by side all the same, so that it is read from few pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_unit_lie_together() {
    let app = TestApp::plan().ready().await;
    post_in_turn(&app, 1_024, 1).await;
    let changes = "select count(*) from (select block, lag(block) over (order by ctid) as before from records) r where block <> before";
    let changes = app.database().number(changes).await;
    assert!(changes < 4 * 16, "{changes}");
    app.finish_rows(1_024).await;
}

/// Rows of half a minute in one batch are no late ones, in whatever order they are copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_makes_none_of_its_rows_late() {
    let app = TestApp::plan().ready().await;
    post_in_turn(&app, 200, 150).await;
    assert_eq!(app.database().number("select count(*) from open_blocks").await, 1);
    app.finish_rows(200).await;
}

/// What a writer fills is known to the searches of its own process; another one reads it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_being_filled_is_ruled_out_as_well() {
    let app = TestApp::plan().ready().await;
    let record = |n: usize| with("message", json!(format!("number {n:03}")));
    filled(&app, &(0..200).map(record).collect::<Vec<_>>()).await;
    let elsewhere = TestApp::plan().database(app.database()).roles("query").ready().await;
    assert_eq!(app.database().number("select count(*) from open_blocks").await, 1);
    for (line, hits, rows) in [("absent", 0, 0), ("\"number 007\"", 1, 200), ("resourceId:other", 0, 0)] {
        for (process, rows) in [(&app, rows), (&elsewhere, 200)] {
            let found = process.search(&[("q", line)]).await;
            assert_eq!(found["logs"].as_array().unwrap().len(), hits, "{line}");
            assert_eq!(found["stats"]["rowsRead"], rows, "{line}");
        }
    }
    elsewhere.finish().await;
    app.finish_rows(200).await;
}

/// Numbers of transactions and blocks are given out again, while a process remembers what they meant before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_restored_hides_nothing() {
    let mut server = Postgres::start();
    let database = Database::on(&server, "logs").await;
    let app = TestApp::plan().database(&database).ready().await;
    let post = async |name: &str, count: usize| {
        let records = (0..count).map(|n| {
            let mut record = with("message", json!(format!("{name} {n:03}")));
            record["commit"] = json!(if name == "kept" { "old" } else { "new" });
            record
        });
        app.post(NDJSON, ndjson(records), &[]).await.accepted(count);
    };
    let found = async |name: &str| {
        let found = app.search(&[("q", name), ("limit", "1000")]).await;
        found["logs"].as_array().map(Vec::len)
    };
    post("kept", 10).await;
    server.crash();
    server.back_up();
    server.start_again();
    app.wait_ready().await;
    post("lost", 600).await;
    assert_eq!((found("kept").await, found("lost").await), (Some(10), Some(600)));
    server.crash();
    server.restore();
    server.start_again();
    app.wait_ready().await;
    post("stored", 600).await;
    let all = (found("kept").await, found("lost").await, found("stored").await);
    assert_eq!(all, (Some(10), Some(0), Some(600)));
    let deploys = app.get("/api/deploys").await.json.to_string();
    assert!(deploys.contains(r#""new""#), "its marker was lost as well: {deploys}");
    // A dump that is restored into the same database has the same rows in other tables.
    let sql = database.connect().await;
    let incarnation =
        async || -> Option<String> { sql.query_one("select incarnation()", &[]).await.unwrap().get(0) };
    let before = eventually("this incarnation has a name", seconds(20), incarnation).await;
    let restored = "create unlogged table again (like incarnations including all); insert into again select * from incarnations;
        drop table incarnations; alter table again rename to incarnations";
    sql.batch_execute(restored).await.unwrap();
    assert!(incarnation().await.is_some_and(|after| after != before));
    app.stop().await;
}
