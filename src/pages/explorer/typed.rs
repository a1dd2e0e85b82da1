//! What the page's forms send, written as everybody would write it. In: decoded parameters. Out: the canonical query string to go to, or
//! none if it is already. Pure; what is "now" is passed in.

use crate::{
    record::Timestamp,
    search::{
        expr::Expr,
        grammar,
        params::{self, Fault},
    },
};

/// `also` is one condition more for the query line; the rest is as forms of the search send it.
pub fn canonical(pairs: &[(String, String)], _now: Timestamp) -> Result<Option<String>, Fault> {
    let Some(also) = pairs.iter().find(|(name, _)| name == "also") else {
        return params::canonical(pairs);
    };
    let of = |name: &str| pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
    let q = grammar::parse(of("q"))?;
    let also = grammar::parse(&also.1).map_err(|fault| Fault { field: "also".to_owned(), ..fault })?;
    let line = grammar::print(&Expr::all([q, also]));
    let others =
        pairs.iter().filter(|(name, value)| !["q", "also"].contains(&name.as_str()) && !value.is_empty());
    let others: Vec<(String, String)> = others.cloned().chain([("q".to_owned(), line)]).collect();
    let written = params::canonical(&others)?;
    let plain = || params::encode(others.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Ok(Some(written.unwrap_or_else(plain)))
}
