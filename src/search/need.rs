//! What a block of rows must have in its index so that it can hold a hit. In: the tree of a search. Out: a [`Need`] that is never
//! narrower than the predicate: whatever is not certain to be in every hit is not asked for. Pure.

pub mod literals;

use self::literals::{Literals, literals};
use super::{
    expr::{Expr, Field, Test},
    filter::Match,
    fold,
};
use crate::{index::need, index::need::Need, record::Level};

/// What every hit of `expr` brings into the index of its block.
pub fn need(expr: &Expr) -> Need {
    match expr {
        Expr::All(parts) => Need::all(parts.iter().map(need).collect()),
        Expr::Any(parts) => Need::any(parts.iter().map(need).collect()),
        Expr::Not(part) => need_without(part),
        Expr::Test(test) => need_of_test(test),
    }
}

/// What is certain where `expr` does not hold: levels alone, because a block without a word may still miss it.
fn need_without(expr: &Expr) -> Need {
    match expr {
        Expr::All(parts) => Need::any(parts.iter().map(need_without).collect()),
        Expr::Any(parts) => Need::all(parts.iter().map(need_without).collect()),
        Expr::Not(part) => need(part),
        Expr::Test(Test::Level(levels)) => {
            let others: Vec<Level> = Level::ALL.into_iter().filter(|level| !levels.contains(level)).collect();
            Need::levels(&others)
        }
        Expr::Test(_) => Need::anything(),
    }
}

fn need_of_test(test: &Test) -> Need {
    match test {
        Test::Contains(text) => {
            Need::all(fold::exact_pieces(text).into_iter().map(Need::substring).collect())
        }
        Test::Regex(regex) => need_of_literals(&literals(&regex.pattern)),
        Test::Level(levels) => Need::levels(levels),
        Test::Is(field, values) => {
            Need::any(values.iter().map(|value| need_of_value(field, value)).collect())
        }
        Test::Compare { path, .. } => Need::has_path(path),
    }
}

fn need_of_literals(literals: &Literals) -> Need {
    match literals {
        Literals::Text(text) => Need::substring(text),
        Literals::All(parts) => Need::all(parts.iter().map(need_of_literals).collect()),
        Literals::Any(parts) => Need::any(parts.iter().map(need_of_literals).collect()),
    }
}

fn need_of_value(field: &Field, value: &Match) -> Need {
    let text = match (field, value) {
        (Field::Metadata(path), Match::Prefix(_)) => return Need::has_path(path),
        (_, Match::Prefix(_)) => return Need::anything(),
        (_, Match::Exact(text)) => text,
    };
    match field {
        Field::ResourceId => Need::field(need::Field::ResourceId, text),
        Field::TraceId => Need::field(need::Field::TraceId, text),
        Field::SpanId => Need::field(need::Field::SpanId, text),
        Field::Commit => Need::field(need::Field::Commit, text),
        // The row is compared with the text of a whole object or array, of which the index knows the parts; null is no value to it.
        Field::Metadata(path) if text.starts_with(['{', '[']) || text == "null" => Need::has_path(path),
        Field::Metadata(path) => Need::field(need::Field::Metadata(path), text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::grammar;

    #[test]
    fn what_each_test_needs() {
        let word = Need::substring;
        let field = |value| Need::field(need::Field::ResourceId, value);
        let path = |path, value| Need::field(need::Field::Metadata(path), value);
        for (line, wanted) in [
            ("", Need::anything()),
            ("timeout reset", Need::all(vec![word("timeout"), word("reset")])),
            ("timeout or reset", Need::any(vec![word("timeout"), word("reset")])),
            ("-timeout", Need::anything()),
            ("timeout -reset", word("timeout")),
            ("level>=error", Need::levels(&[Level::Error, Level::Fatal])),
            (
                "-(level:info or timeout)",
                Need::levels(&[Level::Trace, Level::Debug, Level::Warn, Level::Error, Level::Fatal]),
            ),
            ("-(level:info timeout)", Need::anything()),
            ("-(-timeout or x)", word("timeout")),
            ("level>fatal", Need::nothing()),
            ("überlauf", word("berlauf")),
            ("abcÜdefß名前", Need::all(vec![word("abc"), word("defß名前")])),
            ("resourceId:api", field("api")),
            ("resourceId:api*", Need::anything()),
            ("resourceId:(a or b)", Need::any(vec![field("a"), field("b")])),
            ("resourceId:(a or b*)", Need::anything()),
            ("traceId:x", Need::field(need::Field::TraceId, "x")),
            ("user.id:42", path("user.id", "42")),
            ("user.id:4*", Need::has_path("user.id")),
            ("user.id:*", Need::has_path("user.id")),
            ("user.id:null", Need::has_path("user.id")),
            ("user.id:{\"x\"", Need::all(vec![Need::has_path("user.id"), word("x")])),
            ("took>5", Need::has_path("took")),
            ("-took>5", Need::anything()),
            ("/time(out|d out)/", Need::all(vec![word("time"), Need::any(vec![word("out"), word("d out")])])),
        ] {
            assert_eq!(need(&grammar::parse(line).unwrap()), wanted, "{line}");
        }
    }
}
