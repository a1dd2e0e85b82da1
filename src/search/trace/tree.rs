//! Makes spans of records. In: the records of one trace. Out: its spans, each parent before its children, children by time; every record
//! is in exactly one span. Nothing but records is known, so all of this is inferred:
//!
//! * A span is the records with the same span id and resource; records without span id are one lane per resource. Its own time is from
//!   its first record to its last one; a record that says how long something took stands at the end of that.
//! * Its parent is the first that holds of: the span that a record names (of several with that id the one of the named parent resource, of
//!   the same resource, or the last that had begun; if there is none of that id, a placeholder without records is made), the span of the
//!   named parent resource (the last begun that still ran, or the last that ended before), the first span of another resource with the
//!   same id. Otherwise it is a root.
//! * Where parents go round in a circle, the first span of the circle becomes a root.
//! * Its bar is its own time and that of everything below it.
//!
//! Pure; n log n.

use std::collections::{BTreeMap, HashMap};

use super::hints::Hints;
use crate::record::{Level, Timestamp};

/// What a record says about its place.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    pub at: Timestamp,
    pub level: Level,
    pub resource: &'a str,
    pub span: Option<&'a str>,
    pub hints: Hints,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// None for the records of a resource that have none.
    pub id: Option<&'a str>,
    /// None for a placeholder: a parent that was named and of which there is no record.
    pub resource: Option<&'a str>,
    /// Place of the parent, which is before this one.
    pub parent: Option<usize>,
    pub depth: usize,
    /// Places of its records, as they came.
    pub lines: Vec<usize>,
    /// Records of level error or fatal.
    pub errors: usize,
    /// None for a placeholder.
    pub own: Option<Extent>,
    /// The bar.
    pub whole: Extent,
    /// It would be below one of its own descendants.
    pub was_circular: bool,
}

/// First and last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Extent {
    fn with(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

/// A span before it has a place.
struct Node<'a> {
    id: Option<&'a str>,
    resource: Option<&'a str>,
    parent: Option<usize>,
    lines: Vec<usize>,
    errors: usize,
    own: Option<Extent>,
    was_circular: bool,
    parent_span: Option<&'a str>,
    maybe_parent_span: Option<&'a str>,
    parent_resource: Option<&'a str>,
}

/// Puts records into spans, and spans in order.
pub fn grow<'a>(lines: &'a [Line<'a>]) -> Vec<Span<'a>> {
    let (mut nodes, places) = gather(lines);
    find_parents(&mut nodes, &places);
    cut_circles(&mut nodes);
    arrange(nodes)
}

impl<'a> Node<'a> {
    fn new(id: Option<&'a str>, resource: Option<&'a str>) -> Self {
        Self {
            id,
            resource,
            parent: None,
            lines: Vec::new(),
            errors: 0,
            own: None,
            was_circular: false,
            parent_span: None,
            maybe_parent_span: None,
            parent_resource: None,
        }
    }

    fn add(&mut self, at: usize, line: &'a Line<'a>) {
        let begun = Timestamp(line.at.0.saturating_sub(line.hints.lasted.unwrap_or(0)));
        let extent = Extent { from: begun, to: line.at };
        self.own = Some(self.own.map_or(extent, |own| own.with(extent)));
        self.lines.push(at);
        self.errors += usize::from(line.level >= Level::Error);
        let hints = &line.hints;
        self.parent_span = self.parent_span.or(hints.parent_span.as_deref());
        self.maybe_parent_span = self.maybe_parent_span.or(hints.maybe_parent_span.as_deref());
        self.parent_resource = self.parent_resource.or(hints.parent_resource.as_deref());
    }

    fn begun(&self) -> Timestamp {
        self.own.map_or(Timestamp::MAX, |own| own.from)
    }
}

/// Where the span of an id and a resource is.
type Places<'a> = HashMap<(Option<&'a str>, &'a str), usize>;

fn gather<'a>(lines: &'a [Line<'a>]) -> (Vec<Node<'a>>, Places<'a>) {
    let mut nodes: Vec<Node<'a>> = Vec::new();
    let mut places = Places::new();
    for (at, line) in lines.iter().enumerate() {
        let place = *places.entry((line.span, line.resource)).or_insert_with(|| {
            nodes.push(Node::new(line.span, Some(line.resource)));
            nodes.len() - 1
        });
        nodes[place].add(at, line);
    }
    (nodes, places)
}

fn find_parents<'a>(nodes: &mut Vec<Node<'a>>, places: &Places<'a>) {
    let mut by_begin: Vec<usize> = (0..nodes.len()).collect();
    by_begin.sort_by_key(|node| (nodes[*node].begun(), *node));
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
    for node in &by_begin {
        if let Some(id) = nodes[*node].id {
            by_id.entry(id).or_default().push(*node);
        }
    }
    // 1. Those that name a span, and placeholders for what they name.
    let mut placeholders: HashMap<&str, usize> = HashMap::new();
    for node in 0..by_begin.len() {
        let named = |name: Option<&str>| with_id(nodes, places, &by_id, node, name?);
        let found = named(nodes[node].parent_span).or_else(|| named(nodes[node].maybe_parent_span));
        nodes[node].parent = match (found, nodes[node].parent_span) {
            (Some(parent), _) => Some(parent),
            (None, Some(id)) if !by_id.contains_key(id) => {
                Some(*placeholders.entry(id).or_insert_with(|| {
                    nodes.push(Node::new(Some(id), None));
                    nodes.len() - 1
                }))
            }
            _ => None,
        };
    }
    // 2. Those that name a resource.
    let mut wanted: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for node in &by_begin {
        if let (None, Some(resource)) = (nodes[*node].parent, nodes[*node].parent_resource) {
            wanted.entry(resource).or_default().push(*node);
        }
    }
    let mut by_resource: HashMap<&str, Vec<usize>> = HashMap::new();
    for node in &by_begin {
        if let Some(resource) = nodes[*node].resource {
            by_resource.entry(resource).or_default().push(*node);
        }
    }
    for (resource, children) in wanted {
        of_resource(nodes, by_resource.get(resource).map_or(&[], Vec::as_slice), &children);
    }
    // 3. Those that share their id with a span of another resource.
    for node in by_begin {
        let first = nodes[node].id.and_then(|id| by_id[id].first());
        if let (None, Some(first)) = (nodes[node].parent, first)
            && *first != node
        {
            nodes[node].parent = Some(*first);
        }
    }
}

