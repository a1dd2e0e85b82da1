//! The grammar by tables and by chance: every form, every error, and that text and tree are each other.

use super::*;
use crate::search::expr::{conjuncts, negated, tests::an_expr};
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    match parse(text) {
        Ok(expr) => print(&expr),
        Err(fault) => fault.error,
    }
}

/// What is typed, and its canonical text.
const FORMS: &[(&str, &str)] = &[
    (
        r#"level>=warn resourceId:api-* "connection reset" -path:/health metadata.user.id:42 duration_ms>200 /regex/ (a or b)"#,
        r#"level>=warn resourceId:api-* "connection reset" -path:/health user.id:42 duration_ms>200 /regex/ (a or b)"#,
    ),
    ("", ""),
    (" \t\n", ""),
    ("*", ""),
    ("a * b", "a b"),
    ("(* or a) b", "b"),
    // Precedence: not, and, or.
    ("a b or c d", "a b or c d"),
    ("a and b OR not c And d", "a b or -c d"),
    ("a (b or c) d", "a (b or c) d"),
    ("a && b || !c", "a b or -c"),
    ("-(a b) -(c or d)", "-(a b) -(c or d)"),
    ("(a (b c)) ((d) or (e or f))", "a b c (d or e or f)"),
    ("not not a - - !-b", "a \"-\" \"-\" b"),
    // Words.
    (
        "10.0.0.1:8080 http://x/y foo::bar 2026-01-31T08:00:00Z",
        "10.0.0.1:8080 http://x/y foo::bar 2026-01-31T08:00:00Z",
    ),
    ("a=b a!=b x=1,y=2 YWJj= k=>v", "a=b -a:b x=1,y=2 \"YWJj=\" k=>v"),
    (
        "--flag a->b -> --> <html> !! /api/v1/users /health GET",
        "\"--flag\" a->b \"->\" \"-->\" \"<html>\" \"!!\" \"/api/v1/users\" \"/health\" GET",
    ),
    (r"C\dir it's [x] {y} a,b;c", r"C\dir it's [x] {y} a,b;c"),
    ("conn* *reset* a*b c\\*", "conn reset a*b \"c*\""),
    ("fail(x)", "fail x"),
    (r#""and" "a \"q\" \\ \d" "x""#, r#""and" "a \"q\" \\ \\d" x"#),
    ("message:timeout message:\"a b\" message:(a or b) -message:*", "timeout \"a b\" (a or b) level>fatal"),
    ("Ünï ПРИВЕТ 名前", "Ünï ПРИВЕТ 名前"),
    // Regexes.
    (r"/a b\/c\d/ /x(y|z)/i -/n/", r"/a b\/c\d/ /x(y|z)/i -/n/"),
    ("// /unclosed", "\"//\" \"/unclosed\""),
    ("(/a/)", "/a/"),
    // Levels.
    ("level:WARNING Level=err level==info", "level:warn level:error level:info"),
    ("level:(warn or error) level:(error OR fatal or crit)", "level:(warn or error) level>=error"),
    ("level<=debug level<debug level>fatal level:*", "level<=debug level:trace level>fatal level>=trace"),
    (
        "-level:info level!=info -level>=warn level:>=error",
        "level!=info level!=info level<=info level>=error",
    ),
    // Fields.
    ("RESOURCEID:x traceid:* spanId:\"\" commit:5e\\*", "resourceId:x traceId:* spanId:\"\" commit:\"5e*\""),
    (
        "path:\"a b\"* path:\"a*\" path:a\\b url:http://x:1/?a=b",
        "path:\"a b\"* path:\"a*\" path:a\\b url:http://x:1/?a=b",
    ),
    (
        "level:error,WARN -level:\"info, debug\"",
        "level:(warn or error) level:(trace or warn or error or fatal)",
    ),
    ("tag:(a or b* or \"c d\" or \"or\")", "tag:(a or b* or \"c d\" or \"or\")"),
    ("url:(//x) url:\":x\" url:\"//x\"*", "url:\"//x\" url:\":x\" url:\"//x\"*"),
    ("tag:(a) tag:( a || b )", "tag:a tag:(a or b)"),
    (
        "tag:and tag!=x metadata.tag=x status=500 status!=4e2",
        "tag:\"and\" -tag:x tag:x status:500 -status:4e2",
    ),
    (
        "metadata.level:x metadata.metadata.a:1 metadata.timestamp:*",
        "metadata.level:x metadata.metadata.a:1 metadata.timestamp:*",
    ),
    (
        "\"odd name\":x \"a\">5 \"level\":warn metadata.1st:x",
        "\"metadata.odd name\":x a>5 level:warn metadata.1st:x",
    ),
    ("\"a=b\"=c {\"user\":\"x\"}", "\"metadata.a=b\":c { user:x }"),
    // Comparisons.
    ("a>1 a>=-1.5 a<1e3 a<=0 a:>7 -a>1", "a>1 a>=-1.5 a<1e3 a<=0 a>7 -a>1"),
    ("a:>x a:<b>", "a:\">x\" a:\"<b>\""),
    ("app.kubernetes.io/name:x @tag:1 user-id:2", "app.kubernetes.io/name:x @tag:1 user-id:2"),
];

#[test]
fn every_form_and_its_canonical_text() {
    for &(text, wanted) in FORMS {
        assert_eq!(canonical(text), wanted, "{text}");
        assert_eq!(canonical(wanted), wanted, "{text}");
    }
}

/// Text, first column, columns, error.
const ERRORS: &[(&str, usize, usize, &str)] = &[
    (
        "ärger resourceId:",
        18,
        0,
        "expected a value after `resourceId:`, got the end; to search for the text itself, put it in quotes",
    ),
    (
        "Error: reset",
        7,
        1,
        "expected a value after `Error:`, got a blank; to search for the text itself, put it in quotes",
    ),
    ("(a:)", 4, 1, "expected a value after `a:`, got `)`; to search for the text itself, put it in quotes"),
    ("a \"b c", 3, 1, "this quote is not closed"),
    ("a:\"b c", 3, 1, "this quote is not closed"),
    ("\"\"", 1, 2, "expected text between the quotes"),
    ("message:\"\"", 9, 2, "expected text between the quotes"),
    ("(a (b)", 1, 1, "this `(` is not closed; to search for the text itself, put it in quotes"),
    ("a:(b or c", 3, 1, "this `(` is not closed; to search for the text itself, put it in quotes"),
    ("a) b", 2, 1, "this `)` closes nothing; to search for the text itself, put it in quotes"),
    ("a or", 5, 0, "expected a word, a field or `(`, got the end"),
    (
        "or a",
        1,
        2,
        "expected a word, a field or `(`, got `or`; to search for the text itself, put it in quotes",
    ),
    (
        "a and or b",
        7,
        2,
        "expected a word, a field or `(`, got `or`; to search for the text itself, put it in quotes",
    ),
    ("not", 4, 0, "expected a word, a field or `(`, got the end"),
    ("f()", 3, 1, "expected a word, a field or `(`, got `)`"),
    ("a:(b c)", 6, 1, "expected `or` or `)` in the list of `a:`, got `c`"),
    ("a:()", 4, 1, "expected a value in the list of `a:`, got `)`"),
    (
        "a:(b or or c)",
        9,
        2,
        "expected a value in the list of `a:`, got `or`; to search for the text itself, put it in quotes",
    ),
    (
        "took>200ms",
        6,
        5,
        "expected a number after `took>`, got `200ms`; to search for the text itself, put it in quotes",
    ),
    (
        "took>",
        6,
        0,
        "expected a number after `took>`, got the end; to search for the text itself, put it in quotes",
    ),
    (
        "Vec<u8>",
        5,
        3,
        "expected a number after `Vec<`, got `u8>`; to search for the text itself, put it in quotes",
    ),
    (
        "level>=banana",
        8,
        6,
        "expected a level after `level>=`, got `banana`; to search for the text itself, put it in quotes",
    ),
    ("level:warn,", 7, 5, "trace, debug, info, warn, error or fatal is needed, got `warn,`"),
    ("level:banana", 7, 6, "trace, debug, info, warn, error or fatal is needed, got `banana`"),
    ("level:(warn or x*)", 16, 2, "trace, debug, info, warn, error or fatal is needed, got `x*`"),
    (
        "x resourceId>5",
        3,
        11,
        "`>` compares the level or a number below metadata, not `resourceId`; to search for the text itself, put it in quotes",
    ),
    (
        "message<=5",
        1,
        9,
        "`<=` compares the level or a number below metadata, not `message`; to search for the text itself, put it in quotes",
    ),
    ("timestamp>2026", 1, 10, "the time range is set by `from` and `to`, not here"),
    ("metadata.:x", 1, 10, "a path below metadata is needed, as in `metadata.user.id:7`"),
    ("metadata:x", 1, 9, "a path below metadata is needed, as in `metadata.user.id:7`"),
    (
        "size > 200",
        6,
        1,
        "a field, its sign and its value stand without blanks, as in `size>200`; to search for the text itself, put it in quotes",
    ),
    (
        "size >200",
        6,
        4,
        "a field, its sign and its value stand without blanks, as in `size>200`; to search for the text itself, put it in quotes",
    ),
    (
        "size = 200",
        6,
        1,
        "a field, its sign and its value stand without blanks, as in `size>200`; to search for the text itself, put it in quotes",
    ),
    ("msg=\"a b\"", 1, 4, "write `msg:` for the field; to search for the text itself, put it in quotes"),
];

#[test]
fn every_error_and_its_columns() {
    for &(text, start, len, error) in ERRORS {
        let fault = parse(text).expect_err(text);
        let columns = Columns { start, end: start + len };
        assert_eq!(fault, Fault::at("q", columns, error), "{text}");
        assert!(fault.error.starts_with(&format!("column {start}: ")));
    }
}

#[test]
fn limits() {
    let error = |text: &str| parse(text).expect_err("it is over a limit").error;
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(error(&nested(DEPTH_MAX + 1)), "column 33: at most 32 parentheses inside each other");
    assert!(error(&"(".repeat(BYTES_MAX)).contains("at most 32 parentheses"));
    assert!(error(&"not ".repeat(BYTES_MAX / 4)).contains("got the end"));
    assert!(parse(&"-!".repeat(BYTES_MAX / 2)).is_ok());
    assert!(parse(&"a ".repeat(TERMS_MAX)).is_ok());
    assert_eq!(error(&"a ".repeat(TERMS_MAX + 1)), "column 201: at most 100 terms");
    assert!(error(&format!("x:({})", vec!["a"; TERMS_MAX + 1].join(" or "))).contains("at most 100 terms"));
    assert_eq!(error(&"a".repeat(BYTES_MAX + 1)), "at most 8192 bytes, got 8193");
    assert!(error(&format!("\"{}\"", "\\ ".repeat(4_000))).contains("at most 8192 bytes"));
    assert!(error(&format!("/{}/", "a".repeat(1_025))).contains("at most 1024 bytes of a regex"));
    assert!(error(&format!("a.{}:x", "b".repeat(1_024))).contains("at most 1024 bytes of a path"));
}

#[test]
fn parts_for_a_page() {
    let expr = parse("level>=warn (a or b) -c").unwrap();
    let parts: Vec<String> = conjuncts(&expr).into_iter().map(print).collect();
    assert_eq!(parts, ["level>=warn", "a or b", "-c"]);
    let others: Vec<String> = conjuncts(&expr).into_iter().map(|part| print(&negated(part))).collect();
    assert_eq!(others, ["level<=info", "-(a or b)", "c"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_tree_is_a_line_and_a_line_is_a_tree(expr in an_expr()) {
        let text = print(&expr);
        prop_assert_eq!(parse(&text), Ok(expr), "{}", text);
    }

    #[test]
    fn any_text_is_a_tree_or_a_fault_within_it(
        text in prop_oneof![
            "[^\\x00]{0,40}",
            "[-!a1 :=<>()\"\\\\/*.é]{0,24}",
            "((a|\"b c\"|level|or|and|not|path|7|/x/|resourceId)[ :=<>()\"*-]{0,2}){0,10}",
        ],
    ) {
        match parse(&text) {
            Ok(expr) => prop_assert_eq!(parse(&print(&expr)), Ok(expr)),
            Err(fault) => {
                let columns = fault.columns.expect("a short text has a place for it");
                let behind = text.chars().count() + 1;
                prop_assert!(1 <= columns.start && columns.start <= columns.end && columns.end <= behind, "{:?}", fault);
            }
        }
    }
}
