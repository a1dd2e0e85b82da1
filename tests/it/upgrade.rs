//! Databases of earlier versions: what they hold is found after the migrations as it was before, and counted right.

use std::collections::BTreeMap;

use log_ingestor::{
    db,
    record::{
        TENANT_DEFAULT, Timestamp,
        id::{IdSeed, from_client_id},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    TestApp,
    app::NDJSON,
    postgres::Database,
    records::{ndjson, sample},
    run::{eventually, seconds},
};

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];
const TIMES: [&str; 4] =
    ["2024-05-05T12:00:00Z", "2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:59Z", "2026-01-03T00:00:00Z"];
/// Ids as clients send them; the packed column keeps each kind in another way.
const TRACES: [Option<&str>; 7] = [
    None,
    Some("4bf92f3577b34da6a3ce929d0e0e4736"),
    Some("4BF92F3577B34DA6A3CE929D0E0E4736"),
    Some("0b5c1a3e-9f63-4f0e-8c4f-6d2c5a3b1e90"),
    Some("Spur 7 / größer"),
    Some("abc"),
    Some(""),
];

/// In three leaves: all levels, and of one more than a block.
fn records() -> Vec<Value> {
    let record = |n: usize| {
        let mut record = json!({
            "level": if n < 1_000 { "info" } else { LEVELS[n % 6] },
            "message": format!("upgraded #{n}#"),
            "resourceId": format!("server-{}", n % 10),
            "timestamp": TIMES[n % 4],
        });
        let optional = [
            ("traceId", TRACES[n % 7].map(Value::from)),
            ("spanId", TRACES[(n + 3) % 7].map(Value::from)),
            ("commit", n.is_multiple_of(3).then(|| json!(format!("c{n}")))),
            ("metadata", n.is_multiple_of(2).then(|| json!({"n": n, "deep": {"er": [n]}}))),
            ("id", n.is_multiple_of(100).then(|| json!(format!("client-{n}")))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                record[name] = value;
            }
        }
        record
    };
    (0..1_301).map(record).collect()
}

/// The id that the product gives.
fn id_of(record: &Value, n: usize) -> Uuid {
    let at = Timestamp::parse(record["timestamp"].as_str().unwrap()).unwrap();
    match record["id"].as_str() {
        Some(name) => from_client_id(TENANT_DEFAULT, at, name).0,
        None => IdSeed::new(TENANT_DEFAULT, Uuid::from_u128(7), 0).record(at, n).0,
    }
}

