//! The query line against real rows: what the API finds is what [`matches`] says, for lines of every form and for random ones.

use log_ingestor::search::grammar::parse;
use serde_json::{Value, json};

use crate::{
    harness::{
        TestApp,
        app::NDJSON,
        records::{Dice, ndjson, with, without},
    },
    matches::matches,
};

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];
const WORDS: [&str; 10] = [
    "timeout",
    "connection reset",
    "Überlauf",
    "ПРИВЕТ",
    "100%",
    "a_b\\",
    "\"q\"",
    "10.0.0.1:8080",
    "線",
    "x/y",
];

fn one<T: Clone>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.roll(of.len() as u64) as usize].clone()
}

/// A value as metadata may hold it: numbers in several spellings, texts that look like numbers, nested and absent ones.
fn a_value(dice: &mut Dice) -> Value {
    let values = [
        "1",
        "1.0",
        "1e2",
        "42",
        "-7.25",
        "0",
        "\"42\"",
        "\"42.0\"",
        "\"1e2\"",
        "\"007\"",
        "\"4 2\"",
        "\"\"",
        "null",
        "true",
        "\"true\"",
        "\"/health\"",
        "\"a*\"",
        "[]",
        "{}",
        "[1, \"x\", null]",
        "[[5], 6]",
        "{\"id\": 42}",
        "[{\"id\": 1}, {\"id\": \"zwei\"}]",
        "12345678901234567890",
        "\"1e999\"",
        "\"١\"",
    ];
    serde_json::from_str(one(dice, &values)).unwrap()
}

fn records(count: usize) -> Vec<Value> {
    let mut dice = Dice(11);
    let a_record = |n: usize| {
        let mut record = json!({
            "level": one(&mut dice, &LEVELS),
            "message": format!("{} {} {n}", one(&mut dice, &WORDS), one(&mut dice, &WORDS)),
            "resourceId": one(&mut dice, &["api-1", "api-2", "db", "Api"]),
            "timestamp": format!("2026-01-02T03:04:{:02}Z", n % 50),
        });
        for (name, values) in
            [("traceId", ["t1", "t2*"]), ("spanId", ["s", "ß"]), ("commit", ["5e5342f", "5e"])]
        {
            if dice.roll(2) == 0 {
                record[name] = json!(one(&mut dice, &values));
            }
        }
        if dice.roll(5) > 0 {
            record["metadata"] = json!({});
            for key in ["n", "user", "a.b", "odd key", "path"] {
                if dice.roll(3) > 0 {
                    record["metadata"][key] = a_value(&mut dice);
                }
            }
        }
        record
    };
    (0..count).map(a_record).collect()
}

/// A random line; every one is good.
fn a_line(dice: &mut Dice, depth: u64) -> String {
    let value = |dice: &mut Dice| {
        let values = [
            "1",
            "1.0",
            "100",
            "42",
            "4*",
            "*",
            "null",
            "true",
            "\"\"",
            "/health",
            "\"a*\"",
            "x",
            "zwei",
            "5e5342f",
            "t1",
            "\"t2*\"",
            "api-*",
            "ß",
            "12345678901234567890",
            "\"{}\"",
            "\"[5]\"",
        ];
        one(dice, &values)
    };
    let field = |dice: &mut Dice| {
        let names = [
            "resourceId",
            "traceId",
            "spanId",
            "commit",
            "n",
            "user",
            "user.id",
            "a.b",
            "a.b.id",
            "path",
            "\"odd key\"",
            "metadata.n",
            "absent",
        ];
        one(dice, &names)
    };
    match dice.roll(if depth == 0 { 8 } else { 12 }) {
        0 => one(
            dice,
            &[
                "TIMEOUT",
                "über",
                "привет",
                "\"connection RESET\"",
                "线",
                "100%",
                "\"a_b\\\\\"",
                "10.0.0.1:8080",
                "1",
            ],
        )
        .to_owned(),
        1 => one(dice, &["/^time/", "/\\d\\d$/", "/RESET|x\\/y/i", "/[12]0+/", "/о?x.y/"]).to_owned(),
        2 => format!("level{}{}", one(dice, &[">=", "<", ":", "!=", ">", "<="]), one(dice, &LEVELS)),
        3 | 4 => format!("{}:{}", field(dice), value(dice)),
        5 => format!("{}:({} or {})", field(dice), value(dice), value(dice)),
        6 | 7 => {
            let path = one(dice, &["n", "user", "user.id", "a.b", "\"odd key\"", "absent"]);
            format!(
                "{path}{}{}",
                one(dice, &[">", ">=", "<", "<="]),
                one(dice, &["0", "1", "42", "-7.25", "1e2", "99.5"])
            )
        }
        8 => format!("-{}", a_line(dice, 0)),
        9 => format!("-({})", a_line(dice, depth - 1)),
        10 => format!("({} or {})", a_line(dice, depth - 1), a_line(dice, depth - 1)),
        _ => format!("{} {}", a_line(dice, depth - 1), a_line(dice, depth - 1)),
    }
}

