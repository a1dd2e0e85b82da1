//! The exact condition of a tree as SQL over the row `s`. In: an [`Expr`]. Out: text, with its values bound beside it. A value never
//! stands in the text, and no stored value can make the condition fail at run time. A test of an absent field may be null, which `and`
//! and `or` carry on as "does not hold"; only `not` has to say so (`is not true`). Pure.

mod certain;
mod spelled;

use self::{certain::certain, spelled::Spelled};
use super::{
    expr::{Expr, Field, Op, Test, is_number},
    filter::Match,
    fold::{self, Substring},
    need::literals::{Literals, literals},
    sql::Builder,
    statement::Value,
};
use crate::record::packed;

/// The number that the JSON value `v` is or, as text, spells; null for anything else. Long texts are left out: numeric has limits.
const NUMBER: &str = "\
case jsonb_typeof(v) when 'number' then v::numeric when 'string' then \
case when octet_length(v #>> '{}') <= 400 and (v #>> '{}') ~ '^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]{1,3})?$' \
then (v #>> '{}')::numeric end end";

/// Whether a number in the text of metadata may have an exponent: five times as much work as to look for a text.
const EXPONENT: &str = "s.metadata ~ '[0-9][eE]'";

impl Builder {
    /// The condition of a whole tree, one part a line.
    pub fn predicate(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::All(parts) if !parts.is_empty() => {
                cheap_first(parts).map(|part| self.part(part)).collect::<Vec<_>>().join("\n    and ")
            }
            expr => self.part(expr),
        }
    }

    /// A condition that binds tighter than `and`.
    fn part(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::All(parts) if parts.is_empty() => "true".to_owned(),
            Expr::All(parts) => self.joined(parts, " and "),
            Expr::Any(parts) => self.joined(parts, " or "),
            Expr::Not(part) => format!("({}) is not true", self.part(part)),
            Expr::Test(test) => self.test(test),
        }
    }

    fn joined(&mut self, parts: &[Expr], word: &str) -> String {
        format!("({})", cheap_first(parts).map(|part| self.part(part)).collect::<Vec<_>>().join(word))
    }

    fn test(&mut self, test: &Test) -> String {
        match test {
            Test::Contains(text) => match fold::substring(text) {
                Substring::Exact(text) => format!("strpos(s.message, {}) > 0", self.text(text)),
                Substring::Folded(text) => self.contains(&Literals::Text(text)),
                Substring::Regex(pattern) => format!("s.message ~ {}", self.text(pattern)),
            },
            Test::Regex(regex) => {
                let certain = certain(&literals(&regex.pattern)).map(|certain| self.contains(&certain));
                let exact = format!("s.message ~ {}", self.text(fold::any_case(&regex.pattern)));
                match certain {
                    // Of two conditions in a row the planner would take the expression first: it counts functions.
                    Some(certain) => format!("case when {certain} then {exact} else false end"),
                    None => exact,
                }
            }
            Test::Level(levels) => {
                let levels = levels.iter().map(|level| *level as i16).collect();
                format!("s.level = any ({})", self.bind(Value::Levels(levels)))
            }
            Test::Is(field, values) => match field {
                Field::ResourceId => self.text_is("s.resource_id", values),
                Field::Commit => self.text_is("s.\"commit\"", values),
                Field::TraceId => self.either(values, |to, value| to.id_is("s.trace_id", value)),
                Field::SpanId => self.either(values, |to, value| to.id_is("s.span_id", value)),
                Field::Metadata(path) => {
                    let spelled = self.spelled(values);
                    let tests: Vec<String> = values.iter().map(|value| self.json_is(value)).collect();
                    let exact = self.metadata(path, &tests.join(" or "));
                    match spelled {
                        Some(spelled) => format!("({spelled}\n      and {exact})"),
                        None => exact,
                    }
                }
            },
            Test::Compare { path, op, number } => {
                let test = self.number_is(*op, number);
                self.metadata(path, &test)
            }
        }
    }

    /// Whether the message contains the texts, in any case.
    fn contains(&mut self, literals: &Literals) -> String {
        let (parts, word) = match literals {
            Literals::Text(text) => return format!("strpos(lower(s.message), {}) > 0", self.text(text)),
            Literals::All(parts) => (parts, " and "),
            Literals::Any(parts) => (parts, " or "),
        };
        format!("({})", parts.iter().map(|part| self.contains(part)).collect::<Vec<_>>().join(word))
    }

    fn either(&mut self, values: &[Match], mut test: impl FnMut(&mut Self, &Match) -> String) -> String {
        let tests: Vec<String> = values.iter().map(|value| test(self, value)).collect();
        match tests.as_slice() {
            [test] => test.clone(),
            tests => format!("({})", tests.join(" or ")),
        }
    }

    fn text_is(&mut self, column: &str, values: &[Match]) -> String {
        self.either(values, |to, value| match value {
            Match::Exact(text) => format!("texteq({column}, {})", to.text(text)),
            Match::Prefix(text) => format!("{column} ^@ {}", to.text(text)),
        })
    }

    /// Trace and span ids; the one place that knows how the table keeps them.
    fn id_is(&mut self, column: &str, value: &Match) -> String {
        match value {
            Match::Exact(text) => {
                format!("byteaeq({column}, {})", self.bind(Value::Bytes(packed::pack(text))))
            }
            Match::Prefix(text) => format!("id_text({column}) ^@ {}", self.text(text)),
        }
    }

    fn json_is(&mut self, value: &Match) -> String {
        match value {
            Match::Prefix(text) => format!("(v #>> '{{}}') ^@ {}", self.text(text)),
            Match::Exact(text) => {
                let bound = self.text(text);
                let mut test = format!("v #>> '{{}}' = {bound}");
                if is_number(text) {
                    test.push_str(&format!(" or v = {}", self.bind(Value::Json(text.clone()))));
                }
                if text == "null" {
                    test.push_str(" or v = 'null'");
                }
                test
            }
        }
    }

    /// What holds for every row that can hold one of the values, and costs a tenth.
    fn spelled(&mut self, values: &[Match]) -> Option<String> {
        let Spelled { texts, digits } = Spelled::of(values)?;
        let holds = |to: &mut Self, text: &str| format!("strpos(s.metadata, {}) > 0", to.text(text));
        let mut tests: Vec<String> = texts.iter().map(|text| holds(self, text)).collect();
        tests.push("strpos(s.metadata, '\\') > 0".to_owned());
        match digits {
            None => {}
            Some(digits) if digits.iter().any(String::is_empty) => tests.push(EXPONENT.to_owned()),
            Some(digits) => {
                // What is looked for already was not found when this is tested.
                let others = digits.iter().filter(|digits| !texts.contains(&digits.as_str()));
                let others: String = others.map(|digits| holds(self, digits) + " or ").collect();
                tests.push(format!("({others}strpos(s.metadata, '.') > 0) and {EXPONENT}"));
            }
        }
        Some(format!("({})", tests.join(" or ")))
    }

    fn number_is(&mut self, op: Op, number: &str) -> String {
        format!("{NUMBER} {} {}::text::numeric", op.sign(), self.text(number))
    }

    /// Holds if any value `v` at the path passes the test.
    fn metadata(&mut self, path: &str, test: &str) -> String {
        let paths: Vec<String> = json_paths(path)
            .into_iter()
            .map(|path| {
                let path = self.bind(Value::Path(path));
                format!("exists (select from jsonb_path_query(s.metadata::jsonb, {path}) v where {test})")
            })
            .collect();
        format!("({})", paths.join("\n      or "))
    }
}

