//! Spans as rows under a time axis. In: a trace and its spans. Out: structs that the template only branches and loops over. The page stays
//! readable and quick with thousands of spans: what is deep, and roots beyond a number, lie folded, in a large trace without their logs;
//! near records share a tick. Pure.

use super::{
    axis::{Axis, Bar, lasting},
    lanes::Lanes,
};
use crate::{
    pages::{
        entry::Entry,
        links::{Links, is},
        text::shown,
        when::Zone,
    },
    search::{
        expr::{Expr, Field},
        row::Row,
        trace::{
            Trace,
            tree::{Extent, Span},
        },
    },
};

/// Spans that are not folded.
const OPEN_MAX: usize = 300;
/// In a trace with more logs than this fewer spans are not folded, and the logs of those that are stand not on the page, but behind a link.
const LOGS_MAX: usize = 2_000;
const OPEN_OF_MANY_MAX: usize = 100;
/// Ticks on a bar as long as the axis.
const SLOTS: usize = 200;
/// Deeper spans are not indented further.
const INDENT_MAX: usize = 12;
/// Characters of a message as the name of a span, and at a tick.
const NAME_CHARS_MAX: usize = 140;
const TITLE_CHARS_MAX: usize = 80;

pub enum Item {
    Span(Box<SpanView>),
    Folded(Folded),
}

/// Spans that are there, one click away.
pub struct Folded {
    pub label: String,
    /// Of the nearest of them.
    pub indent: usize,
    pub errors: usize,
    /// Their logs are not on the page.
    pub is_bare: bool,
    pub spans: Vec<SpanView>,
}

pub struct SpanView {
    pub depth: usize,
    pub indent: usize,
    pub lane: usize,
    pub name: String,
    pub resource: Option<String>,
    pub id: Option<String>,
    /// The id of the parent that it was found to have.
    pub parent: Option<String>,
    pub was_circular: bool,
    pub own: Option<Bar>,
    /// With what is below it; None if that is no more.
    pub whole: Option<Bar>,
    pub ticks: Vec<Tick>,
    pub from: String,
    pub lasted: String,
    pub errors: usize,
    /// The search for its records.
    pub href: Option<String>,
    pub logs: usize,
    /// Its logs are not on the page.
    pub is_bare: bool,
    pub lines: Vec<Entry>,
}

/// Records that stand near each other: the worst, and how many others.
pub struct Tick {
    pub x: String,
    pub level: &'static str,
    pub id: String,
    pub title: String,
}

/// What the rows of a waterfall have in common.
pub struct Waterfall<'a> {
    pub trace: &'a Trace,
    pub axis: &'a Axis,
    pub lanes: &'a Lanes<'a>,
    pub zone: Zone,
}

/// The rows of the waterfall.
pub fn items(waterfall: &Waterfall<'_>, spans: &[Span<'_>]) -> Vec<Item> {
    let is_bare = waterfall.trace.rows.len() > LOGS_MAX;
    let open_max = if is_bare { OPEN_OF_MANY_MAX } else { OPEN_MAX };
    let depth_max = depth_max(spans, open_max);
    let mut items: Vec<Item> = Vec::new();
    let mut open = 0;
    for span in spans {
        let parent = span.parent.and_then(|parent| spans[parent].id);
        let is_open = span.depth <= depth_max && open < open_max;
        let view = SpanView::new(waterfall, span, parent, !is_open && is_bare);
        match items.last_mut() {
            _ if is_open => {
                open += 1;
                items.push(Item::Span(Box::new(view)));
            }
            Some(Item::Folded(folded)) => folded.add(view),
            _ => {
                let mut folded = Folded {
                    label: String::new(),
                    indent: view.indent,
                    errors: 0,
                    is_bare,
                    spans: Vec::new(),
                };
                folded.add(view);
                items.push(Item::Folded(folded));
            }
        }
    }
    for item in &mut items {
        if let Item::Folded(folded) = item {
            folded.label = match folded.spans.len() {
                1 => "1 more span".to_owned(),
                count => format!("{count} more spans"),
            };
        }
    }
    items
}

