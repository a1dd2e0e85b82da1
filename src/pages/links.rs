//! Addresses with the whole state of a search in them. In: a query. Out: addresses that differ from it in one thing. Pure.

use crate::search::{
    filter::Match,
    params::{self, Query},
};

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
}
