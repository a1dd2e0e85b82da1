//! The moment of an answer. In: a snapshot of Postgres, as it prints it. Out: the same as a part of a URL, and back. Two answers with the
//! same moment are of the same records, but for those that were deleted in between, whatever was stored since. Pure.
//!
//! `xmin:xmax:a,b` says: transactions before `xmin` had ended, those from `xmax` on had not begun, and of those in between a and b were
//! still running. A URL has `-` for `:` and `.` for `,`, which need no escapes there.

use std::{fmt, sync::Arc};

use super::params::Fault;

/// Bytes of a moment in a URL: some 700 transactions at once, each of which has a connection.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Transaction numbers are signed where they are compared.
const NUMBER_MAX: u64 = i64::MAX as u64;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AsOf {
    /// Every transaction before this one had ended.
    xmin: u64,
    /// This one had not begun, nor had any later one.
    xmax: u64,
    /// Those in between that were still running, in order.
    running: Arc<[u64]>,
}

impl AsOf {
    /// What stands in a URL; None for what [`AsOf`] does not write.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        Self::read(text, '-', '.')
    }

    /// What Postgres prints.
    pub fn from_pg(text: &str) -> Option<Self> {
        Self::read(text, ':', ',')
    }

    /// As Postgres reads it.
    pub fn pg(&self) -> String {
        self.write(':', ',')
    }

    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    pub fn running(&self) -> &[u64] {
        &self.running
    }

    /// Whether it is still to come at `present`; or it is of another store.
    pub fn is_after(&self, present: &Self) -> bool {
        self.xmax > present.xmax
    }

    /// The same moment, if no transaction from `xmax` on had been committed by then.
    pub fn before(&self, xmax: u64) -> Self {
        let running = self.running.iter().copied().filter(|running| *running < xmax).collect();
        Self { xmin: self.xmin.min(xmax), xmax: self.xmax.min(xmax), running }
    }

    fn read(text: &str, colon: char, comma: char) -> Option<Self> {
        let mut parts = text.split(colon);
        let (xmin, xmax) = (number(parts.next()?)?, number(parts.next()?)?);
        let running = match parts.next()? {
            "" => Arc::from([]),
            running => running.split(comma).map(number).collect::<Option<Arc<[u64]>>>()?,
        };
        let is_in_order = running.is_sorted_by(|one, next| one < next);
        let is_within = running.iter().all(|running| (xmin..xmax).contains(running));
        let is_whole = parts.next().is_none() && 0 < xmin && xmin <= xmax && is_in_order && is_within;
        is_whole.then_some(Self { xmin, xmax, running })
    }

    fn write(&self, colon: char, comma: char) -> String {
        let running: Vec<String> = self.running.iter().map(u64::to_string).collect();
        format!("{}{colon}{}{colon}{}", self.xmin, self.xmax, running.join(&comma.to_string()))
    }
}

/// What a row must meet to be part of an answer that was given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBefore {
    pub as_of: AsOf,
    /// The first transaction of which the present snapshot sees nothing.
    pub now: u64,
}

impl StoredBefore {
    /// A moment that is still to come is not of this store.
    pub fn new(as_of: &AsOf, present: &AsOf) -> Result<Self, Fault> {
        if as_of.is_after(present) {
            return Err(Fault::new("asOf", "is no moment of this store; ask again without it"));
        }
        Ok(Self { as_of: as_of.clone(), now: present.xmax })
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write('-', '.'))
    }
}

impl serde::Serialize for AsOf {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Digits as they are written: no sign, no zero in front.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|number| is_plain && *number <= NUMBER_MAX)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::{collection::btree_set, prelude::*};

    pub fn an_as_of() -> impl Strategy<Value = AsOf> {
        let bounds = (1..NUMBER_MAX).prop_flat_map(|xmin| (Just(xmin), xmin..=NUMBER_MAX));
        let running = btree_set(0_u64..1_000, 0..20);
        (bounds, running).prop_map(|((xmin, xmax), running)| {
            let running =
                running.into_iter().filter_map(|more| xmin.checked_add(more)).filter(|number| *number < xmax);
            AsOf { xmin, xmax, running: running.collect() }
        })
    }

    proptest! {
        #[test]
        fn comes_back(as_of in an_as_of()) {
            prop_assert_eq!(AsOf::parse(&as_of.to_string()), Some(as_of.clone()));
            prop_assert_eq!(AsOf::from_pg(&as_of.pg()), Some(as_of));
        }

        #[test]
        fn foreign_text_is_refused_or_means_itself(text in "[0-9]{1,3}-[0-9]{0,4}-[0-9.:é-]{0,12}") {
            if let Some(as_of) = AsOf::parse(&text) {
                prop_assert_eq!(as_of.to_string(), text);
            }
        }
    }

    #[test]
    fn only_what_postgres_would_read() {
        for (text, pg) in [
            ("1234-1240-1235.1237", Some("1234:1240:1235,1237")),
            ("7-7-", Some("7:7:")),
            ("7-7", None),
            ("7-7--", None),
            ("8-7-", None),
            ("0-7-", None),
            ("07-7-", None),
            ("+7-7-", None),
            ("1-9-9", None),
            ("2-9-1", None),
            ("1-9-3.2", None),
            ("1-9-3.3", None),
            ("1-9-3.", None),
            ("1:9:3", None),
            ("1-99999999999999999999-", None),
            ("1-9223372036854775808-", None),
            ("", None),
        ] {
            assert_eq!(AsOf::parse(text).map(|as_of| as_of.pg()).as_deref(), pg, "{text}");
        }
        let (then, now) = (AsOf::parse("7-7-").unwrap(), AsOf::parse("7-9-8").unwrap());
        for (xmax, text) in [(10, "7-9-8"), (9, "7-9-8"), (8, "7-8-"), (7, "7-7-"), (5, "5-5-")] {
            assert_eq!(now.before(xmax).to_string(), text);
        }
        assert_eq!(StoredBefore::new(&now, &then).unwrap_err().field, "asOf");
        assert_eq!(StoredBefore::new(&then, &now), Ok(StoredBefore { as_of: then, now: 9 }));
        let long = format!(
            "1-9999999-{}",
            (1_000_000..1_002_000).map(|n| n.to_string()).collect::<Vec<_>>().join(".")
        );
        assert_eq!(AsOf::parse(&long), None);
    }
}
