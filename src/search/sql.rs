//! The only place that assembles SQL from a filter. In: a [`Filter`] and where to read. Out: statement text and its parameters. A value
//! never stands in the text, so the number of different texts is bounded by the shapes of filters, not by what people type. Pure.

use super::{
    cursor::{Direction, Position},
    filter::{Filter, Match},
    fold,
    statement::{Statement, Value},
};
use crate::record::Timestamp;

/// Rows to read: a time range and the place behind which to begin.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub after: Position,
    pub direction: Direction,
}

/// How much to take at most.
#[derive(Debug, Clone, Copy)]
pub struct Take {
    /// Rows to read.
    pub chunk: i64,
    /// Hits to return.
    pub hits: i64,
    /// Bytes of text and metadata; the hit that goes over is still returned.
    pub bytes: i64,
}

/// What a statement that finds hits returns, in this order; then `hits`, how many it found (it may return fewer for their bytes),
/// and `rows_read`.
const COLUMNS: &str =
    "timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata, client_id";

/// One row by its id: the milliseconds in front of the id say where it is.
pub const ONE: &str = "\
select timestamp, id, level, resource_id, trace_id, span_id, \"commit\", message, metadata::text as metadata, client_id
from logs
where timestamp >= $1 and timestamp < $2 and id = $3";

/// Leaves of a time range.
pub const LEAVES: &str = "\
select from_at, to_at
from leaves
where to_at > $1 and from_at < $2
order by from_at";

/// Raises 2201B for what is no regular expression.
pub const CHECK_REGEX: &str = "select '' ~ $1";

struct Builder {
    values: Vec<Value>,
}

impl Builder {
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn text(&mut self, text: impl Into<String>) -> String {
        self.bind(Value::Text(text.into()))
    }

    fn span(&mut self, span: Span) -> String {
        let from = self.bind(Value::Time(span.from));
        let to = self.bind(Value::Time(span.to));
        let at = self.bind(Value::Time(span.after.timestamp));
        let id = self.bind(Value::Id(span.after.id));
        let compare = match span.direction {
            Direction::Older => "<",
            Direction::Newer => ">",
        };
        format!("timestamp >= {from} and timestamp < {to} and (timestamp, id) {compare} ({at}, {id})")
    }

    /// Conditions on the row `s`; `true` for none.
    fn conditions(&mut self, filter: &Filter) -> String {
        let mut all = Vec::new();
        if !filter.levels.is_empty() {
            let levels = filter.levels.iter().map(|level| *level as i16).collect();
            all.push(format!("s.level = any ({})", self.bind(Value::Levels(levels))));
        }
        for (_, column, matched) in filter.ids() {
            match matched {
                Some(Match::Exact(text)) => all.push(format!("s.{column} = {}", self.text(text))),
                Some(Match::Prefix(text)) => all.push(format!("s.{column} ^@ {}", self.text(text))),
                None => {}
            }
        }
        if let Some(message) = &filter.message {
            all.push(match fold::substring(message) {
                fold::Substring::Like(pattern) => format!("s.message ilike {}", self.text(pattern)),
                fold::Substring::Regex(pattern) => format!("s.message ~ {}", self.text(pattern)),
            });
        }
        if let Some(regex) = &filter.regex {
            all.push(format!("s.message ~ {}", self.text(regex)));
        }
        for (path, matched) in &filter.metadata {
            all.push(self.metadata(path, matched));
        }
        if all.is_empty() { "true".to_owned() } else { all.join("\n    and ") }
    }

    fn metadata(&mut self, path: &str, matched: &Match) -> String {
        let test = match matched {
            Match::Prefix(text) => format!("(v #>> '{{}}') ^@ {}", self.text(text)),
            Match::Exact(text) => {
                let bound = self.text(text);
                let mut test = format!("v #>> '{{}}' = {bound}");
                if is_number(text) {
                    test.push_str(&format!(" or v = to_jsonb({bound}::text::numeric)"));
                }
                if text == "null" {
                    test.push_str(" or v = 'null'");
                }
                test
            }
        };
        let paths: Vec<String> = json_paths(path)
            .into_iter()
            .map(|path| {
                let path = self.text(path);
                format!(
                    "exists (select from jsonb_path_query(s.metadata, {path}::text::jsonpath) v where {test})"
                )
            })
            .collect();
        format!("({})", paths.join("\n      or "))
    }
}

