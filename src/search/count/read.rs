//! Reads what the counting addresses take beside the parameters of a search. In: decoded pairs. Out: a [`Query`] from the pairs that it
//! knows and the rest as typed values, or the [`Fault`] that names the parameter. `limit` and the place of a cursor mean nothing here, so
//! that a page can send its own address. Pure.

use std::time::Duration;

use super::{
    buckets::{BUCKETS_MAX, Width},
    facets::{FACETS_MAX, Facet},
};
use crate::{
    record::Timestamp,
    search::{
        expr::Field,
        params::{self, Fault, PATH_BYTES_MAX, Query, take, take_one},
    },
};

type Pairs = Vec<(String, String)>;

/// Fields of a facet that are not in metadata.
const NAMES: [&str; 6] = ["level", "resourceId", "commit", "traceId", "spanId", "metadata"];
const VALUES_DEFAULT: usize = 10;
const VALUES_MAX: usize = 100;

fn number(name: &str, text: &str, max: usize) -> Result<usize, Fault> {
    let wrong = || Fault::needed(name, format!("a whole number from 1 to {max}"), text);
    text.parse().ok().filter(|number| (1..=max).contains(number)).ok_or_else(wrong)
}

pub fn histogram(mut pairs: Pairs, now: Timestamp) -> Result<(Query, Width), Fault> {
    let bucket = take_one(&mut pairs, "bucket")?;
    let buckets = take_one(&mut pairs, "buckets")?;
    let width = match (bucket, buckets) {
        (None, None) => Width::Default,
        (Some(bucket), None) => Width::Of(width(&bucket)?),
        (None, Some(buckets)) => Width::About(number("buckets", &buckets, BUCKETS_MAX)?),
        (Some(_), Some(_)) => return Err(Fault::new("buckets", "either `bucket` or `buckets`, not both")),
    };
    Ok((params::read(&pairs, now)?, width))
}

/// Microseconds of `250ms`, `60s`, `5m`, `1h`, `7d`, `2w`.
fn width(text: &str) -> Result<i64, Fault> {
    let units =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let read = |(unit, millis): (&str, u64)| {
        let number = text.strip_suffix(unit)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let width = number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(millis)?;
        // Ten thousand years: no range is longer.
        (1..=315_576_000_000_000).contains(&width).then_some(width as i64 * 1_000)
    };
    let wrong = || Fault::needed("bucket", "a time like 250ms, 60s, 5m, 1h or 7d", text);
    units.into_iter().find_map(read).ok_or_else(wrong)
}

/// Fields, and how many values of each.
pub fn facets(mut pairs: Pairs, now: Timestamp) -> Result<(Query, Vec<Facet>, usize), Fault> {
    let values_max = take_one(&mut pairs, "values")?;
    let values_max = values_max.map_or(Ok(VALUES_DEFAULT), |text| number("values", &text, VALUES_MAX))?;
    let mut facets = Vec::new();
    for name in take(&mut pairs, "field") {
        let facet = facet(&name)?;
        if !facets.contains(&facet) {
            facets.push(facet);
        }
    }
    if facets.is_empty() {
        facets = vec![Facet::Level, Facet::Field(Field::ResourceId), Facet::Field(Field::Commit)];
    }
    if facets.len() > FACETS_MAX {
        return Err(Fault::new("field", format!("at most {FACETS_MAX} fields, got {}", facets.len())));
    }
    Ok((params::read(&pairs, now)?, facets, values_max))
}

