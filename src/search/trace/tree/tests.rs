use proptest::prelude::*;

use super::*;

fn line<'a>(at: i64, resource: &'a str, span: Option<&'a str>) -> Line<'a> {
    Line { at: Timestamp(at), level: Level::Info, resource, span, hints: Hints::default() }
}

fn below<'a>(parent: &str, line: Line<'a>) -> Line<'a> {
    Line { hints: Hints { parent_span: Some(parent.to_owned()), ..line.hints }, ..line }
}

fn called_by<'a>(resource: &str, line: Line<'a>) -> Line<'a> {
    Line { hints: Hints { parent_resource: Some(resource.to_owned()), ..line.hints }, ..line }
}

/// Each span as `depth id@resource from-to`, a placeholder as `depth id? from-to`.
fn shape(lines: &[Line<'_>]) -> Vec<String> {
    let name = |span: &Span<'_>| match (span.id, span.resource) {
        (Some(id), Some(resource)) => format!("{id}@{resource}"),
        (Some(id), None) => format!("{id}?"),
        (None, resource) => format!("@{}", resource.unwrap()),
    };
    let text = |span: Span<'_>| {
        let circle = if span.was_circular { " o" } else { "" };
        format!("{} {} {}-{}{circle}", span.depth, name(&span), span.whole.from.0, span.whole.to.0)
    };
    grow(lines).into_iter().map(text).collect()
}

#[test]
fn parents_by_span() {
    let lines = [
        line(0, "web", Some("a")),
        below("a", line(1, "api", Some("b"))),
        below("b", line(2, "db", Some("c"))),
        below("a", line(3, "api", Some("d"))),
        line(9, "db", Some("c")),
        line(4, "web", Some("a")),
    ];
    assert_eq!(shape(&lines), ["0 a@web 0-9", "1 b@api 1-9", "2 c@db 2-9", "1 d@api 3-3"]);
    assert_eq!(grow(&lines)[2].lines, [2, 4]);
    assert_eq!(grow(&lines)[0].own.unwrap().to, Timestamp(4), "its own time is kept beside the bar");
}

#[test]
fn a_parent_without_records_is_a_placeholder() {
    let lines = [
        below("gone", line(1, "api", Some("b"))),
        below("gone", line(5, "api", Some("c"))),
        line(0, "web", Some("a")),
    ];
    assert_eq!(shape(&lines), ["0 a@web 0-0", "0 gone? 1-5", "1 b@api 1-1", "1 c@api 5-5"]);
    let weak = Line {
        hints: Hints { maybe_parent_span: Some("gone".into()), ..Hints::default() },
        ..line(1, "api", Some("b"))
    };
    assert_eq!(shape(std::slice::from_ref(&weak)), ["0 b@api 1-1"], "a weak name makes no placeholder");
    assert_eq!(shape(&[line(0, "web", Some("gone")), weak]), ["0 gone@web 0-1", "1 b@api 1-1"]);
}

#[test]
fn parents_by_resource() {
    // Two spans of `web`, one inside the other, and one that has ended.
    let web = |id, from, to| [line(from, "web", Some(id)), line(to, "web", Some(id))];
    let mut lines = [web("outer", 0, 100), web("inner", 10, 20), web("ended", 30, 40)].concat();
    lines.push(called_by("web", line(15, "api", Some("in-inner"))));
    lines.push(called_by("web", line(50, "api", Some("in-outer"))));
    lines.push(called_by("web", line(200, "api", Some("after"))));
    lines.push(called_by("nobody", line(201, "api", Some("root"))));
    lines.push(called_by("web", line(202, "web", Some("itself"))));
    assert_eq!(
        shape(&lines),
        [
            "0 outer@web 0-100",
            "1 in-outer@api 50-50",
            "0 inner@web 10-20",
            "1 in-inner@api 15-15",
            "0 ended@web 30-202",
            "1 after@api 200-200",
            "1 itself@web 202-202",
            "0 root@api 201-201",
        ]
    );
}

#[test]
fn records_without_span_are_a_lane() {
    let lines = [line(0, "web", None), line(1, "api", None), line(2, "web", None), line(3, "web", Some("a"))];
    assert_eq!(shape(&lines), ["0 @web 0-2", "0 @api 1-1", "0 a@web 3-3"]);
    let called = [line(0, "web", None), called_by("web", line(1, "api", None))];
    assert_eq!(shape(&called), ["0 @web 0-1", "1 @api 1-1"]);
}

