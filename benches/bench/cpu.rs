//! CPU seconds of a process and of all its children, those that have ended included.

use std::fs;

/// Ticks a second of /proc/*/stat; 100 on every Linux (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds by part of the product.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) own: f64,
    pub(crate) postgres: f64,
    pub(crate) kafka: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.own + self.postgres + self.kafka
    }
}

impl std::ops::Add for Cpu {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            own: self.own + more.own,
            postgres: self.postgres + more.postgres,
            kafka: self.kafka + more.kafka,
        }
    }
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            own: self.own - before.own,
            postgres: self.postgres - before.postgres,
            kafka: self.kafka - before.kafka,
        }
    }
}

/// Seconds of the process and its living and ended children.
pub(crate) fn seconds_of_tree(root: u32) -> f64 {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        if let Some(stat) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(stat) {
            all.push(stat);
        }
    }
    let mut tree = vec![root];
    let mut ticks = 0;
    let mut at = 0;
    while at < tree.len() {
        let pid = tree[at];
        ticks += all.iter().filter(|stat| stat.pid == pid).map(|stat| stat.ticks).sum::<u64>();
        tree.extend(all.iter().filter(|stat| stat.parent == pid).map(|stat| stat.pid));
        at += 1;
    }
    ticks as f64 / TICKS_PER_SECOND
}

struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
    // Fields from the third on (proc(5)): parent is the 4th; utime, stime, cutime, cstime are 14 to 17.
    let ticks = fields[11..15].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Stat { pid, parent: fields[1].parse().ok()?, ticks })
}
