//! A Postgres of our own, so that this binary and an installed server package are a complete product. In: a data folder. Out: a server
//! on a unix socket, ready for connections, restarted if it dies, stopped with the process. One process per data folder (a file
//! lock says so); the server never runs as root, listens on no port, and keeps fsync on.

mod binaries;
mod cluster;
mod identity;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{NoTls, error::SqlState};

use binaries::Binaries;
use identity::RunAs;

const USER: &str = "log_ingestor";
const DATABASE: &str = "logs";
/// What `DATA_DIR` is when nobody set it.
const DATA_DIR_DEFAULT: &str = "./data";
/// Where the data goes instead when root's clone is closed to the unprivileged user.
const DATA_DIR_SYSTEM: &str = "/var/lib/log-ingestor";
/// Until the server takes a connection at all, even to say that it is recovering.
const START_WAIT_MAX: Duration = Duration::from_secs(60);
/// Crash recovery replays up to `max_wal_size` (4 GB): 1-2 minutes on a disk, more on a bad one.
const RECOVERY_WAIT_MAX: Duration = Duration::from_secs(900);
/// A fast shutdown writes the dirty buffers; the process as a whole has 30 s.
const STOP_WAIT_MAX: Duration = Duration::from_secs(8);
/// How long a parent may take to notice that its child is dead.
const DEAD_WAIT_MAX: Duration = Duration::from_secs(5);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// The server's log is emptied at a start beyond this size.
const LOG_BYTES_MAX: u64 = 10 << 20;

/// Why the private server cannot run; each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    #[error(
        "no Postgres server (versions 13 to 18) was found in PATH or /usr/lib/postgresql: install the package `postgresql` \
         (Debian, Ubuntu: apt install postgresql), or set DATABASE_URL{0}"
    )]
    NoServer(String),
    #[error(
        "{data_dir} holds a cluster of Postgres {cluster}, but only {found} is installed: install postgresql-{cluster}, or upgrade the \
         cluster with pg_upgrade"
    )]
    OtherVersion { data_dir: String, cluster: u32, found: String },
    #[error("{0} is in use by another Log Ingestor; stop that one or set another DATA_DIR")]
    InUse(String),
    #[error(
        "Postgres refuses to run as root, and the user `{user}`, who would run it, cannot enter {data_dir}: set DATA_DIR to a folder \
         whose parents are open to all (for example {DATA_DIR_SYSTEM}), or set DATABASE_URL"
    )]
    Unreachable { data_dir: String, user: String },
    #[error(
        "Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it: run as an ordinary user"
    )]
    NoUser,
    #[error("{path} belongs to another user: run as that user or as root, or set another DATA_DIR")]
    Foreign { path: String },
    #[error("{0} is not empty and not a Postgres cluster: move it away or set another DATA_DIR")]
    NotACluster(String),
    #[error("{what}: {detail}")]
    Failed { what: String, detail: String },
}

/// Names the file or command in an I/O error.
fn failed(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> PrivatePostgresError {
    move |error| PrivatePostgresError::Failed { what: what.to_string(), detail: error.to_string() }
}

/// A running server; dropping it stops the server without waiting.
pub struct PrivatePostgres {
    socket_dir: PathBuf,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
    // Held until the server is down: the lock is free when nobody writes below the folder.
    _lock: File,
}

impl PrivatePostgres {
    /// Makes the cluster if there is none, starts it, and returns when it takes connections and the database exists.
    pub async fn start(data_dir: &Path) -> Result<Self, PrivatePostgresError> {
        let (data_dir, run_as) = reachable(data_dir)?;
        let lock = lock(&data_dir)?;
        let pgdata = data_dir.join("postgres");
        let binaries = Binaries::find(cluster::version(&pgdata)?, &data_dir)?;
        stop_leftover(&pgdata).await?;
        cluster::create_if_missing(&binaries, &data_dir, run_as).await?;
        let socket_dir = cluster::socket_dir(&data_dir, run_as)?;
        let launch = Launch {
            arguments: cluster::arguments(&binaries, &pgdata, &socket_dir, run_as).await,
            binary: binaries.dir.join("postgres"),
            log_path: data_dir.join("postgres.log"),
            run_as,
        };
        let postmaster = launch.until_ready(&socket_dir).await?;
        let (stop, stopped) = oneshot::channel();
        let supervisor = tokio::spawn(supervise(postmaster, launch, stopped));
        let server = Self { socket_dir, stop, supervisor, _lock: lock };
        server.create_database().await.map_err(|error| PrivatePostgresError::Failed {
            what: format!("create database {DATABASE}"),
            detail: error.to_string(),
        })?;
        Ok(server)
    }

    /// How to connect: unix socket, own user, database `logs`.
    pub fn config(&self) -> tokio_postgres::Config {
        connection(&self.socket_dir, DATABASE)
    }

    /// The command line that opens the database in a terminal.
    pub fn psql(&self) -> String {
        format!("psql -h '{}' -U {USER} {DATABASE}", self.socket_dir.display())
    }

    /// Stops the server: open transactions are rolled back, committed ones are on disk. Takes up to 10 s.
    pub async fn stop(self) {
        // An error means the supervisor is gone already, and with it the server.
        let _ = self.stop.send(());
        if let Err(error) = self.supervisor.await {
            log::error!("private Postgres: {error}");
        }
    }

    async fn create_database(&self) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = connection(&self.socket_dir, "postgres").connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let found = client.query_opt("select 1 from pg_database where datname = $1", &[&DATABASE]).await?;
        if found.is_none() {
            client.batch_execute(&format!("create database {DATABASE}")).await?;
        }
        drop(client);
        let _ = connection.await;
        Ok(())
    }
}

