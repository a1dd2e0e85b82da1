//! SQL for people: the view, who may read it, and what it costs to plan.

use serde_json::json;

use crate::harness::{
    TestApp,
    postgres::Database,
    records::{named, sample},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_reads_and_nothing_else() {
    let app = TestApp::plan().ready().await;
    let mut record = sample();
    record["id"] = json!("mine");
    app.post_json(&record).await.accepted(1);
    app.post_json(&named("quiet")).await.accepted(1);
    app.wait_rows(2).await;
    let reader = app.database().connect_as("log_reader").await;
    let found = "select concat_ws(' ', level, resource_id, trace_id, span_id, \"commit\", message, metadata->>'parentResourceId', client_id, tenant) \
        from logs where timestamp > timestamptz '2023-01-01' and level = 'error' order by timestamp desc limit 50";
    let row = reader.query_one(found, &[]).await.unwrap();
    assert_eq!(
        row.get::<_, String>(0),
        "error server-1234 abc-xyz-123 span-456 5e5342f Failed to connect to DB server-0987 mine default"
    );
    // What the README shows.
    let owner = app.database().connect().await;
    let deployments = "create table deployments (commit text primary key, author text, at timestamptz); \
        insert into deployments values ('5e5342f', 'ada', '2023-09-01Z'); grant select on deployments to log_reader";
    owner.batch_execute(deployments).await.unwrap();
    let join = "select d.author, d.at as deployed, count(*) as errors, max(l.timestamp) as last \
        from logs l join deployments d on d.commit = l.\"commit\" where l.level = 'error' and l.timestamp >= '2023-01-01' \
        group by d.author, d.at order by errors desc";
    let row = reader.query_one(join, &[]).await.unwrap();
    assert_eq!((row.get("author"), row.get("errors")), ("ada", 1_i64));
    let setting = reader.query_one("select current_setting('statement_timeout')", &[]).await.unwrap();
    assert_eq!(setting.get::<_, String>(0), "30s");
    assert!(reader.batch_execute("delete from logs").await.is_err());
    // Whatever the reader switches off, the privileges are not there.
    reader.batch_execute("set default_transaction_read_only = off").await.unwrap();
    for refused in [
        "select * from records",
        "select * from ingest_keys",
        "select * from dead_letters",
        "create table mine (a int)",
        "delete from logs",
        "delete from minute_counts",
        "select ensure_leaf(now(), now(), now())",
    ] {
        let error = reader.batch_execute(refused).await.expect_err(refused);
        let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
        assert_eq!(code, "42501", "{refused}: {error:?}");
    }
    // Nor does the owner change rows by hand.
    for refused in ["delete from logs", "update logs set message = 'x'"] {
        let error = owner.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("42809"), "{refused}");
    }
    app.stop().await;
}

/// Many databases of a cluster may migrate at once, and a role belongs to all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn databases_that_migrate_at_once_share_the_role() {
    let databases: Vec<_> = futures_util::future::join_all((0..4).map(|_| Database::empty())).await;
    // Only while no other test needs it: a server of the run has the role already, so its making is raced on its own.
    let race = "do $$ begin create role log_reader_race login; \
        exception when duplicate_object or unique_violation then null; end $$";
    let raced = databases.iter().map(|database| database.sql.batch_execute(race));
    for outcome in futures_util::future::join_all(raced).await {
        outcome.unwrap();
    }
    databases[0].sql.batch_execute("drop role log_reader_race").await.unwrap();
    let migrations = databases.iter().map(async |database| {
        let config = database.url(database.port).parse().unwrap();
        log_ingestor::db::migrate(&config).await
    });
    for outcome in futures_util::future::join_all(migrations).await {
        outcome.unwrap();
    }
    for database in &databases {
        let reader = database.connect_as("log_reader").await;
        reader.query_one("select count(*) from logs", &[]).await.unwrap();
    }
}

/// Who may not create roles can migrate all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_create_roles_there_is_none() {
    let server = tokio::task::spawn_blocking(crate::harness::postgres::Postgres::start).await.unwrap();
    let database = Database::on(&server, "plain").await;
    database.sql.batch_execute("create role plain login; alter database plain owner to plain; grant all on schema public to plain").await.unwrap();
    let config = format!("postgresql://plain@127.0.0.1:{}/plain", server.port).parse().unwrap();
    log_ingestor::db::migrate(&config).await.unwrap();
    assert_eq!(database.number("select count(*) from pg_roles where rolname = 'log_reader'").await, 0);
    assert_eq!(database.rows().await, 0);
}

/// A time range rules leaves out, whether its bounds are known when the statement is planned or only when it runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_range_rules_leaves_out() {
    let database = Database::fresh().await;
    let leaves = "select ensure_leaf(at, at, at + interval '1 day') from generate_series(timestamptz '2025-01-01Z', '2025-02-09Z', '1 day') at";
    database.sql.batch_execute(leaves).await.unwrap();
    let plan = async |since: &str| {
        let query = format!(
            "explain (costs off) select timestamp, message from logs where timestamp > {since} and level = 'error' order by timestamp desc limit 50"
        );
        let lines = database.texts(&query, &[]).await;
        let scans = lines.iter().filter(|line| line.contains("Scan") && line.contains("on records_")).count();
        (scans, lines.iter().find(|line| line.contains("Subplans Removed")).cloned())
    };
    assert_eq!(plan("timestamptz '2025-02-08Z'").await.0, 2);
    let (scans, removed) = plan("now() - interval '1 hour'").await;
    assert!(scans <= 1 && removed.is_some(), "{scans} {removed:?}");
}
