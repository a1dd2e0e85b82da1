//! The search index never hides a row and never invents one: random searches over random records in random states give what a scan
//! gives that looks at every row, in rows, order and cursors alike.
//!
//! Each failure prints its `SEED`; the same seed makes the same records and searches. `TRUTH_TIMES=10` runs ten times as many.

mod answers;
mod blocks;
mod filling;
mod filters;
mod ingest;
pub mod ledger;
mod meaning;
mod oracle;
mod rows;

use std::{collections::HashSet, time::Instant};

use self::{
    answers::compare,
    ingest::Door,
    ledger::{Ledger, check},
};
use nix::sys::signal::Signal;

use crate::harness::{
    Fault, TestApp,
    records::Dice,
    run::{eventually, seconds},
};

/// What the dice begin with.
fn seed() -> u64 {
    let chosen = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or(20_260_102)
}

/// So many, or as many times more as is asked for.
fn times(count: usize) -> usize {
    let factor = std::env::var("TRUTH_TIMES").ok().and_then(|text| text.parse::<usize>().ok());
    count * factor.unwrap_or(1)
}

/// Ends every writer's session that is under way.
const END_WRITERS: &str = "\
select count(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and application_name = 'log-ingestor writer'";

/// Every record that was accepted is stored once, and nothing else is.
async fn all_stored(app: &TestApp, door: &Door) {
    let stored = app.database().texts("select id::text from records", &[]).await;
    let distinct: HashSet<String> = stored.iter().cloned().collect();
    assert_eq!(distinct.len(), stored.len(), "stored twice");
    assert!(distinct == door.ids(), "{} of {} accepted records are stored", distinct.len(), door.ids().len());
}

/// Everything that must hold when nothing is under way.
async fn holds(state: &str, app: &TestApp, door: &Door, searches: usize) -> Ledger {
    let began = Instant::now();
    all_stored(app, door).await;
    let ledger = check(app.database()).await;
    let mixed = compare(state, app, times(searches)).await;
    assert!(mixed > searches / 3, "{state}: {mixed} of {searches} searches find some rows and not all");
    eprintln!("{state}: {} rows, {ledger:?}, {:?}", door.ids().len(), began.elapsed());
    ledger
}

/// Posts while the process is killed; returns the one that takes its place.
async fn killed_meanwhile(mut app: TestApp, door: &Door, dice: &mut Dice) -> TestApp {
    let again = app.plan_again();
    let killing = async {
        door.under_way().await;
        app.kill9();
        let next = again.ready().await;
        door.moves_to(&next);
        next
    };
    tokio::join!(door.post(dice, 500), killing).1
}

/// Batches of all sizes by several posters; broken COMMITs, cut connections, writers that are ended in mid-COPY, kill -9, two
/// processes on the same leaves, an orderly stop: the answers are true in each state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_answers_the_truth() {
    let mut dice = Dice(seed());
    let plan = TestApp::plan().through_proxy().env("SEAL_BLOCKS", 8).env("SEAL_IDLE_MS", 300);
    let mut app = plan.ready().await;
    let door = Door::of(&app);
    door.post(&mut dice, 600).await;
    holds("hot", &app, &door, 200).await;
    let reader = app.plan_again().roles("query").ready().await;
    holds("hot, read by another process", &reader, &door, 60).await;
    reader.stop().await;

    for fault in [Fault::LoseCommit, Fault::LoseCommitReply, Fault::Cut, Fault::LoseCommit] {
        let breaking = async {
            door.under_way().await;
            app.set_fault(fault);
            if fault == Fault::Cut {
                eventually("the product misses Postgres", seconds(20), async || {
                    (app.get("/readyz").await.status == 503).then_some(())
                })
                .await;
                app.set_fault(Fault::None);
            }
        };
        tokio::join!(door.post(&mut dice, 300), breaking);
        app.set_fault(Fault::None);
    }
    holds("commits lost", &app, &door, 200).await;

    let mut ended = 0;
    let ending = async {
        for _ in 0..4 {
            ended += eventually("a writer is there to be ended", seconds(20), async || {
                Some(app.database().number(END_WRITERS).await).filter(|ended| *ended > 0)
            })
            .await;
        }
    };
    tokio::join!(door.post(&mut dice, 900), ending);
    assert!(ended > 0, "writers were ended");
    holds("writers ended", &app, &door, 200).await;

    app = killed_meanwhile(app, &door, &mut dice).await;
    holds("killed", &app, &door, 200).await;

    let other = app.plan_again().ready().await;
    let beside = door.beside(&other);
    let mut other_dice = Dice(dice.roll(u64::MAX));
    tokio::join!(door.post(&mut dice, 300), beside.post(&mut other_dice, 300));
    holds("two processes", &app, &door, 200).await;
    holds("two processes, the other", &other, &door, 60).await;
    other.stop().await;

    let again = app.plan_again();
    app.stop().await;
    let app = again.ready().await;
    holds("stopped and started", &app, &door, 200).await;
    app.stop().await;
}

