//! What a context shows. In: the records around one. Out: lines, the ways on at both ends, and what it cost. Pure.

use crate::{
    pages::{
        entry::Entry,
        links::{self, Links},
        text::grouped,
        when::{Form, Zone, show},
    },
    search::{
        context::{
            Asked, Context, Side,
            read::{SIDE_DEFAULT, SIDE_MAX},
        },
        row::Row,
    },
};

pub struct Lines {
    pub before: Vec<Entry>,
    pub record: Entry,
    pub trace_href: Option<String>,
    /// The zone of the times.
    pub zone: &'static str,
    pub after: Vec<Entry>,
    pub earlier: Ending,
    pub later: Ending,
    pub summary: String,
}

/// What is beyond the lines of one side.
pub enum Ending {
    /// Nothing.
    End,
    More(Step),
    /// The time was up.
    Unknown(Step),
}

pub struct Step {
    pub label: String,
    pub href: String,
}

/// The sides differ in words only.
struct Words {
    more: &'static str,
    beyond: &'static str,
    reached: &'static str,
}

const EARLIER: Words = Words { more: "earlier", beyond: "Go on before the first line", reached: "back to" };
const LATER: Words = Words { more: "later", beyond: "Go on after the last line", reached: "up to" };

impl Lines {
    pub fn new(asked: &Asked, context: &Context, zone: Zone) -> Self {
        let view = |row: &Row| Entry::new(row, zone);
        let Context { record, before, after, rows_read, took, .. } = context;
        let first = before.rows.first().unwrap_or(record);
        let last = after.rows.last().unwrap_or(record);
        let further = |count: usize| count + SIDE_DEFAULT.min(SIDE_MAX - count);
        let earlier = Asked { before: further(asked.before), ..asked.clone() };
        let later = Asked { after: further(asked.after), ..asked.clone() };
        let count = before.rows.len() + 1 + after.rows.len();
        Self {
            before: before.rows.iter().map(view).collect(),
            record: view(record),
            trace_href: record.trace_id.as_deref().filter(|id| !id.is_empty()).map(links::trace),
            zone: zone.name(),
            after: after.rows.iter().map(view).collect(),
            earlier: ending(context, before, first, asked.before, &earlier, (&EARLIER, zone)),
            later: ending(context, after, last, asked.after, &later, (&LATER, zone)),
            summary: format!(
                "{} {} · {} read · {} ms",
                grouped(count as u64),
                if count == 1 { "line" } else { "lines" },
                grouped(*rows_read),
                took.as_millis()
            ),
        }
    }
}

/// More lines, in a page that opens where this one ends; from the outermost line if no more fit on one page.
fn ending(
    context: &Context,
    side: &Side,
    outermost: &Row,
    count: usize,
    more: &Asked,
    (words, zone): (&Words, Zone),
) -> Ending {
    let Some(onward) = &side.onward else { return Ending::End };
    if !side.complete {
        let reached = show(onward.position.timestamp, zone, Form::Full);
        let label = format!("The time was up, searched {} {reached}", words.reached);
        return Ending::Unknown(Step {
            label,
            href: Links::new(&context.query, Vec::new()).with("cursor", &onward.write()),
        });
    }
    let edge = outermost.id.to_string();
    Ending::More(match count {
        SIDE_MAX => {
            let again = Asked { before: SIDE_DEFAULT, after: SIDE_DEFAULT, ..more.clone() };
            Step { label: words.beyond.to_owned(), href: links::context(&edge, &again.params()) }
        }
        _ => {
            let id = context.record.id.to_string();
            let label = format!("{} more {}", SIDE_DEFAULT.min(SIDE_MAX - count), words.more);
            Step { label, href: format!("{}#{edge}", links::context(&id, &more.params())) }
        }
    })
}
