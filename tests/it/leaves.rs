//! The partitions of the table: a leaf may be dropped (by hand, by retention) while a writer still knows it.

use serde_json::json;

use log_ingestor::record::Timestamp;

use crate::harness::{
    TestApp,
    app::NDJSON,
    records::{named, ndjson},
    run::{eventually, seconds},
};

/// Records of eight years, a leaf each: more than get a COPY of their own.
fn years(name: &str) -> String {
    ndjson((2001..2009).map(|year| {
        let mut record = named(&format!("{name} {year}"));
        record["timestamp"] = json!(format!("{year}-06-01T12:00:00Z"));
        record
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_that_was_dropped_is_made_again() {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, years("first"), &[]).await.accepted(8);
    let drop = "do $$ declare leaf text; begin \
        for leaf in select name from leaves loop execute format('drop table %I', leaf); end loop; \
        delete from leaves; end $$";
    let sql = app.database().connect().await;
    sql.batch_execute(drop).await.unwrap();
    app.wait_rows(0).await;
    // Through the parent, because there are many leaves; then into one leaf.
    app.post(NDJSON, years("second"), &[]).await.accepted(8);
    sql.batch_execute(drop).await.unwrap();
    let one = years("third").lines().take(1).collect::<String>();
    app.post(NDJSON, one, &[]).await.accepted(1);
    app.wait_rows(1).await;
    assert_eq!(app.database().number("select count(*) from dead_letters").await, 0);
    app.stop().await;
}

/// A COPY that is refused before it begins has an answer too many on the wire, so its connection is not used again; nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_while_leaves_go_is_answered() {
    let app = TestApp::plan().env("WRITERS", 1).ready().await;
    let sql = app.database().connect().await;
    let body = years("again").lines().take(1).collect::<String>();
    for _ in 0..40 {
        app.post(NDJSON, body.clone(), &[]).await.accepted(1);
        app.wait_rows(1).await;
        let drop = "do $$ declare leaf text; begin \
            for leaf in select name from leaves loop execute format('drop table %I', leaf); end loop; \
            delete from leaves; end $$";
        sql.batch_execute(drop).await.unwrap();
    }
    assert!(!app.log_text().contains("cannot store"), "{}", app.log_text());
    app.stop().await;
}

/// Made when nobody writes into the leaf any more, and anew if its making was broken off; rows come and go as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_that_have_ended_get_an_index_by_time() {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, years("row"), &[]).await.accepted(8);
    let mut present = named("now");
    present["timestamp"] = json!(Timestamp::now().to_string());
    app.post_json(&present).await.accepted(1);
    let database = app.database().clone();
    let indexed = "select count(*) from leaves l join pg_index i on i.indexrelid = to_regclass(l.name || '_timestamp') where i.indisvalid";
    assert_eq!(database.number(indexed).await, 0, "all of them are open");
    app.stop().await;
    let older = "update leaves set created_at = created_at - interval '1 hour'";
    assert!(database.sql.execute(older, &[]).await.unwrap() >= 9, "one may be ahead");
    let ended = async |what: &str| {
        let app = TestApp::plan().database(&database).ready().await;
        // The keeper looks at once and then every minute; at first a block may still be the sealer's to sign.
        eventually(what, seconds(90), async || (database.number(indexed).await == 8).then_some(())).await;
        app
    };
    let app = ended("eight leaves with an index").await;
    let of_the_present = "select count(*) from leaves l join pg_class c on c.relname = l.name || '_timestamp' where l.to_at > now()";
    assert_eq!(database.number(of_the_present).await, 0);
    app.post(NDJSON, years("late"), &[]).await.accepted(8);
    app.wait_rows(17).await;
    app.stop().await;
    let break_off = "update pg_index set indisvalid = false \
        where indexrelid = (select to_regclass(name || '_timestamp') from leaves order by from_at limit 1)";
    assert_eq!(database.sql.execute(break_off, &[]).await.unwrap(), 1);
    ended("the broken one made anew").await.stop().await;
}