fn connection(socket_dir: &Path, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host_path(socket_dir).user(USER).dbname(database).application_name("log-ingestor");
    config
}

/// The folder, made if missing, absolute, and who will run the server in it.
fn reachable(wanted: &Path) -> Result<(PathBuf, Option<RunAs>), PrivatePostgresError> {
    let open = |path: &Path| {
        std::fs::create_dir_all(path).map_err(failed(path.display()))?;
        let path = path.canonicalize().map_err(failed(path.display()))?;
        let run_as = RunAs::choose(&path.join("postgres"))?;
        Ok::<_, PrivatePostgresError>((path, run_as))
    };
    let (data_dir, run_as) = open(wanted)?;
    let Some(user) = run_as.filter(|user| !user.can_enter(&data_dir)) else { return Ok((data_dir, run_as)) };
    if wanted != Path::new(DATA_DIR_DEFAULT) {
        let data_dir = data_dir.display().to_string();
        return Err(PrivatePostgresError::Unreachable { data_dir, user: user.name() });
    }
    // Removes the folder only if it is empty, that is, made above.
    let _ = std::fs::remove_dir(&data_dir);
    log::info!(
        "data in {DATA_DIR_SYSTEM}: the user `{}`, who runs Postgres, cannot enter {}",
        user.name(),
        data_dir.display()
    );
    open(Path::new(DATA_DIR_SYSTEM))
}

fn lock(data_dir: &Path) -> Result<File, PrivatePostgresError> {
    let path = data_dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(failed(path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PrivatePostgresError::InUse(data_dir.display().to_string())),
        Err(TryLockError::Error(error)) => Err(failed(path.display())(error)),
    }
}

/// After a kill -9 of our process its server lives on. The lock is ours, so nobody needs it: stop it, then start afresh under
/// supervision. A process id that was given to another program meanwhile is recognised by its working folder.
async fn stop_leftover(pgdata: &Path) -> Result<(), PrivatePostgresError> {
    let Ok(text) = std::fs::read_to_string(pgdata.join("postmaster.pid")) else { return Ok(()) };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else {
        return Ok(());
    };
    let cwd = PathBuf::from(format!("/proc/{pid}/cwd"));
    let runs = || std::fs::read_link(&cwd).is_ok_and(|dir| dir == pgdata);
    let signals: &[_] = match runs() {
        true => &[(Signal::SIGINT, STOP_WAIT_MAX), (Signal::SIGQUIT, Duration::from_secs(2))],
        false => &[],
    };
    if !signals.is_empty() {
        log::warn!("a Postgres left over from an earlier run (process {pid}) is stopped first");
    }
    for &(signal, wait) in signals {
        let _ = kill(Pid::from_raw(pid), signal);
        let deadline = Instant::now() + wait;
        while runs() && Instant::now() < deadline {
            sleep(POLL_EVERY).await;
        }
    }
    if runs() {
        let what = format!("Postgres left over (process {pid})");
        return Err(PrivatePostgresError::Failed { what, detail: "does not stop".into() });
    }
    // One that was killed a moment ago is listed until its parent takes notice, and the new server would take it for alive.
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_dead = || stat().rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    let deadline = Instant::now() + DEAD_WAIT_MAX;
    while is_dead() && Instant::now() < deadline {
        sleep(POLL_EVERY).await;
    }
    Ok(())
}

/// Everything needed to start the server, again and again.
struct Launch {
    binary: PathBuf,
    arguments: Vec<String>,
    log_path: PathBuf,
    run_as: Option<RunAs>,
}

