//! The harness itself: the server starts, databases are apart.

use crate::harness::postgres::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_database_is_migrated_and_empty() {
    let (one, other) = (Database::fresh().await, Database::fresh().await);
    one.sql.batch_execute("insert into tenants (id, name) values (2, 'x')").await.unwrap();
    assert_eq!(one.number("select count(*) from tenants").await, 2);
    assert_eq!(other.number("select count(*) from tenants").await, 1);
    assert_eq!(other.rows().await, 0);
}
