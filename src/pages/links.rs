//! Addresses with the whole state of a page in them. In: what the page shows. Out: addresses that differ from it in one thing. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::search::{
    expr::{Expr, Field, Test, conjuncts, negated},
    filter::Match,
    grammar,
    params::{self, Query},
};

/// What stands in a path as it is (RFC 3986, unreserved).
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a link leads from.
pub struct Links {
    /// The parameters of the page, the query line aside.
    params: Vec<(String, String)>,
    /// The query line.
    q: Expr,
    /// The address with the query line at its end, ready for one more condition.
    onward: String,
}

impl Links {
    /// Those of a search, with what else the page's address holds.
    pub fn new(query: &Query, of_page: Vec<(String, String)>) -> Self {
        let params = query.params().into_iter().filter(|(name, _)| name != "q").chain(of_page).collect();
        Self::of(params, query.filter.q.clone().unwrap_or_else(Expr::everything))
    }

    /// Addresses of searches with a single condition.
    pub fn fresh() -> Self {
        Self::of(Vec::new(), Expr::everything())
    }

    /// Those of a search that asks for this and nothing else.
    pub fn to(condition: Expr) -> Self {
        Self::of(Vec::new(), condition)
    }

    fn of(params: Vec<(String, String)>, q: Expr) -> Self {
        let line = match &q {
            Expr::Any(_) => format!("({})", grammar::print(&q)),
            q => grammar::print(q),
        };
        let onward = address(pairs(&params).chain([("q", line.as_str())]));
        Self { params, q, onward }
    }

    /// This page itself.
    pub fn here(&self) -> String {
        self.page(&self.params, &self.q)
    }

    /// The page of a record, with the way back to this one.
    pub fn of_record(&self, id: &str) -> String {
        let here = self.here();
        format!("/logs/{id}{}", here.strip_prefix('/').unwrap_or(""))
    }

    /// The address with `name` set to this one value.
    pub fn with(&self, name: &str, value: &str) -> String {
        let mut params = self.others(&[name]);
        params.push((name.to_owned(), value.to_owned()));
        self.page(&params, &self.q)
    }

    /// The address with the parameter `name` set to exactly this value.
    pub fn with_value(&self, name: &str, value: &str) -> String {
        self.with(name, &Match::Exact(value.to_owned()).write())
    }

    /// The address with one value more of `name`.
    pub fn and(&self, name: &str, value: &str) -> String {
        let mut params = self.params.clone();
        params.push((name.to_owned(), value.to_owned()));
        self.page(&params, &self.q)
    }

    /// The address without any `name`.
    pub fn without(&self, name: &str) -> String {
        self.page(&self.others(&[name]), &self.q)
    }

    /// The address without this value of `name`.
    pub fn without_value(&self, name: &str, value: &str) -> String {
        self.page(&self.others_than(name, value), &self.q)
    }

    /// The address with this time range.
    pub fn with_range(&self, from: Option<&str>, to: Option<&str>) -> String {
        let mut params = self.others(&["from", "to"]);
        for (name, bound) in [("from", from), ("to", to)] {
            params.extend(bound.map(|bound| (name.to_owned(), bound.to_owned())));
        }
        self.page(&params, &self.q)
    }

    /// The address with another query line and without the conditions that are parameters of these names.
    pub fn with_line(&self, q: &Expr, without: &[&str]) -> String {
        self.page(&self.others(without), q)
    }

    /// The same, with one condition more that is switched off.
    pub fn switched(&self, q: &Expr, without: &[&str], off: &str) -> String {
        let mut params = self.others(without);
        if !params.iter().any(|(name, value)| name == "off" && value == off) {
            params.push(("off".to_owned(), off.to_owned()));
        }
        self.page(&params, q)
    }

    /// The address with another query line, without this value of `name`, and without the parameters of the other names.
    pub fn with_line_instead(&self, q: &Expr, (name, value): (&str, &str), without: &[&str]) -> String {
        let mut params = self.others_than(name, value);
        params.retain(|(name, _)| !without.contains(&name.as_str()));
        self.page(&params, q)
    }

    /// The address with one condition more, and without its opposite.
    pub fn only(&self, condition: &Expr) -> String {
        let opposite = negated(condition);
        let parts = conjuncts(&self.q);
        if parts.contains(&condition) {
            return self.here();
        }
        if parts.contains(&&opposite) {
            let rest = parts.into_iter().filter(|part| **part != opposite).cloned();
            return self.page(&self.params, &Expr::all(rest.chain([condition.clone()])));
        }
        let mut more = String::new();
        if self.q != Expr::everything() {
            more.push('+');
        }
        let text = match condition {
            Expr::Any(_) => format!("({})", grammar::print(condition)),
            condition => grammar::print(condition),
        };
        more.extend(form_urlencoded::byte_serialize(text.as_bytes()));
        format!("{}{more}", self.onward)
    }

