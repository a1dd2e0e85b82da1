//! The product as a process, started with nothing but environment variables and watched from outside.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{
    Answer, Fault,
    kafka::Kafka,
    postgres::Database,
    proxy::Proxy,
    run::{self, eventually, seconds},
};

pub const INGEST: &str = "/public/ingest";
pub const JSON: &str = "application/json";
pub const NDJSON: &str = "application/x-ndjson";

/// How a process is to be started; every part that is shared with a sibling is shared by reference.
#[derive(Clone, Default)]
pub struct Plan {
    database: Option<Arc<Database>>,
    proxy: Option<Arc<Proxy>>,
    through_proxy: bool,
    kafka: Option<(Arc<Kafka>, String)>,
    private_folder: Option<PathBuf>,
    environment: BTreeMap<String, String>,
}

/// A running process.
pub struct TestApp {
    pub port: u16,
    pub url: String,
    pub client: reqwest::Client,
    plan: Plan,
    child: Child,
    log: PathBuf,
    ended: bool,
}

impl Plan {
    /// Puts the shared Kafka, with a topic and a group of its own, between door and writer.
    pub fn kafka(self) -> Self {
        self.kafka_of(Kafka::shared())
    }

    pub fn kafka_of(mut self, kafka: Arc<Kafka>) -> Self {
        self.kafka = Some((kafka, run::unique("topic")));
        self
    }

    /// The topic of a plan that has Kafka.
    pub fn topic_name(&self) -> &str {
        &self.kafka.as_ref().expect("this plan has Kafka").1
    }

    /// A plan whose process will not reach Postgres until its proxy is healed.
    pub async fn cut_from_the_start(mut self) -> (Self, Arc<Proxy>) {
        self = self.through_proxy();
        self.complete().await;
        let proxy = self.proxy.clone().expect("complete makes the proxy");
        proxy.set(Fault::Cut);
        (self, proxy)
    }

    /// The mode by name, for tests that hold in both: `direct` or `kafka`.
    pub fn mode(self, mode: &str) -> Self {
        if mode == "kafka" { self.kafka() } else { self }
    }

    pub fn roles(self, roles: &str) -> Self {
        self.env("ROLES", roles)
    }

    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// Reaches Postgres through a proxy that can fail.
    pub fn through_proxy(mut self) -> Self {
        self.through_proxy = true;
        self
    }

    pub fn database(mut self, database: &Arc<Database>) -> Self {
        self.database = Some(database.clone());
        self
    }

    /// Lets the process run a Postgres of its own in this folder.
    pub fn private_postgres(mut self, folder: PathBuf) -> Self {
        self.private_folder = Some(folder);
        self
    }

    /// Makes what is missing (database, proxy, topic name) without starting the process.
    async fn complete(&mut self) {
        if self.private_folder.is_some() {
            return;
        }
        let database = match &self.database {
            Some(database) => database.clone(),
            None => Database::fresh().await,
        };
        if self.through_proxy && self.proxy.is_none() {
            self.proxy = Some(Arc::new(Proxy::before(database.port).await));
        }
        self.database = Some(database);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_log-ingestor"));
        command.env_clear().env("LISTEN", "127.0.0.1:0").env("RUST_LOG", "info");
        for name in ["PATH", "HOME", "TMPDIR", "LANG", "LLVM_PROFILE_FILE", "RUST_LOG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(database) = &self.database {
            let port = self.proxy.as_ref().map_or(database.port, |proxy| proxy.port);
            command.env("DATABASE_URL", database.url(port));
        }
        if let Some(folder) = &self.private_folder {
            command.env("DATA_DIR", folder);
        }
        if let Some((kafka, topic)) = &self.kafka {
            command.env("KAFKA_BROKERS", kafka.brokers());
            command.env("KAFKA_TOPIC", topic).env("KAFKA_GROUP", format!("{topic}-writers"));
        }
        command.envs(&self.environment).stdin(Stdio::null()).process_group(0);
        command
    }

