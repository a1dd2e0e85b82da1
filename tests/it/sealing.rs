//! Sealing seen from the tables: it holds nobody up, it neither loses nor doubles a block, and what is damaged stops nothing else.

use std::sync::Arc;

use serde_json::json;
use tokio_postgres::Client;

use crate::{
    harness::{
        TestApp,
        app::NDJSON,
        postgres::Database,
        records::{named, ndjson},
        run::{eventually, seconds},
    },
    truth::ledger::check,
};

const SIGNATURES: &str = "select count(*) from signatures";
/// A sealer that waits to write a group, and whether it has a transaction's number already.
const WAITING: &str = "select count(*) from pg_stat_activity a join pg_locks l using (pid) \
    where l.relation = 'groups'::regclass and not l.granted and a.query like '%insert into groups%' and a.datname = current_database()";
const WAITING_WITH_A_NUMBER: &str = "select count(*) from pg_stat_activity a join pg_locks l using (pid) \
    where l.relation = 'groups'::regclass and not l.granted and a.query like '%insert into groups%' and a.datname = current_database() and a.backend_xid is not null";

/// What was read of the counts, and what was deleted, as far as its transactions are over.
const COUNTS_READ: &str = "select (t.seq_tup_read + (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid))::bigint \
    from pg_stat_user_tables t where relname = 'minute_counts'";
const COUNTS_DELETED: &str = "select n_tup_del from pg_stat_user_tables where relname = 'minute_counts'";
const COUNTS_NEW: &str = "select count(*) from minute_counts where is_new";

/// 600 records in each of these years: three blocks a leaf.
fn years(years: std::ops::Range<i32>) -> String {
    ndjson(years.flat_map(|year| {
        (0..600).map(move |n| {
            let mut record = named(&format!("row{n} of {year}"));
            record["timestamp"] = json!(format!("{year}-06-01T12:00:00Z"));
            record["traceId"] = json!(format!("row{n}-of-{year}"));
            record
        })
    }))
}

/// Signed blocks of four years, none of them sealed, and nobody at work.
async fn signed() -> Arc<Database> {
    let app = TestApp::plan().ready().await;
    app.post(NDJSON, years(2001..2005), &[]).await.accepted(2_400);
    let database = app.database().clone();
    app.stop().await;
    let ledger = check(&database).await;
    assert_eq!((ledger.open, ledger.signed, ledger.sealed), (0, 12, 0));
    database
}

/// Nobody can write a group meanwhile; reading goes on.
async fn hold_groups(database: &Arc<Database>) -> Client {
    let holder = database.connect().await;
    holder.batch_execute("begin; lock table groups in exclusive mode").await.unwrap();
    holder
}

async fn sealer_waits(database: &Arc<Database>) {
    eventually("the sealer waits to write", seconds(20), async || {
        (database.number(WAITING).await > 0).then_some(())
    })
    .await;
}

async fn all_sealed(database: &Arc<Database>) {
    eventually("everything sealed", seconds(20), async || {
        (database.number(SIGNATURES).await == 0).then_some(())
    })
    .await;
}

/// Every search lists again what is not older than the oldest transaction that has a number. Signatures are read and turned before the
/// sealer's has one; and a block that is somebody else's by then is not sealed with the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_made_before_its_transaction_begins() {
    let database = signed().await;
    let holder = hold_groups(&database).await;
    let app = TestApp::plan().database(&database).env("SEAL_IDLE_MS", 1).ready().await;
    sealer_waits(&database).await;
    assert_eq!(database.number(WAITING_WITH_A_NUMBER).await, 0, "it waits with a transaction's number");
    // What it has turned by now goes another way: each leaf's first block is open again, as if its writer were gone.
    let reopen = "with gone as (delete from signatures where block in (select min(block) from signatures group by leaf) returning leaf, block, level) \
        insert into open_blocks (leaf, block, level, writer) select leaf, block, level, 0 from gone";
    database.sql.batch_execute(reopen).await.unwrap();
    holder.batch_execute("rollback").await.unwrap();
    eventually("everything signed and sealed", seconds(20), async || {
        let ledger = check(&database).await;
        (ledger.open + ledger.signed == 0).then_some(())
    })
    .await;
    assert_eq!(check(&database).await.sealed, 12);
    assert!(app.log_text().contains("were taken away while they were turned"), "{}", app.log_text());
    app.stop().await;
}

