//! Searches through the real process: every answer equals brute force over the same records, however it was paged.

mod turns;
mod units;

use serde_json::{Value, json};

use crate::harness::{
    Fault, TestApp,
    app::NDJSON,
    records::{Dice, ndjson, sample, with},
    run::{eventually, seconds},
};

/// Records of three time ranges with many equal timestamps, in varied words; deterministic.
fn varied(count: u64) -> Vec<Value> {
    let mut dice = Dice(7);
    let words = ["timeout", "Überlauf", "ПРИВЕТ мир", "100% done_", "a\\b", "<b>bold</b>", "line\nbreak"];
    let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
    (0..count)
        .map(|n| {
            let day = ["2026-01-02", "2026-01-03", "2024-07-01"][dice.roll(3) as usize];
            json!({
                "level": levels[dice.roll(6) as usize],
                "message": format!("{} {n}", words[dice.roll(7) as usize]),
                "resourceId": format!("server-{}", dice.roll(4)),
                // A few moments only, so that pages end between equal timestamps.
                "timestamp": format!("{day}T03:04:0{}Z", dice.roll(3)),
                "metadata": {"user": {"id": dice.roll(3)}, "a.b": format!("v{}", dice.roll(2)), "tags": ["x", format!("t{}", dice.roll(3))]},
            })
        })
        .collect()
}

async fn filled(app: &TestApp, records: &[Value]) {
    app.post(NDJSON, ndjson(records.iter().cloned()), &[]).await.accepted(records.len());
    app.wait_rows(records.len() as i64).await;
}

/// 60,000 rows of one leaf and a hundred traces, all in open blocks; `n` counts them from the oldest on.
async fn filled_by_sql(app: &TestApp, message: &str) {
    let fill = format!(
        "insert into records (timestamp, id, block, level, resource_id, trace_id, message)
        select timestamptz '2026-01-02T00:00:00Z' + n / 3 * interval '1 second', gen_random_uuid(), n / 256 * 8 + n % 256 / 32, 3, 'r',
          pack_id('trace-' || n % 100), {message}
        from generate_series(1, 60000) n"
    );
    let open = "insert into open_blocks (leaf, block, level, writer)
        select leaf, block, 3, 0 from leaves, generate_series(0, 60000 / 256) block";
    let sql = &app.database().sql;
    sql.execute("select ensure_leaf('2026-01-02', '2026-01-02', '2026-01-03')", &[]).await.unwrap();
    sql.execute(&fill, &[]).await.unwrap();
    sql.execute(open, &[]).await.unwrap();
}

/// All hits in the order of the contract, found by looking at every record.
async fn brute_force(app: &TestApp, hit: impl Fn(&Value) -> bool) -> Vec<String> {
    let rows = "select message from logs order by timestamp desc, id desc";
    let messages = app.database().texts(rows, &[]).await;
    let all = app.search(&[("limit", "1000")]).await;
    let logs = all["logs"].as_array().expect("the reply has it");
    assert_eq!(logs.len(), messages.len());
    logs.iter().filter(|log| hit(log)).map(message).collect()
}

fn message(log: &Value) -> String {
    log["message"].as_str().expect("the reply has it").to_owned()
}

fn messages(page: &Value) -> Vec<String> {
    page["logs"].as_array().expect("the reply has it").iter().map(message).collect()
}

