//! Facets: values of every kind of field, and the paths of metadata, equal brute force.

use serde_json::{Value, json};

use super::{FILTERS, WINDOWS, filled, get, list, moments, number, within};
use crate::harness::{
    TestApp,
    app::NDJSON,
    records::{Dice, named},
};

/// Values of each kind of field over the view, a row for each record and value.
const FIELDS: &[(&str, &str)] = &[
    ("level", "select level as value from h"),
    ("resourceId", "select resource_id as value from h"),
    ("commit", "select \"commit\" as value from h"),
    ("traceId", "select trace_id as value from h"),
    ("spanId", "select span_id as value from h"),
    ("metadata.user.id", "select metadata #>> '{user,id}' as value from h"),
    ("metadata.a.b", "select metadata ->> 'a.b' as value from h"),
    (
        "metadata.tags",
        "select distinct h.id, coalesce(v #>> '{}', 'null') as value from h cross join lateral jsonb_array_elements(metadata -> 'tags') v",
    ),
    (
        "metadata.list.k",
        "select distinct h.id, v ->> 'k' as value from h cross join lateral jsonb_array_elements(metadata -> 'list') v",
    ),
    (
        "metadata",
        "select unnest(array['user.id', 'user.name', 'a.b', 'tags', 'list.k']) as value from h where metadata is not null",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facets_equal_brute_force() {
    let app = filled().await;
    let asked: Vec<(&str, &str)> = FIELDS.iter().map(|(name, _)| ("field", *name)).collect();
    for (filter, condition) in FILTERS {
        for window in &WINDOWS[..5] {
            let reply = get(&app, "/api/facets", &[filter, window, &asked, &[("values", "6")]]).await;
            let total = moments(&app, condition, window).await.len();
            assert_eq!(reply["total"], json!({"count": total, "is": "exact"}), "{filter:?} {window:?}");
            for (name, values) in FIELDS {
                let query = format!(
                    "with h as (select * from logs where {condition} and {}) select value, count(*) from ({values}) v where value is not null group by 1 order by 2 desc, value collate \"C\"",
                    within(window)
                );
                let rows = app.database().sql.query(&query, &[]).await.unwrap();
                let truth: Vec<Value> = rows
                    .iter()
                    .map(|row| json!({"value": row.get::<_, &str>(0), "count": row.get::<_, i64>(1)}))
                    .collect();
                let seen = list(&reply["facets"][name]);
                assert_eq!(seen[..], truth[..truth.len().min(6)], "{name} under {filter:?} {window:?}");
                let other: u64 = truth.iter().skip(6).map(|value| number(&value["count"])).sum();
                assert_eq!(reply["other"][name], other, "{name}");
                assert_eq!(reply["distinct"][name], json!({"count": truth.len(), "is": "exact"}), "{name}");
                assert_eq!(reply["is"][name], "exact");
            }
        }
    }
    // A value that is too long to be listed is counted.
    let names = get(&app, "/api/facets", &[&[("field", "metadata.user.name")]]).await;
    let long = app
        .database()
        .number("select count(*) from logs where length(metadata #>> '{user,name}') > 256")
        .await;
    assert_eq!(
        (&names["other"]["metadata.user.name"], &names["facets"]["metadata.user.name"][0]["value"]),
        (&json!(long), &json!(""))
    );
    let three = get(&app, "/api/facets", &[]).await;
    let names: Vec<&String> = three["facets"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["commit", "level", "resourceId"]);
    app.finish().await;
}

/// A number is one value however it was written; each count is what a search for that value finds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_one_value() {
    let app = TestApp::plan().ready().await;
    let values =
        ["13", "13.0", "1.3e1", "\"13\"", "13.50", "-0.0", "0", "[13, 13.00]", "1e300", "\"x\"", "null"];
    let record = |(n, value): (usize, &&str)| {
        format!(
            r#"{{"level":"info","message":"m","resourceId":"r","timestamp":"2026-01-02T03:04:{n:02}Z","metadata":{{"n":{value}}}}}"#
        ) + "\n"
    };
    let lines: String = values.iter().enumerate().map(record).collect();
    app.post(NDJSON, lines, &[]).await.accepted(values.len());
    let reply = app.get("/api/facets?field=metadata.n").await.json;
    let counted: Vec<(&str, u64)> = list(&reply["facets"]["metadata.n"])
        .iter()
        .map(|value| (value["value"].as_str().unwrap(), number(&value["count"])))
        .collect();
    let long = format!("1{}", "0".repeat(300));
    let others = [("13.5", 1), (&long, 1), ("null", 1), ("x", 1)];
    assert_eq!(counted[..2], [("13", 5), ("0", 2)]);
    assert_eq!(reply["other"]["metadata.n"], 1, "the long one is not listed");
    assert_eq!(counted[2..], others.into_iter().filter(|(value, _)| value.len() < 256).collect::<Vec<_>>());
    for (value, records) in counted {
        let found = app.search(&[("metadata.n", value)]).await;
        assert_eq!(list(&found["logs"]).len() as u64, records, "{value}");
    }
    app.finish_rows(values.len() as i64).await;
}

/// Values of metadata take twenty times as long as those of columns, which come first, by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_does_not_hold_up_the_other_facets() {
    let app = TestApp::plan().ready().await;
    app.post_json(&named("one")).await.accepted(1);
    let path = "/api/facets?message=one&field=metadata&field=resourceId&field=level&explain=1";
    let reply = app.get(path).await.json;
    let statements: Vec<String> =
        list(&reply["explain"]).iter().map(|statement| statement["sql"].to_string()).collect();
    let counting: Vec<&String> = statements.iter().filter(|sql| sql.contains("as field")).collect();
    let reads_metadata: Vec<bool> = counting.iter().map(|sql| sql.contains("metadata")).collect();
    assert_eq!(reads_metadata, [false, true], "{statements:?}");
    let facets = json!({"metadata": [], "resourceId": [{"value": "r", "count": 1}], "level": [{"value": "info", "count": 1}]});
    assert_eq!(reply["facets"], facets);
    assert_eq!(reply["total"], json!({"count": 1, "is": "exact"}));
    app.finish_rows(1).await;
}

