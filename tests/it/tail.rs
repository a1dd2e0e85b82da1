//! Following what is stored: in the order in which it is stored, nothing lost and nothing twice, whatever happens to writers, blocks,
//! readers and Postgres meanwhile.

mod load;
mod page;

use serde_json::json;

use self::load::{Told, Writers};
use crate::harness::{
    Fault, TestApp,
    app::NDJSON,
    follower::Follower,
    postgres::{Database, Postgres},
    records::{many, named, ndjson},
    run::{eventually, seconds},
};

/// Blocks are sealed all the time.
fn sealing() -> crate::harness::app::Plan {
    TestApp::plan().env("SEAL_BLOCKS", 8).env("SEAL_IDLE_MS", 100)
}

/// Two processes write, a third one tells; its blocks are signed and sealed meanwhile, and a writer is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_told_once_and_in_order() {
    let teller = sealing().ready().await;
    let (mut one, two) = tokio::join!(teller.plan_again().ready(), teller.plan_again().ready());
    let told = Told::follow(&[&teller.url], "limit=1000").await;
    let mut writers = Writers::start(&told, &[&one.url, &two.url]);
    writers.until(1_500).await;
    one.kill9();
    let again = one.plan_again().ready().await;
    writers.join(&again.url);
    writers.until(4_000).await;
    writers.end().await.check(teller.database()).await;
    let sealed = "select coalesce(sum(cardinality(blocks)), 0)::bigint from groups";
    assert!(teller.database().number(sealed).await > 8, "blocks were sealed in the midst of it");
    for app in [two, again, teller] {
        app.stop().await;
    }
}

/// The reader leaves again and again and goes on at another process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_comes_back_has_missed_nothing() {
    let one = sealing().ready().await;
    let (mut two, three) = tokio::join!(one.plan_again().ready(), one.plan_again().ready());
    let told = Told::by_visits(&[&one.url, &three.url], "limit=1000&message=seq", one.database()).await;
    let writers = Writers::start(&told, &[&one.url, &two.url]);
    writers.until(1_000).await;
    two.kill9();
    writers.until(3_000).await;
    writers.end().await.check(one.database()).await;
    for app in [one, three] {
        app.stop().await;
    }
}

/// A transaction with a low number that commits after others that began later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_late_is_told() {
    let app = TestApp::plan().env("WRITERS", 1).ready().await;
    let other = app.plan_again().ready().await;
    // From here on an info record of the other process needs no new block.
    other.post_json(&named("before")).await.accepted(1);
    let mut follower = Follower::open(&app.url, "").await;
    let holder = app.database().connect().await;
    holder.batch_execute("begin; lock table open_blocks in share row exclusive mode").await.unwrap();
    let mut late = named("late");
    late["level"] = json!("error");
    let posting = app.post_json(&late);
    let rest = async {
        let waits = "select count(*) from pg_stat_activity a join pg_locks l using (pid) where l.relation = 'open_blocks'::regclass \
            and not l.granted and a.datname = current_database() and a.backend_xid is not null";
        eventually("the writer has a number and waits", seconds(20), async || {
            (app.database().number(waits).await > 0).then_some(())
        })
        .await;
        other.post_json(&named("early")).await.accepted(1);
        assert_eq!(follower.records("message", 1).await, ["early"]);
        let between = follower.last.clone();
        holder.batch_execute("commit").await.unwrap();
        assert_eq!(follower.records("message", 1).await, ["late"]);
        between
    };
    let (answer, between) = tokio::join!(posting, rest);
    answer.accepted(1);
    // The same for who was away meanwhile.
    let mut again = Follower::resume(&other.url, "", Some(&between)).await;
    assert_eq!(again.records("message", 1).await, ["late"]);
    let mut third = Follower::open(&other.url, &format!("after={between}&level=info")).await;
    other.post_json(&named("after")).await.accepted(1);
    assert_eq!(third.records("message", 1).await, ["after"]);
    app.stop().await;
    other.stop().await;
}