fn facet(name: &str) -> Result<Facet, Fault> {
    Ok(match name {
        "level" => Facet::Level,
        "resourceId" => Facet::Field(Field::ResourceId),
        "commit" => Facet::Field(Field::Commit),
        "traceId" => Facet::Field(Field::TraceId),
        "spanId" => Facet::Field(Field::SpanId),
        "metadata" => Facet::Keys,
        _ => match name.strip_prefix("metadata.") {
            Some(path) if path.is_empty() || path.len() > PATH_BYTES_MAX || path.contains('\0') => {
                return Err(Fault::new(
                    "field",
                    format!(
                        "a path of 1 to {PATH_BYTES_MAX} bytes without U+0000 is needed after `metadata.`, got {}",
                        path.len()
                    ),
                ));
            }
            Some(path) => Facet::Field(Field::Metadata(path.to_owned())),
            None => {
                const NEEDED: &str =
                    "level, resourceId, commit, traceId, spanId, metadata or metadata.<path>";
                return Err(Fault::needed_field("field", NEEDED, name, &NAMES));
            }
        },
    })
}

/// Without `from`, the day before `to` or before now.
pub fn summary(pairs: Pairs, now: Timestamp) -> Result<Query, Fault> {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut query = params::read(&pairs, now)?;
    let window = query.window();
    // What begins in the future ends there.
    let to = window.to.unwrap_or(window.from.map_or(query.asked_at, |from| from.max(query.asked_at)));
    let from = window.from.unwrap_or(Timestamp(to.0 - DAY.as_micros() as i64));
    if to.0 - from.0 > super::summary::HOURS_MAX * super::summary::HOUR {
        return Err(Fault::new(
            "from",
            format!("at most {} days in one summary", super::summary::HOURS_MAX / 24),
        ));
    }
    query.filter.from = Some(crate::search::filter::Bound::At(from));
    query.filter.to = Some(crate::search::filter::Bound::At(to));
    Ok(query)
}

/// The name by which a facet is asked for.
pub fn name(facet: &Facet) -> String {
    match facet {
        Facet::Level => "level".to_owned(),
        Facet::Keys => "metadata".to_owned(),
        Facet::Field(Field::ResourceId) => "resourceId".to_owned(),
        Facet::Field(Field::Commit) => "commit".to_owned(),
        Facet::Field(Field::TraceId) => "traceId".to_owned(),
        Facet::Field(Field::SpanId) => "spanId".to_owned(),
        Facet::Field(Field::Metadata(path)) => format!("metadata.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_its_field() {
        let now = Timestamp(1_800_000_000_000_000);
        let pairs = |text: &str| params::decode(text).unwrap();
        for (text, field) in [
            ("", ""),
            ("bucket=5m&limit=7", ""),
            ("bucket=250ms&level=error", ""),
            ("bucket=", ""),
            ("bucket=0s", "bucket"),
            ("bucket=5", "bucket"),
            ("bucket=m", "bucket"),
            ("bucket=+5m", "bucket"),
            ("bucket=99999999999999999999d", "bucket"),
            ("bucket=1h&bucket=1h", "bucket"),
            ("bucket=1h&buckets=7", "buckets"),
            ("buckets=0", "buckets"),
            ("buckets=2001", "buckets"),
            ("field=level", "field"),
        ] {
            let seen = histogram(pairs(text), now).err().map_or(String::new(), |fault| fault.field);
            assert_eq!(seen, field, "{text}");
        }
        let many: String = (0..11).map(|n| format!("&field=metadata.k{n}")).collect();
        for (text, field) in [
            ("field=level&field=level&values=100", ""),
            ("field=metadata.a.b&field=metadata", ""),
            ("field=message", "field"),
            ("field=metadata.", "field"),
            ("field=metadata.a%00", "field"),
            ("values=101", "values"),
            ("bucket=1h", "bucket"),
            (&many, "field"),
        ] {
            let seen = facets(pairs(text), now).err().map_or(String::new(), |fault| fault.field);
            assert_eq!(seen, field, "{text}");
        }
        for (text, field) in
            [("", ""), ("from=31d", ""), ("from=32d", "from"), ("from=2100-01-01T00:00:00Z", "")]
        {
            let seen = summary(pairs(text), now).err().map_or(String::new(), |fault| fault.field);
            assert_eq!(seen, field, "{text}");
        }
    }
}
