//! Leaves come ahead of their rows and go with everything that belongs to them, without making anybody wait.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{
    TestApp,
    app::NDJSON,
    postgres::{Database, Postgres},
    records::{named, ndjson, sample},
    run::{eventually, seconds},
};

/// Leaves of the past; there may be one ahead.
const LEAVES: &str = "select count(*) from leaves where to_at < now()";
/// Rows that belong to no leaf.
const LEFTOVERS: &str = "select (select count(*) from signatures s where not exists (select from leaves l where l.leaf = s.leaf)) \
    + (select count(*) from open_blocks o where not exists (select from leaves l where l.leaf = o.leaf)) \
    + (select count(*) from record_names n where not exists (select from records r where r.id = n.id))";
const COUNTED: &str = "select coalesce(sum(n), 0)::bigint from minute_counts";

/// 600 records in each of these years, in turns, every hundredth with a name.
fn years(years: std::ops::Range<i32>) -> String {
    ndjson((0..600_u32).flat_map(|n| {
        years.clone().map(move |year| {
            let mut record = named(&format!("{year} {n}"));
            record["timestamp"] = json!(format!("{year}-06-01T12:00:00Z"));
            if n.is_multiple_of(100) {
                record["id"] = json!(format!("{year}-{n}"));
            }
            record
        })
    }))
}