    /// Starts the process and waits until it serves.
    pub async fn start(mut self) -> TestApp {
        self.complete().await;
        let log = run::fresh_folder("app").join("log");
        let errors = std::fs::File::create(&log).expect("the log can be written");
        let mut child =
            self.command().stdout(Stdio::piped()).stderr(errors).spawn().expect("the binary starts");
        run::started(child.id());
        let stdout = child.stdout.take().expect("stdout is piped");
        let (port_found, port_wanted) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut port_found = Some(port_found);
            // Read to the end: a full pipe would stop the process.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let port = line.split("listening on http://127.0.0.1:").nth(1);
                let port = port.and_then(|text| text.trim_end_matches('/').trim().parse::<u16>().ok());
                if let Some(port) = port
                    && let Some(found) = port_found.take()
                {
                    let _ = found.send(port);
                }
            }
        });
        let client = reqwest::Client::builder().no_proxy().timeout(seconds(60)).build();
        let client = client.expect("a client can be built");
        let mut app = TestApp { port: 0, url: String::new(), client, plan: self, child, log, ended: false };
        app.port = match tokio::time::timeout(seconds(60), port_wanted).await {
            Ok(Ok(port)) => port,
            Ok(Err(_)) => panic!("the process ended without listening"),
            Err(_) => panic!("the process does not listen within 60 s"),
        };
        app.url = format!("http://127.0.0.1:{}", app.port);
        app
    }

    /// Starts the process and waits until every role says that it is ready.
    pub async fn ready(self) -> TestApp {
        let app = self.start().await;
        app.wait_ready().await;
        app
    }

    /// For a configuration that must not start: exit status and everything it wrote.
    pub async fn fail(mut self) -> (ExitStatus, String) {
        self.complete().await;
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let running = command.kill_on_drop(true).output();
        let output = tokio::time::timeout(seconds(30), running).await.expect("it ends within 30 s");
        let output = output.expect("the binary starts");
        let text = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&text).into_owned())
    }
}

impl TestApp {
    /// A process in direct mode with all roles and a fresh database, unless told otherwise.
    pub fn plan() -> Plan {
        Plan::default()
    }

    /// The same plan again: for a restart, or for a second process beside this one.
    pub fn plan_again(&self) -> Plan {
        self.plan.clone()
    }

    pub fn database(&self) -> &Arc<Database> {
        self.plan.database.as_ref().expect("this process uses the shared server")
    }

    pub fn has_kafka(&self) -> bool {
        self.plan.kafka.is_some()
    }

    pub fn topic(&self) -> &str {
        &self.plan.kafka.as_ref().expect("this process uses Kafka").1
    }

    pub fn kafka(&self) -> &Arc<Kafka> {
        &self.plan.kafka.as_ref().expect("this process uses Kafka").0
    }

    pub fn set_fault(&self, fault: Fault) {
        self.proxy().set(fault);
    }

    pub fn proxy(&self) -> &Proxy {
        self.plan.proxy.as_ref().expect("this process reaches Postgres through a proxy")
    }

