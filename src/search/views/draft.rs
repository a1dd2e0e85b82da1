//! What somebody wants to save. In: a name and a query string as they were typed. Out: both as they are kept, or the fault at a field. What
//! the page knows and the search does not (columns, facets …) is kept as it is. Pure.

use crate::{
    record::Timestamp,
    search::params::{self, Fault},
};

/// Characters of a name.
pub const NAME_MAX: usize = 80;
/// Bytes of a query string: what servers and proxies commonly take of an address.
pub const PARAMS_BYTES_MAX: usize = 8 << 10;

/// Parameters that say how the page shows what was found.
const OF_PAGE: [&str; 8] = ["off", "facet", "column", "wrap", "tz", "t", "live", "explain"];
/// Parameters of one moment, without a meaning when the search is run again.
const OF_MOMENT: [&str; 1] = ["cursor"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    pub params: String,
}

/// What is wrong with which field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    pub name: Option<String>,
    pub params: Option<String>,
}

impl Draft {
    pub fn read(name: &str, params: &str) -> Result<Self, Faults> {
        match (read_name(name), read_params(params)) {
            (Ok(name), Ok(params)) => Ok(Self { name, params }),
            (name, params) => Err(Faults {
                name: name.err().map(|fault| fault.error),
                params: params.err().map(|fault| match fault.field.as_str() {
                    "params" => fault.error,
                    field => format!("{field}: {}", fault.error),
                }),
            }),
        }
    }
}

/// A name: one line of 1 to 80 characters.
pub fn read_name(text: &str) -> Result<String, Fault> {
    let name = text.trim();
    let letters = name.chars().count();
    let wrong = match letters {
        0 => "is needed".to_owned(),
        1..=NAME_MAX if name.chars().any(char::is_control) => {
            "one line of text without control characters is needed".to_owned()
        }
        1..=NAME_MAX => return Ok(name.to_owned()),
        _ => format!("at most {NAME_MAX} characters, got {letters}"),
    };
    Err(Fault::new("name", wrong))
}

/// The query string of a page, or its whole address: as it is kept. Empty: everything.
pub fn read_params(text: &str) -> Result<String, Fault> {
    let text = query_of(text.trim());
    if text.len() > PARAMS_BYTES_MAX {
        return Err(Fault::too_long("params", PARAMS_BYTES_MAX, text.len()));
    }
    let kept = written(text, |name| !OF_MOMENT.contains(&name))?;
    let searched: Vec<(String, String)> =
        params::decode(&kept)?.into_iter().filter(|(name, _)| !OF_PAGE.contains(&name.as_str())).collect();
    params::read(&searched, Timestamp::now())?;
    // Written anew it may have become longer.
    if kept.len() > PARAMS_BYTES_MAX {
        return Err(Fault::too_long("params", PARAMS_BYTES_MAX, kept.len()));
    }
    Ok(kept)
}

/// The query string of what may be a whole address.
fn query_of(text: &str) -> &str {
    if !["/", "http://", "https://"].iter().any(|front| text.starts_with(front)) {
        return text.strip_prefix('?').unwrap_or(text);
    }
    let query = text.split_once('?').map_or("", |(_, query)| query);
    query.split_once('#').map_or(query, |(query, _)| query)
}

/// What is searched for in the query string of a page, without what is about the page or about this run of it.
pub fn searched(text: &str) -> Result<String, Fault> {
    let of_run = ["budget", "asOf", "limit"];
    let kept = written(text, |name| {
        !OF_PAGE.contains(&name) && !OF_MOMENT.contains(&name) && !of_run.contains(&name)
    })?;
    params::read(&params::decode(&kept)?, Timestamp::now())?;
    Ok(kept)
}

/// The parameters that are kept, written as everybody would.
fn written(text: &str, is_kept: impl Fn(&str) -> bool) -> Result<String, Fault> {
    let mut pairs = params::decode(text)?;
    pairs.retain(|(name, _)| is_kept(name));
    let query = match params::canonical(&pairs)? {
        Some(query) => query,
        None => params::encode(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
    };
    Ok(query.strip_prefix('?').unwrap_or("").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_line_of_text() {
        assert_eq!(read_name("  Fehler: größer \u{202e}x "), Ok("Fehler: größer \u{202e}x".to_owned()));
        assert_eq!(read_name(&"ä".repeat(80)).unwrap().len(), 160);
        for (text, error) in [
            ("", "is needed"),
            (" \t\n", "is needed"),
            ("a\nb", "one line of text without control characters is needed"),
            ("a\0b", "one line of text without control characters is needed"),
            (&"ä".repeat(81), "at most 80 characters, got 81"),
        ] {
            assert_eq!(read_name(text).unwrap_err().error, error, "{text:?}");
        }
    }

    #[test]
    fn params_are_kept_as_a_link() {
        for (text, kept) in [
            ("", ""),
            ("?q=a b", "q=a+b"),
            ("q=a?b", "q=a%3Fb"),
            ("/", ""),
            ("http://host:1323/?level=error&level=#results", "level=error"),
            ("level=WARN&message=&mk=user.id&mv=7&cursor=abc", "level=WARN&metadata.user.id=7"),
            (
                "q=%3Cb%3E&column=a&column=b&tz=Europe/Berlin&off=x",
                "q=%3Cb%3E&column=a&column=b&tz=Europe%2FBerlin&off=x",
            ),
            ("from=15m", "from=15m"),
        ] {
            assert_eq!(read_params(text).as_deref(), Ok(kept), "{text}");
            assert_eq!(read_params(kept).as_deref(), Ok(kept), "{text}");
        }
        assert_eq!(read_params(&format!("q={}", "a".repeat(8_190))).unwrap().len(), 8_192);
        for (text, field) in [
            ("level=banana", "level"),
            ("colour=red", "colour"),
            ("message=%FF", "message"),
            ("off=%FF", "off"),
            ("mk=a&mv=", "mv"),
            (&format!("q={}", "a".repeat(8_191)), "params"),
            (&format!("message={}", "ä".repeat(2_000)), "params"),
        ] {
            assert_eq!(read_params(text).unwrap_err().field, field, "{text}");
        }
    }

    #[test]
    fn both_fields_are_told() {
        let faults = Draft::read("", "level=banana").unwrap_err();
        assert_eq!(faults.name.as_deref(), Some("is needed"));
        assert!(faults.params.unwrap().starts_with("level: "));
    }

    #[test]
    fn history_is_about_what_is_searched_for() {
        let page = "q=a&column=x&wrap=1&limit=200&budget=1s&cursor=zzz&from=1h&tz=UTC";
        assert_eq!(searched(page).as_deref(), Ok("q=a&from=1h"));
        assert_eq!(searched("wrap=1").as_deref(), Ok(""));
        assert!(searched("level=banana").is_err());
    }
}
