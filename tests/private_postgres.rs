//! The private Postgres for real: data survives, a second instance is refused, kills are survived, root and ordinary users both work.

// A test that cannot go on may panic where it stands, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use log_ingestor::private_postgres::{PrivatePostgres, PrivatePostgresError};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use tokio_postgres::{Client, NoTls};

const PRODUCT: &str = env!("CARGO_BIN_EXE_log-ingestor");

/// A folder that is removed at the end.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("log-ingestor-test-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn connect(server: &PrivatePostgres) -> Client {
    let (client, connection) = server.config().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

fn postmaster_pid(data_dir: &Path) -> Pid {
    let text = fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap();
    Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
}

fn alive(pid: Pid) -> bool {
    // A zombie waiting for a parent outside this test counts as ended.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn data_survives_a_restart() {
    let dir = TempDir::new("restart");
    let server = PrivatePostgres::start(&dir.0).await.unwrap();
    let client = connect(&server).await;
    client.batch_execute("create table t (x text); insert into t values ('kept')").await.unwrap();
    assert_eq!(text(&client, "show fsync").await, "on");
    assert_eq!(text(&client, "show synchronous_commit").await, "on");
    assert_eq!(text(&client, "show listen_addresses").await, "");
    assert_eq!(text(&client, "show server_encoding").await, "UTF8");
    assert_eq!(text(&client, "show data_checksums").await, "on");
    let pid = postmaster_pid(&dir.0);

    // A second instance is refused and does not disturb the first.
    let second = PrivatePostgres::start(&dir.0).await;
    assert!(matches!(second, Err(PrivatePostgresError::InUse(_))));
    assert_eq!(text(&client, "select x from t").await, "kept");

    drop(client);
    server.stop().await;
    assert!(!alive(pid), "the server is still there");

    // What an initdb that was killed leaves behind is cleared away.
    fs::create_dir(dir.0.join("postgres.tmp.1")).unwrap();
    let server = PrivatePostgres::start(&dir.0).await.unwrap();
    assert_eq!(text(&connect(&server).await, "select x from t").await, "kept");
    assert!(!dir.0.join("postgres.tmp.1").exists());
    server.stop().await;
}

#[tokio::test]
async fn a_killed_server_is_started_again() {
    let dir = TempDir::new("killed");
    let server = PrivatePostgres::start(&dir.0).await.unwrap();
    let client = connect(&server).await;
    client.batch_execute("create table t (x text); insert into t values ('kept')").await.unwrap();
    kill(postmaster_pid(&dir.0), Signal::SIGKILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let client = loop {
        assert!(Instant::now() < deadline, "the server did not come back");
        if let Ok((client, connection)) = server.config().connect(NoTls).await {
            tokio::spawn(connection);
            break client;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(text(&client, "select x from t").await, "kept");
    server.stop().await;
}

#[tokio::test]
async fn wrong_folders_are_named() {
    let dir = TempDir::new("wrong");
    fs::create_dir(dir.0.join("postgres")).unwrap();
    fs::write(dir.0.join("postgres/PG_VERSION"), "9.6\n").unwrap();
    if let Some(postgres) = geteuid().is_root().then(|| User::from_name("postgres").unwrap()).flatten() {
        chown(dir.0.join("postgres"), Some(postgres.uid.as_raw()), Some(postgres.gid.as_raw())).unwrap();
    }
    let error = PrivatePostgres::start(&dir.0).await.err().unwrap().to_string();
    assert!(error.contains("cluster of Postgres 9"), "{error}");

    fs::remove_file(dir.0.join("postgres/PG_VERSION")).unwrap();
    fs::write(dir.0.join("postgres/letter.txt"), "dear diary").unwrap();
    let error = PrivatePostgres::start(&dir.0).await.err().unwrap().to_string();
    assert!(error.contains("not a Postgres cluster"), "{error}");
    assert!(dir.0.join("postgres/letter.txt").exists());

    if geteuid().is_root() {
        let closed = dir.0.join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let error = PrivatePostgres::start(&closed.join("data")).await.err().unwrap().to_string();
        assert!(error.contains("set DATA_DIR"), "{error}");
    }
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket() {
    let dir = TempDir::new("long");
    let data_dir = dir.0.join("folder".repeat(20));
    let server = PrivatePostgres::start(&data_dir).await.unwrap();
    assert_eq!(text(&connect(&server).await, "select 'ok'").await, "ok");
    let socket_dir = PathBuf::from(server.psql().split('\'').nth(1).unwrap());
    assert!(!socket_dir.starts_with(&dir.0));
    server.stop().await;
    fs::remove_dir_all(socket_dir).unwrap();
}

/// Our process is killed with -9: its server lives on, and the next start takes the folder over.
#[tokio::test]
async fn a_leftover_server_is_replaced() {
    let dir = TempDir::new("leftover");
    let mut holder = holder(Path::new(PRODUCT), &dir.0, None);
    let leftover = postmaster_pid(&dir.0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(alive(leftover));

    let server = PrivatePostgres::start(&dir.0).await.unwrap();
    assert_ne!(postmaster_pid(&dir.0), leftover);
    assert!(!alive(leftover));
    assert_eq!(text(&connect(&server).await, "select name from tenants").await, "default");
    server.stop().await;
}

/// An ordinary user's cluster stays that user's, even if root starts it later.
#[tokio::test]
async fn an_ordinary_user_can_start_it() {
    let Some(user) = geteuid().is_root().then(|| User::from_name("nobody").unwrap()).flatten() else {
        return; // an ordinary user runs all of these tests anyway
    };
    let dir = TempDir::new("ordinary");
    // The build folder may be closed to others.
    let program = dir.0.join("holder");
    fs::copy(PRODUCT, &program).unwrap();
    let data_dir = dir.0.join("data");
    fs::create_dir(&data_dir).unwrap();
    chown(&data_dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    let mut holder = holder(&program, &data_dir, Some(&user));
    kill(Pid::from_raw(holder.id() as i32), Signal::SIGTERM).unwrap();
    assert!(holder.wait().unwrap().success());

    let server = PrivatePostgres::start(&data_dir).await.unwrap();
    assert_eq!(text(&connect(&server).await, "select name from tenants").await, "default");
    server.stop().await;
}

/// Runs the product in a process of its own and waits until it serves; its migrations are the data that must survive.
fn holder(program: &Path, data_dir: &Path, user: Option<&User>) -> Child {
    let mut command = Command::new(program);
    command.env("DATA_DIR", data_dir).env("LISTEN", "127.0.0.1:0").current_dir("/").stdout(Stdio::piped());
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("listening on")), "the holder did not start");
    // Reads on, or the holder would die of a closed pipe.
    std::thread::spawn(move || lines.for_each(drop));
    child
}
