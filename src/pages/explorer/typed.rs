//! What the page's forms send, written as everybody would write it. In: decoded parameters. Out: the canonical query string to go to, or
//! none if it is already. Pure; what is "now" is passed in.

use crate::{
    pages::when::{self, Zone},
    record::Timestamp,
    search::{
        expr::Expr,
        grammar,
        params::{self, Fault},
    },
};

/// `also` is one condition more for the query line, `t` a time range as people type it; the rest is as forms of the search send it.
pub fn canonical(pairs: &[(String, String)], zone: Zone, now: Timestamp) -> Result<Option<String>, Fault> {
    let of = |wanted: &str| {
        let found = pairs.iter().find(|(name, value)| name == wanted && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let (also, t) = (of("also"), of("t").filter(|t| !t.trim().is_empty()));
    let mut written: Vec<(String, String)> = pairs.to_vec();
    written.retain(|(name, _)| name != "also" && name != "t");
    if let Some(also) = also {
        let q = grammar::parse(of("q").unwrap_or(""))?;
        let also = grammar::parse(also).map_err(|fault| Fault { field: "also".to_owned(), ..fault })?;
        written.retain(|(name, _)| name != "q");
        written.push(("q".to_owned(), grammar::print(&Expr::all([q, also]))));
    }
    if let Some(t) = t {
        let zone = of("tz").map_or(Ok(zone), Zone::parse)?;
        set_range(&mut written, t, zone, now)?;
    }
    if written.len() == pairs.len() && also.is_none() && t.is_none() {
        return params::canonical(pairs);
    }
    let canonical = params::canonical(&written)?;
    let plain = || params::encode(written.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Ok(Some(canonical.unwrap_or_else(plain)))
}

/// The same without the fields that a form sends empty, for an address that is shown though something in it is wrong; None if there are none.
pub fn without_empty(pairs: &[(String, String)]) -> Option<String> {
    // These come in pairs, of which one may be what is wrong.
    let is_pair = |name: &str| name == "mk" || name == "mv";
    let has_pairs = pairs.iter().any(|(name, value)| is_pair(name) && !value.is_empty());
    let is_said = |name: &str, value: &str| !value.is_empty() || has_pairs && is_pair(name);
    let said = || pairs.iter().filter(|(name, value)| is_said(name, value));
    let query = params::encode(said().map(|(name, value)| (name.as_str(), value.as_str())));
    (said().count() < pairs.len()).then_some(query)
}

/// Puts a time range as people type it in the place of the one that is there.
pub fn set_range(
    params: &mut Vec<(String, String)>,
    t: &str,
    zone: Zone,
    now: Timestamp,
) -> Result<(), Fault> {
    let span = when::read(t, zone, now)?;
    // Another time range is another search: where the old one had come means nothing in it.
    params.retain(|(name, _)| !["from", "to", "cursor", "asOf"].contains(&name.as_str()));
    for (name, bound) in [("from", span.from), ("to", span.to)] {
        params.extend(bound.map(|bound| (name.to_owned(), bound.write())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_written_as_links() {
        let now = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        for (text, link) in [
            ("q=a", None),
            ("q=a&t=", Some("?q=a")),
            ("q=a&t=2h&from=7d&cursor=x", Some("?q=a&from=2h")),
            (
                "t=14:00-14:05&tz=Europe/Berlin",
                Some("?tz=Europe%2FBerlin&from=2026-01-31T13%3A00%3A00Z&to=2026-01-31T13%3A05%3A00Z"),
            ),
            ("q=a&also=b+or+c&level=", Some("?q=a+%28b+or+c%29")),
            ("t=all&from=1h", Some("")),
        ] {
            let seen = canonical(&params::decode(text).unwrap(), Zone::UTC, now).unwrap();
            assert_eq!(seen.as_deref(), link, "{text}");
        }
        let said = |text| without_empty(&params::decode(text).unwrap());
        assert_eq!(said("q=(&t=&message=&mk=&mv=").as_deref(), Some("?q=%28"));
        assert_eq!(said("q=(&t=&mk=&mv=x&mk=&mv=").as_deref(), Some("?q=%28&mk=&mv=x&mk=&mv="));
        assert_eq!(said("mk=&mv=x"), None);
        let fault = |text| canonical(&params::decode(text).unwrap(), Zone::UTC, now).unwrap_err().field;
        assert_eq!(
            (fault("t=soonish"), fault("also=("), fault("t=1h&tz=Mars")),
            ("t".into(), "also".into(), "tz".into())
        );
    }
}
