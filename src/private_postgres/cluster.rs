//! The cluster on disk: made once, whole or not at all, and the settings it is started with.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use nix::unistd::geteuid;

use super::{
    PrivatePostgresError, USER,
    binaries::Binaries,
    failed,
    identity::{RunAs, give},
    unprivileged,
};

const TMP_PREFIX: &str = "postgres.tmp";
/// The system allows 107 bytes for the path of a socket, `/.s.PGSQL.5432` takes 14.
const SOCKET_DIR_BYTES_MAX: usize = 86;

/// The major version of an existing cluster.
pub(super) fn version(pgdata: &Path) -> Result<Option<u32>, PrivatePostgresError> {
    let path = pgdata.join("PG_VERSION");
    if path.exists() {
        let text = fs::read_to_string(&path).map_err(failed(path.display()))?;
        let version = text.trim().split('.').next().and_then(|major| major.parse().ok());
        return match version {
            Some(version) => Ok(Some(version)),
            None => Err(PrivatePostgresError::NotACluster(pgdata.display().to_string())),
        };
    }
    if fs::read_dir(pgdata).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(PrivatePostgresError::NotACluster(pgdata.display().to_string()));
    }
    Ok(None)
}

/// initdb into a folder beside, then a rename: a run killed in the middle leaves nothing that looks like a cluster.
pub(super) async fn create_if_missing(
    binaries: &Binaries,
    data_dir: &Path,
    run_as: Option<RunAs>,
) -> Result<(), PrivatePostgresError> {
    let pgdata = data_dir.join("postgres");
    remove_unfinished(data_dir)?;
    if pgdata.join("PG_VERSION").exists() {
        return Ok(());
    }
    log::info!("making a Postgres {} cluster in {}", binaries.version, pgdata.display());
    // A name of its own for each run: an initdb that outlived a kill -9 must not write into ours.
    let tmp = data_dir.join(format!("{TMP_PREFIX}.{}", std::process::id()));
    let mut last = None;
    for locale in ["C.UTF-8", "C"] {
        let _ = fs::remove_dir_all(&tmp);
        fs::DirBuilder::new().mode(0o700).create(&tmp).map_err(failed(tmp.display()))?;
        give(&tmp, run_as)?;
        let output = initdb(binaries, &tmp, locale, run_as).await?;
        if output.status.success() {
            fs::rename(&tmp, &pgdata).map_err(failed(pgdata.display()))?;
            return File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(failed(data_dir.display()));
        }
        last = Some(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let _ = fs::remove_dir_all(&tmp);
    Err(PrivatePostgresError::Failed { what: "initdb".into(), detail: last.unwrap_or_default() })
}

async fn initdb(
    binaries: &Binaries,
    dir: &Path,
    locale: &str,
    run_as: Option<RunAs>,
) -> Result<Output, PrivatePostgresError> {
    let program = binaries.dir.join("initdb");
    unprivileged(&program, run_as)
        .args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--data-checksums"])
        .args([OsStr::new("--locale"), OsStr::new(locale), OsStr::new("--pgdata"), dir.as_os_str()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(failed(program.display()))
}

fn remove_unfinished(data_dir: &Path) -> Result<(), PrivatePostgresError> {
    for entry in fs::read_dir(data_dir).map_err(failed(data_dir.display()))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TMP_PREFIX) {
            fs::remove_dir_all(entry.path()).map_err(failed(entry.path().display()))?;
        }
    }
    Ok(())
}

/// The folder of the socket, open to the server's user alone: `trust` means that whoever reaches the socket is the owner. Under the
/// system's folder for temporary files, by a hash of the path, when the data folder's own path is too long for a socket.
pub(super) fn socket_dir(data_dir: &Path, run_as: Option<RunAs>) -> Result<PathBuf, PrivatePostgresError> {
    let mut dir = data_dir.join("socket");
    if dir.as_os_str().len() > SOCKET_DIR_BYTES_MAX {
        let hash = blake3::hash(data_dir.as_os_str().as_encoded_bytes()).to_hex();
        dir = std::env::temp_dir().join(format!("log-ingestor-{}", &hash[..16]));
    }
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => give(&dir, run_as)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            // Somebody else could have laid a trap under the folder for temporary files.
            let found = fs::symlink_metadata(&dir).map_err(failed(dir.display()))?;
            let uid = run_as.map_or(geteuid().as_raw(), |user| user.uid);
            if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
                return Err(PrivatePostgresError::Foreign { path: dir.display().to_string() });
            }
        }
        Err(error) => return Err(failed(dir.display())(error)),
    }
    Ok(dir)
}

/// Command line of the server. Settings stand here and not in postgresql.conf, so a new version of the product brings new ones;
/// fsync and synchronous_commit stay at their default, on.
pub(super) async fn arguments(
    binaries: &Binaries,
    pgdata: &Path,
    socket_dir: &Path,
    run_as: Option<RunAs>,
) -> Vec<String> {
    let lz4 = binaries.version >= 14 && has_lz4(binaries, pgdata, run_as).await;
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        // Quoted, since the setting is a list.
        format!("unix_socket_directories=\"{}\"", socket_dir.display()),
        format!("shared_buffers={}MB", shared_buffers_mb(memory_bytes())),
        // Few, spread checkpoints: each makes the next change of every page write the whole page to the WAL.
        "max_wal_size=4GB".to_owned(),
        "checkpoint_timeout=15min".to_owned(),
        // lz4 costs a fraction of pglz' CPU.
        format!("wal_compression={}", if lz4 && binaries.version >= 15 { "lz4" } else { "on" }),
        // Searches take milliseconds, compiling one takes longer.
        "jit=off".to_owned(),
        // Solid state disks.
        "random_page_cost=1.1".to_owned(),
        "max_connections=100".to_owned(),
        // A search over thousands of leaves locks each of them and its indexes.
        "max_locks_per_transaction=1024".to_owned(),
        "timezone=UTC".to_owned(),
        // The log holds happenings, never the text of statements or rows.
        "log_min_error_statement=panic".to_owned(),
        "log_error_verbosity=terse".to_owned(),
        "log_checkpoints=off".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ];
    if lz4 {
        settings.push("default_toast_compression=lz4".to_owned());
    }
    let mut arguments = vec!["-D".to_owned(), pgdata.display().to_string()];
    for setting in settings {
        arguments.extend(["-c".to_owned(), setting]);
    }
    arguments
}

/// Asks the server itself whether it was built with lz4.
async fn has_lz4(binaries: &Binaries, pgdata: &Path, run_as: Option<RunAs>) -> bool {
    unprivileged(&binaries.dir.join("postgres"), run_as)
        .args(["-C", "default_toast_compression", "-c", "default_toast_compression=lz4", "-D"])
        .arg(pgdata)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .is_ok_and(|status| status.success())
}

/// A quarter of the memory, between 128 MB and 8 GB: the rest serves the system's own cache and the product.
fn shared_buffers_mb(memory_bytes: u64) -> u64 {
    (memory_bytes / 4 / (1 << 20)).clamp(128, 8192)
}

/// Memory of the machine or of the container, whichever is less; 0 if unknown.
fn memory_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        kib.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let container =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let machine = machine.unwrap_or(0) * 1024;
    container.map_or(machine, |limit| limit.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_stay_in_bounds() {
        for (memory, expected) in
            [(0, 128), (1 << 30, 256), (4 << 30, 1024), (24 << 30, 6144), (64 << 30, 8192)]
        {
            assert_eq!(shared_buffers_mb(memory), expected);
        }
    }
}
