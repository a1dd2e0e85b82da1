//! The test run as a whole: its temp folder, its guard against leftovers, free ports, and waiting for conditions.
//!
//! The guard is a small shell that reads the names of process groups from us. When this process ends, for whatever reason, its
//! standard input closes: it kills what is left, stops every Postgres below the folder and removes the folder.

use std::{
    io::Write,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

const GUARD: &str = r#"
trap '' INT TERM HUP
groups=' '
while read -r verb group; do
  case $verb in
    started) groups="$groups$group " ;;
    ended) groups=$(printf '%s' "$groups" | sed "s/ $group / /") ;;
  esac
done
for group in $groups; do kill -KILL -- "-$group"; done
servers() { find "$0" -name postmaster.pid; }
for file in $(servers); do kill -QUIT "$(head -n 1 "$file")"; done
tries=0
while [ -n "$(servers)" ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$0"
"#;

struct Run {
    folder: PathBuf,
    /// Never waited for: it outlives this process.
    guard: Mutex<Child>,
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("log-ingestor-it-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("the temp folder can be written");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("the folder is ours");
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        Run { folder, guard: Mutex::new(guard) }
    })
}

/// A new empty folder below the folder of the run.
pub fn fresh_folder(kind: &str) -> PathBuf {
    let folder = run().folder.join(unique(kind));
    std::fs::create_dir(&folder).expect("the folder of the run can be written");
    folder
}

/// A name that no other test of the run uses.
pub fn unique(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{kind}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Tells the guard that the process group exists.
pub fn started(group: u32) {
    tell("started", group);
}

/// Tells the guard that the process group is gone, so that it never kills a stranger of the same number.
pub fn ended(group: u32) {
    tell("ended", group);
}

fn tell(verb: &str, group: u32) {
    let mut guard = run().guard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let told = writeln!(guard.stdin.as_mut().expect("stdin is piped"), "{verb} {group}");
    told.expect("the guard lives");
}

/// A loopback port that is free now; the starter tries again with another if somebody was faster.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Asks again and again until the answer is there; panics with `what` when the time is over.
pub async fn eventually<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