/// Follows `nextCursor` to the end; checks what every page promises.
async fn all_pages(app: &TestApp, filter: &[(&str, &str)]) -> (Vec<String>, Vec<Value>) {
    let mut found = Vec::new();
    let mut pages = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters = filter.to_vec();
        if let Some(cursor) = &cursor {
            parameters.push(("cursor", cursor));
        }
        let page = app.search(&parameters).await;
        assert_eq!(page["prevCursor"].is_null(), cursor.is_none(), "only the first page has none before it");
        assert!(
            page["stats"]["complete"] == true || page["nextCursor"].is_string(),
            "incomplete goes on: {page}"
        );
        found.extend(messages(&page));
        cursor = page["nextCursor"].as_str().map(str::to_owned);
        pages.push(page);
        assert!(pages.len() < 5_000, "paging comes to an end");
        if cursor.is_none() {
            return (found, pages);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_filter_equals_brute_force() {
    let app = TestApp::plan().ready().await;
    filled(&app, &varied(600)).await;
    type Hit = fn(&Value) -> bool;
    let cases: &[(&[(&str, &str)], Hit)] = &[
        (&[], |_| true),
        (&[("level", "error"), ("level", "CRIT")], |log| log["level"] == "error" || log["level"] == "fatal"),
        (&[("message", "TIMEOUT")], |log| message(log).starts_with("timeout")),
        (&[("message", "üBER")], |log| message(log).starts_with("Überlauf")),
        (&[("message", "привет МИР")], |log| message(log).starts_with("ПРИВЕТ")),
        (&[("message", "100% done_")], |log| message(log).starts_with("100%")),
        (&[("message", "100_ done")], |_| false),
        (&[("message", "a\\b")], |log| message(log).starts_with("a\\b")),
        (&[("message", "<B>")], |log| message(log).starts_with("<b>")),
        (&[("regex", "^timeout .*7$")], |log| {
            message(log).starts_with("timeout") && message(log).ends_with('7')
        }),
        (&[("regex", "(?i)^TIMEOUT")], |log| message(log).starts_with("timeout")),
        (&[("regex", "(?i)üBERLAUF [0-9]")], |log| message(log).starts_with("Überlauf")),
        (&[("regex", "üBERLAUF")], |_| false),
        (&[("q", "/(при|ü)[ВЬ-Яber]+/i")], |log| {
            message(log).starts_with("ПРИВЕТ") || message(log).starts_with("Überlauf")
        }),
        (&[("resourceId", "server-1")], |log| log["resourceId"] == "server-1"),
        (&[("resourceId", "server-*")], |_| true),
        (&[("resourceId", "server-\\*")], |_| false),
        (&[("resourceId", "server_1")], |_| false),
        (&[("traceId", "*")], |_| false),
        (&[("metadata.user.id", "1")], |log| log["metadata"]["user"]["id"] == 1),
        (&[("metadata.user.id", "1.0")], |log| log["metadata"]["user"]["id"] == 1),
        (&[("metadata.a.b", "v1")], |log| log["metadata"]["a.b"] == "v1"),
        (&[("metadata.a.b", "v*"), ("level", "info")], |log| log["level"] == "info"),
        (&[("metadata.tags", "t2")], |log| log["metadata"]["tags"][1] == "t2"),
        (&[("metadata.nothing", "*")], |_| false),
        (&[("from", "2026-01-03T00:00:00Z")], |log| log["timestamp"].as_str() >= Some("2026-01-03")),
        (&[("to", "2026-01-02T03:04:01Z")], |log| log["timestamp"].as_str() < Some("2026-01-02T03:04:01Z")),
        (&[("from", "2026-01-02T03:04:01 00:00"), ("to", "2026-01-02T03:04:02Z")], |log| {
            log["timestamp"] == "2026-01-02T03:04:01Z"
        }),
        (&[("from", "15m")], |_| false),
    ];
    for (filter, hit) in cases {
        let expected = brute_force(&app, hit).await;
        let mut parameters = filter.to_vec();
        parameters.push(("limit", "1000"));
        let page = app.search(&parameters).await;
        assert_eq!(messages(&page), expected, "{filter:?}");
        assert_eq!(page["stats"]["complete"], true);
        parameters.pop();
        parameters.push(("limit", "37"));
        assert_eq!(all_pages(&app, &parameters).await.0, expected, "{filter:?} in pages");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_lead_there_and_back() {
    let app = TestApp::plan().ready().await;
    filled(&app, &varied(300)).await;
    for filter in [&[("limit", "23")][..], &[("limit", "7"), ("level", "warn"), ("message", "e")]] {
        let (_, pages) = all_pages(&app, filter).await;
        assert!(pages.len() > 3);
        for at in (1..pages.len()).rev() {
            let cursor = pages[at]["prevCursor"].as_str().unwrap();
            let back = app.search(&[filter, &[("cursor", cursor)]].concat()).await;
            assert_eq!(back["logs"], pages[at - 1]["logs"], "page {at} leads back");
            assert_eq!(back["prevCursor"].is_null(), at == 1);
            let on =
                app.search(&[filter, &[("cursor", back["nextCursor"].as_str().unwrap())]].concat()).await;
            assert_eq!(on["logs"], pages[at]["logs"], "and on again");
        }
    }
    let all = app.search(&[("limit", "300")]).await;
    assert_eq!((all["stats"]["rowsRead"].as_u64(), all["nextCursor"].is_null()), (Some(300), true));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_found_and_filtered() {
    let app = TestApp::plan().ready().await;
    let of_trace = |n: u64| {
        let mut record = with("message", json!(format!("step {n}")));
        record["timestamp"] = json!(format!("202{}-01-01T00:00:0{}Z", n % 5, n % 3));
        record["level"] = json!(if n.is_multiple_of(2) { "info" } else { "error" });
        record["traceId"] = json!(if n < 40 { "mine" } else { "other" });
        record
    };
    filled(&app, &(0..100).map(of_trace).collect::<Vec<_>>()).await;
    let hits = brute_force(&app, |log| log["traceId"] == "mine" && log["level"] == "error").await;
    let (found, pages) = all_pages(&app, &[("traceId", "mine"), ("level", "error"), ("limit", "6")]).await;
    assert_eq!(found, hits);
    // Each of the five years has a block of ten errors and one of ten others.
    assert_eq!(pages[0]["stats"]["rowsRead"], 50, "the index leads to the blocks of this level alone");
    let back = pages[1]["prevCursor"].as_str().unwrap();
    let first =
        app.search(&[("traceId", "mine"), ("level", "error"), ("limit", "6"), ("cursor", back)]).await;
    assert_eq!(first["logs"], pages[0]["logs"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_out_of_budget_goes_on_with_its_cursor() {
    let app = TestApp::plan().env("SEARCH_BUDGET_MS", 10).ready().await;
    filled_by_sql(&app, "'row ' || n || repeat(' x', 200)").await;
    let (found, pages) = all_pages(&app, &[("regex", r"^row \d*77 .*(x) \1$"), ("limit", "1000")]).await;
    let pattern = r"select message from logs where message ~ '^row \d*77 ' order by timestamp desc, id desc";
    assert_eq!(found, app.database().texts(pattern, &[]).await, "every hit once");
    assert!(pages.len() > 1, "60,000 rows do not fit into 10 ms");
    let rows_read: u64 = pages.iter().map(|page| page["stats"]["rowsRead"].as_u64().unwrap()).sum();
    assert!(rows_read >= 60_000, "every row is read and counted: {rows_read}");
    let page = app.get("/?message=absent").await.text();
    assert!(
        page.contains("Search further back") && page.contains("cursor="),
        "an empty page goes on:\n{page}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_parameters_name_their_field() {
    let app = TestApp::plan().ready().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("level=banana", "level"),
        ("from=yesterday", "from"),
        ("from=1h&to=2h", "from"),
        ("regex=a(", "regex"),
        ("cursor=abc", "cursor"),
        ("message=a%00b", "message"),
        ("resourceId=a&resourceId=b", "resourceId"),
        ("bogus=1", "bogus"),
        ("query=x", "query"),
        ("q=level:banana", "q"),
        ("q=a(", "q"),
        ("q=x /a(/", "q"),
    ] {
        let answer = app.get(&format!("/api/logs?{query}")).await;
        assert_eq!(
            (answer.status, &answer.json["field"]),
            (400, &json!(field)),
            "{query}: {}",
            answer.text()
        );
        assert!(answer.json["error"].is_string());
        let page = app.get(&format!("/?{query}")).await;
        assert_eq!(page.status, 400, "{query} on the page");
        assert!(page.text().contains("This search cannot be run") && page.text().contains("<form"));
    }
    for (path, field, error) in [
        ("/api/facets?field=resourceid", "field", "did you mean `resourceId`?"),
        ("/api/facets?field=region", "field", "a field of metadata is asked for as `metadata.region`"),
        ("/api/logs/01920000-0000-7000-8000-000000000000?limit=1", "limit", "unknown parameter"),
        ("/tail?after=zz", "after", "the id of an event or nothing is needed, got `zz`"),
        ("/tail?as=xml", "as", "html or json is needed, got `xml`"),
    ] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!(field)), "{path}");
        assert!(answer.json["error"].as_str().unwrap().ends_with(error), "{path}: {}", answer.text());
    }
    let long = json!({"message": "x".repeat(300_000)}).to_string();
    for path in ["/v1/query", "/v1/delete"] {
        let answer = app.post_at(path, "application/json", &long, &[]).await;
        let expected = json!({"error": "a body has at most 262144 bytes"});
        assert_eq!((answer.status, &answer.json), (413, &expected), "{path}");
    }
    assert_eq!(app.get("/api/logs/nonsense").await.status, 400);
    assert_eq!(app.get("/api/logs/01920000-0000-7000-8000-000000000000").await.status, 404);
    assert_eq!(app.get("/logs/01920000-0000-7000-8000-000000000000").await.status, 404);
    assert_eq!(app.get("/logs/00000000-0000-0000-0000-000000000000").await.status, 404);
    for path in ["/", "/api/logs", "/nowhere", "/?limit=0"] {
        let answer = app.get(path).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_found_however_it_was_written() {
    let app = TestApp::plan().ready().await;
    let spellings = [
        ["10200", "102e2", "1.02E4", "0.102e+5", "1020000e-2", "10200.0", "10200e0", "10.20e3"],
        ["-0.07", "-7e-2", "-0.7E-1", "-70.0e-3", "-0.070", "-0.007e1", "-700e-4", "-0.07e0"],
        ["0", "0e5", "-0", "0.0", "0.00E1", "0E-3", "-0.0e2", "0.000"],
    ];
    let records: Vec<String> = spellings
        .iter()
        .flatten()
        .map(|text| {
            let mut record = with("message", json!(text));
            record["metadata"] = json!({"n": "here"});
            record.to_string().replace("\"here\"", text)
        })
        .collect();
    app.post(NDJSON, records.join("\n"), &[]).await.accepted(records.len());
    app.wait_rows(records.len() as i64).await;
    for spelled in spellings {
        for asked in spelled {
            let mut found = messages(&app.search(&[("metadata.n", asked)]).await);
            found.sort_unstable();
            let mut expected = spelled;
            expected.sort_unstable();
            assert_eq!(found, expected, "{asked}");
        }
    }
    for (begin, count) in [("102*", 8), ("-0.0*", 8), ("1*", 8), ("0*", 8), ("103*", 0)] {
        let found = app.search(&[("metadata.n", begin)]).await;
        assert_eq!(messages(&found).len(), count, "{begin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_by_every_kind_of_value() {
    let app = TestApp::plan().ready().await;
    let metadata = json!({
        "n": 42, "s": "42", "big": 12_345_678_901_234_567_890_u64, "t": true, "z": null, "star": "a*", "quote\"key": "q",
        "a": {"b": {"c": "deep"}}, "x.y": {"z": "dotted"}, "list": [{"k": 1}, {"k": 2}],
    });
    filled(&app, &[with("metadata", metadata)]).await;
    for (name, value, finds) in [
        ("metadata.n", "42", true),
        ("metadata.n", "42.00", true),
        ("metadata.n", "4.2e1", true),
        ("metadata.n", "4*", true),
        ("metadata.s", "42", true),
        ("metadata.s", "42.0", false),
        ("metadata.big", "12345678901234567890", true),
        ("metadata.big", "12345678901234567891", false),
        ("metadata.t", "true", true),
        ("metadata.z", "null", true),
        ("metadata.star", r"a\*", true),
        ("metadata.star", "b*", false),
        ("metadata.quote\"key", "q", true),
        ("metadata.a.b.c", "deep", true),
        ("metadata.a.b", "deep", false),
        ("metadata.x.y.z", "dotted", true),
        ("metadata.list.k", "2", true),
        ("metadata.list.k", "3", false),
    ] {
        let found = app.search(&[(name, value)]).await;
        assert_eq!(messages(&found).len(), usize::from(finds), "{name}={value}");
    }
    let form =
        app.client.get(format!("{}/?mk=x.y.z&mv=dotted&message=&limit=50", app.url)).send().await.unwrap();
    assert_eq!(form.url().query(), Some("limit=50&metadata.x.y.z=dotted"), "the form is written as a link");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_away_is_a_503_and_comes_back() {
    let app = TestApp::plan().through_proxy().ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.set_fault(Fault::Cut);
    let answer = app.get("/api/logs").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    let page = app.get("/").await;
    assert_eq!(page.status, 503);
    assert!(page.text().contains("The database cannot be reached"), "{}", page.text());
    app.set_fault(Fault::None);
    eventually("the search works again", seconds(20), async || {
        (app.get("/api/logs").await.status == 200).then_some(())
    })
    .await;
}

/// What is large is read by two statements side by side, unless others search.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_halves_are_the_whole() {
    let app = TestApp::plan().env("SEARCH_BUDGET_MS", 9_000).ready().await;
    filled_by_sql(&app, "'row ' || n").await;
    let truth = app
        .database()
        .texts(r"select message from logs where message ~ '7\d?7' order by timestamp desc, id desc", &[]);
    let truth = truth.await;
    assert_eq!(truth.len(), 2652);
    for limit in ["1000", "137"] {
        let (found, _) = all_pages(&app, &[("regex", r"7\d?7"), ("limit", limit)]).await;
        assert!(found == truth, "pages of {limit}: every hit once, in order");
    }
    let regex = [("regex", r"7\d?7")];
    // No minutes were counted of what SQL stored, so the range is said.
    for path in ["/api/histogram?bucket=1h", "/api/facets?field=level"] {
        let path = format!("{path}&regex=7%5Cd%3F7&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z");
        let counted = app.get(&path).await.json;
        assert_eq!(counted["total"]["count"], truth.len(), "{counted}");
    }
    let together = (0..6).map(|_| all_pages(&app, &regex));
    for (found, _) in futures_util::future::join_all(together).await {
        assert!(found == truth, "whoever else searches");
    }
    app.stop().await;
}

/// Values of which nobody knows whether there are more are not offered as if there were none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_that_ran_out_of_time_says_so() {
    let app = TestApp::plan().ready().await;
    filled(&app, &[with("commit", json!("xyz"))]).await;
    let complete = async || app.get("/api/complete?q=commit:x").await.json;
    // Somebody holds the rows for longer than a completion waits.
    let mut other = app.database().connect().await;
    let leaf = app.database().texts("select name from leaves", &[]).await.remove(0);
    let held = other.transaction().await.unwrap();
    held.batch_execute(&format!("lock table {leaf} in access exclusive mode")).await.unwrap();
    let reply = complete().await;
    assert_eq!((&reply["items"], &reply["complete"]), (&json!([]), &json!(false)), "{reply}");
    held.rollback().await.unwrap();
    let reply = complete().await;
    assert_eq!((&reply["items"][0]["text"], &reply["complete"]), (&json!("xyz"), &json!(true)));
    app.stop().await;
}

/// U+0000 is in no record, and no parameter can hold it: such an expression finds nothing, and is no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_for_what_cannot_be_stored_finds_nothing() {
    let app = TestApp::plan().ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.wait_rows(1).await;
    for regex in [r"abc\u0000", r"nomatch\U00000000", r"\x00"] {
        let found = app.search(&[("regex", regex)]).await;
        assert_eq!(found["logs"], json!([]), "{regex}: {found}");
    }
    app.finish().await;
}