    /// What the process has logged so far.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.url));
        let response = request.send().await.unwrap_or_else(|error| panic!("GET {path}: {error:?}"));
        Answer::of(response).await.unwrap_or_else(|error| panic!("GET {path}: {error:?}"))
    }

    /// GET that asks again, as a reply tells it to, while others have their turn: so what is asserted does not depend on how fast the
    /// machine is just then.
    pub async fn get_patiently(&self, path: &str) -> Answer {
        eventually(&format!("a turn for {path}"), seconds(120), async || {
            let answer = self.get(path).await;
            let is_busy = answer.status == 503 && answer.json["error"] == "too many searches are running";
            assert!(!is_busy || answer.header("retry-after").is_some(), "a 503 carries Retry-After");
            (!is_busy).then_some(answer)
        })
        .await
    }

    /// POSTs to the ingest route; an error when the connection breaks.
    pub async fn try_post(
        &self,
        content_type: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        self.try_post_at(INGEST, content_type, body, headers).await
    }

    async fn try_post_at(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let mut request =
            self.client.post(format!("{}{path}", self.url)).header("content-type", content_type).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await?).await
    }

    pub async fn post(
        &self,
        content_type: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_post(content_type, body, headers).await.unwrap_or_else(|error| panic!("POST: {error:?}"))
    }

    /// POSTs to another path, or with parameters.
    pub async fn post_at(
        &self,
        path: &str,
        content_type: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let answer = self.try_post_at(path, content_type, body.to_owned(), headers).await;
        answer.unwrap_or_else(|error| panic!("POST {path}: {error:?}"))
    }

    pub async fn post_json(&self, body: &Value) -> Answer {
        self.post(JSON, body.to_string(), &[]).await
    }

    /// `GET /api/logs` with these parameters; asserts 200.
    pub async fn search(&self, parameters: &[(&str, &str)]) -> Value {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let answer = self.get(&format!("/api/logs?{query}")).await;
        assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.text());
        answer.json
    }

    /// Values of `/metrics` by series, as written there: `log_ingestor_stored_records_total`, `…{reason="level"}`.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = self.metrics().await;
        *metrics.get(name).unwrap_or_else(|| panic!("no series {name} in {metrics:#?}")) as u64
    }

    pub async fn wait_ready(&self) {
        let mut last = String::new();
        let ready = tokio::time::timeout(seconds(60), async {
            loop {
                let answer = self.get("/readyz").await;
                if answer.status == 200 {
                    return;
                }
                last = answer.text();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(ready.await.is_ok(), "not ready within 60 s: {last}");
    }

    /// Waits until that many rows are in the table, then asserts that there are not more.
    pub async fn wait_rows(&self, rows: i64) {
        let database = self.database();
        eventually(&format!("{rows} rows in logs"), seconds(90), async || {
            (database.rows().await >= rows).then_some(())
        })
        .await;
        assert_eq!(database.rows().await, rows);
    }

    /// Peak of the resident memory of the process.
    pub fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells VmHWM");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the process runs");
    }

    pub fn sigterm(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// kill -9, and waits until it is gone.
    pub fn kill9(&mut self) {
        self.child.kill().expect("the process is our child");
        self.child.wait().expect("the process is our child");
        self.gone();
    }

    /// Waits for the end of a process that was told to end.
    pub async fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        let ended = async || child.try_wait().expect("the process is our child");
        let status = eventually("the process exits", limit, ended).await;
        self.gone();
        status
    }

    /// SIGTERM, exit 0 within 30 s.
    pub async fn stop(mut self) {
        self.sigterm();
        let status = self.wait_exit(seconds(30)).await;
        assert_eq!(status.code(), Some(0), "exit status after SIGTERM");
    }

    /// The end of a test without kills and unknown outcomes: asserts that the counters add up, then stops the process.
    pub async fn finish(self) {
        let count = async |name: &str| self.metric(&format!("log_ingestor_{name}_total")).await;
        let mut sums = String::new();
        let adds_up = tokio::time::timeout(seconds(30), async {
            loop {
                let accepted = count("accepted_records").await;
                let (stored, repeated) = (count("stored_records").await, count("repeated_records").await);
                let dead = count("dead_letters").await;
                sums =
                    format!("accepted {accepted}, stored {stored}, repeated {repeated}, dead letters {dead}");
                if accepted == stored + repeated + dead {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(adds_up.await.is_ok(), "the counters do not add up: {sums}");
        self.stop().await;
    }

    /// [`Self::finish`], and afterwards exactly that many rows are in the table.
    pub async fn finish_rows(self, rows: i64) {
        let database = self.database().clone();
        self.finish().await;
        assert_eq!(database.rows().await, rows);
    }

    fn gone(&mut self) {
        self.ended = true;
        run::ended(self.child.id());
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log_text();
            // Who asks for more detail by RUST_LOG gets all of it.
            let shown = if std::env::var_os("RUST_LOG").is_some() { 10_000_000 } else { 6_000 };
            let start = log.char_indices().rev().nth(shown).map_or(0, |(at, _)| at);
            eprintln!("--- log of the process ---\n{}\n--- end ---", &log[start..]);
            if let Some((kafka, _)) = &self.plan.kafka {
                eprintln!("--- Kafka ---\n{}\n--- end ---", kafka.state());
            }
        }
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.gone();
        }
    }
}
