//! Reads the query string. In: the text after `?`. Out: a [`Query`], or the [`Fault`] that names the parameter. Unknown parameters are
//! faults; an empty one counts as not given, because forms send empty fields. Pure; what is "now" is passed in.

mod fault;
mod pairs;

use std::time::Duration;

pub use self::{
    fault::{Columns, Fault},
    pairs::{canonical, decode, encode, from_json, switch, take, take_one},
};
use super::{
    as_of::AsOf,
    cursor::Cursor,
    expr::Expr,
    filter::{Bound, Filter, Match, Window},
    grammar,
};
use crate::record::{Level, Timestamp, rules::excerpt};

pub const LIMIT_DEFAULT: usize = 50;
pub const LIMIT_MAX: usize = 1_000;
/// Bytes of a message, and of metadata: nothing longer is stored.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Bytes of resourceId, traceId, spanId and commit: nothing longer is stored.
pub const ID_BYTES_MAX: usize = 256;
/// Bytes of a regex; compiling time grows with it.
pub const REGEX_BYTES_MAX: usize = 1_024;
pub const PATH_BYTES_MAX: usize = 1_024;
const METADATA_FILTERS_MAX: usize = 50;
/// The parameters of every search; those of `metadata.<path>` are beside them.
const KNOWN: [&str; 14] = [
    "q",
    "level",
    "message",
    "regex",
    "resourceId",
    "traceId",
    "spanId",
    "commit",
    "from",
    "to",
    "limit",
    "budget",
    "cursor",
    "asOf",
];

/// How long a search may be asked to take.
pub const BUDGET_MIN: Duration = Duration::from_millis(1);
pub const BUDGET_MAX: Duration = Duration::from_secs(10);

/// A search as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub filter: Filter,
    pub limit: usize,
    pub cursor: Option<Cursor>,
    /// Records stored after this moment are left out; see [`Query::as_of`].
    pub as_of: Option<AsOf>,
    /// What relative bounds count back from: the moment of the first page.
    pub asked_at: Timestamp,
    /// How long it may take; None for what is configured.
    pub budget: Option<Duration>,
    /// Whether the answer shows its statements.
    pub explains: bool,
}

impl Query {
    pub fn window(&self) -> Window {
        self.filter.window(self.asked_at)
    }

    /// The moment that was asked for, by the parameter or by a cursor.
    pub fn as_of(&self) -> Option<&AsOf> {
        self.as_of.as_ref().or_else(|| self.cursor.as_ref()?.as_of.as_ref())
    }

    /// The canonical parameters of this query's first page, as of now unless the moment was given by its parameter.
    pub fn params(&self) -> Vec<(String, String)> {
        let mut params = self.filter.params();
        if self.limit != LIMIT_DEFAULT {
            params.push(("limit".to_owned(), self.limit.to_string()));
        }
        params.extend(self.as_of.iter().map(|as_of| ("asOf".to_owned(), as_of.to_string())));
        params
    }
}