    /// The address that filters for exactly this value.
    pub fn only_value(&self, field: &Field, value: &str) -> String {
        self.only(&is(field, value))
    }

    /// The address that filters this value out.
    pub fn not_value(&self, field: &Field, value: &str) -> String {
        self.only(&negated(&is(field, value)))
    }

    /// All parameters of the page.
    pub fn all(&self) -> Vec<(String, String)> {
        let line = (self.q != Expr::everything()).then(|| ("q".to_owned(), grammar::print(&self.q)));
        self.params.iter().cloned().chain(line).collect()
    }

    /// The parameters of the page, for the hidden fields of a form that sets those in `without` itself.
    pub fn hidden(&self, without: &[&str]) -> Vec<(String, String)> {
        self.others(without)
    }

    fn others(&self, without: &[&str]) -> Vec<(String, String)> {
        self.params.iter().filter(|(name, _)| !without.contains(&name.as_str())).cloned().collect()
    }

    fn others_than(&self, name: &str, value: &str) -> Vec<(String, String)> {
        self.params.iter().filter(|(n, v)| !(n == name && v == value)).cloned().collect()
    }

    fn page(&self, params: &[(String, String)], q: &Expr) -> String {
        let line = grammar::print(q);
        let q = (*q != Expr::everything()).then_some(("q", line.as_str()));
        address(pairs(params).chain(q))
    }
}

/// The condition that a field has exactly this value.
pub fn is(field: &Field, value: &str) -> Expr {
    Expr::is(field.clone(), vec![Match::Exact(value.to_owned())])
}

/// The condition that the level is this one.
pub fn is_level(level: crate::record::Level) -> Expr {
    Expr::Test(Test::Level(vec![level]))
}

/// The field that a name means on pages: the name of a column or of a facet. As in the query line, what is no field of its own is a path
/// of metadata.
pub fn field(name: &str) -> Option<Field> {
    Some(match name {
        "resourceId" => Field::ResourceId,
        "traceId" => Field::TraceId,
        "spanId" => Field::SpanId,
        "commit" => Field::Commit,
        "" | "level" | "message" | "timestamp" | "metadata" => return None,
        _ => {
            let path = name.strip_prefix("metadata.").unwrap_or(name);
            Field::Metadata(Some(path).filter(|path| !path.is_empty())?.to_owned())
        }
    })
}

/// The name of a field: [`field`] reads it.
pub fn name(field: &Field) -> String {
    match field {
        Field::ResourceId => "resourceId".to_owned(),
        Field::TraceId => "traceId".to_owned(),
        Field::SpanId => "spanId".to_owned(),
        Field::Commit => "commit".to_owned(),
        Field::Metadata(path) => format!("metadata.{path}"),
    }
}

fn pairs(params: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The address of a search.
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

    fn links(text: &str) -> Links {
        let query = params::read(&params::decode(text).unwrap(), Timestamp(0)).unwrap();
        Links::new(&query, vec![("wrap".to_owned(), "1".to_owned())])
    }

    #[test]
    fn a_link_changes_one_thing() {
        let links = links("q=timeout&level=error&metadata.x=1&limit=10");
        assert_eq!(links.here(), "/?level=error&metadata.x=1&limit=10&wrap=1&q=timeout");
        assert_eq!(
            links.with_range(Some("1h"), None),
            "/?level=error&metadata.x=1&limit=10&wrap=1&from=1h&q=timeout"
        );
        assert_eq!(links.without("wrap"), "/?level=error&metadata.x=1&limit=10&q=timeout");
        assert_eq!(Links::fresh().only_value(&Field::Commit, "a&b*"), "/?q=commit%3A%22a%26b*%22");
        assert_eq!(Links::fresh().here(), "/");
    }

    #[test]
    fn a_condition_comes_once_and_drives_out_its_opposite() {
        let commit = |links: &Links| links.only_value(&Field::Commit, "c");
        assert_eq!(commit(&links("q=a")), "/?wrap=1&q=a+commit%3Ac");
        assert_eq!(commit(&links("q=a or b")), "/?wrap=1&q=%28a+or+b%29+commit%3Ac");
        assert_eq!(commit(&links("q=a -commit:c")), "/?wrap=1&q=a+commit%3Ac");
        assert_eq!(commit(&links("q=a commit:c")), "/?wrap=1&q=a+commit%3Ac");
        assert_eq!(links("q=a").not_value(&Field::Commit, "c"), "/?wrap=1&q=a+-commit%3Ac");
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
