//! Real Postgres servers and databases. One server serves the whole run; each test gets a database cloned from a migrated template.

use std::{
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use tokio_postgres::{Client, NoTls, types::ToSql};

use super::run;

/// A server of our own on a loopback port.
pub struct Postgres {
    pub port: u16,
    folder: PathBuf,
    child: Child,
}

impl Postgres {
    /// The server of the run, started by the first test that asks, with the migrated database `template`. It runs without fsync:
    /// no test of it pulls the plug of the machine.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = Self::start();
            let url = server.url("template");
            let port = server.port;
            let migrate = async move {
                let admin = connect(port, "postgres").await;
                admin
                    .batch_execute("create database template")
                    .await
                    .expect("a fresh server has no template");
                let config = url.parse().expect("the URL is well-formed");
                log_ingestor::db::migrate(&config).await.expect("migrations run on a fresh database");
            };
            // A thread of its own, because the caller may already be inside a runtime.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be built");
            std::thread::spawn(move || runtime.block_on(migrate)).join().expect("the template is migrated");
            server
        })
    }

    /// Makes and starts a server of the caller's own.
    pub fn start() -> Self {
        let folder = run::fresh_folder("postgres");
        if let Some(user) = unprivileged() {
            chown(&folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may chown");
        }
        let data = folder.join("data");
        let made = as_user(Command::new(binaries().join("initdb")))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg("-D")
            .arg(&data)
            .stdin(Stdio::null())
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        for _ in 0..5 {
            let port = run::free_port();
            let child = launch(&folder, port);
            let mut server = Self { port, folder: folder.clone(), child };
            if server.wait_ready() {
                return server;
            }
        }
        panic!(
            "Postgres does not start: {}",
            std::fs::read_to_string(folder.join("log")).unwrap_or_default()
        );
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A crash of the whole server: SIGQUIT drops every connection and leaves recovery to the next start.
    pub fn crash(&mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGQUIT).expect("the server runs");
        self.child.wait().expect("the server is our child");
        run::ended(self.child.id());
    }

    /// Starts the crashed server again on the same port and data.
    pub fn start_again(&mut self) {
        self.child = launch(&self.folder, self.port);
        assert!(self.wait_ready(), "Postgres recovers");
    }

    /// Keeps a copy of the data of a server that is down.
    pub fn back_up(&self) {
        self.copy("data", "backup");
    }

    /// Puts the copy in the place of the data of a server that is down.
    pub fn restore(&self) {
        std::fs::remove_dir_all(self.folder.join("data")).expect("the folder is ours");
        self.copy("backup", "data");
    }

    fn copy(&self, from: &str, to: &str) {
        let copied =
            Command::new("cp").arg("-a").arg(self.folder.join(from)).arg(self.folder.join(to)).status();
        assert!(copied.expect("cp starts").success());
    }

    /// Lets the next start be that of a standby: it answers queries and takes no writes.
    pub fn become_standby(&self) {
        std::fs::write(self.folder.join("data/standby.signal"), "").expect("the folder is ours");
    }

    /// False if the process ended instead.
    fn wait_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait().expect("the server is our child").is_none() {
            let ready = Command::new(binaries().join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            if ready.is_ok_and(|status| status.success()) {
                return true;
            }
            assert!(Instant::now() < deadline, "Postgres is ready within 30 s");
            std::thread::sleep(Duration::from_millis(50));
        }
        run::ended(self.child.id());
        false
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.crash();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn launch(folder: &Path, port: u16) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"));
    let child = as_user(Command::new(binaries().join("postgres")))
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200"])
        .args(["-c", "shared_buffers=256MB", "-c", "max_wal_size=2GB"])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.expect("the log can be written"))
        .spawn()
        .expect("postgres starts");
    run::started(child.id());
    child
}

/// The folder of the newest server binaries on the machine.
fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let version = |folder: &PathBuf| -> Option<u32> {
            folder.parent()?.file_name()?.to_str()?.split('.').next()?.parse().ok()
        };
        let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let packaged = installed.map(|entry| entry.path().join("bin"));
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        packaged
            .filter(|folder| folder.join("initdb").exists())
            .max_by_key(version)
            .or_else(|| std::env::split_paths(&on_path).find(|folder| folder.join("initdb").exists()))
            .expect("Postgres server binaries are installed")
    })
}

/// As root, the user that the server runs as: it refuses to be root.
fn unprivileged() -> Option<User> {
    let known = |name: &str| User::from_name(name).ok().flatten();
    geteuid().is_root().then(|| known("postgres").or_else(|| known("nobody")).expect("nobody exists"))
}

fn as_user(mut command: Command) -> Command {
    if let Some(user) = unprivileged() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.current_dir("/");
    command
}

async fn connect(port: u16, database: &str) -> Client {
    connect_as("postgres", port, database).await
}

async fn connect_as(user: &str, port: u16, database: &str) -> Client {
    let text = format!("postgresql://{user}@127.0.0.1:{port}/{database}");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.expect("the test server answers");
    tokio::spawn(connection);
    client
}

/// A migrated database of one test; dropped with its last user.
pub struct Database {
    pub name: String,
    pub port: u16,
    /// Straight to the server, never through a proxy.
    pub sql: Client,
}

impl Database {
    /// On the shared server, cloned from the migrated template.
    pub async fn fresh() -> Arc<Self> {
        Self::cloned("template").await
    }

    /// On the shared server, without any table.
    pub async fn empty() -> Arc<Self> {
        Self::cloned("template1").await
    }

    async fn cloned(template: &str) -> Arc<Self> {
        let server = tokio::task::spawn_blocking(Postgres::shared).await.expect("the server starts");
        let name = run::unique("test").replace('-', "_");
        let admin = connect(server.port, "postgres").await;
        // Cloning is refused while another clone reads the template: one after the other.
        admin.batch_execute("select pg_advisory_lock(1)").await.expect("the lock is free in time");
        let create = format!("create database {name} template {template}");
        admin.batch_execute(&create).await.expect("the template can be cloned");
        Arc::new(Self { port: server.port, sql: connect(server.port, &name).await, name })
    }

    /// An empty database `name` on a server of the test's own.
    pub async fn on(server: &Postgres, name: &str) -> Arc<Self> {
        let admin = connect(server.port, "postgres").await;
        admin.batch_execute(&format!("create database {name}")).await.expect("the name is free");
        Arc::new(Self { port: server.port, sql: connect(server.port, name).await, name: name.to_owned() })
    }

    pub fn url(&self, port: u16) -> String {
        format!("postgresql://postgres@127.0.0.1:{port}/{}", self.name)
    }

    /// Another connection, for what the first cannot do (held transactions, a server that crashed in between).
    pub async fn connect(&self) -> Client {
        connect(self.port, &self.name).await
    }

    /// A connection of another user.
    pub async fn connect_as(&self, user: &str) -> Client {
        connect_as(user, self.port, &self.name).await
    }

    /// The number that a query of one row and one bigint column gives.
    pub async fn number(&self, query: &str) -> i64 {
        self.sql.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error}")).get(0)
    }

    pub async fn rows(&self) -> i64 {
        self.number("select count(*) from logs").await
    }

    pub async fn texts(&self, query: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<String> {
        let rows = self.sql.query(query, values).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        rows.iter().map(|row| row.get(0)).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The test's runtime is ending, so psql does it; a server that is gone took the database with it.
        let _ = Command::new(binaries().join("psql"))
            .args(["-q", "-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), "-d", "postgres"])
            .args(["-c", &format!("drop database if exists {} with (force)", self.name)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