#[test]
fn one_id_in_several_resources() {
    let twins = [line(0, "client", Some("s")), line(1, "server", Some("s")), line(9, "client", Some("s"))];
    assert_eq!(shape(&twins), ["0 s@client 0-9", "1 s@server 1-1"]);
    // A child means the span of its own resource, or the one whose resource it names, or the last that had begun.
    let mut lines = twins.to_vec();
    lines.push(below("s", line(2, "client", Some("x"))));
    lines.push(below("s", line(3, "db", Some("y"))));
    lines.push(called_by("client", below("s", line(4, "db", Some("z")))));
    assert_eq!(
        shape(&lines),
        ["0 s@client 0-9", "1 s@server 1-3", "2 y@db 3-3", "1 x@client 2-2", "1 z@db 4-4"]
    );
}

#[test]
fn circles_are_cut_at_their_first_span() {
    assert_eq!(shape(&[below("a", line(0, "web", Some("a")))]), ["0 a@web 0-0"]);
    let lines = [
        below("c", line(5, "x", Some("a"))),
        below("a", line(3, "x", Some("b"))),
        below("b", line(4, "x", Some("c"))),
        below("c", line(9, "x", Some("d"))),
    ];
    assert_eq!(shape(&lines), ["0 b@x 3-9 o", "1 c@x 4-9", "2 a@x 5-5", "2 d@x 9-9"]);
    let twins = [below("s", line(0, "x", Some("s"))), below("s", line(1, "y", Some("s")))];
    assert_eq!(shape(&twins), ["0 s@x 0-1 o", "1 s@y 1-1"]);
}

#[test]
fn a_duration_stands_before_its_record() {
    let mut late = line(1_000_000, "web", Some("a"));
    late.hints.lasted = Some(900_000);
    assert_eq!(shape(&[late, line(1_200_000, "web", Some("a"))]), ["0 a@web 100000-1200000"]);
}

#[test]
fn ten_thousand_in_a_row_are_quick() {
    let ids: Vec<String> = (0..10_000).map(|n| format!("s{n}")).collect();
    let started = std::time::Instant::now();
    let chain: Vec<Line<'_>> =
        (0..10_000).map(|n| below(&ids[(n + 1) % 10_000], line(n as i64, "x", Some(&ids[n])))).collect();
    assert_eq!(grow(&chain).last().unwrap().depth, 9_999);
    let same: Vec<Line<'_>> = ids.iter().map(|id| below("s", line(0, id, Some("s")))).collect();
    assert_eq!(grow(&same).len(), 10_000);
    let called: Vec<Line<'_>> =
        ids.iter().enumerate().map(|(n, id)| called_by("x", line(n as i64, "x", Some(id)))).collect();
    assert_eq!(grow(&called).last().unwrap().depth, 9_999);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

prop_compose! {
    fn a_line()(
        at in 0_i64..20,
        level in 1_i16..=6,
        resource in 0_usize..3,
        span in proptest::option::of(0_usize..5),
        parent in proptest::option::of(0_usize..7),
        weak in proptest::option::weighted(0.2, 0_usize..7),
        caller in proptest::option::of(0_usize..4),
        lasted in proptest::option::weighted(0.2, 1_i64..10),
    ) -> Line<'static> {
        const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
        let name = |at: usize| NAMES[at].to_owned();
        let hints = Hints {
            parent_span: parent.map(name),
            maybe_parent_span: weak.map(name),
            parent_resource: caller.map(name),
            lasted,
        };
        let level = Level::from_number(level).unwrap();
        Line { at: Timestamp(at), level, resource: NAMES[resource], span: span.map(|at| NAMES[at]), hints }
    }
}

proptest! {
    #[test]
    fn every_record_is_in_one_span_and_every_bar_holds_what_is_below(
        lines in proptest::collection::vec(a_line(), 0..60)
    ) {
        let spans = grow(&lines);
        let mut seen: Vec<usize> = spans.iter().flat_map(|span| span.lines.iter().copied()).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lines.len()).collect::<Vec<_>>());
        for (at, span) in spans.iter().enumerate() {
            for line in span.lines.iter().map(|line| &lines[*line]) {
                prop_assert_eq!((span.id, span.resource), (line.span, Some(line.resource)));
                prop_assert!(span.whole.from <= line.at && line.at <= span.whole.to);
            }
            prop_assert_eq!(span.lines.is_empty(), span.resource.is_none());
            prop_assert_eq!(span.own.is_none(), span.resource.is_none());
            let errors = span.lines.iter().filter(|line| lines[**line].level >= Level::Error).count();
            prop_assert_eq!(span.errors, errors);
            match span.parent {
                None => prop_assert_eq!(span.depth, 0),
                Some(parent) => {
                    prop_assert!(parent < at);
                    prop_assert_eq!(span.depth, spans[parent].depth + 1);
                    prop_assert!(spans[parent].whole.from <= span.whole.from);
                    prop_assert!(span.whole.to <= spans[parent].whole.to);
                    // In between there is nothing but what is below the parent.
                    prop_assert!(spans[parent + 1..at].iter().all(|other| other.depth > spans[parent].depth));
                }
            }
        }
        prop_assert_eq!(grow(&lines), spans);
    }
}