/// Killed when all is turned and nothing is written, it has done nothing; the next one begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealer_that_is_killed_leaves_every_block_where_it_was() {
    let database = signed().await;
    let holder = hold_groups(&database).await;
    let mut app = TestApp::plan().database(&database).env("SEAL_IDLE_MS", 1).ready().await;
    sealer_waits(&database).await;
    let again = app.plan_again();
    app.kill9();
    holder.batch_execute("rollback").await.unwrap();
    let ledger = check(&database).await;
    assert_eq!(ledger.open + ledger.signed + ledger.sealed, 12);
    let app = again.ready().await;
    all_sealed(&database).await;
    assert_eq!(check(&database).await.sealed, 12);
    app.stop().await;
}

/// Two leaves have a signature that nobody can read: one has foreign units, the other is short. Searches find every row, and all that
/// can be read is sealed; the two stay where they are, and are named once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_named_and_holds_up_nothing_else() {
    let database = signed().await;
    let damage = "with first as (select leaf, min(block) as block from signatures group by leaf) \
        update signatures s set \
          units = case when s.leaf = (select min(leaf) from leaves) then '\\x09'::bytea else units end, \
          bits = case when s.leaf = (select max(leaf) from leaves) then '\\x00'::bytea else bits end \
        from first where s.leaf = first.leaf and s.block = first.block";
    database.sql.batch_execute(damage).await.unwrap();
    let app = TestApp::plan().database(&database).ready().await;
    every_row_is_found(&app).await;
    app.stop().await;
    let app = TestApp::plan().database(&database).env("SEAL_IDLE_MS", 1).ready().await;
    eventually("the rest sealed", seconds(20), async || {
        (database.number(SIGNATURES).await == 2).then_some(())
    })
    .await;
    every_row_is_found(&app).await;
    // Another round, to see that it is not said again.
    app.post(NDJSON, years(2005..2006), &[]).await.accepted(600);
    eventually("another leaf sealed", seconds(20), async || {
        (database.number("select count(distinct leaf) from groups").await == 5).then_some(())
    })
    .await;
    assert_eq!(app.log_text().matches("cannot be read").count(), 2, "{}", app.log_text());
    // What is signed anew from its rows is found once, by whoever knew it as damaged too.
    let reopen = "with gone as (delete from signatures where octet_length(bits) < 11976 or octet_length(units) < 2 returning leaf, block, level) \
        insert into open_blocks (leaf, block, level, writer) select leaf, block, level, 0 from gone";
    assert_eq!(database.sql.execute(reopen, &[]).await.unwrap(), 2);
    every_row_is_found(&app).await;
    app.stop().await;
}

async fn every_row_is_found(app: &TestApp) {
    for year in 2001..2005 {
        for n in ["0", "300", "599"] {
            let word = format!("row{n} of {year}");
            let found = app.search(&[("message", &word)]).await;
            assert_eq!(found["logs"].as_array().unwrap().len(), 1, "{word}");
        }
    }
}

/// Groups of four years; a value of one year is looked for in that group alone, as its list of values says. A group without a list, or with a
/// damaged one, is looked into.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_lacks_the_value_is_not_looked_into() {
    let database = signed().await;
    let app = TestApp::plan().database(&database).env("SEAL_IDLE_MS", 1).ready().await;
    all_sealed(&database).await;
    assert_eq!(database.number("select count(*) from groups").await, 4);
    every_value_is_found(&app).await;
    // One says nothing, one is too short, one is foreign: its distances go beyond all hashes.
    let damage = "with n as (select leaf, grp, row_number() over (order by leaf) as n from groups) \
        update groups g set \
          value_hashes = case n when 1 then null when 2 then '\\x0102'::bytea else decode(repeat('ff', octet_length(value_hashes)), 'hex') end \
        from n where n.leaf = g.leaf and n.grp = g.grp and n < 4";
    database.sql.batch_execute(damage).await.unwrap();
    app.stop().await;
    let app = TestApp::plan().database(&database).ready().await;
    every_row_is_found(&app).await;
    every_value_is_found(&app).await;
    // What the list says is believed: a group whose list is empty holds nothing.
    database.sql.batch_execute("update groups set value_hashes = '\\x00', bucket_width = 1").await.unwrap();
    app.stop().await;
    let app = TestApp::plan().database(&database).ready().await;
    let found = app.search(&[("q", "traceId:row0-of-2001")]).await;
    assert_eq!(found["logs"].as_array().unwrap().len(), 0);
    app.stop().await;
}