/// Reads at most `take.chunk` rows in order and stops at the last hit it needs: the numbered sub-select is fed lazily by the index
/// (timestamp, id), so `rows_read` is what was really read.
pub fn hits(filter: &Filter, span: Span, take: Take) -> Statement {
    let mut builder = Builder { values: Vec::new() };
    let order = order(span.direction);
    let place = builder.span(span);
    let chunk = builder.bind(Value::Count(take.chunk));
    let conditions = builder.conditions(filter);
    let hits = builder.bind(Value::Count(take.hits));
    let bytes = builder.bind(Value::Count(take.bytes));
    let text = format!(
        "\
select {COLUMNS}, hits, rows_read
from (
  select h.*, count(*) over () as hits, max(n) over () as rows_read, {size} as bytes_before
  from (
    select s.timestamp, s.id, s.level, s.resource_id, s.trace_id, s.span_id, s.\"commit\", s.message, s.metadata::text as metadata, s.client_id, s.n
    from (
      select {COLUMNS}, row_number() over (order by {order}) as n
      from logs
      where {place}
      order by {order}
      limit {chunk}
    ) s
    where {conditions}
    order by {order}
    limit {hits}
  ) h
) b
where bytes_before < {bytes}
order by {order}",
        size = size_before(order),
    );
    Statement { text, values: builder.values }
}

/// Where the chunk that [`hits`] read has its end, and how many rows it has; no row if there are none.
pub fn chunk_end(span: Span, chunk: i64) -> Statement {
    let mut builder = Builder { values: Vec::new() };
    let order = order(span.direction);
    let place = builder.span(span);
    let chunk = builder.bind(Value::Count(chunk));
    let text = format!(
        "\
select timestamp, id, n
from (
  select timestamp, id, row_number() over (order by {order}) as n
  from logs
  where {place}
  order by {order}
  limit {chunk}
) s
order by n desc
limit 1"
    );
    Statement { text, values: builder.values }
}

/// Rows of one trace, which has an index of its own: reads all of them up to `take.chunk`, then filters. The first row always comes,
/// with the number of rows read, and without a hit its other columns are null. The time bounds stand outside: beside trace_id, and
/// before a leaf has statistics, Postgres reads the whole time index for them (255 ms instead of 0.1 at 1M rows).
pub fn trace_hits(filter: &Filter, trace_id: &str, span: Span, take: Take) -> Statement {
    let mut builder = Builder { values: Vec::new() };
    let order = order(span.direction);
    let trace_id = builder.text(trace_id);
    let place = builder.span(span);
    let chunk = builder.bind(Value::Count(take.chunk));
    let conditions = builder.conditions(filter);
    let hits = builder.bind(Value::Count(take.hits));
    let bytes = builder.bind(Value::Count(take.bytes));
    let text = format!(
        "\
with t as materialized (
  select {COLUMNS}
  from logs
  where trace_id = {trace_id}
  limit {chunk}
)
select {COLUMNS}, coalesce(hits, 0) as hits, rows_read
from (select count(*) as rows_read from t) r
left join (
  select h.*, count(*) over () as hits, {size} as bytes_before
  from (
    select s.timestamp, s.id, s.level, s.resource_id, s.trace_id, s.span_id, s.\"commit\", s.message, s.metadata::text as metadata, s.client_id
    from t s
    where {place} and {conditions}
    order by {order}
    limit {hits}
  ) h
) b on bytes_before < {bytes}
order by {order}",
        size = size_before(order),
    );
    Statement { text, values: builder.values }
}

fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Older => "timestamp desc, id desc",
        Direction::Newer => "timestamp, id",
    }
}

fn size_before(order: &str) -> String {
    format!(
        "coalesce(sum(octet_length(message) + coalesce(octet_length(metadata), 0)) over (order by {order} rows between unbounded preceding and 1 preceding), 0)"
    )
}

/// A dot of the path is a step or belongs to a key, whichever fits: every way to read up to five parts (sixteen), beyond that all
/// steps or one key. A step into an array means any of its elements (lax mode and `[*]`).
fn json_paths(path: &str) -> Vec<String> {
    let parts: Vec<&str> = path.split('.').collect();
    let gaps = parts.len() - 1;
    let readings: Vec<u32> = if gaps <= 4 { (0..1 << gaps).collect() } else { vec![0, u32::MAX] };
    readings
        .into_iter()
        .map(|joined| {
            let mut keys = vec![parts[0].to_owned()];
            for (gap, part) in parts[1..].iter().enumerate() {
                let is_joined = joined == u32::MAX || joined >> gap & 1 == 1;
                match keys.last_mut() {
                    Some(key) if is_joined => {
                        key.push('.');
                        key.push_str(part);
                    }
                    _ => keys.push((*part).to_owned()),
                }
            }
            let mut text = "$".to_owned();
            for key in keys {
                text.push('.');
                text.push_str(&serde_json::Value::from(key).to_string());
            }
            text.push_str("[*]");
            text
        })
        .collect()
}

