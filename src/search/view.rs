//! Makes display-ready values. In: a query, what was found, and what was typed. Out: structs that templates only branch and loop over.
//! Everything that a page links to is an address with the whole state in it. Pure.

use askama::Template;

use super::{
    assets::Assets,
    error::SearchError,
    find::Found,
    form::Form,
    json_lines::{self, JsonLine},
    params::{self, Query},
    row::Row,
    text::{grouped, moment, shown},
};
use crate::record::{Level, Timestamp};

/// Bytes of a message and lines of metadata that a row of the list shows; the record's own page shows all.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
const METADATA_LINES_MAX: usize = 60;

#[derive(Template)]
#[template(path = "search.html", blocks = ["title", "content"])]
pub struct SearchPage {
    pub assets: &'static Assets,
    pub title: String,
    pub form: Form,
    pub ranges: Vec<Range>,
    pub pills: Vec<Pill>,
    pub outcome: Outcome,
}

#[derive(Template)]
#[template(path = "record.html", blocks = ["title", "content"])]
pub struct RecordPage {
    pub assets: &'static Assets,
    pub record: RecordView,
}

#[derive(Template)]
#[template(path = "problem.html", blocks = ["title", "content"])]
pub struct ProblemPage {
    pub assets: &'static Assets,
    pub heading: String,
    pub text: String,
}

pub enum Outcome {
    Page(Page),
    Problem(Problem),
}

pub struct Page {
    pub rows: Vec<RecordView>,
    pub summary: String,
    pub further: Option<String>,
    pub next: Option<String>,
    pub prev: Option<String>,
    pub empty_heading: &'static str,
    pub empty_text: String,
    /// Where an empty page goes on.
    pub onward: Option<String>,
}

pub struct Problem {
    pub class: &'static str,
    pub heading: &'static str,
    pub text: String,
    pub retry: Option<String>,
}

pub struct Range {
    pub label: &'static str,
    pub href: String,
    pub is_current: bool,
}

pub struct Pill {
    pub name: String,
    pub value: String,
    pub href: String,
}

/// A record as a row of the list shows it, or its own page.
pub struct RecordView {
    pub id: String,
    pub time: String,
    pub datetime: String,
    pub level: &'static str,
    pub level_href: String,
    pub resource: String,
    pub resource_href: String,
    pub message: String,
    /// Bytes of the message that are not shown.
    pub message_rest: usize,
    pub fields: Vec<FieldView>,
    pub client_id: Option<String>,
    pub metadata: Vec<JsonLine>,
    /// Lines of metadata that are not shown.
    pub metadata_rest: usize,
    pub trace_href: Option<String>,
    pub around_href: String,
}

pub struct FieldView {
    pub name: &'static str,
    pub value: String,
    pub href: String,
}

