//! One case: what is asked over HTTP, the hand-written predicate that says what is true, and what one would write in plain SQL.

/// A condition with its values; each `$` in `sql` stands for the next of them, always text.
#[derive(Clone)]
pub(crate) struct Predicate {
    pub(crate) sql: String,
    pub(crate) values: Vec<String>,
}

impl Predicate {
    pub(crate) fn new(sql: &str, values: &[&str]) -> Self {
        Self { sql: sql.to_owned(), values: values.iter().map(|&value| value.to_owned()).collect() }
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.sql = format!("({}) and ({})", self.sql, other.sql);
        self.values.extend_from_slice(&other.values);
        self
    }

    /// The condition with its values numbered after those that are in `values` already.
    pub(crate) fn numbered(&self, values: &mut Vec<String>) -> String {
        let mut text = String::new();
        let mut own = self.values.iter();
        for character in self.sql.chars() {
            if character == '$' {
                values.push(own.next().expect("a value for each $").clone());
                text.push_str(&format!("${}::text", values.len()));
            } else {
                text.push(character);
            }
        }
        assert!(own.next().is_none(), "a $ for each value: {}", self.sql);
        text
    }
}

/// One set of values of a case.
#[derive(Clone)]
pub(crate) struct Literal {
    pub(crate) params: Vec<(String, String)>,
    /// Over the columns of `truth::COLUMNS`.
    pub(crate) truth: Predicate,
    /// Over an ordinary table with the columns of `logs`.
    pub(crate) plain: Predicate,
}

impl Literal {
    pub(crate) fn new(name: &str, value: &str, truth: Predicate, plain: Predicate) -> Self {
        Self { params: vec![(name.to_owned(), value.to_owned())], truth, plain }
    }

    pub(crate) fn all() -> Self {
        Self { params: Vec::new(), truth: Predicate::new("true", &[]), plain: Predicate::new("true", &[]) }
    }

    pub(crate) fn word(word: &str) -> Self {
        let escaped = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        Self::new(
            "message",
            word,
            Predicate::new("position($ in low) > 0", &[&word.to_ascii_lowercase()]),
            Predicate::new("message ilike $", &[&format!("%{escaped}%")]),
        )
    }

    pub(crate) fn regex(regex: &str) -> Self {
        let same = Predicate::new("message ~ $", &[regex]);
        Self::new("regex", regex, same.clone(), same)
    }

    pub(crate) fn level(level: &str) -> Self {
        let same = Predicate::new("level = $", &[level]);
        Self::new("level", level, same.clone(), same)
    }

    /// One of the text columns, which has the parameter's name in snake case.
    pub(crate) fn column(name: &str, column: &str, value: &str) -> Self {
        let same = Predicate::new(&format!("{column} = $"), &[value]);
        Self::new(name, value, same.clone(), same)
    }

    /// `column` is the path's name in `truth::COLUMNS`, `json` the metadata that plain SQL asks for.
    pub(crate) fn metadata(path: &str, column: &str, value: &str, json: &str) -> Self {
        Self::new(
            &format!("metadata.{path}"),
            value,
            Predicate::new(&format!("{column} = $"), &[value]),
            Predicate::new("metadata @> $::jsonb", &[json]),
        )
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.params.extend(other.params);
        Self { params: self.params, truth: self.truth.and(&other.truth), plain: self.plain.and(&other.plain) }
    }

    /// The same question as a query line.
    pub(crate) fn asked_as(self, line: &str) -> Self {
        Self { params: vec![("q".to_owned(), line.to_owned())], ..self }
    }
}

/// How a case is asked and judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Until 50 hits or the end; that is the time that counts.
    Page,
    /// A first answer within its budget, then to the end once.
    Scan,
}

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Milliseconds that 95 of 100 answers may take.
    pub(crate) goal: f64,
    pub(crate) literals: Vec<Literal>,
}

impl Case {
    pub(crate) fn page(name: &'static str, goal: f64, literals: Vec<Literal>) -> Self {
        Self { name, kind: Kind::Page, goal, literals }
    }

    pub(crate) fn scan(name: &'static str, literals: Vec<Literal>) -> Self {
        Self { name, kind: Kind::Scan, goal: 100.0, literals }
    }
}
