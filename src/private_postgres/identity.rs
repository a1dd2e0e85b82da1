//! Who runs the server: we ourselves, or, when we are root (whom Postgres refuses), an unprivileged user.

use std::{
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use nix::unistd::{Uid, User, geteuid};

use super::{PrivatePostgresError, failed};

/// The user to drop to.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunAs {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl RunAs {
    /// None: no change of user is needed. Root takes the cluster's owner, so a cluster made by an ordinary user stays that user's.
    pub(super) fn choose(pgdata: &Path) -> Result<Option<Self>, PrivatePostgresError> {
        let owner = std::fs::metadata(pgdata).ok();
        if !geteuid().is_root() {
            return match owner {
                Some(owner) if owner.uid() != geteuid().as_raw() => {
                    Err(PrivatePostgresError::Foreign { path: pgdata.display().to_string() })
                }
                _ => Ok(None),
            };
        }
        if let Some(owner) = owner.filter(|owner| owner.uid() != 0) {
            return Ok(Some(Self { uid: owner.uid(), gid: owner.gid() }));
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .filter(|user| !user.uid.is_root())
            .map(|user| Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
            .ok_or(PrivatePostgresError::NoUser)
    }

    pub(super) fn name(self) -> String {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        user.map_or_else(|| self.uid.to_string(), |user| user.name)
    }

    /// Whether this user can reach the folder through all of its parents. The folder is entered after the change of user, so the
    /// system itself answers, access lists and all.
    pub(super) fn can_enter(self, dir: &Path) -> bool {
        Command::new("/bin/sh")
            .args(["-c", "exit 0"])
            .current_dir(dir)
            .uid(self.uid)
            .gid(self.gid)
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// Gives one folder of ours to the server's user.
pub(super) fn give(dir: &Path, run_as: Option<RunAs>) -> Result<(), PrivatePostgresError> {
    match run_as {
        Some(user) => chown(dir, Some(user.uid), Some(user.gid)).map_err(failed(dir.display())),
        None => Ok(()),
    }
}
