//! Bytes on disk: the whole database less what an empty one takes, and where they lie.

use log_ingestor::record::Timestamp;
use tokio_postgres::Client;

use crate::tables::{Tables, grouped, verdict};

/// Leaves are told from other tables by their column `message`; numbers in names are left out, so that leaves and groups add up.
const RELATIONS: &str = "
    with relations as (
      select c.oid, regexp_replace(c.relname, '[0-9]+t?[0-9]*', '#', 'g') as name,
        coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) as toast,
        exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'message') as is_leaf
      from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'm')
    )
    select case when is_leaf then 'records: heap' else name || ': heap' end, sum(pg_table_size(oid) - toast)::bigint
    from relations group by 1
    union all
    select case when is_leaf then 'records: TOAST' else name || ': TOAST' end, sum(toast)::bigint from relations group by 1
    union all
    select case when r.is_leaf then 'records' else r.name end || ': ' ||
        regexp_replace(pg_get_indexdef(i.indexrelid), '.* USING ', 'index '), sum(pg_relation_size(i.indexrelid))::bigint
    from relations r join pg_index i on i.indrelid = r.oid group by 1
    order by 2 desc";

/// What is shown; the rest is summed.
const SHARE_MIN: f64 = 0.001;
const TIMES_RAW_MAX: f64 = 1.0;

pub(crate) async fn database_bytes(client: &Client) -> u64 {
    let row = client.query_one("select pg_database_size(current_database())", &[]).await.expect("a size");
    row.get::<_, i64>(0) as u64
}

/// Appends a table of the bytes in the database of `client`.
pub(crate) async fn report(
    title: &str,
    client: &Client,
    empty_bytes: u64,
    json_bytes: u64,
    tables: &mut Tables,
) {
    let row = client.query_one("select count(*), max(timestamp) from logs", &[]).await.expect("a count");
    let (records, newest): (i64, Option<chrono::DateTime<chrono::Utc>>) = (row.get(0), row.get(1));
    let all = database_bytes(client).await.saturating_sub(empty_bytes);
    let wal = client.query_one("select sum(size)::bigint from pg_ls_waldir()", &[]).await.expect("the WAL");
    tables.section(title, &["what", "bytes", "bytes a record", "× raw JSON", "goal", ""]);
    let line = |name: &str, bytes: u64| {
        let each = format!("{:.1}", bytes as f64 / records.max(1) as f64);
        let times = bytes as f64 / json_bytes.max(1) as f64;
        let mut cells = vec![name.to_owned(), grouped(bytes), each, format!("{times:.3}")];
        cells.resize(6, String::new());
        cells
    };
    tables.row(&line("raw JSON", json_bytes));
    let mut rest = all;
    for row in client.query(RELATIONS, &[]).await.expect("sizes") {
        let (name, bytes): (String, i64) = (row.get(0), row.get(1));
        if bytes as f64 > all as f64 * SHARE_MIN {
            tables.row(&line(&name, bytes as u64));
            rest = rest.saturating_sub(bytes as u64);
        }
    }
    tables.row(&line("everything else", rest));
    let mut sum = line("**everything, less an empty database**", all);
    sum[4] = format!("{TIMES_RAW_MAX:.1}×");
    sum[5] = verdict(all as f64 <= json_bytes as f64 * TIMES_RAW_MAX);
    tables.row(&sum);
    let newest = newest.map_or_else(String::new, |at| Timestamp(at.timestamp_micros()).to_string());
    tables.note(&format!(
        "{} records up to {newest}. WAL, which Postgres recycles, is not counted; its files had {} bytes at that moment.",
        grouped(records as u64),
        grouped(wal.get::<_, i64>(0) as u64)
    ));
}
