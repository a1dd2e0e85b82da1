//! Messages grouped by kind: in Postgres, over HTTP and on the page. Every number equals brute force over the view `logs`, or says that
//! it is at least so much; every link finds what it promises.

mod kinds;
mod page;
mod since;

use std::collections::BTreeMap;

use log_ingestor::search::{
    expr::{Expr, Test},
    grammar,
    patterns::{
        filter::{filter, pattern},
        template::{Template, template},
    },
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde_json::{Value, json};

use self::kinds::{SHAPES, a_message};
use crate::harness::{
    TestApp,
    app::NDJSON,
    postgres::Database,
    records::{Dice, ndjson},
};

/// Which of the messages each pattern matches, by Postgres.
async fn matched(database: &Database, messages: &[String], pattern: &str) -> Vec<usize> {
    let query = "select (n - 1)::int from unnest($1::text[]) with ordinality as m (message, n) where (message collate \"C\") ~ $2 order by n";
    let rows = database.sql.query(query, &[&messages, &pattern]).await;
    let rows = rows.unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
    rows.iter().map(|row| row.get::<_, i32>(0) as usize).collect()
}

fn by_template(messages: &[String]) -> Vec<(Template, Vec<usize>)> {
    let mut kinds: Vec<(Template, Vec<usize>)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let template = template(message);
        match kinds.iter_mut().find(|(known, _)| *known == template) {
            Some((_, members)) => members.push(at),
            None => kinds.push((template, vec![at])),
        }
    }
    kinds
}

