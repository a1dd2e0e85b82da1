//! Finds the server programs: PATH, then `pg_config`, then the folders of the distributions.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::PrivatePostgresError;

/// Versions that the product is meant for.
const VERSIONS: std::ops::RangeInclusive<u32> = 13..=18;

/// A folder that holds `postgres` and `initdb` of one version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) version: u32,
}

impl Binaries {
    /// The version of an existing cluster, or else: what PATH says, or else the newest.
    pub(super) fn find(cluster: Option<u32>, data_dir: &Path) -> Result<Self, PrivatePostgresError> {
        let mut others = Vec::new();
        let mut found = BTreeMap::new();
        let mut preferred = None;
        for (dir, in_path) in candidates() {
            let Some(version) = version(&dir) else { continue };
            if !VERSIONS.contains(&version) {
                others.push(version.to_string());
                continue;
            }
            if in_path && preferred.is_none() {
                preferred = Some(version);
            }
            found.entry(version).or_insert(dir);
        }
        let take = |version: u32| found.get(&version).map(|dir| Self { dir: dir.clone(), version });
        let Some(newest) = found.keys().next_back().copied() else {
            let others = match others.as_slice() {
                [] => String::new(),
                _ => format!(" (found: {})", others.join(", ")),
            };
            return Err(PrivatePostgresError::NoServer(others));
        };
        match cluster {
            None => Ok(take(preferred.unwrap_or(newest)).expect("the version is one of those found")),
            Some(cluster) => take(cluster).ok_or_else(|| PrivatePostgresError::OtherVersion {
                data_dir: data_dir.display().to_string(),
                cluster,
                found: found.keys().map(u32::to_string).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// Folders to look into, and whether the user put them into PATH.
fn candidates() -> Vec<(PathBuf, bool)> {
    let mut dirs = Vec::new();
    for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        // A link such as /usr/local/bin/postgres leads to the folder with the rest.
        if let Some(dir) = dir.join("postgres").canonicalize().ok().as_deref().and_then(Path::parent) {
            dirs.push((dir.to_owned(), true));
        }
    }
    if let Some(dir) = output(Path::new("pg_config"), "--bindir") {
        dirs.push((PathBuf::from(dir.trim()), false));
    }
    for (root, prefix, below) in [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin")] {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
            dirs.push((entry.path().join(below), false));
        }
    }
    dirs
}

/// The major version, if both programs are there.
fn version(dir: &Path) -> Option<u32> {
    if !dir.join("initdb").exists() {
        return None;
    }
    parse(&output(&dir.join("postgres"), "--version")?)
}

fn output(program: &Path, argument: &str) -> Option<String> {
    let output =
        Command::new(program).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse(text: &str) -> Option<u32> {
    let number = text.strip_prefix("postgres (PostgreSQL) ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_texts() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("something else", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