fn ids(logs: &[Value]) -> Vec<&Value> {
    logs.iter().map(|log| &log["id"]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_finds_what_it_means() {
    let app = TestApp::plan().ready().await;
    let records = records(200);
    app.post(NDJSON, ndjson(records.iter().cloned()), &[]).await.accepted(records.len());
    app.wait_rows(records.len() as i64).await;
    let all = app.search(&[("limit", "1000")]).await;
    let all = all["logs"].as_array().unwrap();
    assert_eq!(all.len(), records.len());
    let mut dice = Dice(23);
    let mut mixed = 0;
    for _ in 0..600 {
        let line = a_line(&mut dice, 3);
        let expr = parse(&line).unwrap_or_else(|fault| panic!("{line}: {fault:?}"));
        let wanted: Vec<&Value> =
            all.iter().filter(|log| matches(&expr, log)).map(|log| &log["id"]).collect();
        let page = app.search(&[("q", &line), ("limit", "1000")]).await;
        let found = ids(page["logs"].as_array().unwrap());
        let differs = |log: &&Value| found.contains(&&log["id"]) != wanted.contains(&&log["id"]);
        assert!(found == wanted, "{line}: the answer differs in {:?}", all.iter().find(differs));
        mixed += usize::from(!wanted.is_empty() && wanted.len() < all.len());
    }
    assert!(mixed > 250, "most lines find some and not all: {mixed}");
    app.finish().await;
}

/// The example of the README, and each form of its table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_of_the_readme() {
    let app = TestApp::plan().ready().await;
    let mut hit = with("message", json!("timed out: Connection reset by b"));
    hit["resourceId"] = json!("api-1");
    hit["metadata"] =
        json!({"user": {"id": 42}, "duration_ms": 250.5, "path": "/a", "odd name": "x", "b": "a*"});
    let mut other = hit.clone();
    other["metadata"]["path"] = json!("/health");
    other["metadata"]["duration_ms"] = json!("90");
    let mut poor = without("metadata");
    poor["level"] = json!("warn");
    app.post(NDJSON, ndjson([hit, other, poor]), &[]).await.accepted(3);
    app.wait_rows(3).await;
    let issue = r#"level>=warn resourceId:api-* "connection reset" -path:/health user.id:42 duration_ms>200 /time(d )?out/ (a or b)"#;
    assert!(include_str!("../../README.md").contains(issue), "the README shows this line");
    for (line, count) in [
        (issue, 1),
        ("timeout", 0),
        ("RESET", 2),
        ("\"connection reset\"", 2),
        ("/time(d )?out/", 2),
        ("/TIMED OUT/i", 2),
        ("/TIMED OUT/", 0),
        ("resourceId:api-1 message:reset", 2),
        ("path:/health", 1),
        ("metadata.user.id:42", 2),
        ("resourceId:api-*", 2),
        ("path:\"/h\"*", 1),
        ("b:\"a*\"", 2),
        ("path:*", 2),
        ("-path:*", 1),
        ("path:(/a or /health)", 2),
        ("duration_ms>200", 1),
        ("duration_ms<=90", 1),
        ("level:error", 2),
        ("level>=warn", 3),
        ("-path:/health", 2),
        ("path!=/health", 2),
        ("not path:/health", 2),
        ("!path:/health", 2),
        ("reset and failed", 0),
        ("reset or failed", 3),
        ("(reset or failed) level:warn", 1),
        ("\"odd name\":x", 2),
        ("*", 3),
    ] {
        let page = app.search(&[("q", line)]).await;
        assert_eq!(page["logs"].as_array().unwrap().len(), count, "{line}");
    }
    let both =
        app.search(&[("q", "-path:/health"), ("resourceId", "api-1"), ("metadata.user.id", "42")]).await;
    assert_eq!(both["logs"].as_array().unwrap().len(), 1, "the line and the other parameters hold together");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_line_is_told_with_its_column() {
    let app = TestApp::plan().ready().await;
    for (query, column, part) in [
        (
            "q=level%3E%3Dwarn%20resourceId%3A",
            24,
            "column 24: expected a value after `resourceId:`, got the end",
        ),
        ("q=%C3%A4%20/a(/", 3, "column 3: invalid regular expression: parentheses"),
        ("q=/ok/%20or%20/[/i", 9, "column 9: invalid regular expression: brackets"),
    ] {
        let answer = app.get(&format!("/api/logs?{query}")).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!("q")), "{}", answer.text());
        assert_eq!(answer.json["column"], column, "{}", answer.text());
        assert!(answer.json["error"].as_str().unwrap().starts_with(part), "{}", answer.text());
        let page = app.get(&format!("/?{query}")).await;
        assert_eq!(page.status, 400);
        assert!(page.text().contains("id=\"e-q\""), "the page shows it at the field");
    }
    let answer = app.get("/api/logs?regex=a(&q=x").await;
    assert_eq!((&answer.json["field"], &answer.json["column"]), (&json!("regex"), &Value::Null));
    let page = app.get("/?q=level%3Aerr").await.text();
    assert!(page.contains("id=\"f-q\"") && page.contains("value=\"level:err\""), "what was typed stays");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heaviest_lines_are_answered() {
    let app = TestApp::plan().ready().await;
    let mut record = with("message", json!("x"));
    record["metadata"] = json!({"a": {"b": {"c": {"d": {"e": 7}}}}});
    app.post_json(&record).await.accepted(1);
    app.wait_rows(1).await;
    for line in [
        "a.b.c.d.e>1 ".repeat(100),
        format!("a.b.c.d.e:({})", vec!["7"; 100].join(" or ")),
        format!("{}x{}", "-(y or -(x ".repeat(16), "))".repeat(16)),
        format!("x{}", " or x -y".repeat(49)),
    ] {
        let page = app.search(&[("q", &line)]).await;
        assert_eq!(page["logs"].as_array().unwrap().len(), 1, "{line}");
        assert_eq!(page["stats"]["complete"], true, "{}: {line}", page["stats"]);
    }
    app.finish().await;
}
