//! Reads the parameters of a context. In: decoded parameters. Out: an [`Asked`], or the fault that names the parameter. Beside its own
//! `by`, `before` and `after` it takes everything that filters a search. Pure.

use crate::{
    record::Timestamp,
    search::params::{self, Fault, Query, take_one},
};

/// Records on each side unless asked otherwise, and how many more a page offers.
pub const SIDE_DEFAULT: usize = 20;
pub const SIDE_MAX: usize = 500;

/// Which records count as neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Resource,
    Trace,
    All,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub by: By,
    pub before: usize,
    pub after: usize,
    /// The filter, and a budget.
    pub query: Query,
}

impl By {
    pub const ALL: [Self; 3] = [Self::Resource, Self::Trace, Self::All];

    pub fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Trace => "trace",
            Self::All => "all",
        }
    }
}

impl Asked {
    /// The canonical parameters: what is not written is the default.
    pub fn params(&self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        if self.by != By::default() {
            add("by", self.by.name().to_owned());
        }
        for (name, count) in [("before", self.before), ("after", self.after)] {
            if count != SIDE_DEFAULT {
                add(name, count.to_string());
            }
        }
        params.extend(self.query.params());
        params
    }
}

pub fn read(mut pairs: Vec<(String, String)>, now: Timestamp) -> Result<Asked, Fault> {
    let by = take_one(&mut pairs, "by")?;
    let by = match by.as_deref() {
        None => By::default(),
        Some(name) => By::ALL
            .into_iter()
            .find(|by| by.name() == name)
            .ok_or_else(|| Fault::needed("by", "resource, trace or all", name))?,
    };
    let mut side =
        |name| take_one(&mut pairs, name)?.map_or(Ok(SIDE_DEFAULT), |value| read_side(name, &value));
    let (before, after) = (side("before")?, side("after")?);
    if let Some((name, _)) = pairs.iter().find(|(name, _)| name == "limit" || name == "cursor") {
        return Err(Fault::new(name, "`before` and `after` say how many records to show here"));
    }
    Ok(Asked { by, before, after, query: params::read(&pairs, now)? })
}

fn read_side(name: &str, value: &str) -> Result<usize, Fault> {
    value
        .parse()
        .ok()
        .filter(|count| *count <= SIDE_MAX)
        .ok_or_else(|| Fault::needed(name, format!("a whole number from 0 to {SIDE_MAX}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn read_text(query: &str) -> Result<Asked, Fault> {
        read(params::decode(query)?, NOW)
    }

    #[test]
    fn the_address_is_the_state() {
        for text in [
            "",
            "by=trace&before=0&after=500&q=timeout&level=error&metadata.a=b",
            "after=40",
            "by=all&before=1",
        ] {
            let asked = read_text(text).unwrap();
            let params = asked.params();
            let written = params::encode(params.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            assert_eq!(written.trim_start_matches('?'), text);
            assert_eq!(read_text(text), Ok(asked));
        }
        assert_eq!(read_text("by=&before=&after=20&q="), read_text(""));
    }

    #[test]
    fn each_fault_names_its_field() {
        for (text, field) in [
            ("by=banana", "by"),
            ("by=resource&by=all", "by"),
            ("before=501", "before"),
            ("before=-1", "before"),
            ("after=ten", "after"),
            ("after=1&after=2", "after"),
            ("limit=5", "limit"),
            ("cursor=x", "cursor"),
            ("q=(", "q"),
            ("level=banana", "level"),
            ("nonsense=1", "nonsense"),
        ] {
            assert_eq!(read_text(text).unwrap_err().field, field, "{text}");
        }
    }
}
