//! Reads what the patterns take beside the parameters of a search. In: decoded pairs. Out: an [`Asked`], or the [`Fault`] that names the
//! parameter. The place of a cursor means nothing here, so that a page can send its own address. Pure.

use super::since::Since;
use crate::{
    record::Timestamp,
    search::params::{self, Fault, Query, switch, take_one},
};

/// Bytes of a commit, and a star behind it.
const SINCE_BYTES_MAX: usize = 258;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `limit` is how many patterns are listed.
    pub query: Query,
    pub since: Option<Since>,
    pub shows: Shows,
    pub order: Order,
}

/// Which patterns are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    All,
    /// Those that are new since the commit or the moment.
    New,
}

/// What stands first; what is new always stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Count,
    /// What was seen last for the first time.
    First,
}

impl Asked {
    pub fn read(mut pairs: Vec<(String, String)>, now: Timestamp) -> Result<Self, Fault> {
        let since = take_one(&mut pairs, "since")?.map(|text| read_since(text.trim())).transpose()?;
        let shows = match take_one(&mut pairs, "new")?.map_or(Ok(false), |value| switch("new", &value))? {
            false => Shows::All,
            true if since.is_some() => Shows::New,
            true => return Err(Fault::new("new", "`since` says since when: a commit, or a time")),
        };
        let order = match take_one(&mut pairs, "sort")?.as_deref() {
            None | Some("count") => Order::Count,
            Some("first") => Order::First,
            Some(other) => return Err(Fault::needed("sort", "count or first", other)),
        };
        Ok(Self { query: params::read(&pairs, now)?, since, shows, order })
    }

    /// The canonical parameters of what is asked for.
    pub fn params(&self) -> Vec<(String, String)> {
        let mut params = self.query.params();
        let mut add = |name: &str, value: &str| params.push((name.to_owned(), value.to_owned()));
        if let Some(since) = &self.since {
            add("since", &since.0);
        }
        if self.shows == Shows::New {
            add("new", "1");
        }
        if self.order == Order::First {
            add("sort", "first");
        }
        params
    }
}

fn read_since(text: &str) -> Result<Since, Fault> {
    if text.is_empty() || text.len() > SINCE_BYTES_MAX || text.contains('\0') {
        let error = format!(
            "a commit, a time or an age of 1 to {SINCE_BYTES_MAX} bytes without U+0000 is needed, got {}",
            text.len()
        );
        return Err(Fault::new("since", error));
    }
    Ok(Since(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Asked, Fault> {
        Asked::read(params::decode(text).unwrap(), Timestamp(1_800_000_000_000_000))
    }

    #[test]
    fn each_fault_names_its_field() {
        let long = format!("since={}", "x".repeat(SINCE_BYTES_MAX + 1));
        for (text, field) in [
            ("", ""),
            ("since=&new=&sort=", ""),
            ("q=level:error&since=5e5342f&new=1&sort=first&limit=7", ""),
            ("since=24h&new=0&sort=count", ""),
            ("new=1", "new"),
            ("since=a&new=yes", "new"),
            ("sort=name", "sort"),
            ("since=a&since=b", "since"),
            ("since=+", "since"),
            ("since=a%00", "since"),
            ("bucket=1h", "bucket"),
            ("limit=0", "limit"),
            (&long, "since"),
        ] {
            assert_eq!(read(text).err().map_or(String::new(), |fault| fault.field), field, "{text}");
        }
    }

    #[test]
    fn what_was_asked_is_an_address_again() {
        for text in ["?level=error&limit=7&since=a%26b*&new=1&sort=first", "?from=24h&since=2h", ""] {
            let asked = read(text.trim_start_matches('?')).unwrap();
            let params = asked.params();
            assert_eq!(
                params::encode(params.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
                text
            );
        }
    }
}
