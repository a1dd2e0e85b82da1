//! The processes that are measured: the release binary with a private Postgres, a real Kafka broker, and a server that does nothing.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio_postgres::{Client, NoTls};

use crate::cpu::{Cpu, seconds_of_tree};

/// The product with data of its own.
pub(crate) struct Product {
    child: Child,
    address: String,
    data_dir: PathBuf,
    kafka_pid: Option<u32>,
    sql: Client,
}

impl Product {
    pub(crate) async fn start(kafka: Option<&Kafka>) -> Self {
        Self::start_with(kafka, &[]).await
    }

    /// With settings of the product beside those of every bench.
    pub(crate) async fn start_with(kafka: Option<&Kafka>, settings: &[(&str, String)]) -> Self {
        let data_dir = scratch("product");
        let mut command = Command::new(env!("CARGO_BIN_EXE_log-ingestor"));
        command
            .env("LISTEN", "127.0.0.1:0")
            .env("DATA_DIR", &data_dir)
            .env("RUST_LOG", "warn")
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped());
        if let Some(kafka) = kafka {
            command.env("KAFKA_BROKERS", format!("127.0.0.1:{}", kafka.port));
        }
        let mut child = command.spawn().expect("the product starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let mut next = || lines.next().expect("the product serves").expect("UTF-8");
        let address = loop {
            if let Some(link) = next().strip_prefix("listening on http://") {
                break link.to_owned();
            }
        };
        let socket = loop {
            if let Some(command) = next().strip_prefix("SQL: psql -h '") {
                break command.split('\'').next().expect("a socket").to_owned();
            }
        };
        let config = format!("host={socket} user=log_ingestor dbname=logs");
        let (sql, connection) = tokio_postgres::connect(&config, NoTls).await.expect("Postgres answers");
        tokio::spawn(connection);
        let product = Self { child, address, data_dir, kafka_pid: kafka.map(|kafka| kafka.child.id()), sql };
        product.wait_until_ready().await;
        product
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn sql(&self) -> &Client {
        &self.sql
    }

    /// How to reach its database.
    pub(crate) fn database(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.data_dir.join("socket")).user("log_ingestor").dbname("logs");
        config
    }

    /// A connection of its own to the same database.
    pub(crate) async fn connect(&self) -> Client {
        let (client, connection) = self.database().connect(NoTls).await.expect("Postgres answers");
        tokio::spawn(connection);
        client
    }

    /// CPU seconds so far: our process, the Postgres tree, the broker.
    pub(crate) fn cpu(&self) -> Cpu {
        let kafka = self.kafka_pid.map_or(0.0, seconds_of_tree);
        Cpu { own: self.own_cpu(), postgres: self.postgres_cpu(), kafka }
    }

    pub(crate) fn postgres_cpu(&self) -> f64 {
        let pid =
            std::fs::read_to_string(self.data_dir.join("postgres/postmaster.pid")).expect("a postmaster");
        seconds_of_tree(pid.lines().next().and_then(|line| line.parse().ok()).expect("a pid"))
    }

    /// Of our process alone; Postgres is its child.
    fn own_cpu(&self) -> f64 {
        seconds_of_tree(self.child.id()) - self.postgres_cpu()
    }

    pub(crate) async fn rows(&self) -> u64 {
        let row = self.sql.query_one("select count(*) from logs", &[]).await.expect("a count");
        row.get::<_, i64>(0) as u64
    }

    /// Until the process has committed so many rows since its start.
    pub(crate) async fn wait_until_stored(&self, rows: u64) {
        while self
            .metric("log_ingestor_stored_records_total ")
            .await
            .is_none_or(|stored| stored < rows as f64)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a line of `/metrics` says that begins so.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        let mut connection = crate::client::Connection::open(&self.address).await;
        connection.exchange(request.as_bytes()).await;
        let text = String::from_utf8_lossy(connection.body()).into_owned();
        text.lines().find_map(|line| line.strip_prefix(name)).and_then(|text| text.parse().ok())
    }

    async fn wait_until_ready(&self) {
        loop {
            let request = format!("GET /readyz HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
            let mut connection = crate::client::Connection::open(&self.address).await;
            if connection.exchange(request.as_bytes()).await == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn stop(self) {}
}

/// Also when the bench panics; `BENCH_KEEP` leaves the data.
impl Drop for Product {
    fn drop(&mut self) {
        terminate(&mut self.child);
        if std::env::var_os("BENCH_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.data_dir);
        } else {
            eprintln!("kept: {}", self.data_dir.display());
        }
    }
}

/// One broker from scripts/kafka.sh.
pub(crate) struct Kafka {
    child: Child,
    port: u16,
    data_dir: PathBuf,
}

impl Kafka {
    pub(crate) async fn start() -> Self {
        let data_dir = scratch("kafka");
        let (port, controller) = (free_port(), free_port());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka.sh");
        let mut command = Command::new("bash");
        command.arg(script).arg("run").arg(&data_dir).arg(port.to_string()).arg(controller.to_string());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kafka.sh starts");
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self { child, port, data_dir }
    }

    pub(crate) fn stop(mut self) {
        terminate(&mut self.child);
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

/// An actix-web server whose handler only reads the body: what HTTP alone costs.
pub(crate) struct Noop {
    child: Child,
    address: String,
}

impl Noop {
    pub(crate) async fn start() -> Self {
        let port = free_port();
        let program = std::env::current_exe().expect("our own path");
        let child = Command::new(program)
            .env("BENCH_NOOP_PORT", port.to_string())
            .spawn()
            .expect("the no-op server starts");
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { child, address: format!("127.0.0.1:{port}") }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn cpu(&self) -> Cpu {
        Cpu { own: seconds_of_tree(self.child.id()), ..Cpu::default() }
    }
}

impl Drop for Noop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child process of [`Noop`].
pub(crate) fn serve_noop(port: u16) {
    use actix_web::{App, HttpResponse, HttpServer, web};
    let handler = |_body: web::Bytes| async { HttpResponse::Accepted().json(["ok"]) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = HttpServer::new(move || App::new().route("/public/ingest", web::post().to(handler)));
    runtime
        .block_on(async move { server.bind(("127.0.0.1", port)).expect("a free port").run().await })
        .expect("serves");
}

fn terminate(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let _ = child.wait();
}

fn scratch(name: &str) -> PathBuf {
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("log-ingestor-bench-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the data");
    folder
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