/// The span of this id that is meant by the node; never the node itself.
fn with_id<'a>(
    nodes: &[Node<'a>],
    places: &Places<'a>,
    by_id: &HashMap<&str, Vec<usize>>,
    node: usize,
    id: &'a str,
) -> Option<usize> {
    let all = by_id.get(id)?;
    let of = |resource: Option<&'a str>| places.get(&(Some(id), resource?)).copied();
    let begun = all.partition_point(|one| nodes[*one].begun() <= nodes[node].begun());
    let last_begun = all[..begun].iter().rev().chain(&all[begun..]).take(2).copied();
    [of(nodes[node].parent_resource), of(nodes[node].resource)]
        .into_iter()
        .flatten()
        .chain(last_begun)
        .find(|one| *one != node)
}

/// Gives each child, all in the order in which they begin, its parent among the spans of one resource, in the same order: the last
/// begun of those that still run, or else the last begun. What has ended before one child begins has ended for all that follow.
fn of_resource(nodes: &mut [Node<'_>], spans: &[usize], children: &[usize]) {
    let mut running: Vec<usize> = Vec::new();
    let mut begun = 0;
    for child in children {
        let at = nodes[*child].begun();
        while spans.get(begun).is_some_and(|span| nodes[*span].begun() <= at) {
            running.push(spans[begun]);
            begun += 1;
        }
        let has_ended = |span: &usize| nodes[*span].own.is_none_or(|own| own.to < at);
        while running.pop_if(|span| has_ended(span)).is_some() {}
        let itself = running.pop_if(|span| span == child);
        while running.pop_if(|span| has_ended(span)).is_some() {}
        let last_begun = || spans[..begun].iter().rev().find(|span| *span != child).copied();
        let parent = running.last().copied().or_else(last_begun);
        running.extend(itself);
        nodes[*child].parent = parent;
    }
}

fn cut_circles(nodes: &mut [Node<'_>]) {
    const UNSEEN: usize = usize::MAX;
    // The round in which a node was met.
    let mut met = vec![UNSEEN; nodes.len()];
    for start in 0..nodes.len() {
        let mut at = start;
        while met[at] == UNSEEN {
            met[at] = start;
            match nodes[at].parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        // Met in this very round, and there is still a way on: a circle.
        let Some(mut next) = nodes[at].parent.filter(|_| met[at] == start) else { continue };
        let mut first = at;
        while next != at {
            if (nodes[next].begun(), next) < (nodes[first].begun(), first) {
                first = next;
            }
            next = nodes[next].parent.expect("a circle has no end");
        }
        nodes[first].parent = None;
        nodes[first].was_circular = true;
    }
}

/// Parents before children, children by time.
fn arrange(nodes: Vec<Node<'_>>) -> Vec<Span<'_>> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut roots = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        match node.parent {
            Some(parent) => children[parent].push(at),
            None => roots.push(at),
        }
    }
    // 1. Bars, from the leaves upwards.
    let mut downwards = roots.clone();
    let mut met = 0;
    while let Some(node) = downwards.get(met) {
        downwards.extend(&children[*node]);
        met += 1;
    }
    let mut bars: Vec<Option<Extent>> = nodes.iter().map(|node| node.own).collect();
    for node in downwards.into_iter().rev() {
        if let (Some(bar), Some(parent)) = (bars[node], nodes[node].parent) {
            bars[parent] = Some(bars[parent].map_or(bar, |above| above.with(bar)));
        }
    }
    let bar = |node: usize| bars[node].expect("a span has records, or children that have some");
    // 2. Places, from the roots downwards.
    let last_first = |list: &mut Vec<usize>| {
        list.sort_by_key(|node| {
            std::cmp::Reverse((nodes[*node].own.map_or(bar(*node).from, |own| own.from), *node))
        });
    };
    last_first(&mut roots);
    let mut open: Vec<(usize, Option<usize>)> = roots.into_iter().map(|root| (root, None)).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some((node, parent)) = open.pop() {
        let mut below = std::mem::take(&mut children[node]);
        last_first(&mut below);
        open.extend(below.into_iter().map(|child| (child, Some(order.len()))));
        order.push((node, parent));
    }
    let mut nodes: Vec<Option<Node<'_>>> = nodes.into_iter().map(Some).collect();
    let mut spans: Vec<Span<'_>> = Vec::with_capacity(order.len());
    for (at, parent) in order {
        let node = nodes[at].take().expect("each node has one place");
        spans.push(Span {
            id: node.id,
            resource: node.resource,
            parent,
            depth: parent.map_or(0, |parent| spans[parent].depth + 1),
            lines: node.lines,
            errors: node.errors,
            own: node.own,
            whole: bars[at].expect("a span has records, or children that have some"),
            was_circular: node.was_circular,
        });
    }
    spans
}

#[cfg(test)]
mod tests;