/// A pattern is typed, printed and read again on its way.
fn through_the_query_line(template: &Template) -> String {
    let line = grammar::print(&filter(template));
    match grammar::parse(&line).unwrap_or_else(|fault| panic!("{line}: {fault:?}")) {
        Expr::Test(Test::Regex(regex)) => regex.pattern,
        other => panic!("{line} is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_finds_its_kind_and_no_other() {
    let database = Database::fresh().await;
    let mut dice = Dice(5);
    let messages: Vec<String> = (0..SHAPES * 12).map(|n| a_message(&mut dice, n % SHAPES)).collect();
    let kinds = by_template(&messages);
    for (template, members) in &kinds {
        let found = matched(&database, &messages, &through_the_query_line(template)).await;
        let others: Vec<&String> =
            found.iter().filter(|at| !members.contains(at)).map(|at| &messages[*at]).collect();
        assert_eq!(&found, members, "{} | {} | {others:?}", template.text(), pattern(template));
    }
    // What the masks are for: the variants of a shape are of few kinds.
    assert!(kinds.len() < SHAPES * 2, "{} kinds of {SHAPES} shapes", kinds.len());
}

/// Whatever a message is, its own pattern finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_finds_every_message_of_its_template() {
    let database = Database::fresh().await;
    let config = Config { rng_seed: RngSeed::Fixed(7), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let strategy = prop_oneof![
        "[^\\x00]{0,60}",
        "[a-f0-9xX.:@<>n\\-+ T\u{1b}\\[m\r\n]{1,40}",
        "([a-z0-9.@:/-]{0,12} ?){0,90}",
        "[-+*?.(){}\\[\\]|^$\\\\/\"' 0-9a]{1,30}",
        "([A-Z][a-z]{2} ?|[0-9]{1,4}[:/ .,-]|T|Z|[+-]0200|ms|µs|0x){1,12}",
    ];
    let messages: Vec<String> = (0..3_000)
        .map(|_| strategy.new_tree(&mut runner).expect("there is a text").current())
        .filter(|message: &String| !message.is_empty())
        .collect();
    for chunk in messages.chunks(500) {
        for (template, members) in by_template(chunk) {
            let found = matched(&database, chunk, &through_the_query_line(&template)).await;
            let missed: Vec<&String> =
                members.iter().filter(|at| !found.contains(at)).map(|at| &chunk[*at]).collect();
            assert!(missed.is_empty(), "{} misses {missed:?}", pattern(&template));
        }
    }
}

/// Records of three leaves in messages of all shapes.
async fn filled() -> TestApp {
    let app = TestApp::plan().ready().await;
    let mut rows = 0;
    for seed in 0..3 {
        let mut dice = Dice(seed);
        let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
        let records = (0..400).map(|n| {
            let shape = dice.roll(dice_shapes(n)) as usize;
            let day = 2 + dice.roll(3);
            let mut record = json!({
                "level": levels[(shape + dice.roll(2) as usize) % 6],
                "message": a_message(&mut dice, shape),
                "resourceId": format!("api-{}", dice.roll(4)),
                "timestamp": format!("2026-01-0{day}T{:02}:{:02}:00.{:06}Z", dice.roll(24), dice.roll(60), dice.roll(1_000_000)),
            });
            if dice.roll(3) > 0 {
                record["commit"] = json!(format!("c{}", dice.roll(14)));
            }
            record
        });
        let records: Vec<Value> = records.collect();
        rows += records.len();
        app.post(NDJSON, ndjson(records.iter().cloned()), &[]).await.accepted(records.len());
    }
    app.wait_rows(rows as i64).await;
    app
}

/// Some kinds are frequent and some are rare.
fn dice_shapes(n: u64) -> u64 {
    if n.is_multiple_of(3) { SHAPES as u64 } else { 7 }
}

/// With time enough on any machine, unless a budget is asked for.
async fn get(app: &TestApp, parameters: &[(&str, &str)]) -> Value {
    let mut parameters = parameters.to_vec();
    if parameters.iter().all(|(name, _)| *name != "budget") {
        parameters.push(("budget", "10s"));
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
    let answer = app.get(&format!("/api/patterns?{query}")).await;
    assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.text());
    answer.json
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}"))
}

/// Count, levels, first, last of each kind by brute force.
type Truth = BTreeMap<String, (u64, BTreeMap<String, u64>, String, String)>;

async fn truth(app: &TestApp, condition: &str) -> Truth {
    let query = format!(
        "select message, level, to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from logs where {condition}"
    );
    let mut kinds = Truth::new();
    for row in app.database().sql.query(&query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error}"))
    {
        let (message, level, at): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let kind = kinds
            .entry(template(&message).id())
            .or_insert_with(|| (0, BTreeMap::new(), at.clone(), at.clone()));
        kind.0 += 1;
        *kind.1.entry(level).or_default() += 1;
        kind.2 = at.clone().min(kind.2.clone());
        kind.3 = at.max(kind.3.clone());
    }
    kinds
}

fn micros(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_equal_brute_force() {
    let app = filled().await;
    for (parameters, condition) in [
        (&[][..], "true"),
        (&[("level", "error")], "level = 'error'"),
        (&[("q", "resourceId:api-1 -level:info")], "resource_id = 'api-1' and level <> 'info'"),
        (&[("message", "connection")], "message ilike '%connection%'"),
        (
            &[("from", "2026-01-03T00:00:00Z"), ("to", "2026-01-04T00:00:00Z")],
            "timestamp >= '2026-01-03Z' and timestamp < '2026-01-04Z'",
        ),
        (&[("commit", "none")], "false"),
    ] {
        let truth = truth(&app, condition).await;
        let records: u64 = truth.values().map(|kind| kind.0).sum();
        let reply = get(&app, &[parameters, &[("limit", "1000")]].concat()).await;
        let patterns = list(&reply["patterns"]);
        assert_eq!(patterns.len(), truth.len(), "{parameters:?}");
        for pattern in patterns {
            let (count, levels, first, last) = &truth[text(&pattern["id"])];
            assert_eq!((&pattern["count"], &pattern["levels"]), (&json!(count), &json!(levels)), "{pattern}");
            assert_eq!(micros(text(&pattern["first"])), micros(first), "{pattern}");
            assert_eq!(micros(text(&pattern["last"])), micros(last), "{pattern}");
            let share = pattern["share"].as_f64().unwrap();
            assert!((share - *count as f64 / records as f64).abs() < 1e-5, "{pattern}");
        }
        assert!(patterns.is_sorted_by(|one, other| one["count"].as_u64() >= other["count"].as_u64()));
        assert_eq!(reply["total"], json!({"count": records, "is": "exact"}));
        assert_eq!(reply["distinct"], json!({"count": truth.len(), "is": "exact"}));
        assert_eq!((&reply["other"], &reply["stats"]["complete"]), (&json!(0), &json!(true)));
        // Fewer: the same ones, and what is left over.
        let few = get(&app, &[parameters, &[("limit", "3"), ("sort", "first")]].concat()).await;
        let listed: u64 =
            list(&few["patterns"]).iter().map(|pattern| pattern["count"].as_u64().unwrap()).sum();
        assert_eq!(listed + few["more"]["records"].as_u64().unwrap(), records);
        assert!(
            list(&few["patterns"])
                .is_sorted_by(|one, other| micros(text(&one["first"])) >= micros(text(&other["first"])))
        );
    }
    // The commits that are offered are the most frequent ones.
    let reply = get(&app, &[]).await;
    let counted = app.get("/api/facets?field=commit&values=10").await.json;
    assert_eq!(reply["commits"], counted["facets"]["commit"]);
    // Each pattern finds as many records as it counts, and hiding it leaves the others.
    let all = reply["total"]["count"].as_u64().unwrap();
    for pattern in list(&reply["patterns"]).iter().take(12) {
        let q = format!("/{}/", text(&pattern["regex"]).replace('/', "\\/"));
        for (q, wanted) in [
            (q.clone(), pattern["count"].as_u64().unwrap()),
            (format!("-{q}"), all - pattern["count"].as_u64().unwrap()),
        ] {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("q", &q).finish();
            let counted = app.get(&format!("/api/histogram?budget=10s&{query}")).await.json;
            assert_eq!(counted["total"], json!({"count": wanted, "is": "exact"}), "{q}");
        }
        let example = app.get(&format!("/api/logs/{}", text(&pattern["example"]))).await.json;
        assert_eq!(template(text(&example["message"])).id(), text(&pattern["id"]));
        assert_eq!(example["timestamp"], pattern["last"]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_was_no_time_for_is_not_told() {
    let app = filled().await;
    let truth = truth(&app, "true").await;
    for budget in ["1ms", "2ms", "5ms", "10s"] {
        let reply = get(&app, &[("budget", budget), ("limit", "1000"), ("since", "c3")]).await;
        let is_whole = reply["stats"]["complete"] == json!(true);
        assert_eq!(reply["total"]["is"], if is_whole { "exact" } else { "atLeast" });
        assert_eq!(reply["stats"]["searchedBackTo"].is_null(), is_whole);
        assert!(is_whole || budget != "10s", "{}", reply["stats"]);
        for pattern in list(&reply["patterns"]) {
            let (count, _, first, last) = &truth[text(&pattern["id"])];
            assert!(pattern["count"].as_u64().unwrap() <= *count, "{pattern}");
            assert!(micros(text(&pattern["first"])) >= micros(first), "{pattern}");
            assert!(micros(text(&pattern["last"])) <= micros(last), "{pattern}");
        }
    }
    for (parameters, field) in
        [("new=1", "new"), ("sort=x", "sort"), ("bogus=1", "bogus"), ("regex=(", "regex")]
    {
        let answer = app.get(&format!("/api/patterns?{parameters}")).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!(field)), "{}", answer.text());
    }
    app.finish().await;
}