/// And what is nowhere is not; the blocks that are ruled out are counted all the same.
async fn every_value_is_found(app: &TestApp) {
    for (year, hits) in [(2001, 1), (2002, 1), (2003, 1), (2004, 1), (2005, 0)] {
        let field = format!("traceId:row0-of-{year}");
        let found = app.search(&[("q", &field)]).await;
        assert_eq!(found["logs"].as_array().unwrap().len(), hits, "{field}");
        if hits == 0 {
            assert_eq!(found["stats"]["blocksSkipped"], 12);
        }
    }
}

/// Two months of minutes that were added up before, and some that came since: these alone are read, and what was added up is part of
/// the sum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_minutes_with_new_counts_are_added_up() {
    let database = Database::fresh().await;
    let counts = "insert into minute_counts (minute, level, n, is_new) select m, 3, 1, null from generate_series(20000001, 20100000) m; \
        insert into minute_counts (minute, level, n) select 20000000 + m % 10, 3, 1 from generate_series(1, 2500) m; \
        insert into minute_counts (minute, level, n) select 20000001, 5, n from unnest('{4, -4}'::int[]) n";
    database.sql.batch_execute(counts).await.unwrap();
    database.sql.batch_execute("vacuum analyze minute_counts").await.unwrap();
    let before = database.number(COUNTS_READ).await;
    let app = TestApp::plan().database(&database).ready().await;
    eventually("the counts added up", seconds(30), async || {
        (database.number(COUNTS_DELETED).await >= 2_502).then_some(())
    })
    .await;
    let read = database.number(COUNTS_READ).await - before;
    assert!(read < 50_000, "{read} rows were read to add up 2,502");
    assert_eq!(database.number(COUNTS_NEW).await, 0);
    let rows = "select count(*) from minute_counts where n = 251 and minute between 20000001 and 20000009 or n = 250 and minute = 20000000";
    assert_eq!(database.number(rows).await, 10, "one row a minute, with what was there before");
    assert_eq!(database.number("select count(*) from minute_counts").await, 100_001);
    assert_eq!(database.number("select sum(n)::bigint from minute_counts").await, 102_500);
    app.stop().await;
}

/// A process knows a group that was joined into another, which was joined into a third before it searched again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_joined_twice_between_two_searches_is_found_once() {
    let database = Database::fresh().await;
    let (mut stored, mut searcher) = (0, None);
    for rows in [600, 600, 6_000] {
        let app = TestApp::plan().database(&database).ready().await;
        let records = (stored..stored + rows).map(|n| named(&format!("row{n}.")));
        app.post(NDJSON, ndjson(records), &[]).await.accepted(rows);
        app.stop().await;
        let app = TestApp::plan().database(&database).env("SEAL_IDLE_MS", 1).ready().await;
        all_sealed(&database).await;
        app.stop().await;
        if searcher.is_none() {
            let app = TestApp::plan().database(&database).roles("query").ready().await;
            // It learns of the group, and has no need to open it.
            app.search(&[("to", "2020-01-01T00:00:00Z")]).await;
            searcher = Some(app);
        }
        stored += rows;
    }
    assert_eq!(database.number("select count(*) from groups").await, 1);
    let searcher = searcher.unwrap();
    for word in ["row7.", "row700.", "row7000."] {
        assert_eq!(
            searcher.search(&[("message", word)]).await["logs"].as_array().unwrap().len(),
            1,
            "{word}"
        );
    }
    searcher.stop().await;
}

/// So that the first search after a load or a restart is as quick as the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_learns_the_index_before_it_is_asked() {
    let database = signed().await;
    let app = TestApp::plan().database(&database).roles("query").ready().await;
    eventually("twelve signatures in memory", seconds(20), async || {
        (app.metric("log_ingestor_blocks_in_memory").await == 12).then_some(())
    })
    .await;
    let metrics = app.metrics().await;
    assert!(metrics.keys().all(|name| !name.starts_with("log_ingestor_searches_total")), "nobody has asked");
    app.finish_rows(2_400).await;
}
