//! A byte budget: reserve before holding, give back by dropping. Never waits: a full budget is an answer (503), not a queue.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use prometheus_client::metrics::gauge::Gauge;

/// Bytes that may be held at once; a gauge shows what is.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    used: AtomicUsize,
    max: usize,
    gauge: Gauge<i64, AtomicI64>,
}

impl Budget {
    pub fn new(max: usize, gauge: Gauge<i64, AtomicI64>) -> Self {
        Self(Arc::new(Inner { used: AtomicUsize::new(0), max, gauge }))
    }

    /// Takes `bytes`, or nothing if fewer are left. One reservation larger than the whole budget is let through when it is alone.
    pub fn reserve(&self, bytes: usize) -> Option<Reservation> {
        self.take(bytes).then(|| Reservation { budget: self.clone(), bytes })
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| (used == 0 || used + bytes <= self.0.max).then_some(used + bytes);
        let taken = self.0.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok();
        if taken {
            self.0.gauge.inc_by(bytes as i64);
        }
        taken
    }
}

/// Bytes that are held; dropping gives them back.
pub struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    /// Grows to at least `bytes`; false if the budget is full.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let granted = more == 0 || self.budget.take(more);
        if granted {
            self.bytes += more;
        }
        granted
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.0.gauge.dec_by(self.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_means_no() {
        let gauge = Gauge::default();
        let budget = Budget::new(10, gauge.clone());
        let mut first = budget.reserve(6).unwrap();
        assert!(budget.reserve(5).is_none());
        assert!(first.grow_to(10));
        assert!(!first.grow_to(11));
        assert_eq!(gauge.get(), 10);
        drop(first);
        assert_eq!(gauge.get(), 0);
        assert!(budget.reserve(100).is_some());
    }
}
