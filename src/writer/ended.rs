//! An index by time for leaves that have ended. In: leaves into which nobody writes any more. Out: a BRIN index on `timestamp` of each, for people
//! who write SQL; searches find rows by their blocks. While rows come it would help nobody (Postgres sums pages up when it vacuums) and cost
//! the writer a tenth of Postgres' work (docs/decisions.md).

use tokio_postgres::Client;

/// Leaves with an index that was not finished, or without one, the newest first.
const WITHOUT: &str = "\
select l.name, i.indexrelid::regclass::text as broken
from leaves l
left join pg_index i on i.indexrelid = to_regclass(quote_ident(l.name || '_timestamp'))
where l.to_at < now()
  and not coalesce(i.indisvalid, false)
  and not exists (select from open_blocks o where o.leaf = l.leaf)
order by l.from_at desc";
/// It waits for transactions that write into the leaf or have a snapshot from before; nobody waits for it.
const WAIT_MAX: &str = "set lock_timeout = '30s'";

/// Makes what is missing. Leaves of which the index cannot be made now have their turn again at the next call.
pub(super) async fn index(client: &Client) -> Result<(), tokio_postgres::Error> {
    let leaves = client.query(WITHOUT, &[]).await?;
    if leaves.is_empty() {
        return Ok(());
    }
    client.batch_execute(WAIT_MAX).await?;
    for leaf in leaves {
        let name: &str = leaf.get("name");
        if let Some(broken) = leaf.get::<_, Option<&str>>("broken") {
            client.batch_execute(&format!("drop index concurrently {broken}")).await?;
        }
        let make =
            format!("create index concurrently \"{name}_timestamp\" on \"{name}\" using brin (timestamp)");
        client.batch_execute(&make).await?;
        log::info!("indexed leaf {name} by time");
    }
    Ok(())
}