/// A JSON number that Postgres can hold as numeric without printing more than 400 digits; others are compared as text only.
fn is_number(text: &str) -> bool {
    if text.len() > 400 {
        return false;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let small = |text: &str| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        digits(text) && text.parse::<u32>().is_ok_and(|number| number <= 400)
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(small)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::filter::tests::a_filter;
    use proptest::prelude::*;
    use uuid::Uuid;

    const SPAN: Span = Span {
        from: Timestamp(0),
        to: Timestamp(1),
        after: Position { timestamp: Timestamp(1), id: Uuid::nil() },
        direction: Direction::Older,
    };
    const TAKE: Take = Take { chunk: 1000, hits: 51, bytes: 8 << 20 };

    fn marked(text: &str) -> Match {
        Match::Exact(format!("MARK{text}"))
    }

    #[test]
    fn conditions_of_each_kind() {
        let filter = Filter {
            levels: vec![crate::record::Level::Error],
            message: Some("100%_\\".into()),
            regex: Some("a+".into()),
            resource_id: Some(Match::Prefix("server-".into())),
            commit: Some(Match::Exact("5e5342f".into())),
            metadata: vec![("user.id".into(), Match::Exact("7".into()))],
            ..Filter::default()
        };
        let mut builder = Builder { values: Vec::new() };
        let text = builder.conditions(&filter);
        assert_eq!(
            text,
            r#"s.level = any ($1)
    and s.resource_id ^@ $2
    and s."commit" = $3
    and s.message ilike $4
    and s.message ~ $5
    and (exists (select from jsonb_path_query(s.metadata, $7::text::jsonpath) v where v #>> '{}' = $6 or v = to_jsonb($6::text::numeric))
      or exists (select from jsonb_path_query(s.metadata, $8::text::jsonpath) v where v #>> '{}' = $6 or v = to_jsonb($6::text::numeric)))"#
        );
        let values: Vec<String> = builder.values.iter().map(|value| format!("{value:?}")).collect();
        assert_eq!(
            values,
            [
                "Levels([5])",
                r#"Text("server-")"#,
                r#"Text("5e5342f")"#,
                r#"Text("%100\\%\\_\\\\%")"#,
                r#"Text("a+")"#,
                r#"Text("7")"#,
                r#"Text("$.\"user\".\"id\"[*]")"#,
                r#"Text("$.\"user.id\"[*]")"#,
            ]
        );
        assert_eq!(Builder { values: Vec::new() }.conditions(&Filter::default()), "true");
    }

    proptest! {
        #[test]
        fn a_value_never_stands_in_the_text(filter in a_filter(), text in "[^\\x00]{1,20}", path in "[^\\x00]{1,20}") {
            let filter = Filter {
                message: filter.message.map(|m| format!("MARK{m}")),
                regex: Some(format!("MARK{text}")),
                resource_id: Some(marked(&text)),
                metadata: vec![(format!("MARK{path}"), marked(&text))],
                ..filter
            };
            for statement in [hits(&filter, SPAN, TAKE), trace_hits(&filter, "MARK", SPAN, TAKE)] {
                prop_assert!(!statement.text.contains("MARK"));
                prop_assert!(statement.text.is_ascii());
                for at in 1..=statement.values.len() {
                    let name = format!("${at}");
                    prop_assert!(statement.text.contains(&name));
                }
            }
        }
    }

    #[test]
    fn ways_to_read_a_path() {
        assert_eq!(json_paths("a"), [r#"$."a"[*]"#]);
        assert_eq!(json_paths("a.b"), [r#"$."a"."b"[*]"#, r#"$."a.b"[*]"#]);
        assert_eq!(json_paths("a.b.c.d.e").len(), 16);
        assert_eq!(json_paths("a.b.c.d.e.f").len(), 2);
        assert_eq!(json_paths(r#"a"]"#), [r#"$."a\"]"[*]"#]);
    }

    #[test]
    fn numbers() {
        for text in ["0", "42", "-1.5", "1e10", "12E-3", "0.0001"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "1e401", "+1", "0x1", "NaN", "Infinity", "1_000", "１"]
        {
            assert!(!is_number(text), "{text}");
        }
        assert!(!is_number(&"9".repeat(401)));
    }
}