impl Launch {
    fn spawn(&self) -> io::Result<Postmaster> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log_path)?;
        if log.metadata()?.len() > LOG_BYTES_MAX {
            log.set_len(0)?;
        }
        let mut command = unprivileged(&self.binary, self.run_as);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Postmaster(command.spawn()?))
    }

    /// Starts and waits for a first connection; an exit meanwhile is an error that quotes the server's log.
    async fn until_ready(&self, socket_dir: &Path) -> Result<Postmaster, PrivatePostgresError> {
        let began = Instant::now();
        let mut deadline = began + START_WAIT_MAX;
        let mut recovering = false;
        let mut postmaster = self.spawn().map_err(failed(self.binary.display()))?;
        loop {
            if let Some(status) = postmaster.0.try_wait().map_err(failed("postgres"))? {
                let detail = self.log_tail();
                // Backends of a server that was killed need a moment to notice.
                if !detail.contains("pre-existing shared memory block") || Instant::now() > deadline {
                    return Err(PrivatePostgresError::Failed {
                        what: format!("postgres ended ({status})"),
                        detail,
                    });
                }
                sleep(4 * POLL_EVERY).await;
                postmaster = self.spawn().map_err(failed(self.binary.display()))?;
            }
            match connection(socket_dir, "postgres")
                .connect_timeout(Duration::from_secs(5))
                .connect(NoTls)
                .await
            {
                Ok(_) => return Ok(postmaster),
                Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => {
                    if !recovering && began.elapsed() > Duration::from_secs(2) {
                        log::info!("Postgres recovers from an unclean end; this can take minutes");
                        recovering = true;
                        deadline = began + RECOVERY_WAIT_MAX;
                    }
                }
                Err(error) if Instant::now() > deadline => {
                    let what = format!("Postgres takes no connections after {:?}", began.elapsed());
                    let detail = format!("{error}\n{}", self.log_tail());
                    return Err(PrivatePostgresError::Failed { what, detail });
                }
                Err(_) => {}
            }
            sleep(POLL_EVERY).await;
        }
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log_path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        format!("{}\n(see {})", lines[lines.len().saturating_sub(8)..].join("\n"), self.log_path.display())
    }
}

/// The server process; dropping it asks for a fast shutdown, so an aborted start leaves nothing behind.
struct Postmaster(Child);

impl Postmaster {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    async fn stop(&mut self) {
        for (signal, wait) in [
            (Signal::SIGINT, STOP_WAIT_MAX),
            (Signal::SIGQUIT, Duration::from_secs(3)),
            (Signal::SIGKILL, Duration::from_secs(2)),
        ] {
            self.signal(signal);
            if timeout(wait, self.0.wait()).await.is_ok() {
                return;
            }
            log::warn!("Postgres does not react to {signal}");
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}

/// Restarts a server that dies (killed for memory, say) until told to stop.
async fn supervise(mut postmaster: Postmaster, launch: Launch, mut stopped: oneshot::Receiver<()>) {
    let mut pause = Duration::from_millis(100);
    loop {
        let began = Instant::now();
        tokio::select! {
            // Also when the handle was dropped without stop().
            _ = &mut stopped => return postmaster.stop().await,
            status = postmaster.0.wait() => match status {
                Ok(status) => log::error!("Postgres ended ({status}) and is started again"),
                Err(error) => log::error!("Postgres: {error}"),
            },
        }
        // A server that ran for a while starts at once; one that fails at each start is tried every few seconds.
        pause =
            if began.elapsed() > Duration::from_secs(10) { Duration::from_millis(100) } else { pause * 2 };
        pause = pause.min(Duration::from_secs(5));
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                () = sleep(pause) => {}
            }
            match launch.spawn() {
                Ok(started) => break postmaster = started,
                Err(error) => log::error!("{}: {error}", launch.binary.display()),
            }
        }
    }
}

/// Memory that glibc keeps for the next COPY, in bytes. As it is, each COPY gives back what it took, and asks for it again page by page, which was a
/// seventh of what Postgres does while rows come in.
const KEPT_BYTES: &str = "67108864";

/// A server program under the right user. Its own process group: a Ctrl-C in the terminal must reach us alone, or Postgres would be gone
/// before the last batch is flushed.
fn unprivileged(binary: &Path, run_as: Option<RunAs>) -> Command {
    let mut command = Command::new(binary);
    command.current_dir("/").process_group(0).env("LC_ALL", "C");
    for name in ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"] {
        command.env(name, KEPT_BYTES);
    }
    for name in ["PGDATA", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS", "PGSYSCONFDIR", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    if let Some(run_as) = run_as {
        command.uid(run_as.uid).gid(run_as.gid);
    }
    command
}
