//! Addresses with the whole state of a search in them. In: a query. Out: addresses that differ from it in one thing. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::search::{
    filter::Match,
    params::{self, Query},
};

/// What stands in a path as it is (RFC 3986, unreserved).
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Addresses that differ from the present filter in one thing.
pub struct Links {
    pub params: Vec<(String, String)>,
}

impl Links {
    pub fn new(query: &Query) -> Self {
        Self { params: query.params() }
    }

    /// Addresses of filters with a single condition.
    pub fn fresh() -> Self {
        Self { params: Vec::new() }
    }

    /// The address with `name` set to this one value.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.params.iter().filter(|(known, _)| known != name);
        address(others.map(|(n, v)| (n.as_str(), v.as_str())).chain([(name, value)]))
    }

    /// The address that filters for exactly this value.
    pub fn with_value(&self, name: &str, value: &str) -> String {
        self.with(name, &Match::Exact(value.to_owned()).write())
    }

    /// These and one more condition: exactly this value.
    pub fn and_value(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), Match::Exact(value.to_owned()).write()));
        self
    }

    pub fn without(&self, at: usize) -> String {
        let others = self.params.iter().enumerate().filter(|(number, _)| *number != at);
        address(others.map(|(_, (n, v))| (n.as_str(), v.as_str())))
    }

    pub fn with_range(&self, from: Option<&str>) -> String {
        let others = self.params.iter().filter(|(name, _)| name != "from" && name != "to");
        address(others.map(|(n, v)| (n.as_str(), v.as_str())).chain(from.map(|from| ("from", from))))
    }

    pub fn here(&self) -> String {
        address(self.params.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

pub fn address<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    format!("/{}", params::encode(pairs))
}

/// The page of a trace, whatever text its id is.
pub fn trace(trace_id: &str) -> String {
    trace_with(trace_id, &[])
}

/// The same with parameters. What is a step of a path to every browser, however it is escaped, stands behind the `?`.
pub fn trace_with(trace_id: &str, pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().copied();
    match trace_id {
        "" | "." | ".." => {
            format!("/traces{}", params::encode([("traceId", trace_id)].into_iter().chain(pairs)))
        }
        _ => format!("/traces/{}{}", utf8_percent_encode(trace_id, &ESCAPED), params::encode(pairs)),
    }
}

/// The records around one.
pub fn context(id: &str, params: &[(String, String)]) -> String {
    format!("/logs/{id}/context{}", params::encode(params.iter().map(|(n, v)| (n.as_str(), v.as_str()))))
}

/// The same as JSON.
pub fn api_context(id: &str, params: &[(String, String)]) -> String {
    format!("/api{}", context(id, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Timestamp;

    #[test]
    fn a_link_changes_one_thing() {
        let pairs = params::decode("level=error&level=warn&resourceId=a&metadata.x=1&limit=10").unwrap();
        let query = params::read(&pairs, Timestamp(0)).unwrap();
        let links = Links::new(&query);
        assert_eq!(links.with("level", "fatal"), "/?resourceId=a&metadata.x=1&limit=10&level=fatal");
        assert_eq!(links.without(0), "/?level=error&resourceId=a&metadata.x=1&limit=10");
        assert_eq!(Links::fresh().with_value("commit", "a&b*"), "/?commit=a%26b%5C*");
        assert_eq!(Links::fresh().here(), "/");
    }

    #[test]
    fn a_trace_may_have_any_id() {
        for (id, address) in [
            ("5e5342f-A_~.", "/traces/5e5342f-A_~."),
            ("a/b?c#d%2F", "/traces/a%2Fb%3Fc%23d%252F"),
            ("\"ü\n+", "/traces/%22%C3%BC%0A%2B"),
            ("..", "/traces?traceId=.."),
            (".", "/traces?traceId=."),
            ("...", "/traces/..."),
        ] {
            assert_eq!(trace(id), address);
        }
        assert_eq!(trace_with("a b", &[("view", "logs")]), "/traces/a%20b?view=logs");
        assert_eq!(trace_with("..", &[("view", "logs")]), "/traces?traceId=..&view=logs");
    }
}