/// The deepest level that is still shown: all spans down to it are not too many.
fn depth_max(spans: &[Span<'_>], open_max: usize) -> usize {
    let mut at_depth = vec![0; spans.iter().map(|span| span.depth + 1).max().unwrap_or(0)];
    for span in spans {
        at_depth[span.depth] += 1;
    }
    let mut all = 0;
    let fits = |count: &&usize| {
        all += **count;
        all <= open_max
    };
    at_depth.iter().take_while(fits).count().saturating_sub(1)
}

impl Folded {
    fn add(&mut self, span: SpanView) {
        self.errors += span.errors;
        self.indent = self.indent.min(span.indent);
        self.spans.push(span);
    }
}

impl SpanView {
    fn new(waterfall: &Waterfall<'_>, span: &Span<'_>, parent: Option<&str>, is_bare: bool) -> Self {
        let Waterfall { trace, axis, lanes, zone } = waterfall;
        let shown_lines = if is_bare { &[] } else { span.lines.as_slice() };
        let first = span.lines.first().map(|line| &trace.rows[*line]);
        Self {
            depth: span.depth,
            indent: span.depth.min(INDENT_MAX),
            lane: lanes.of(span.resource),
            name: match (first, span.id) {
                (Some(row), _) => cut(&row.message, NAME_CHARS_MAX),
                (None, Some(id)) => format!("missing parent {}", shown(id)),
                (None, None) => "missing parent".to_owned(),
            },
            resource: span.resource.map(shown),
            id: span.id.map(shown),
            parent: parent.map(shown),
            was_circular: span.was_circular,
            own: span.own.map(|own| axis.bar(own)),
            whole: (span.own != Some(span.whole)).then(|| axis.bar(span.whole)),
            ticks: ticks(trace, shown_lines, axis),
            from: lasting(axis.after(span.whole.from)),
            lasted: lasting(micros(span.whole)),
            errors: span.errors,
            href: span.resource.map(|resource| search(&trace.id, span.id, resource)),
            logs: span.lines.len(),
            is_bare,
            lines: shown_lines.iter().map(|line| Entry::new(&trace.rows[*line], *zone)).collect(),
        }
    }
}

fn micros(extent: Extent) -> i64 {
    extent.to.0 - extent.from.0
}

fn search(trace: &str, span: Option<&str>, resource: &str) -> String {
    let conditions = [is(&Field::TraceId, trace), is(&Field::ResourceId, resource)];
    let span = span.map(|span| is(&Field::SpanId, span));
    Links::to(Expr::all(conditions.into_iter().chain(span))).here()
}

fn ticks(trace: &Trace, lines: &[usize], axis: &Axis) -> Vec<Tick> {
    let mut slots: Vec<(usize, &Row, usize)> = Vec::new();
    for row in lines.iter().map(|line| &trace.rows[*line]) {
        let slot = axis.slot(row.timestamp, SLOTS);
        match slots.last_mut() {
            Some((last, worst, others)) if *last == slot => {
                *others += 1;
                if row.level > worst.level {
                    *worst = row;
                }
            }
            _ => slots.push((slot, row, 0)),
        }
    }
    let tick = |(_, row, others): (usize, &Row, usize)| {
        let message = cut(&row.message, TITLE_CHARS_MAX);
        let others = if others > 0 { format!(" (+{others} more here)") } else { String::new() };
        let after = lasting(axis.after(row.timestamp));
        Tick {
            x: axis.x(row.timestamp),
            level: row.level.name(),
            id: row.id.to_string(),
            title: format!("+{after} {} {message}{others}", row.level),
        }
    };
    slots.into_iter().map(tick).collect()
}

/// The first line, and not too much of it.
fn cut(text: &str, chars_max: usize) -> String {
    let line = text.trim_start().lines().next().unwrap_or("");
    match line.char_indices().nth(chars_max) {
        None => shown(line),
        Some((end, _)) => shown(&line[..end]) + "…",
    }
}