/// Parts in the order of what a test of one row costs. The planner keeps it, because to it an equality costs as much as a search in a text;
/// but what is written with `=` it takes out and puts last, so equality is written as the function that it is.
fn cheap_first(parts: &[Expr]) -> impl Iterator<Item = &Expr> {
    let mut parts: Vec<&Expr> = parts.iter().collect();
    parts.sort_by_key(|part| cost(part));
    parts.into_iter()
}

/// Hundredths of a microsecond, about.
fn cost(expr: &Expr) -> u32 {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().map(cost).sum(),
        Expr::Not(part) => cost(part),
        Expr::Test(
            Test::Level(_) | Test::Is(Field::ResourceId | Field::Commit | Field::TraceId | Field::SpanId, _),
        ) => 3,
        Expr::Test(Test::Is(Field::Metadata(_), _)) => 25,
        Expr::Test(Test::Contains(_)) => 20,
        Expr::Test(Test::Regex(_)) => 85,
        Expr::Test(Test::Compare { .. }) => 240,
    }
}

/// A dot of the path is a step or belongs to a key, whichever fits: every way to read up to five parts (sixteen), beyond that all
/// steps or one key. A step into an array means any of its elements (lax mode and `[*]`).
pub fn json_paths(path: &str) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{
        expr::{Regex, tests::an_expr},
        filter::Filter,
        grammar,
    };
    use proptest::prelude::*;

    #[test]
    fn conditions_of_each_kind() {
        let filter = Filter {
            levels: vec![crate::record::Level::Error],
            message: Some("100% a_b\\".into()),
            regex: Some("a+".into()),
            resource_id: Some(Match::Prefix("server-".into())),
            commit: Some(Match::Exact("5e5342f".into())),
            metadata: vec![("user.id".into(), Match::Exact("7".into()))],
            ..Filter::default()
        };
        let mut builder = Builder::default();
        let text = builder.predicate(&filter.expr());
        assert_eq!(
            text,
            r#"s.level = any ($1)
    and s.resource_id ^@ $2
    and texteq(s."commit", $3)
    and strpos(lower(s.message), $4) > 0
    and ((strpos(s.metadata, $5) > 0 or strpos(s.metadata, '\') > 0 or (strpos(s.metadata, '.') > 0) and s.metadata ~ '[0-9][eE]')
      and (exists (select from jsonb_path_query(s.metadata::jsonb, $8) v where v #>> '{}' = $6 or v = $7)
      or exists (select from jsonb_path_query(s.metadata::jsonb, $9) v where v #>> '{}' = $6 or v = $7)))
    and s.message ~ $10"#
        );
        let values: Vec<String> = builder.values.iter().map(|value| format!("{value:?}")).collect();
        assert_eq!(
            values,
            [
                "Levels([5])",
                r#"Text("server-")"#,
                r#"Text("5e5342f")"#,
                r#"Text("100% a_b\\")"#,
                r#"Text("7")"#,
                r#"Text("7")"#,
                r#"Json("7")"#,
                r#"Path("$.\"user\".\"id\"[*]")"#,
                r#"Path("$.\"user.id\"[*]")"#,
                r#"Text("a+")"#,
            ]
        );
        assert_eq!(Builder::default().predicate(&Expr::everything()), "true");
    }

    fn text_of(line: &str) -> String {
        Builder::default().predicate(&grammar::parse(line).unwrap())
    }

    #[test]
    fn conditions_of_the_query_line() {
        for (line, text) in [
            ("10.0.0.7", "strpos(s.message, $1) > 0"),
            (
                "a -b",
                "strpos(lower(s.message), $1) > 0\n    and (strpos(lower(s.message), $2) > 0) is not true",
            ),
            (
                "a b or c",
                "(strpos(lower(s.message), $1) > 0 or (strpos(lower(s.message), $2) > 0 and strpos(lower(s.message), $3) > 0))",
            ),
            ("-(a /b/)", "((strpos(lower(s.message), $1) > 0 and s.message ~ $2)) is not true"),
            ("commit:(a or b*)", "(texteq(s.\"commit\", $1) or s.\"commit\" ^@ $2)"),
            ("level>=warn", "s.level = any ($1)"),
            (
                "-a:x",
                r"(((strpos(s.metadata, $1) > 0 or strpos(s.metadata, '\') > 0)
      and (exists (select from jsonb_path_query(s.metadata::jsonb, $3) v where v #>> '{}' = $2)))) is not true",
            ),
            (
                r#"a:("{}" or y*)"#,
                "(exists (select from jsonb_path_query(s.metadata::jsonb, $3) v where v #>> '{}' = $1 or (v #>> '{}') ^@ $2))",
            ),
        ] {
            assert_eq!(text_of(line), text, "{line}");
        }
        assert!(text_of("a>5").ends_with("then (v #>> '{}')::numeric end end > $1::text::numeric))"));
        assert_eq!(text_of(""), "true");
    }

    proptest! {
        #[test]
        fn each_value_travels_beside_the_text(expr in an_expr()) {
            let mut builder = Builder::default();
            let text = builder.predicate(&expr);
            let named: std::collections::BTreeSet<usize> = text
                .split('$')
                .skip(1)
                .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0))
                .filter(|number| *number > 0)
                .collect();
            prop_assert_eq!(named, (1..=builder.values.len()).collect());
            prop_assert!(text.is_ascii());
            let marked = an_expr_marked(&expr);
            prop_assert!(!Builder::default().predicate(&marked).contains("MARK"));
        }
    }

    /// The tree with a mark in every text.
    fn an_expr_marked(expr: &Expr) -> Expr {
        let mark = |text: &str| format!("MARK{text}");
        match expr {
            Expr::All(parts) => Expr::All(parts.iter().map(an_expr_marked).collect()),
            Expr::Any(parts) => Expr::Any(parts.iter().map(an_expr_marked).collect()),
            Expr::Not(part) => Expr::Not(Box::new(an_expr_marked(part))),
            Expr::Test(test) => Expr::Test(match test.clone() {
                Test::Contains(text) => Test::Contains(mark(&text)),
                Test::Regex(regex) => Test::Regex(Regex { pattern: mark(&regex.pattern), ..regex }),
                Test::Level(levels) => Test::Level(levels),
                Test::Is(field, values) => {
                    let field = match field {
                        Field::Metadata(path) => Field::Metadata(mark(&path)),
                        field => field,
                    };
                    let values = values.into_iter().map(|value| match value {
                        Match::Exact(text) => Match::Exact(mark(&text)),
                        Match::Prefix(text) => Match::Prefix(mark(&text)),
                    });
                    Test::Is(field, values.collect())
                }
                Test::Compare { path, op, number } => {
                    Test::Compare { path: mark(&path), op, number: mark(&number) }
                }
            }),
        }
    }

    #[test]
    fn what_costs_little_is_tested_first() {
        for (line, text) in [
            ("a resourceId:x", "texteq(s.resource_id, $1)\n    and strpos(lower(s.message), $2) > 0"),
            (
                "/a+/ a level:info",
                "s.level = any ($1)\n    and strpos(lower(s.message), $2) > 0\n    and s.message ~ $3",
            ),
            (
                "a (/b/ or commit:c)",
                "strpos(lower(s.message), $1) > 0\n    and (texteq(s.\"commit\", $2) or s.message ~ $3)",
            ),
        ] {
            assert_eq!(text_of(line), text, "{line}");
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
}