/// A number of a transaction that was rolled back and left no trace is given out again after a crash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_postgres_hides_nothing() {
    let mut server = Postgres::start();
    let database = Database::on(&server, "tail").await;
    let app = TestApp::plan().database(&database).ready().await;
    app.post_json(&named("first")).await.accepted(1);
    // Nobody but a commit writes the log to the disk.
    database.sql.batch_execute("alter system set wal_writer_delay = '10s'").await.unwrap();
    database.sql.batch_execute("alter system set wal_writer_flush_after = '1GB'").await.unwrap();
    database.sql.batch_execute("select pg_reload_conf()").await.unwrap();
    app.post_json(&named("second")).await.accepted(1);
    let number = "select pg_current_xact_id()::text::bigint";
    let mut lost = 0;
    for _ in 0..20 {
        database.sql.batch_execute("begin").await.unwrap();
        lost = database.number(number).await;
        database.sql.batch_execute("rollback").await.unwrap();
    }
    let follower = Follower::open(&app.url, "").await;
    server.crash();
    server.start_again();
    app.wait_ready().await;
    app.post_json(&named("third")).await.accepted(1);
    let database = database.connect().await;
    let stored = "select xmin::text::bigint from records where message = 'third'";
    let stored: i64 = database.query_one(stored, &[]).await.unwrap().get(0);
    assert!(stored <= lost, "the number {lost} was given out again: {stored}");
    let mut again = Follower::resume(&app.url, "", Some(&follower.last)).await;
    assert_eq!(again.records("message", 1).await, ["third"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_postgres_is_said_and_costs_nothing() {
    let app = TestApp::plan().through_proxy().ready().await;
    let writer = TestApp::plan().database(app.database()).ready().await;
    let mut follower = Follower::open(&app.url, "").await;
    app.set_fault(Fault::Cut);
    let trouble = follower.find("trouble").await;
    assert!(trouble.json()["error"].as_str().unwrap().contains("database"), "{trouble:?}");
    writer.post(NDJSON, many("away", 30), &[]).await.accepted(30);
    assert_eq!(Follower::ask(&app.url, "", None).await.err().map(|answer| answer.status), Some(503));
    app.set_fault(Fault::None);
    assert_eq!(follower.records("message", 30).await.len(), 30);
    // Well again is said, whether there are records or not.
    app.set_fault(Fault::Cut);
    follower.find("trouble").await;
    app.set_fault(Fault::None);
    follower.find("beat").await;
    app.stop().await;
    writer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_counted() {
    let app = TestApp::plan().ready().await;
    let mut follower = Follower::open(&app.url, "limit=100&message=burst").await;
    let start = follower.last.clone();
    let burst = (0..1_200).map(|n| {
        let mut record = named(&format!("burst {n}"));
        record["timestamp"] = json!(format!("2026-01-02T03:{:02}:{:02}Z", n / 60, n % 60));
        record["level"] = json!(["info", "warn", "error"][n % 3]);
        record
    });
    let burst: Vec<_> = burst.chain((0..50).map(|n| named(&format!("other {n}")))).collect();
    app.post(NDJSON, ndjson(burst), &[]).await.accepted(1_250);
    let event = follower.find("records").await;
    let last: Vec<String> = (1_100..1_200).map(|n| format!("burst {n}")).collect();
    assert_eq!(event.values("message"), last);
    let data = event.json();
    assert_eq!((&data["skipped"], &data["skippedFrom"]), (&json!(1_100), &json!("2026-01-02T03:00:00Z")));
    // Everything that is left out can be found.
    let found =
        app.search(&[("message", "burst"), ("from", "2026-01-02T03:00:00Z"), ("limit", "1000")]).await;
    assert!(found["nextCursor"].is_string());
    // As rows of the page: the last one first, and a word about the others.
    let mut page = Follower::open(
        &app.url,
        &format!("as=html&limit=2&message=burst&column=commit&wrap=1&live=1&after={start}"),
    )
    .await;
    let html = page.find("records").await.data;
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is not in {html}"));
    assert!(at("burst 1199") < at("burst 1198") && at("burst 1198") < at("1,198 more records were stored"));
    assert_eq!(html.matches("<li ").count(), 3, "{html}");
    assert!(html.contains("from=2026-01-02T03%3A00%3A00Z"), "{html}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_the_filter_of_a_search() {
    let app = TestApp::plan().ready().await;
    let mut all = Vec::new();
    for (filter, hits) in [
        ("level=error", vec!["b"]),
        ("q=level%3E%3Dwarn+-message", vec!["b", "c"]),
        ("q=n%3E1&level=warn&level=info", vec!["c"]),
        ("message=RECORD", vec!["a", "b", "c"]),
        ("regex=rec.rd&resourceId=r-b*", vec!["b"]),
        ("metadata.n=1", vec!["a"]),
        ("from=2026-01-02T00:00:00Z&to=2026-01-03T00:00:00Z", vec!["b"]),
        ("traceId=nobody", vec![]),
    ] {
        all.push((Follower::open(&app.url, filter).await, hits));
    }
    let record = |name: &str, level: &str, day: u32, n: u32| {
        json!({"level": level, "message": format!("record {name}"), "resourceId": format!("r-{name}"), "commit": name,
            "timestamp": format!("2026-01-{day:02}T12:00:00Z"), "metadata": {"n": n}})
    };
    for record in [record("a", "info", 1, 1), record("b", "error", 2, 2), record("c", "warn", 3, 3)] {
        app.post_json(&record).await.accepted(1);
    }
    // Everybody has this one, behind what was a hit.
    for (follower, hits) in &mut all {
        let told = follower.records("commit", hits.len()).await;
        assert_eq!(told, *hits);
        assert_ne!(follower.last, "");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_followed_is_refused() {
    let app = TestApp::plan().ready().await;
    for (query, last, field) in [
        ("after=nonsense", None, "after"),
        ("after=9-9-", Some("9-9"), "Last-Event-ID"),
        ("after=9000000000-9000000000-", None, "after"),
        ("", Some("9000000000-9000000000-"), "after"),
        ("level=banana", None, "level"),
        ("q=(", None, "q"),
        ("regex=a(", None, "regex"),
        ("bogus=1", None, "bogus"),
        ("live=1", None, "live"),
        ("as=html&column=message", None, "column"),
        ("as=xml", None, "as"),
        ("cursor=x", None, "cursor"),
        ("asOf=7-7-", None, "asOf"),
        ("budget=1s", None, "budget"),
        ("limit=0", None, "limit"),
    ] {
        let answer =
            Follower::ask(&app.url, query, last).await.err().unwrap_or_else(|| panic!("{query} is followed"));
        assert_eq!(
            (answer.status, &answer.json["field"]),
            (400, &json!(field)),
            "{query}: {}",
            answer.text()
        );
        assert!(answer.header("content-security-policy").is_some());
    }
    app.finish().await;
}

/// More than can be read at once is not told, and that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_a_gap() {
    let app = TestApp::plan().ready().await;
    let mut follower = Follower::open(&app.url, "").await;
    app.post_json(&named("before")).await.accepted(1);
    assert_eq!(follower.records("message", 1).await, ["before"]);
    let before = follower.last.clone();
    // As if four million rows had been stored since.
    let signatures = "insert into signatures (leaf, block, level, units, bits)
        select leaf, n, 3, '', '' from leaves, generate_series(1000000, 1020000) n";
    app.database().sql.batch_execute(signatures).await.unwrap();
    app.post_json(&named("within")).await.accepted(1);
    let gap = follower.find("gap").await;
    assert!(gap.json()["error"].as_str().unwrap().contains("search"), "{gap:?}");
    app.post_json(&named("behind")).await.accepted(1);
    let told = follower.find("records").await.values("message");
    assert_eq!(told.last().map(String::as_str), Some("behind"), "it goes on behind the gap");
    let mut again = Follower::resume(&app.url, "", Some(&before)).await;
    again.find("gap").await;
    app.stop().await;
}

/// Readers who leave, or who are too many, and a process that stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_ends_with_its_reader_and_with_the_process() {
    let mut app = TestApp::plan().ready().await;
    let tails = async || app.metric("log_ingestor_tails").await;
    let mut followers = Vec::new();
    for _ in 0..100 {
        followers.push(Follower::open(&app.url, "").await);
    }
    let refused = Follower::ask(&app.url, "", None).await.err().expect("a hundred are enough");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("15")));
    assert_eq!(tails().await, 100);
    app.post_json(&named("for everybody")).await.accepted(1);
    for follower in &mut followers {
        assert_eq!(follower.records("message", 1).await, ["for everybody"]);
    }
    followers.truncate(2);
    eventually("those who left are gone", seconds(10), async || (tails().await == 2).then_some(())).await;
    let started = std::time::Instant::now();
    app.sigterm();
    for follower in &mut followers {
        assert!(follower.next().await.is_none(), "the stream ends");
    }
    assert_eq!(app.wait_exit(seconds(30)).await.code(), Some(0));
    assert!(started.elapsed() < seconds(10), "stopping took {:?}", started.elapsed());
}
