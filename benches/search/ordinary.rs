//! What a good Postgres user would build instead: an ordinary table with trigram, jsonb and btree indexes, filled with the same rows in the
//! same run, and asked the same questions in plain SQL. The product is asked within the same time range, and both must agree.

use std::time::{Duration, Instant};

use log_ingestor::record::Timestamp;
use tokio_postgres::{Client, types::ToSql};

use crate::{
    ask::{Asker, FOLLOW_MAX, Hit, Outcome},
    case::{Case, Kind, Literal, Predicate},
    client::percentile,
    product::Product,
    progress::Progress,
    rounds::difference,
    settings::Settings,
    tables::{Tables, grouped},
    truth::{Window, level_name},
};

const TABLE: &str = "create table ordinary (timestamp timestamptz not null, id uuid not null, level text not null, \
     resource_id text not null, trace_id text, span_id text, \"commit\" text, message text not null, metadata jsonb)";
const INDEXES: [&str; 7] = [
    "create index on ordinary (timestamp desc, id)",
    "create index on ordinary (trace_id)",
    "create index on ordinary (span_id)",
    "create index on ordinary (resource_id, timestamp)",
    "create index on ordinary (\"commit\")",
    "create index on ordinary using gin (message gin_trgm_ops)",
    "create index on ordinary using gin (metadata jsonb_path_ops)",
];
const CASE_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn run(
    product: &Product,
    cases: &[Case],
    window: Window,
    settings: &Settings,
    tables: &mut Tables,
    progress: &Progress,
) {
    let client = product.connect().await;
    if let Err(error) = client.batch_execute("create extension if not exists pg_trgm").await {
        tables.note(&format!("No comparison with trigram indexes: {error}."));
        return;
    }
    let settings_text = "set plan_cache_mode = force_custom_plan; set statement_timeout = '1h'";
    client.batch_execute(settings_text).await.expect("settings");
    load(&client, window, tables, progress).await;
    client.batch_execute("set statement_timeout = '30s'").await.expect("a setting");
    tables.section(
        "Searches beside ordinary tables, over the same rows",
        &["case", "ordinary p50 ms", "p95 ms", "product p50 ms", "p95 ms"],
    );
    let mut asker = Asker::new(product.address());
    for case in cases {
        progress.say(&format!("ordinary tables: {}", case.name));
        let both = compare(&client, &mut asker, case, window, settings, tables, progress).await;
        let [ordinary, product] = both.map(|mut latencies| {
            latencies.sort_unstable();
            [0.5, 0.95].map(|share| match latencies.is_empty() {
                true => "-".to_owned(),
                false => format!("{:.1}", percentile(&latencies, share)),
            })
        });
        tables.row(&[&[case.name.to_owned()][..], &ordinary, &product].concat());
    }
    client.batch_execute("drop table ordinary").await.expect("dropped");
}

/// Twice: with the indexes in place, and with the indexes built afterwards.
async fn load(client: &Client, window: Window, tables: &mut Tables, progress: &Progress) {
    tables.section(
        "Ordinary tables: the load",
        &["", "rows", "seconds", "rows/s", "seconds for the indexes afterwards", "bytes a row"],
    );
    for indexes_first in [true, false] {
        let name = if indexes_first { "with the indexes in place" } else { "indexes built afterwards" };
        progress.say(&format!("ordinary tables, {name}"));
        client.batch_execute(&format!("drop table if exists ordinary; {TABLE}")).await.expect("a table");
        if indexes_first {
            build(client).await;
        }
        let started = Instant::now();
        let rows = insert(client, window).await;
        let seconds = started.elapsed().as_secs_f64();
        let started = Instant::now();
        if !indexes_first {
            build(client).await;
        }
        let building = started.elapsed().as_secs_f64();
        // As autovacuum would: statistics, and no pending entries in the GIN indexes.
        client.batch_execute("vacuum analyze ordinary").await.expect("vacuumed");
        let row = client.query_one("select pg_total_relation_size('ordinary')", &[]).await.expect("a size");
        tables.row(&[
            name.to_owned(),
            grouped(rows),
            format!("{seconds:.1}"),
            format!("{:.0}", rows as f64 / seconds),
            if indexes_first { String::new() } else { format!("{building:.1}") },
            format!("{:.1}", row.get::<_, i64>(0) as f64 / rows as f64),
        ]);
    }
}

async fn build(client: &Client) {
    for index in INDEXES {
        client.batch_execute(index).await.expect("an index");
    }
}

async fn insert(client: &Client, window: Window) -> u64 {
    let text = format!(
        "insert into ordinary select timestamp, id, {}, resource_id, trace_id, span_id, \"commit\", message, metadata from logs \
         where timestamp >= $1 and timestamp < $2",
        level_name(client).await
    );
    client.execute(&text, &[&window.from.datetime(), &window.to.datetime()]).await.expect("rows")
}

/// Latencies in plain SQL and over HTTP.
async fn compare(
    client: &Client,
    asker: &mut Asker,
    case: &Case,
    window: Window,
    settings: &Settings,
    tables: &mut Tables,
    progress: &Progress,
) -> [Vec<Duration>; 2] {
    let mut latencies = [Vec::new(), Vec::new()];
    let started = Instant::now();
    for round in 0..=settings.repeats {
        for literal in &case.literals {
            if round > 0 && started.elapsed() > CASE_MAX {
                return latencies;
            }
            let plain = ask_plainly(client, literal, window).await;
            let product = match case.kind {
                Kind::Page => asker.page(&within(literal, window), FOLLOW_MAX).await,
                Kind::Scan => asker.exhaust(&within(literal, window)).await,
            };
            if round > 0 {
                latencies[0].extend(plain.as_ref().map(|(_, took)| *took));
            }
            let Outcome::Answer(answer) = product else { continue };
            if round > 0 {
                latencies[1].push(answer.total);
            } else if let Some(text) = plain.and_then(|(hits, _)| difference(&answer.hits, &hits)) {
                tables.problem(
                    progress,
                    format!("{} {:?} beside plain SQL: {text}", case.name, literal.params),
                );
            }
        }
    }
    latencies
}

fn within(literal: &Literal, window: Window) -> Vec<(String, String)> {
    let mut params = literal.params.clone();
    params.push(("from".to_owned(), window.from.to_string()));
    if !params.iter().any(|(name, _)| name == "to") {
        params.push(("to".to_owned(), window.to.to_string()));
    }
    params
}

/// None if Postgres gave up. A row is fetched whole, as the product does; preparing is not measured.
async fn ask_plainly(client: &Client, literal: &Literal, window: Window) -> Option<(Vec<Hit>, Duration)> {
    let mut values = Vec::new();
    let from = Timestamp(window.from.0).to_string();
    let plain = literal.plain.clone().and(&Predicate::new("timestamp >= $::timestamptz", &[&from]));
    let condition = plain.numbered(&mut values);
    let text = format!(
        "select (extract(epoch from timestamp) * 1000000)::bigint, id::text, level, resource_id, trace_id, span_id, \"commit\", \
         message, metadata::text from ordinary where {condition} order by timestamp desc, id desc limit 50"
    );
    let statement = client.prepare(&text).await.expect("prepared");
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    let started = Instant::now();
    let rows = client.query(&statement, &values).await.ok()?;
    let took = started.elapsed();
    Some((rows.iter().map(|row| (row.get(0), row.get(1))).collect(), took))
}
