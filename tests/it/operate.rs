//! Running the product: health, readiness, metrics, faults in the configuration, roles, headers, routes.

use serde_json::json;

use crate::harness::{
    self, Fault, TestApp,
    postgres::Database,
    records::{named, sample},
    run::{eventually, seconds},
};

/// The series that dashboards and alarms are built on.
const SERIES: &[&str] = &[
    "log_ingestor_accepted_records_total",
    "log_ingestor_stored_records_total",
    "log_ingestor_repeated_records_total",
    "log_ingestor_dead_letters_total",
    "log_ingestor_replaced_nuls_total",
    "log_ingestor_batches_total",
    "log_ingestor_batch_rows_count",
    "log_ingestor_batch_rows_sum",
    "log_ingestor_batch_seconds_count",
    "log_ingestor_queued_bytes",
    "log_ingestor_body_bytes_in_flight",
    "log_ingestor_halted_partitions",
    "log_ingestor_search_seconds_count",
    "log_ingestor_search_rows_read_total",
    "log_ingestor_ingest_requests_total{status=\"202\"}",
    "log_ingestor_ingest_requests_total{status=\"422\"}",
    "log_ingestor_rejected_records_total{reason=\"level\"}",
    "log_ingestor_searches_total{status=\"200\"}",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_are_there_and_true() {
    let app = TestApp::plan().ready().await;
    assert_eq!(app.get("/healthz").await.status, 200);
    app.post_json(&json!([named("a"), named("b\u{0}"), {"level": "banana"}])).await;
    app.post_json(&json!({"level": "banana"})).await;
    app.search(&[]).await;
    let metrics = app.metrics().await;
    for name in SERIES {
        assert!(metrics.contains_key(*name), "no series {name} in {metrics:#?}");
    }
    let value = |name: &str| metrics[&format!("log_ingestor_{name}")];
    assert_eq!(value("accepted_records_total"), 2.0);
    assert_eq!(value("stored_records_total"), 2.0);
    assert_eq!(value("replaced_nuls_total"), 1.0);
    assert_eq!(value("queued_bytes"), 0.0);
    assert_eq!(value("body_bytes_in_flight"), 0.0);
    assert_eq!(value("batch_rows_sum"), 2.0);
    assert_eq!(value("rejected_records_total{reason=\"level\"}"), 2.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_the_security_headers() {
    let app = TestApp::plan().ready().await;
    let id = app.post_json(&sample()).await.accepted(1).remove(0);
    let answers = [
        ("/", 200),
        ("/?level=banana", 400),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/api/logs", 200),
        ("/api/logs?colour=red", 400),
        ("/api/logs/nonsense", 400),
        ("/logs/00000000-0000-7000-8000-000000000000", 404),
        (&format!("/logs/{id}"), 200),
        ("/public/ingest", 405),
        ("/no/such/route", 404),
    ];
    for (path, status) in answers {
        let answer = app.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let header =
            |name: &str| answer.header(name).unwrap_or_else(|| panic!("{path}: no {name}")).to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
    }
    let page = app.get("/").await.text();
    assert!(
        !page.contains("<script>") && !page.contains("style=\"") && !page.contains("<style"),
        "nothing inline"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_faults_of_the_configuration_come_together() {
    let database = Database::fresh().await;
    let plan = TestApp::plan().database(&database).env("LISTEN", "0.0.0.0:0").env("WRITERS", "none");
    let plan = plan.env("KAFKA_BROKERS", "nowhere").env("KAFKA_TOPIC", "a b").env("ROLES", "ingest,dance");
    let (status, text) =
        plan.env("SEARCH_BUDGET_MS", "0").env("DATABASE_URL", "mysql://secret@host").fail().await;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    for name in
        ["LISTEN", "WRITERS", "KAFKA_BROKERS", "KAFKA_TOPIC", "ROLES", "SEARCH_BUDGET_MS", "DATABASE_URL"]
    {
        assert!(text.contains(name), "{name} is missing in:\n{text}");
    }
    assert!(text.contains("AUTH=off"), "it says what to do:\n{text}");
    assert!(!text.contains("secret"), "a password is never printed:\n{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_said_and_ends_the_process() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (status, text) = TestApp::plan().env("LISTEN", format!("127.0.0.1:{port}")).fail().await;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    assert!(text.contains(&port.to_string()) && !text.contains("panicked"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_can_be_split() {
    let door = TestApp::plan().kafka().roles("ingest").ready().await;
    let writer = door.plan_again().roles("write").ready().await;
    let reader = door.plan_again().roles("query").ready().await;
    door.post_json(&sample()).await.accepted(1);
    door.wait_rows(1).await;
    let found = reader.search(&[("traceId", "abc-xyz-123")]).await;
    assert_eq!(found["logs"].as_array().map(Vec::len), Some(1));
    for (app, role) in [(&door, "ingest"), (&writer, "write"), (&reader, "query")] {
        assert_eq!(app.get("/healthz").await.status, 200, "{role}");
        assert_eq!(app.get("/metrics").await.status, 200, "{role}");
        let readiness = app.get("/readyz").await;
        assert_eq!(readiness.status, 200, "{role}");
        assert!(readiness.text().contains(role), "{role}: {}", readiness.text());
    }
    assert_eq!(writer.post_json(&sample()).await.status, 404, "a writer has no door");
    assert_eq!(reader.post_json(&sample()).await.status, 404, "a reader has no door");
    assert_eq!(door.get("/api/logs").await.status, 404, "a door has no search");
    for app in [reader, writer, door] {
        app.stop().await;
    }
}

/// Any number of processes may start at once on an empty database: each migrates, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_start_together_on_an_empty_database() {
    let database = Database::empty().await;
    let plan = || TestApp::plan().database(&database).ready();
    let (one, other) = tokio::join!(plan(), plan());
    one.post_json(&sample()).await.accepted(1);
    other.post_json(&sample()).await.accepted(1);
    assert_eq!(database.rows().await, 2);
    one.finish().await;
    other.finish().await;
}

/// A Postgres that is away at the start is waited for.
async fn a_late_postgres(plan: harness::app::Plan, while_away: impl AsyncFn(&TestApp)) {
    let (plan, proxy) = plan.cut_from_the_start().await;
    let app = plan.start().await;
    assert_eq!(app.get("/healthz").await.status, 200);
    let readiness = app.get("/readyz").await;
    assert_eq!(readiness.status, 503);
    assert!(readiness.text().contains("waiting for Postgres"), "{}", readiness.text());
    while_away(&app).await;
    eventually("it tries more than once", seconds(30), async || (proxy.connections() > 1).then_some(()))
        .await;
    proxy.set(Fault::None);
    app.wait_ready().await;
    app.post_json(&sample()).await.accepted(1);
    app.wait_rows(app.metric("log_ingestor_accepted_records_total").await as i64).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_comes_late_is_waited_for() {
    a_late_postgres(TestApp::plan(), async |app| {
        let answer = app.post_json(&sample()).await;
        assert_eq!((answer.status, answer.json["stored"].as_str()), (503, Some("no")), "{}", answer.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_mode_accepts_while_a_late_postgres_is_waited_for() {
    a_late_postgres(TestApp::plan().kafka(), async |app| {
        eventually("the door is open", seconds(20), async || {
            (app.post_json(&sample()).await.status == 202).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_is_true() {
    let app = TestApp::plan().ready().await;
    app.post_json(&sample()).await.accepted(1);
    let description = app.get("/openapi.json").await.json;
    let paths = description["paths"].as_object().unwrap();
    for path in paths.keys() {
        // Whatever the answer, the path is known: 404 is what an unknown one gets, with other words.
        let mut path_asked = path.replace("{id}", "00000000-0000-7000-8000-000000000000");
        // A stream has no end, but a fault of it has.
        if paths[path].pointer("/get/responses/200/content/text~1event-stream").is_some() {
            path_asked.push_str("?nonsense=1");
        }
        let answer = app.get(&path_asked).await;
        let is_post = paths[path].get("post").is_some();
        assert_eq!(answer.status == 405, is_post, "{path}: {}", answer.text());
        assert!(!answer.text().contains("nothing at this address"), "{path}");
    }
    for parameter in paths["/api/logs"]["get"]["parameters"].as_array().unwrap() {
        let pointer = parameter["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        let parameter = pointer.map_or(parameter, |pointer| description.pointer(pointer).unwrap());
        let name = parameter["name"].as_str().unwrap();
        let answer = app.get(&format!("/api/logs?{name}=")).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    assert_eq!(app.get("/api/logs?nonsense=").await.status, 400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_the_same_as_json() {
    let app = TestApp::plan().ready().await;
    app.post_json(&sample()).await.accepted(1);
    let ask = async |body: serde_json::Value| {
        app.post_at("/v1/query", "application/json", &body.to_string(), &[]).await
    };
    let found = ask(json!({"level": ["error", "fatal"], "message": "FAILED", "metadata.parentResourceId": "server-0987", "limit": 5, "commit": null})).await;
    assert_eq!(
        (found.status, found.json["logs"].as_array().map(Vec::len)),
        (200, Some(1)),
        "{}",
        found.text()
    );
    assert_eq!(ask(json!({"level": "debug"})).await.json["logs"].as_array().map(Vec::len), Some(0));
    for (body, field) in [
        (json!({"limit": 0}), "limit"),
        (json!({"colour": "red"}), "colour"),
        (json!({"level": {"a": 1}}), "level"),
        (json!([1]), "body"),
    ] {
        let answer = ask(body).await;
        assert_eq!((answer.status, answer.json["field"].as_str()), (400, Some(field)), "{}", answer.text());
    }
    app.finish().await;
}