/// Reads decoded parameters.
pub fn read(pairs: &[(String, String)], now: Timestamp) -> Result<Query, Fault> {
    let mut filter = Filter::default();
    let mut limit = None;
    let mut cursor: Option<Cursor> = None;
    let mut as_of = None;
    let mut budget = None;
    for (name, value) in pairs {
        if value.is_empty() && (KNOWN.contains(&name.as_str()) || name.starts_with("metadata.")) {
            continue;
        }
        let value = value.as_str();
        if value.contains('\0') {
            return Err(Fault::new(name, "U+0000 cannot be stored, so it cannot be searched"));
        }
        match name.as_str() {
            "q" => once(&mut filter.q, name, grammar::parse(value)?)?,
            "level" => filter.levels.push(read_level(value)?),
            "message" => once(&mut filter.message, name, limited(name, value, TEXT_BYTES_MAX)?.to_owned())?,
            "regex" => once(&mut filter.regex, name, limited(name, value, REGEX_BYTES_MAX)?.to_owned())?,
            "resourceId" => once(&mut filter.resource_id, name, read_id(name, value)?)?,
            "traceId" => once(&mut filter.trace_id, name, read_id(name, value)?)?,
            "spanId" => once(&mut filter.span_id, name, read_id(name, value)?)?,
            "commit" => once(&mut filter.commit, name, read_id(name, value)?)?,
            "from" => once(&mut filter.from, name, read_bound(name, value)?)?,
            "to" => once(&mut filter.to, name, read_bound(name, value)?)?,
            "limit" => once(&mut limit, name, read_limit(value)?)?,
            "budget" => once(&mut budget, name, read_budget(value)?)?,
            "cursor" => once(&mut cursor, name, read_cursor(value)?)?,
            "asOf" => once(&mut as_of, name, read_as_of(value)?)?,
            _ => match name.strip_prefix("metadata.") {
                Some(path) => filter.metadata.push(read_metadata(name, path, value)?),
                None => return Err(Fault::unknown_field(name, &KNOWN)),
            },
        }
    }
    if filter.metadata.len() > METADATA_FILTERS_MAX {
        let count = filter.metadata.len();
        return Err(Fault::new(
            "metadata",
            format!("at most {METADATA_FILTERS_MAX} metadata filters, got {count}"),
        ));
    }
    filter.q.take_if(|q| *q == Expr::everything());
    filter.levels.sort();
    filter.levels.dedup();
    let of_cursor = cursor.as_ref().and_then(|cursor| cursor.as_of.as_ref());
    if as_of.is_some() && of_cursor.is_some() && as_of.as_ref() != of_cursor {
        return Err(Fault::new("asOf", "is not the moment of the cursor; leave one of them out"));
    }
    let asked_at = cursor.as_ref().map_or(now, |cursor| cursor.asked_at);
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let query = Query { filter, limit, cursor, as_of, asked_at, budget, explains: false };
    match query.window() {
        Window { from: Some(from), to: Some(to) } if from > to => {
            Err(Fault::new("from", format!("`from` ({from}) is after `to` ({to})")))
        }
        _ => Ok(query),
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Fault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::new(name, "may be given once")),
    }
}

fn limited<'a>(name: &str, value: &'a str, bytes_max: usize) -> Result<&'a str, Fault> {
    if value.len() <= bytes_max { Ok(value) } else { Err(Fault::too_long(name, bytes_max, value.len())) }
}

fn read_level(value: &str) -> Result<Level, Fault> {
    Level::parse(value).ok_or_else(|| Fault::needed("level", Level::EXPECTED, value))
}

fn read_id(name: &str, value: &str) -> Result<Match, Fault> {
    let id = Match::parse(value);
    let (Match::Exact(text) | Match::Prefix(text)) = &id;
    limited(name, text, ID_BYTES_MAX)?;
    Ok(id)
}

fn read_metadata(name: &str, path: &str, value: &str) -> Result<(String, Match), Fault> {
    if path.is_empty() {
        return Err(Fault::new(name, "a path is needed after `metadata.`"));
    }
    if path.len() > PATH_BYTES_MAX {
        let error = format!("at most {PATH_BYTES_MAX} bytes of a path, got {}", path.len());
        return Err(Fault::new(&excerpt(name), error));
    }
    if path.contains('\0') {
        return Err(Fault::new(name, "U+0000 cannot be stored, so it cannot be searched"));
    }
    Ok((path.to_owned(), Match::parse(limited(name, value, TEXT_BYTES_MAX)?)))
}

fn read_bound(name: &str, value: &str) -> Result<Bound, Fault> {
    const NEEDED: &str = "a time like 2026-01-31T08:00:00Z, or an age like 15m, 24h or 7d,";
    Bound::parse(value.trim()).ok_or_else(|| Fault::needed(name, NEEDED, value))
}

fn read_limit(value: &str) -> Result<usize, Fault> {
    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| Fault::needed("limit", format!("a whole number from 1 to {LIMIT_MAX}"), value))
}

/// Milliseconds or seconds: `250ms`, `5s`.
fn read_budget(value: &str) -> Result<Duration, Fault> {
    let (digits, unit) = match value.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (value.strip_suffix('s').unwrap_or(""), 1_000),
    };
    let millis = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let budget =
        millis.map(Duration::from_millis).filter(|budget| (BUDGET_MIN..=BUDGET_MAX).contains(budget));
    budget.ok_or_else(|| Fault::needed("budget", "a time from 1ms to 10s, like 250ms or 5s,", value))
}