/// Addresses that differ from the present filter in one thing.
pub struct Links {
    params: Vec<(String, String)>,
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
        self.with(name, &super::filter::Match::Exact(value.to_owned()).write())
    }

    fn without(&self, at: usize) -> String {
        let others = self.params.iter().enumerate().filter(|(number, _)| *number != at);
        address(others.map(|(_, (n, v))| (n.as_str(), v.as_str())))
    }

    fn with_range(&self, from: Option<&str>) -> String {
        let others = self.params.iter().filter(|(name, _)| name != "from" && name != "to");
        address(others.map(|(n, v)| (n.as_str(), v.as_str())).chain(from.map(|from| ("from", from))))
    }

    fn here(&self) -> String {
        address(self.params.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

fn address<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    format!("/{}", params::encode(pairs))
}

impl SearchPage {
    pub fn new(form: Form, query: Option<&Query>, outcome: Outcome) -> Self {
        let links = query.map_or_else(Links::fresh, Links::new);
        let current = |name: &str| links.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let ranges = [("15 min", "15m"), ("1 h", "1h"), ("24 h", "24h"), ("7 d", "7d"), ("30 d", "30d")];
        let mut ranges: Vec<Range> = ranges
            .into_iter()
            .map(|(label, from)| Range {
                label,
                href: links.with_range(Some(from)),
                is_current: current("from") == Some(from) && current("to").is_none(),
            })
            .collect();
        ranges.push(Range {
            label: "All time",
            href: links.with_range(None),
            is_current: query.is_some() && current("from").is_none() && current("to").is_none(),
        });
        let conditions = links.params.iter().enumerate().filter(|(_, (name, _))| name != "limit");
        let pills: Vec<Pill> = conditions
            .map(|(at, (name, value))| Pill {
                name: name.clone(),
                value: shown(value),
                href: links.without(at),
            })
            .collect();
        let names: Vec<String> =
            pills.iter().take(3).map(|pill| format!("{}: {}", pill.name, pill.value)).collect();
        let title =
            if names.is_empty() { "Logs".to_owned() } else { format!("{} · Logs", names.join(", ")) };
        Self { assets: Assets::get(), title, form, ranges, pills, outcome }
    }
}

impl Page {
    pub fn new(query: &Query, found: &Found) -> Self {
        let links = Links::new(query);
        let cursor = |cursor: Option<super::cursor::Cursor>| {
            cursor.map(|cursor| links.with("cursor", &cursor.write()))
        };
        let stats = &found.stats;
        let next = cursor(found.next);
        let count = found.rows.len();
        let reached = stats.searched_back_to.map(moment);
        let state = match (stats.complete, &reached) {
            (true, _) if next.is_some() => "older rows follow".to_owned(),
            (true, _) => "complete".to_owned(),
            (false, Some(reached)) => format!("time budget used up, searched back to {reached}"),
            (false, None) => "time budget used up".to_owned(),
        };
        let summary = format!(
            "{} {} shown · {} read · {} ms · {state}",
            grouped(count as u64),
            if count == 1 { "row" } else { "rows" },
            grouped(stats.rows_read),
            stats.took.as_millis(),
        );
        let onward = if stats.complete { None } else { next.clone().or_else(|| cursor(found.prev)) };
        let (empty_heading, empty_text) = match (stats.complete, query.params().is_empty()) {
            (true, true) => {
                ("Nothing here yet", "POST records to /public/ingest and they appear here.".to_owned())
            }
            (true, false) => (
                "No record matches",
                "The whole time range was searched. Remove a filter, or widen the range.".to_owned(),
            ),
            (false, _) => (
                "Nothing found so far",
                format!(
                    "The time budget was used up after {} rows{}. Go on from there, or narrow the time range.",
                    grouped(stats.rows_read),
                    reached.map_or(String::new(), |reached| format!(", back to {reached}")),
                ),
            ),
        };
        Self {
            rows: found.rows.iter().map(|row| RecordView::new(row, &links, Extent::Row)).collect(),
            summary,
            further: if count > 0 { onward.clone() } else { None },
            next,
            prev: cursor(found.prev),
            empty_heading,
            empty_text,
            onward,
        }
    }
}

impl Problem {
    pub fn new(error: &SearchError, query: Option<&Query>) -> Self {
        let retry = query.map(|query| Links::new(query).here());
        let (class, heading, text, retry) = match error {
            SearchError::Bad(fault) => {
                ("problem", "This search cannot be run", format!("{}: {}", fault.field, fault.error), None)
            }
            SearchError::NotFound => ("problem", "Not found", error.to_string(), None),
            SearchError::Busy { .. } => (
                "slow",
                "Too busy right now",
                "As many searches as may run at once are running. Nothing is wrong with yours; try again in a moment.".to_owned(),
                retry,
            ),
            SearchError::TooSlow { .. } => (
                "slow",
                "Too slow",
                "Not one row could be read within the time budget. A simpler regex or another filter may help.".to_owned(),
                retry,
            ),
            SearchError::LeafGone => (
                "slow",
                "Records were dropped",
                "Old records were dropped while this search read them. Try again: the next one does not see them.".to_owned(),
                retry,
            ),
            SearchError::Contended => ("slow", "Records were changed", format!("{error}. Try again."), retry),
            SearchError::Unavailable { .. } => (
                "problem",
                "The database cannot be reached",
                "Records that were accepted are safe. The search works again as soon as the database does.".to_owned(),
                retry,
            ),
            SearchError::Internal { .. } => ("problem", "Something went wrong", format!("{error}."), retry),
        };
        Self { class, heading, text, retry }
    }
}

/// How much of a record is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Row,
    Whole,
}

impl RecordView {
    pub fn new(row: &Row, links: &Links, extent: Extent) -> Self {
        let cut = match extent {
            Extent::Row => row.message.floor_char_boundary(MESSAGE_BYTES_MAX),
            Extent::Whole => row.message.len(),
        };
        let mut fields = vec![
            FieldView::new("level", row.level.name(), links),
            FieldView::new("resourceId", &row.resource_id, links),
        ];
        let optional = [("traceId", &row.trace_id), ("spanId", &row.span_id), ("commit", &row.commit)];
        for (name, value) in optional {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                fields.push(FieldView::new(name, value, links));
            }
        }
        let mut metadata = row.metadata.as_ref().map_or_else(Vec::new, |text| {
            json_lines::lines(text.get(), &|path, value| links.with_value(path, value))
        });
        let metadata_rest = match extent {
            Extent::Row => metadata.len().saturating_sub(METADATA_LINES_MAX),
            Extent::Whole => 0,
        };
        metadata.truncate(metadata.len() - metadata_rest);
        let around = |micros: i64| Timestamp(row.timestamp.0 + micros).to_string();
        let resource = super::filter::Match::Exact(row.resource_id.clone()).write();
        Self {
            id: row.id.to_string(),
            time: moment(row.timestamp),
            datetime: row.timestamp.to_string(),
            level: row.level.name(),
            level_href: links.with("level", row.level.name()),
            resource: shown(&row.resource_id),
            resource_href: links.with_value("resourceId", &row.resource_id),
            message: shown(&row.message[..cut]),
            message_rest: row.message.len() - cut,
            fields,
            client_id: row.client_id.as_deref().map(shown),
            metadata,
            metadata_rest,
            trace_href: row.trace_id.as_deref().map(|trace| Links::fresh().with_value("traceId", trace)),
            around_href: address([
                ("resourceId", resource.as_str()),
                ("from", &around(-60_000_000)),
                ("to", &around(60_000_001)),
            ]),
        }
    }
}

impl FieldView {
    fn new(name: &'static str, value: &str, links: &Links) -> Self {
        Self { name, value: shown(value), href: links.with_value(name, value) }
    }
}

impl From<(&'static str, &str)> for ProblemPage {
    fn from((heading, text): (&'static str, &str)) -> Self {
        Self { assets: Assets::get(), heading: heading.to_owned(), text: text.to_owned() }
    }
}

/// Levels as the form lists them, worst last.
pub fn levels() -> impl Iterator<Item = &'static str> {
    Level::ALL.into_iter().map(Level::name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
