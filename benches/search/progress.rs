//! Lines on stderr that say how far the run is, each with the time since its start.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Progress {
    started: Instant,
    last: Rc<Cell<Instant>>,
    speaks: bool,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { started: now, last: Rc::new(Cell::new(now)), speaks: true }
    }

    pub(crate) fn silent() -> Self {
        Self { speaks: false, ..Self::start() }
    }

    pub(crate) fn say(&self, text: &str) {
        if self.speaks {
            let seconds = self.started.elapsed().as_secs();
            eprintln!("[{:02}:{:02}] {text}", seconds / 60, seconds % 60);
        }
    }

    /// At most every ten seconds.
    pub(crate) fn now_and_then(&self, text: impl Fn() -> String) {
        if self.speaks && self.last.get().elapsed() >= PAUSE {
            self.last.set(Instant::now());
            self.say(&text());
        }
    }
}