/// A database as the first release left it.
async fn store_as_before(database: &Database, records: &[Value]) {
    let config = database.url(database.port).parse().unwrap();
    db::migrate_to(&config, refinery::Target::Version(2)).await.unwrap();
    for day in ["2024-05-05", "2026-01-02", "2026-01-03"] {
        let leaf = format!("select ensure_leaf('{day}Z', '{day}Z', timestamptz '{day}Z' + interval '1 day')");
        database.sql.batch_execute(&leaf).await.unwrap();
    }
    let insert = "insert into logs (timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata, client_id) \
        select (r->>'timestamp')::timestamptz, i, array_position($3::text[], r->>'level'), r->>'resourceId', \
          r->>'traceId', r->>'spanId', r->>'commit', r->>'message', r->'metadata', r->>'id' \
        from unnest($1::text[], $2::uuid[]) as u (t, i), jsonb(t) r";
    let texts: Vec<String> = records.iter().map(Value::to_string).collect();
    let ids: Vec<Uuid> = records.iter().enumerate().map(|(n, record)| id_of(record, n)).collect();
    let levels = LEVELS.to_vec();
    database.sql.execute(insert, &[&texts, &ids, &levels]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_release_stored_is_found() {
    let database = Database::empty().await;
    let records = records();
    store_as_before(&database, &records).await;
    let app = TestApp::plan().database(&database).ready().await;
    app.wait_rows(records.len() as i64).await;
    // 1. Each by its id, in the shape in which it came.
    for (n, record) in records.iter().enumerate() {
        let id = id_of(record, n).to_string();
        let mut wanted = record.clone();
        let named = wanted.as_object_mut().unwrap().remove("id");
        wanted["id"] = json!(id);
        if let Some(name) = named {
            wanted["clientId"] = name;
        }
        assert_eq!(app.get(&format!("/api/logs/{id}")).await.json, wanted, "{n}");
    }
    // 2. By message, by trace, by level.
    let ids = async |parameters: &[(&str, &str)]| -> usize {
        let mut parameters = parameters.to_vec();
        parameters.push(("limit", "1000"));
        app.search(&parameters).await["logs"].as_array().unwrap().len()
    };
    for n in (0..records.len()).step_by(37) {
        assert_eq!(ids(&[("message", &format!("#{n}#"))]).await, 1, "message {n}");
    }
    let count = |holds: &dyn Fn(&Value) -> bool| records.iter().filter(|record| holds(record)).count();
    for trace in TRACES.into_iter().flatten().filter(|trace| !trace.is_empty()) {
        assert_eq!(ids(&[("traceId", trace)]).await, count(&|record| record["traceId"] == trace), "{trace}");
        assert_eq!(ids(&[("spanId", trace)]).await, count(&|record| record["spanId"] == trace), "{trace}");
    }
    for level in ["trace", "error", "fatal"] {
        assert_eq!(ids(&[("level", level)]).await, count(&|record| record["level"] == level), "{level}");
    }
    assert_eq!(ids(&[("metadata.deep.er", "600")]).await, 1);
    // 3. Counts by minute and level.
    let mut wanted: BTreeMap<(i32, i16), i64> = BTreeMap::new();
    for record in &records {
        let at = Timestamp::parse(record["timestamp"].as_str().unwrap()).unwrap();
        let level = LEVELS.iter().position(|level| record["level"] == *level).unwrap();
        *wanted.entry((at.minute(), level as i16 + 1)).or_default() += 1;
    }
    let counted = "select minute, level, sum(n)::bigint from minute_counts group by 1, 2";
    let counted = database.sql.query(counted, &[]).await.unwrap();
    let counted = counted.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
    assert_eq!(wanted, counted);
    // 4. No place of the index covers more rows than it may.
    let fullest = "select max(n) from (select count(*) as n from records group by tableoid, block) as units";
    assert_eq!(database.number(fullest).await, 32);
    // 5. What clients named is known, and what comes now is stored beside it.
    let named = records.iter().filter(|record| record["id"].is_string()).cloned();
    app.post(NDJSON, ndjson(named), &[]).await.accepted(14);
    app.post_json(&sample()).await.accepted(1);
    app.wait_rows(records.len() as i64 + 1).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shorter_signatures_are_made_anew() {
    made_anew(
        "alter table signatures rename column bits to signature; \
        update groups set format = 1, slices = substring(slices for 65536 * width); \
        update signatures set signature = substring(signature for 8192); \
        delete from refinery_schema_history where version >= 8",
    )
    .await;
}

/// They are as long as those of today and say nothing of what a search asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_of_other_grams_are_made_anew() {
    made_anew(
        "update groups set format = 2, slices = decode(repeat('00', octet_length(slices)), 'hex'); \
        update signatures set bits = decode(repeat('00', octet_length(bits)), 'hex'); \
        alter table signatures rename column bits to signature; \
        delete from refinery_schema_history where version >= 13",
    )
    .await;
}

/// Signatures of an earlier format, sealed and not: none of them hides a row, and all are made anew.
async fn made_anew(earlier: &str) {
    let database = Database::empty().await;
    let app = TestApp::plan().database(&database).env("SEAL_BLOCKS", 8).ready().await;
    let words = |n: usize| json!({"level": "info", "message": format!("row{n}#"), "resourceId": format!("server-{n}"), "timestamp": TIMES[1]});
    app.post(NDJSON, ndjson((0..3_000).map(words)), &[]).await.accepted(3_000);
    let sealed = "select count(*) from groups";
    eventually("a group", seconds(30), async || (database.number(sealed).await == 1).then_some(())).await;
    app.stop().await;
    assert_eq!(database.number("select count(*) from signatures").await, 4);
    // The database as it was before.
    database.sql.batch_execute(earlier).await.unwrap();
    let app = TestApp::plan().database(&database).env("ROLES", "query").ready().await;
    let every_row_is_found = async |app: &TestApp| {
        for n in (0..3_000).step_by(97) {
            let resource = format!("server-{n}");
            for parameter in [("message", format!("row{n}#")), ("resourceId", resource)] {
                let found = app.search(&[(parameter.0, &parameter.1)]).await;
                assert_eq!(found["logs"].as_array().unwrap().len(), 1, "{parameter:?}");
            }
        }
    };
    every_row_is_found(&app).await;
    assert_eq!(database.number("select count(*) from open_blocks").await, 12);
    app.stop().await;
    let app = TestApp::plan().database(&database).env("SEAL_BLOCKS", 8).ready().await;
    eventually("the group made anew", seconds(30), async || {
        (database.number("select count(*) from groups where format = 3").await == 1).then_some(())
    })
    .await;
    every_row_is_found(&app).await;
    app.stop().await;
}

/// Metadata was json. As text it is the same bytes, so no row is written anew, and what people have built on the view stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_becomes_text_where_it_is() {
    let database = Database::empty().await;
    let config = database.url(database.port).parse().unwrap();
    db::migrate_to(&config, refinery::Target::Version(11)).await.unwrap();
    let before = "select ensure_leaf('2026-01-02Z', '2026-01-02Z', '2026-01-03Z'); \
        insert into records (timestamp, id, block, level, resource_id, message, metadata) \
        select '2026-01-02 03:04:05Z', gen_random_uuid(), 0, 3, 'r', 'm', '{\"a\":{\"b\":7},\"c\":\"d\"}'; \
        insert into open_blocks (leaf, block, level, writer) select leaf, 0, 3, 0 from leaves; \
        update leaves set next_block = 1; \
        create view theirs as select (metadata #>> '{a,b}')::bigint as b from logs";
    database.sql.batch_execute(before).await.unwrap();
    let file = "select pg_relation_filenode(tableoid)::bigint from records";
    let written = database.number(file).await;
    let app = TestApp::plan().database(&database).ready().await;
    assert_eq!(database.number(file).await, written);
    let texts = "select count(*) from pg_attribute where attrelid in (select tableoid from records) \
        and attname = 'metadata' and atttypid = 'text'::regtype";
    assert_eq!(database.number(texts).await, 1);
    assert_eq!(database.number("select b from theirs").await, 7);
    assert_eq!(database.number("select count(*) from pg_cast where castsource = 'json'::regtype").await, 1);
    let found = app.search(&[("q", "a.b=7 c:d")]).await;
    assert_eq!(found["logs"][0]["metadata"], json!({"a": {"b": 7}, "c": "d"}));
    app.stop().await;
}
