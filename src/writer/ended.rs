//! An index by time for leaves that have ended. In: leaves into which nobody writes any more. Out: a BRIN index on `timestamp` of each, for people
//! who write SQL; searches find rows by their blocks. While rows come it would help nobody (Postgres sums pages up when it vacuums) and cost
//! the writer a tenth of Postgres' work (docs/decisions.md).

use tokio_postgres::Client;

use super::error::describe;

/// Leaves with an index that was not finished, or without one, the newest first; a leaf that was just made waits for its first rows. None while somebody has a snapshot for long, an export for
/// example, since it would have to be waited for.
const WITHOUT: &str = "\
select l.name, i.indexrelid::regclass::text as broken
from leaves l
left join pg_index i on i.indexrelid = to_regclass(quote_ident(l.name || '_timestamp'))
where l.to_at < now()
  and l.created_at < now() - interval '1 minute'
  and not coalesce(i.indisvalid, false)
  and not exists (select from open_blocks o where o.leaf = l.leaf)
  and not exists (
    select from pg_stat_activity a
    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_xmin is not null
      and a.xact_start < clock_timestamp() - interval '2 seconds'
  )
order by l.from_at desc";
/// It waits for transactions that write into the leaf or have a snapshot from before; nobody waits for it.
const WAIT_MAX: &str = "set lock_timeout = '5s'";

/// Makes what is missing; what cannot be made now has its turn again at the next call, and holds up no other leaf.
pub(super) async fn index(client: &Client) -> Result<(), tokio_postgres::Error> {
    let leaves = client.query(WITHOUT, &[]).await?;
    if leaves.is_empty() {
        return Ok(());
    }
    client.batch_execute(WAIT_MAX).await?;
    for leaf in leaves {
        let name: &str = leaf.get("name");
        match index_one(client, name, leaf.get("broken")).await {
            Ok(()) => log::info!("indexed leaf {name} by time"),
            Err(error) if error.is_closed() => return Err(error),
            Err(error) => {
                log::warn!("leaf {name} is indexed by time later: {}", describe(&error));
            }
        }
    }
    Ok(())
}

async fn index_one(client: &Client, name: &str, broken: Option<&str>) -> Result<(), tokio_postgres::Error> {
    if let Some(broken) = broken {
        client.batch_execute(&format!("drop index concurrently {broken}")).await?;
    }
    let make = format!("create index concurrently \"{name}_timestamp\" on \"{name}\" using brin (timestamp)");
    client.batch_execute(&make).await
}