/// The paths of metadata, as a recursive query finds them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_of_metadata_equal_brute_force() {
    let app = TestApp::plan().ready().await;
    let long = "k".repeat(300);
    let documents = [
        r#"{}"#.to_owned(),
        r#"{"a":1,"b":{"c":null,"d":{"e":"x"}}}"#.to_owned(),
        r#"{"a":{},"b":[],"c":[[]],"d":[{}]}"#.to_owned(),
        r#"{"a":[1,2,{"b":true,"c":[{"d":1}]}],"b.c":2}"#.to_owned(),
        r#"{"a.b":1,"a":{"b":2},"x":{"":4,"y":{"":5}}}"#.to_owned(),
        r#"{"a":1,"a":{"b":2},"c":{"d":1},"c":{}}"#.to_owned(),
        r#"{"q\"\n":1e40,"\u00e4 <b>":-0.5,"ä":{"ß":[null]}}"#.to_owned(),
        format!(r#"{{"{long}":1,"b":{{"{long}":2}},"a":3}}"#),
    ];
    let mut dice = Dice(11);
    let record = |_| {
        let metadata = &documents[dice.roll(documents.len() as u64) as usize];
        format!(
            r#"{{"level":"info","message":"m","resourceId":"r","timestamp":"2026-01-02T03:04:05Z","metadata":{metadata}}}"#
        ) + "\n"
    };
    let lines: String = (0..400).map(record).collect();
    app.post(NDJSON, lines, &[]).await.accepted(400);
    app.post_json(&named("without metadata")).await.accepted(1);
    let brute = "with recursive w (id, path, v) as (
            select id, null::text, metadata from logs where metadata is not null
            union all
            select w.id, n.path, n.v from w cross join lateral (
                select concat_ws('.', w.path, e.key) as path, e.value as v
                from jsonb_each(case when jsonb_typeof(w.v) = 'object' then w.v end) e
                union all
                select w.path, a.value from jsonb_array_elements(case when jsonb_typeof(w.v) = 'array' then w.v end) a
            ) n)
        select case when octet_length(path) <= 256 then path end, count(distinct id) from w
        where path is not null and jsonb_typeof(v) not in ('object', 'array') group by 1";
    let rows = app.database().connect().await.query(brute, &[]).await.expect("the view can be read");
    let (mut paths, mut others) = (Vec::new(), 0);
    for row in rows {
        let records: i64 = row.get(1);
        match row.get::<_, Option<String>>(0) {
            Some(path) => paths.push((-records, path)),
            None => others = records,
        }
    }
    paths.sort();
    let paths: Vec<Value> =
        paths.into_iter().map(|(records, path)| json!({"value": path, "count": -records})).collect();
    let reply = app.get("/api/facets?field=metadata&field=metadata.a&values=100&budget=10s").await.json;
    assert_eq!(reply["facets"]["metadata"], Value::from(paths), "{reply}");
    assert_eq!(
        (&reply["other"]["metadata"], &reply["total"]["count"]),
        (&json!(others), &json!(401)),
        "{reply}"
    );
    app.finish().await;
}