fn now() -> Value {
    let mut record = sample();
    record["timestamp"] = json!(log_ingestor::record::Timestamp::now().to_string());
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_leaf_is_there_before_its_first_row() {
    let database = Database::fresh().await;
    // Ten minutes at 100,000 rows a second, as another process counted them.
    let counts = "insert into minute_counts select floor(extract(epoch from now()) / 60)::int - m, 3, 6000000 from generate_series(0, 10) m";
    database.sql.batch_execute(counts).await.unwrap();
    let app = TestApp::plan().database(&database).ready().await;
    let ahead = "select count(*) from leaves where from_at > now() and from_at < now() + interval '11 minutes' \
        and to_at - from_at = interval '10 minutes'";
    eventually("a leaf of the future", seconds(20), async || {
        (database.number(ahead).await == 1).then_some(())
    })
    .await;
    let present = "select count(*) from leaves where from_at <= now() and now() < to_at and to_at - from_at <= interval '10 minutes'";
    assert_eq!(database.number(present).await, 1);
    app.post_json(&now()).await.accepted(1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_leaves_go_with_all_that_belongs_to_them() {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, years(2001..2005), &[]).await.accepted(2_400);
    app.post_json(&now()).await.accepted(1);
    app.wait_rows(2_401).await;
    let (database, plan) = (app.database().clone(), app.plan_again());
    assert!(database.number("select count(*) from signatures").await > 0);
    let mut app = app;
    app.kill9(); // leaves blocks open
    let app = plan.env("RETENTION_DAYS", 30).ready().await;
    eventually("four leaves dropped", seconds(60), async || {
        (database.number("select count(*) from dropped_leaves").await == 4).then_some(())
    })
    .await;
    assert_eq!((database.rows().await, database.number(COUNTED).await), (1, 1));
    assert_eq!((database.number(LEAVES).await, database.number(LEFTOVERS).await), (0, 0));
    assert_eq!(database.number("select count(*) from pg_class where relname like 'records_2001%'").await, 0);
    assert_eq!(app.search(&[]).await["logs"].as_array().unwrap().len(), 1);
    let reasons = database.texts("select distinct reason from dropped_leaves where bytes > 0", &[]).await;
    assert_eq!(reasons, ["RETENTION_DAYS=30"]);
    // What would be dropped is refused.
    let refused = app.post(NDJSON, years(2001..2002), &[]).await;
    assert_eq!(refused.status, 422);
    let rejected = &refused.json["rejected"][0];
    assert_eq!(rejected["field"], "timestamp");
    assert!(
        rejected["error"].as_str().unwrap().starts_with("older than what is kept, not before 20"),
        "{rejected}"
    );
    eventually("the numbers", seconds(10), async || {
        let metrics = app.metrics().await;
        (metrics["log_ingestor_dropped_leaves_total"] == 4.0
            && (1.0..=2.0).contains(&metrics["log_ingestor_leaves"])
            && metrics["log_ingestor_stored_bytes"] > 0.0)
            .then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_goes_oldest_first_and_never_the_present() {
    let app = TestApp::plan().ready().await;
    // Long messages that do not compress: more than the limit in each year but the last.
    let dice = |n: usize| blake3::hash(&n.to_le_bytes()).to_hex().to_string();
    let long = |n: usize| (0..300).map(|part| dice(n * 1_000 + part)).collect::<String>();
    for year in 2001..2004 {
        let lines = ndjson((0..80).map(|n| {
            let mut record = named(&long(year * 100 + n));
            record["timestamp"] = json!(format!("{year}-06-01T12:00:00Z"));
            record
        }));
        app.post(NDJSON, lines, &[]).await.accepted(80);
    }
    app.post_json(&now()).await.accepted(1);
    app.wait_rows(241).await;
    let (database, plan) = (app.database().clone(), app.plan_again());
    app.stop().await;
    // About 2.1 MB a year: the newest fits.
    let app = plan.env("RETENTION_BYTES", 3 << 20).ready().await;
    eventually("two leaves dropped", seconds(60), async || {
        (database.number("select count(*) from dropped_leaves").await == 2).then_some(())
    })
    .await;
    let years = database
        .texts("select extract(year from from_at)::text from leaves order by from_at limit 1", &[])
        .await;
    assert_eq!(years, ["2003"]);
    assert_eq!((database.rows().await, database.number(COUNTED).await), (81, 81));
    let plan = app.plan_again();
    app.stop().await;
    let app = plan.env("RETENTION_BYTES", 1 << 20).ready().await;
    eventually("the last old leaf dropped", seconds(60), async || {
        (database.number(LEAVES).await == 0).then_some(())
    })
    .await;
    assert_eq!(database.rows().await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_behind_retention() {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, years(2001..2002), &[]).await.accepted(600);
    app.wait_rows(600).await;
    let (database, plan) = (app.database().clone(), app.plan_again());
    app.stop().await;
    // A long search through the parent, and an open COPY into the leaf.
    let reader = database.connect().await;
    reader.batch_execute("begin; select count(*) from logs").await.unwrap();
    let writer = database.connect().await;
    let leaf = database.texts("select name from leaves order by from_at limit 1", &[]).await.remove(0);
    writer.batch_execute(&format!("begin; lock table {leaf} in row exclusive mode")).await.unwrap();
    let app = plan.env("RETENTION_DAYS", 30).env("RUST_LOG", "info,log_ingestor=debug").ready().await;
    let waited = async || app.log_text().contains("retention waits for its turn");
    let mut slowest = std::time::Duration::ZERO;
    let mut sent = 0;
    while !waited().await || sent < 200 {
        let started = Instant::now();
        app.post_json(&now()).await.accepted(1);
        // Through the parent, which is what retention asks for.
        database.rows().await;
        slowest = slowest.max(started.elapsed());
        sent += 1;
    }
    assert!(slowest < seconds(2), "the slowest of {sent} took {slowest:?}");
    assert_eq!(database.rows().await, 600 + sent);
    // When they are gone, so is the leaf.
    reader.batch_execute("commit").await.unwrap();
    writer.batch_execute("commit").await.unwrap();
    eventually("the old leaf dropped", seconds(60), async || (database.rows().await == sent).then_some(()))
        .await;
    assert_eq!(database.number(COUNTED).await, sent);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_knew_the_leaf_stores_into_a_new_one() {
    let app = TestApp::plan().env("WRITERS", 1).ready().await;
    // Through the parent, with blocks left open in each of the leaves.
    app.post(NDJSON, years(2001..2007), &[]).await.accepted(3_600);
    app.wait_rows(3_600).await;
    // Another process drops them and makes them again for the same ranges, before this one notices.
    let again = "do $$ declare l record; begin \
        for l in select * from leaves where to_at < now() - interval '1 day' loop \
          execute format('drop table %I', l.name); \
          delete from leaves where leaf = l.leaf; \
          delete from signatures where leaf = l.leaf; \
          delete from open_blocks where leaf = l.leaf; \
          insert into dropped_leaves (leaf, name, from_at, to_at, bytes, reason) values (l.leaf, l.name, l.from_at, l.to_at, 0, 'test'); \
          perform ensure_leaf(l.from_at, l.from_at, l.to_at); \
        end loop; delete from minute_counts; delete from record_names; end $$";
    let search =
        async || app.search(&[("limit", "1000"), ("message", "200")]).await["logs"].as_array().unwrap().len();
    assert_eq!(search().await, 1_000);
    let sql = app.database().connect().await;
    sql.batch_execute(again).await.unwrap();
    assert_eq!(search().await, 0);
    for range in [2001..2007, 2001..2002] {
        sql.batch_execute("delete from record_names").await.unwrap();
        app.post(NDJSON, years(range.clone()), &[]).await.accepted(600 * range.len());
        app.wait_rows(600 * range.len() as i64).await;
        for year in range {
            let found = app.search(&[("limit", "1000"), ("message", &format!("{year} "))]).await;
            assert_eq!(found["logs"].as_array().unwrap().len(), 600, "{year}");
        }
        sql.batch_execute(again).await.unwrap();
    }
    app.stop().await;
}

/// Autovacuum of a leaf of yesterday that was loaded at full speed takes minutes, and it never gives way to who waits for less than a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vacuum_does_not_hold_up_retention() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let database = Database::on(&server, "vacuumed").await;
    let app = TestApp::plan().database(&database).ready().await;
    let old = |n: usize| json!({"level": "info", "message": format!("old {n}"), "resourceId": "r", "timestamp": "2001-06-01T12:00:00Z"});
    app.post(NDJSON, ndjson((0..20_000).map(old)), &[]).await.accepted(20_000);
    app.wait_rows(20_000).await;
    let again = app.plan_again();
    app.stop().await;
    let leaf = database.texts("select name from leaves order by from_at limit 1", &[]).await.remove(0);
    // At most ten pages a second, of some hundreds.
    let slow = format!(
        "alter table {leaf} set (autovacuum_vacuum_insert_threshold = 0, autovacuum_vacuum_insert_scale_factor = 0, \
         autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)"
    );
    let sql = database.connect().await;
    sql.batch_execute(&slow).await.unwrap();
    for setting in ["alter system set autovacuum_naptime = '1s'", "select pg_reload_conf()"] {
        sql.batch_execute(setting).await.unwrap();
    }
    let vacuumed = format!("select count(*) from pg_stat_progress_vacuum where relid = '{leaf}'::regclass");
    eventually("a vacuum", seconds(60), async || (database.number(&vacuumed).await == 1).then_some(())).await;
    let app = again.env("RETENTION_DAYS", 30).ready().await;
    eventually("the old leaves dropped", seconds(10), async || {
        (database.number(LEAVES).await == 0).then_some(())
    })
    .await;
    assert_eq!(database.rows().await, 0);
    app.stop().await;
}
