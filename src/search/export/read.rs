//! Reads what an export takes beside the parameters of a search. In: decoded pairs. Out: an [`Order`], or the [`Fault`] that names the
//! parameter. Pure.

use super::format::{Column, Format};
use crate::{
    record::Timestamp,
    search::params::{self, Fault, PATH_BYTES_MAX, Query, take, take_one},
};

type Pairs = Vec<(String, String)>;

/// Columns of metadata.
const COLUMNS_MAX: usize = 50;

#[derive(Debug)]
pub struct Order {
    pub query: Query,
    pub format: Format,
    /// Records at most; None for all.
    pub limit: Option<u64>,
}

pub fn order(mut pairs: Pairs, now: Timestamp) -> Result<Order, Fault> {
    for name in ["cursor", "budget"] {
        if take_one(&mut pairs, name)?.is_some() {
            let error =
                "cannot be given here: an export is of the whole result; `asOf` makes it that of a page";
            return Err(Fault::new(name, error));
        }
    }
    let limit = take_one(&mut pairs, "limit")?.map(|text| read_limit(&text)).transpose()?;
    let columns = columns(&take(&mut pairs, "columns"))?;
    let format = match take_one(&mut pairs, "format")?.as_deref() {
        Some("csv") => Format::Csv(columns),
        Some("ndjson") if columns.is_empty() => Format::Ndjson,
        Some("ndjson") => return Err(Fault::new("columns", "are for format=csv; ndjson has every field")),
        Some(other) => {
            return Err(Fault::needed("format", "ndjson or csv", other));
        }
        None => return Err(Fault::new("format", "is needed: ndjson or csv")),
    };
    Ok(Order { query: params::read(&pairs, now)?, format, limit })
}

fn read_limit(text: &str) -> Result<u64, Fault> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && *number > 0);
    number.ok_or_else(|| Fault::needed("limit", "a whole number from 1, or none for everything,", text))
}

/// Columns that every export has are left out.
fn columns(values: &[String]) -> Result<Vec<Column>, Fault> {
    let mut columns: Vec<Column> = Vec::new();
    for name in values.iter().flat_map(|value| value.split(',')).filter(|name| !name.is_empty()) {
        if Format::HEADER.contains(&name) {
            continue;
        }
        let path = name
            .strip_prefix("metadata.")
            .filter(|path| !path.is_empty() && path.len() <= PATH_BYTES_MAX && !path.contains('\0'));
        let Some(path) = path else {
            return Err(Fault::needed("columns", "metadata.<path>", name));
        };
        if !columns.iter().any(|known| known.path == path) {
            columns.push(Column { path: path.to_owned() });
        }
    }
    if columns.len() > COLUMNS_MAX {
        return Err(Fault::new("columns", format!("at most {COLUMNS_MAX}, got {}", columns.len())));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_its_field() {
        let many: String = (0..51).map(|n| format!(",metadata.k{n}")).collect();
        let many = format!("format=csv&columns={many}");
        for (text, field) in [
            ("format=csv", ""),
            ("format=csv&columns=metadata.a.b,metadata.a.b,level&columns=metadata.c", ""),
            ("format=ndjson&level=error&limit=1000000", ""),
            ("format=ndjson&asOf=7-7-", ""),
            ("", "format"),
            ("format=xml", "format"),
            ("format=CSV", "format"),
            ("format=csv&format=csv", "format"),
            ("format=csv&limit=0", "limit"),
            ("format=csv&limit=+5", "limit"),
            ("format=csv&limit=99999999999999999999999", "limit"),
            ("format=csv&columns=metadata.", "columns"),
            ("format=csv&columns=colour", "columns"),
            ("format=ndjson&columns=metadata.a", "columns"),
            ("format=csv&cursor=abc", "cursor"),
            ("format=csv&budget=5s", "budget"),
            ("format=csv&level=banana", "level"),
            ("format=csv&bogus=1", "bogus"),
            (&many, "columns"),
        ] {
            let seen = order(params::decode(text).unwrap(), Timestamp(0)).err();
            assert_eq!(seen.map_or(String::new(), |fault| fault.field), field, "{text}");
        }
    }
}