/// The same through Kafka, where the writer is behind the door: commits lost, a process killed, two that share the topic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_answers_the_truth_through_kafka() {
    let mut dice = Dice(seed() ^ 4);
    let plan = TestApp::plan().kafka().through_proxy().env("SEAL_BLOCKS", 8).env("SEAL_IDLE_MS", 300);
    let mut app = plan.ready().await;
    let door = Door::of(&app);
    let hold = async |state: &str, app: &TestApp, searches: usize| {
        app.wait_rows(door.ids().len() as i64).await;
        holds(state, app, &door, searches).await
    };
    door.post(&mut dice, 600).await;
    hold("through Kafka", &app, 150).await;

    for (lost, fault) in
        [Fault::LoseCommit, Fault::LoseCommitReply, Fault::LoseCommit].into_iter().enumerate()
    {
        app.set_fault(fault);
        door.post(&mut dice, 300).await;
        app.wait_rows(door.ids().len() as i64).await;
        assert_eq!(app.proxy().commits_lost(), lost as u32 + 1);
    }
    hold("through Kafka, commits lost", &app, 150).await;

    app = killed_meanwhile(app, &door, &mut dice).await;
    hold("through Kafka, killed", &app, 150).await;

    let other = app.plan_again().ready().await;
    let beside = door.beside(&other);
    let mut other_dice = Dice(dice.roll(u64::MAX));
    tokio::join!(door.post(&mut dice, 300), beside.post(&mut other_dice, 300));
    hold("through Kafka, two processes", &app, 150).await;
    hold("through Kafka, the other", &other, 60).await;
    other.stop().await;
    app.stop().await;
}

/// An idle system gets a row now and then; whoever ends in good order leaves no block open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_batches_are_signed_at_the_end() {
    let mut dice = Dice(seed() ^ 1);
    let app = TestApp::plan().ready().await;
    let door = Door::of(&app);
    for _ in 0..40 {
        door.post_one(&mut dice).await;
    }
    assert!(check(app.database()).await.open > 0);
    holds("open", &app, &door, 40).await;
    let (again, database) = (app.plan_again(), app.database().clone());
    app.stop().await;
    assert_eq!(check(&database).await.open, 0);
    let app = again.ready().await;
    holds("signed", &app, &door, 40).await;
    app.stop().await;
}

/// A process is frozen in the middle of its batches, its sessions are ended, another one writes into the same leaves, and it wakes up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_frozen_hides_nothing() {
    let mut dice = Dice(seed() ^ 2);
    let app = TestApp::plan().ready().await;
    let other = app.plan_again().ready().await;
    let door = Door::of(&app);
    let beside = door.beside(&other);
    door.post(&mut dice, 60).await;
    let freezing = async {
        door.under_way().await;
        app.signal(Signal::SIGSTOP);
        app.database().number(END_WRITERS).await;
        beside.post(&mut Dice(seed() ^ 3), 200).await;
        app.signal(Signal::SIGCONT);
    };
    tokio::join!(door.post(&mut dice, 900), freezing);
    holds("woken up", &app, &door, 60).await;
    holds("beside it", &other, &door, 40).await;
    app.stop().await;
    other.stop().await;
}