fn read_cursor(value: &str) -> Result<Cursor, Fault> {
    let error = || format!("`{}` is not one of ours; start again from the first page", excerpt(value));
    Cursor::parse(value).ok_or_else(|| Fault::new("cursor", error()))
}

fn read_as_of(value: &str) -> Result<AsOf, Fault> {
    AsOf::parse(value).ok_or_else(|| Fault::needed("asOf", "the `asOf` of an answer", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{as_of::tests::an_as_of, filter::tests::a_filter};
    use proptest::{option, prelude::*};

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn read_text(query: &str) -> Result<Query, Fault> {
        read(&decode(query)?, NOW)
    }

    proptest! {
        #[test]
        fn a_filter_is_a_link_and_a_link_is_a_filter(filter in a_filter(), limit in 1_usize..=1000, as_of in option::of(an_as_of())) {
            let query = Query { filter, limit, cursor: None, as_of, asked_at: NOW, budget: None, explains: false };
            let params = query.params();
            let text = encode(params.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            prop_assert_eq!(read_text(text.strip_prefix('?').unwrap_or("")), Ok(query));
        }
    }

    #[test]
    fn each_fault_names_its_field() {
        let long = format!("traceId={}", "x".repeat(300));
        for (text, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=ten", "limit"),
            ("limit=-1", "limit"),
            ("level=banana", "level"),
            ("level=error&level=", ""),
            ("from=yesterday", "from"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
            ("from=1h&to=2h", "from"),
            ("from=1h&to=1h", ""),
            ("to=15x", "to"),
            ("cursor=abc", "cursor"),
            ("cursor=%C3%A9", "cursor"),
            ("asOf=7-9-8", ""),
            ("asOf=7:9:8", "asOf"),
            ("asOf=7-9-8&asOf=7-9-8", "asOf"),
            ("message=a%00b", "message"),
            ("metadata.a%00=b", "metadata.a\0"),
            ("metadata.=b", "metadata."),
            ("resourceId=a&resourceId=b", "resourceId"),
            ("bogus=1", "bogus"),
            ("bogus=", "bogus"),
            ("q=level:error", ""),
            ("q=level:banana", "q"),
            ("q=a&q=b", "q"),
            ("q=++", ""),
            ("mk=a&mv=b", "mk"),
            ("message=%FF", "message"),
            ("message=%EF%BF%BD", ""),
            (&long, "traceId"),
            ("level=WARNING&level=crit&limit=", ""),
        ] {
            let seen = read_text(text).err().map_or(String::new(), |fault| fault.field);
            assert_eq!(seen, field, "{text}");
        }
        let long = format!("metadata.{}=1", "x".repeat(1_025));
        for (text, error) in [
            ("resourceid=a", "unknown parameter; did you mean `resourceId`?"),
            ("levle=a", "unknown parameter; did you mean `level`?"),
            ("region=eu&b=2", "unknown parameter; a field of metadata is asked for as `metadata.region`"),
            ("metadata=1", "unknown parameter; a field of metadata is asked for as `metadata.<path>`"),
            ("=a", "unknown parameter"),
            (&long, "at most 1024 bytes of a path, got 1025"),
        ] {
            assert_eq!(read_text(text).unwrap_err().error, error, "{text}");
        }
    }

    #[test]
    fn the_form_is_written_as_a_link() {
        let form = |text: &str| canonical(&decode(text).unwrap());
        assert_eq!(form("message=x&level=error"), Ok(None));
        assert_eq!(
            form("message=&level=error&mk=user.id&mv=7&mk=&mv="),
            Ok(Some("?level=error&metadata.user.id=7".into()))
        );
        assert_eq!(form("message=&regex="), Ok(Some(String::new())));
        assert_eq!(form("mk=&mv=7").unwrap_err().field, "mk");
        assert_eq!(form("mk=a&mv=").unwrap_err().field, "mv");
    }
}
