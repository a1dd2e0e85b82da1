//! What the page shows, all of it read from its address. In: decoded parameters. Out: a [`View`]: the search, and what only the page knows:
//! conditions that are switched off, opened facets, chosen columns, wrapped lines. Pure; what is "now" is passed in.

use crate::{
    pages::{
        links::{Links, field, name},
        when::Zone,
    },
    record::Timestamp,
    search::{
        count::facets::FACETS_MAX,
        expr::{Expr, Field, conjuncts},
        grammar,
        params::{self, Fault, Query, switch},
    },
};

/// Columns beside the usual ones.
pub const COLUMNS_MAX: usize = 6;
/// Conditions that are switched off.
const OFF_MAX: usize = 20;
/// Facets that are always there: level, resourceId, commit, metadata paths.
const FACETS_ALWAYS: usize = 4;
/// Names of the parameters that only the page knows.
const NAMES: [&str; 7] = ["off", "facet", "column", "wrap", "live", "explain", "tz"];

#[derive(Debug)]
pub struct View {
    pub query: Query,
    /// In which times are shown and read.
    pub zone: Zone,
    /// Whether the address names the zone; otherwise it is the reader's own.
    names_zone: bool,
    /// Conditions that are kept but do not filter.
    pub off: Vec<Expr>,
    /// Fields whose values are counted, beside the usual ones.
    pub facets: Vec<Field>,
    pub columns: Vec<Field>,
    /// Whether messages are shown whole.
    pub wraps: bool,
    /// Whether new records are followed.
    pub is_live: bool,
}

impl View {
    /// `zone` is the reader's own.
    pub fn read(pairs: &[(String, String)], now: Timestamp, zone: Zone) -> Result<Self, Fault> {
        let (own, rest): (Vec<_>, Vec<_>) =
            pairs.iter().cloned().partition(|(name, _)| NAMES.contains(&name.as_str()));
        let query = params::read(&rest, now)?;
        let mut view = Self {
            query,
            zone,
            names_zone: false,
            off: Vec::new(),
            facets: Vec::new(),
            columns: Vec::new(),
            wraps: false,
            is_live: false,
        };
        for (name, value) in own.iter().filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "off" => {
                    let off =
                        grammar::parse(value).map_err(|fault| Fault { field: "off".to_owned(), ..fault })?;
                    push(&mut view.off, off, name, OFF_MAX)?;
                }
                "facet" => {
                    push(&mut view.facets, read_field(name, value)?, name, FACETS_MAX - FACETS_ALWAYS)?
                }
                "column" => push(&mut view.columns, read_field(name, value)?, name, COLUMNS_MAX)?,
                "tz" => {
                    view.zone = Zone::parse(value)?;
                    view.names_zone = true;
                }
                "wrap" => view.wraps = switch(name, value)?,
                "live" => view.is_live = switch(name, value)?,
                _ => view.query.explains = switch(name, value)?,
            }
        }
        Ok(view)
    }

    /// Links from this page.
    pub fn links(&self) -> Links {
        let mut params: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        for off in &self.off {
            add("off", grammar::print(off));
        }
        for facet in &self.facets {
            add("facet", name(facet));
        }
        for column in &self.columns {
            add("column", name(column));
        }
        if self.wraps {
            add("wrap", "1".to_owned());
        }
        if self.names_zone {
            add("tz", self.zone.name().to_owned());
        }
        Links::new(&self.query, params)
    }

    /// The conditions of the query line, one by one.
    pub fn parts(&self) -> Vec<&Expr> {
        self.query.filter.q.as_ref().map_or_else(Vec::new, conjuncts)
    }
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T, name: &str, max: usize) -> Result<(), Fault> {
    if !list.contains(&item) {
        list.push(item);
    }
    if list.len() > max { Err(Fault::new(name, format!("may be given at most {max} times"))) } else { Ok(()) }
}

fn read_field(parameter: &str, value: &str) -> Result<Field, Fault> {
    let wrong =
        || Fault::needed(parameter, "resourceId, traceId, spanId, commit or a path of metadata", value);
    let is_fit = value.len() <= params::PATH_BYTES_MAX && !value.contains('\0');
    field(value).filter(|_| is_fit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> Result<View, Fault> {
        View::read(&params::decode(text).unwrap(), Timestamp(0), Zone::UTC)
    }

    #[test]
    fn the_address_is_the_page() {
        let text = "?level=error&from=1h&off=commit%3Aa&facet=metadata.user.id&column=traceId&wrap=1&tz=Asia%2FKathmandu&q=a+b";
        let seen = view(text.strip_prefix('?').unwrap()).unwrap();
        assert_eq!(seen.links().here(), format!("/{text}"));
        assert_eq!(seen.parts().len(), 2);
    }

    #[test]
    fn each_fault_names_its_parameter() {
        for (text, field) in [
            ("facet=level", "facet"),
            ("facet=metadata.", "facet"),
            ("column=message", "column"),
            ("off=(", "off"),
            ("wrap=yes", "wrap"),
            ("tz=Mars", "tz"),
            ("bogus=1", "bogus"),
            ("column=traceId&column=traceId", ""),
            ("wrap=&off=&live=0", ""),
        ] {
            assert_eq!(view(text).err().map_or(String::new(), |fault| fault.field), field, "{text}");
        }
    }
}
