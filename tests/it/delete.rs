//! Deleting by query: what it finds, what it refuses, and that counts and names stay true.

use serde_json::{Value, json};

use crate::harness::{
    Answer, TestApp,
    app::{JSON, NDJSON},
    records::{named, ndjson, sample},
    run::{eventually, seconds},
};

const DELETE: &str = "/v1/delete";
const COUNTED: &str = "select coalesce(sum(n), 0)::bigint from minute_counts";
const COUNTED_ERRORS: &str = "select coalesce(sum(n), 0)::bigint from minute_counts where level = 5";

async fn delete(app: &TestApp, body: &Value) -> Answer {
    app.post_at(DELETE, JSON, &body.to_string(), &[]).await
}

/// 900 records in three leaves, a third of them errors, every tenth with a name.
async fn fill(app: &TestApp) {
    let record = |n: usize| {
        let mut record = named(&format!("record {n} ends"));
        record["level"] = json!(["info", "warn", "error"][n % 3]);
        record["timestamp"] = json!(format!("{}-06-01T12:00:00Z", 2021 + n % 3 + n / 300 % 2));
        record["traceId"] = json!(format!("trace-{}", n % 50));
        if n.is_multiple_of(10) {
            record["id"] = json!(format!("name-{n}"));
        }
        record
    };
    app.post(NDJSON, ndjson((0..900).map(record)), &[]).await.accepted(900);
    app.wait_rows(900).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dry_run_counted_is_deleted() {
    let app = TestApp::plan().ready().await;
    fill(&app).await;
    let database = app.database();
    // 1. The dry run changes nothing.
    let dry = delete(&app, &json!({"level": "error", "message": "ENDS"})).await;
    assert_eq!((dry.status, &dry.json["records"]), (200, &json!(300)), "{}", dry.text());
    assert_eq!((&dry.json["dryRun"], dry.json["sample"].as_array().map(Vec::len)), (&json!(true), Some(5)));
    assert_eq!((database.rows().await, database.number(COUNTED).await), (900, 900));
    let id = dry.json["sample"][0].as_str().unwrap();
    assert_eq!(app.get(&format!("/api/logs/{id}")).await.status, 200);
    // 2. Another number: nothing either.
    let order = |expect: u64| json!({"level": "error", "message": "ENDS", "dryRun": false, "expect": expect});
    let refused = delete(&app, &order(299)).await;
    assert_eq!((refused.status, &refused.json["records"]), (409, &json!(300)), "{}", refused.text());
    assert_eq!((database.rows().await, database.number(COUNTED).await), (900, 900));
    // 3. The same number: they are gone from rows, counts, names and searches; the others stay.
    let done = delete(&app, &order(300)).await;
    assert_eq!((done.status, &done.json["records"]), (200, &json!(300)), "{}", done.text());
    assert_eq!((database.rows().await, database.number(COUNTED).await), (600, 600));
    assert_eq!(database.number(COUNTED_ERRORS).await, 0);
    assert_eq!(app.search(&[("level", "error")]).await["logs"], json!([]));
    assert_eq!(app.get(&format!("/api/logs/{id}")).await.status, 404);
    assert_eq!(
        app.search(&[("traceId", "trace-7"), ("limit", "100")]).await["logs"].as_array().unwrap().len(),
        12
    );
    let names =
        "select count(*) from record_names n where not exists (select from records r where r.id = n.id)";
    assert_eq!(database.number(names).await, 0);
    assert_eq!(database.number("select count(*) from record_names").await, 60);
    assert_eq!(app.metric("log_ingestor_deleted_records_total").await, 300);
    // 4. Who asked for what is written down.
    let audit =
        "select filter || ' ' || records || ' ' || dry_run || ' ' || client from deletions order by id";
    assert_eq!(
        database.texts(audit, &[]).await,
        ["?level=error&message=ENDS 300 true 127.0.0.1", "?level=error&message=ENDS 300 false 127.0.0.1"]
    );
    // 5. A time range alone is a condition too; and what was deleted may come again.
    let order = json!({"from": "2021-01-01T00:00:00Z", "to": "2022-01-01T00:00:00Z"});
    let counted = delete(&app, &order).await.json["records"].clone();
    let mut order = order;
    order["dryRun"] = json!(false);
    order["expect"] = counted;
    assert_eq!(delete(&app, &order).await.status, 200);
    let before = "select count(*) from logs where timestamp < '2022-01-01Z'";
    assert_eq!(database.number(before).await, 0);
    assert_eq!(database.number(COUNTED).await, database.rows().await);
    let rows = database.rows().await;
    app.post(NDJSON, ndjson([named("again")]), &[]).await.accepted(1);
    app.wait_rows(rows + 1).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_deletions_of_the_same_take_it_once() {
    let app = TestApp::plan().ready().await;
    fill(&app).await;
    // Somebody else is about to delete one of the rows.
    let sql = app.database().connect().await;
    sql.batch_execute("begin; delete from records where message = 'record 2 ends'").await.unwrap();
    let order = json!({"level": "error", "dryRun": false, "expect": 300});
    let ours = delete(&app, &order);
    let other = async {
        let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        eventually("the deletion waits for the row", seconds(20), async || {
            (app.database().number(waits).await > 0).then_some(())
        })
        .await;
        sql.batch_execute("commit").await.unwrap();
    };
    let (answer, ()) = tokio::join!(ours, other);
    // It begins again, and finds one less.
    assert_eq!((answer.status, &answer.json["records"]), (409, &json!(299)), "{}", answer.text());
    assert_eq!(app.database().rows().await, 899);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_deleted_is_not() {
    let app = TestApp::plan().ready().await;
    app.post_json(&sample()).await.accepted(1);
    for (body, field) in [
        (json!({}), "body"),
        (json!({"level": "error", "limit": 1}), "limit"),
        (json!({"level": "error", "dryRun": false}), "expect"),
        (json!({"regex": "(", "dryRun": false, "expect": 1}), "regex"),
    ] {
        let answer = delete(&app, &body).await;
        assert_eq!((answer.status, answer.json["field"].as_str()), (400, Some(field)), "{}", answer.text());
    }
    let order = json!({"level": "error", "dryRun": false, "expect": 1}).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = app.post_at(DELETE, content_type, &order, &[]).await;
        assert_eq!(answer.status, 415, "{content_type}: {}", answer.text());
    }
    assert_eq!(app.get(DELETE).await.status, 405);
    assert_eq!(app.database().rows().await, 1);
    let plan = app.plan_again();
    app.stop().await;
    let app = plan.env("ALLOW_DELETE", "off").ready().await;
    let answer = app.post_at(DELETE, JSON, &order, &[]).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.json["error"].as_str().unwrap().contains("ALLOW_DELETE"), "{}", answer.text());
    let reader = app.plan_again().env("ALLOW_DELETE", "on").roles("query").ready().await;
    assert_eq!(reader.post_at(DELETE, JSON, &order, &[]).await.status, 403);
    assert_eq!(app.database().rows().await, 1);
    reader.stop().await;
    app.stop().await;
}
