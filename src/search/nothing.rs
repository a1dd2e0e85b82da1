//! Why a search found nothing: a slip in the name of a field, an id in the place of a text, and another time range look all the same. In: a
//! search without a hit, and its snapshot. Out: what is certain about it, as far as it can be found out in a moment.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{
    State,
    catalogue::Snapshot,
    complete::values_around,
    error::SearchError,
    expr::{Expr, Field, Test},
    filter::{Filter, Match},
    find::{Found, find_in},
    one::find_one_within,
    params::{ID_BYTES_MAX, Query},
    row::Row,
    session::Session,
    slips::slips,
};
use crate::record::{RecordId, Timestamp};

/// Paths that are looked for, and texts.
const PATHS_MAX: usize = 4;
const TEXTS_MAX: usize = 2;
/// Values that are looked for, and others that are told for each.
const VALUES_MAX: usize = 2;
const OTHERS_MAX: usize = 3;
/// How long all of it may take. A value that is nowhere is ruled out by the index, one that is there by the newest record that has it.
const BUDGET: Duration = Duration::from_millis(200);

/// What is certain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Nothing {
    /// Fields that the search asks for and that no record of its time range has.
    pub absent: Vec<NoField>,
    /// Texts that are in no message, or no value of a field, as the search wants it, but are the whole of another field.
    pub ids: Vec<Id>,
    /// Texts and values that are the id of a record.
    pub records: Vec<RecordId>,
    /// Values that no record of its time range has in a field.
    pub values: Vec<NoValue>,
    /// The newest hit of another time.
    pub newest: Option<Timestamp>,
}

/// A field that is not there.
#[derive(Debug, PartialEq, Eq)]
pub struct NoField {
    /// Below `metadata`.
    pub path: String,
    /// What messages of the time range have instead: the path and the value as a program writes them, `path:value` or `path=value`.
    pub texts: Vec<String>,
}

/// A text that is the value of a field.
#[derive(Debug, PartialEq, Eq)]
pub struct Id {
    pub text: String,
    /// In which field it was looked for; None for messages.
    pub asked: Option<Field>,
    pub field: Field,
    /// Whether a record of the time range has it, or one of another time.
    pub is_of_range: bool,
}

/// A value that is not there.
#[derive(Debug, PartialEq, Eq)]
pub struct NoValue {
    pub field: Field,
    pub value: String,
    /// The nearest ones that are there.
    pub others: Vec<String>,
    /// Whether records of the time range have those, or only records of another time.
    pub is_of_range: bool,
}

/// A search for what may be there instead.
struct Why<'a> {
    state: &'a State,
    session: &'a mut Session,
    snapshot: &'a Snapshot,
    query: &'a Query,
    due: Instant,
}

/// Finds out what can be found out.
pub(super) async fn why(
    state: &State,
    session: &mut Session,
    snapshot: &Snapshot,
    query: &Query,
) -> Result<Nothing, SearchError> {
    let due = Instant::now() + BUDGET;
    // One row of another time may take as long as a search may.
    let deadline = std::mem::replace(&mut session.deadline, due);
    let nothing = find_out(&mut Why { state, session: &mut *session, snapshot, query, due }).await;
    session.deadline = deadline;
    nothing
}

async fn find_out(why: &mut Why<'_>) -> Result<Nothing, SearchError> {
    let query = why.query;
    let expr = query.filter.expr();
    let mut nothing = Nothing::default();
    let (texts, values) = (wanted(&expr, &text_of), wanted(&expr, &value_of));
    for text in
        texts.iter().take(TEXTS_MAX).copied().chain(values.iter().take(VALUES_MAX).map(|(_, value)| *value))
    {
        nothing.records.extend(why.record(text).await?);
    }
    let records = nothing.records.clone();
    let is_record = |text: &str| Uuid::try_parse(text).is_ok_and(|id| records.contains(&RecordId(id)));
    for path in wanted(&expr, &path_of).into_iter().take(PATHS_MAX) {
        let exists = Expr::is(Field::Metadata(path.clone()), vec![Match::Prefix(String::new())]);
        if why.newest(why.within(exists)).await?.is_some_and(|newest| newest.is_none()) {
            let is_it = |(field, _): &(&Field, &String)| matches!(field, Field::Metadata(of) if of == path);
            let mut texts = Vec::new();
            if let Some((field, value)) = values.iter().copied().find(is_it) {
                if is_record(value) {
                    continue;
                }
                nothing.ids.extend(why.id(value, Some(field)).await?);
                texts = why.texts(path, value).await?;
            }
            nothing.absent.push(NoField { path: path.clone(), texts });
        }
    }
    let Filter { from, to, .. } = query.filter;
    let has_range = from.is_some() || to.is_some();
    for text in texts.into_iter().take(TEXTS_MAX) {
        nothing.ids.extend(why.id(text, None).await?);
    }
    let is_open = |(field, value): &(&Field, &String)| match field {
        Field::Metadata(path) if nothing.absent.iter().any(|absent| absent.path == *path) => false,
        _ => !is_record(value),
    };
    for (field, value) in values.into_iter().filter(is_open).take(VALUES_MAX) {
        let is = Expr::is(field.clone(), vec![Match::Exact(value.clone())]);
        if why.newest(why.within(is)).await?.is_some_and(|newest| newest.is_none()) {
            if let Some(id) = why.id(value, Some(field)).await? {
                nothing.ids.push(id);
                continue;
            }
            let (mut is_of_range, mut others) = (true, near(value, &why.values(field, value, query).await?));
            if has_range && others.is_empty() {
                let filter = Filter { from: None, to: None, ..query.filter.clone() };
                let always = Query { filter, ..query.clone() };
                (is_of_range, others) = (false, near(value, &why.values(field, value, &always).await?));
            }
            nothing.values.push(NoValue { field: field.clone(), value: value.clone(), others, is_of_range });
        }
    }
    if has_range {
        let filter = Filter { from: None, to: None, ..query.filter.clone() };
        let newest = why.newest(filter).await?.flatten();
        nothing.newest = newest.map(|row| row.timestamp);
    }
    Ok(nothing)
}

impl Why<'_> {
    /// Another condition in the same time range.
    fn within(&self, q: Expr) -> Filter {
        let Filter { from, to, .. } = self.query.filter;
        Filter { q: Some(q), from, to, ..Filter::default() }
    }

    /// The newest hit, or that there is none; None if that is not known in time.
    async fn newest(&mut self, filter: Filter) -> Result<Option<Option<Row>>, SearchError> {
        if Instant::now() >= self.due {
            return Ok(None);
        }
        // A cursor would leave out what is before it.
        let query = Query { filter, limit: 1, cursor: None, budget: Some(BUDGET), ..self.query.clone() };
        match find_in(self.state, self.session, self.snapshot, &query, self.due).await {
            Ok(Found { mut rows, stats, .. }) => Ok((stats.complete || !rows.is_empty()).then(|| rows.pop())),
            Err(SearchError::TooSlow { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The record that has this text as its id.
    async fn record(&mut self, text: &str) -> Result<Option<RecordId>, SearchError> {
        let id = Uuid::try_parse(text).ok().map(RecordId).filter(|_| Instant::now() < self.due);
        let Some(id) = id else { return Ok(None) };
        match find_one_within(self.state, self.session, self.snapshot, id).await {
            Ok(_) => Ok(Some(id)),
            Err(SearchError::NotFound | SearchError::TooSlow { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The field that has this text as its value, in the time range or else at any time.
    async fn id(&mut self, text: &String, asked: Option<&Field>) -> Result<Option<Id>, SearchError> {
        if text.len() > ID_BYTES_MAX {
            return Ok(None);
        }
        let is = |field: &Field| Expr::is(field.clone(), vec![Match::Exact(text.clone())]);
        let any = Expr::any(ID_FIELDS.iter().filter(|field| Some(*field) != asked).map(is));
        let Filter { from, to, .. } = self.query.filter;
        let (mut is_of_range, mut row) = (true, self.newest(self.within(any.clone())).await?);
        if (from.is_some() || to.is_some()) && row.as_ref().is_some_and(Option::is_none) {
            (is_of_range, row) = (false, self.newest(ever(any)).await?);
        }
        let Some(Some(row)) = row else { return Ok(None) };
        let has_it = |field: &&Field| Some(*field) != asked && value(&row, field) == Some(text);
        let id = |field: &Field| Id {
            text: text.clone(),
            asked: asked.cloned(),
            field: field.clone(),
            is_of_range,
        };
        Ok(ID_FIELDS.iter().find(has_it).map(id))
    }

    /// The path with a value that is asked for, where a message of the time range has it as a program writes it.
    async fn texts(&mut self, path: &str, value: &str) -> Result<Vec<String>, SearchError> {
        let mut texts = Vec::new();
        for text in [format!("{path}:{value}"), format!("{path}={value}")] {
            let contains = Expr::Test(Test::Contains(text.clone()));
            if matches!(self.newest(self.within(contains)).await?, Some(Some(_))) {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// Values of a field in the time range of `window`, as far as they can be counted by then.
    async fn values(
        &mut self,
        field: &Field,
        value: &str,
        window: &Query,
    ) -> Result<Vec<String>, SearchError> {
        let budget = self.session.time_left() / 2;
        values_around(self.state, self.session, self.snapshot, window, (field, value), budget).await
    }
}

/// The same condition at any time.
fn ever(q: Expr) -> Filter {
    Filter { q: Some(q), ..Filter::default() }
}

/// The nearest values: the same in another case, those that begin with it, those that hold it, and those a slip or two away.
fn near(value: &str, known: &[String]) -> Vec<String> {
    /// The farthest that needs no slip of the hand.
    const HOLDS: usize = 2;
    let asked = value.to_lowercase();
    let distance = |known: &String| {
        let known = known.to_lowercase();
        match known.find(&asked) {
            Some(0) if known == asked => Some(0),
            Some(0) => Some(1),
            Some(_) => Some(HOLDS),
            None => slips(&asked, &known).map(|slips| HOLDS + slips),
        }
    };
    let mut near: Vec<(usize, &String)> =
        known.iter().filter_map(|known| Some((distance(known)?, known))).collect();
    near.sort_by_key(|(distance, _)| *distance);
    // Where there is what was meant, nothing was mistyped.
    if near.first().is_some_and(|(distance, _)| *distance <= HOLDS) {
        near.retain(|(distance, _)| *distance <= HOLDS);
    }
    let mut nearest: Vec<String> = Vec::new();
    for (_, value) in near {
        if nearest.len() < OTHERS_MAX && !nearest.contains(value) {
            nearest.push(value.clone());
        }
    }
    nearest
}

/// Fields whose values are pasted without their name.
const ID_FIELDS: [Field; 4] = [Field::TraceId, Field::SpanId, Field::ResourceId, Field::Commit];

fn value<'a>(row: &'a Row, field: &Field) -> Option<&'a String> {
    match field {
        Field::ResourceId => Some(&row.resource_id),
        Field::TraceId => row.trace_id.as_ref(),
        Field::SpanId => row.span_id.as_ref(),
        Field::Commit => row.commit.as_ref(),
        Field::Metadata(_) => None,
    }
}

fn value_of(test: &Test) -> Option<(&Field, &String)> {
    match test {
        Test::Is(field, values) => match values.as_slice() {
            [Match::Exact(value)] => Some((field, value)),
            _ => None,
        },
        _ => None,
    }
}

fn path_of(test: &Test) -> Option<&String> {
    match test {
        Test::Is(Field::Metadata(path), _) | Test::Compare { path, .. } => Some(path),
        _ => None,
    }
}

fn text_of(test: &Test) -> Option<&String> {
    match test {
        Test::Contains(text) if text.len() <= ID_BYTES_MAX => Some(text),
        _ => None,
    }
}

/// What tests that a hit may have to pass ask for, each once. A part that is negated holds without it.
fn wanted<'a, T: PartialEq>(expr: &'a Expr, of: &impl Fn(&'a Test) -> Option<T>) -> Vec<T> {
    let mut wanted = Vec::new();
    gather(expr, of, &mut wanted);
    wanted
}

fn gather<'a, T: PartialEq>(expr: &'a Expr, of: &impl Fn(&'a Test) -> Option<T>, wanted: &mut Vec<T>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| gather(part, of, wanted)),
        Expr::Not(_) => {}
        Expr::Test(test) => wanted.extend(of(test).filter(|found| !wanted.contains(found))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::grammar;

    fn texts_of<T: ToString>(texts: &[T]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_hits_have() {
        for (line, paths, texts) in [
            ("levle:error timeout", &["levle"][..], &["timeout"][..]),
            ("took>5 -host:a (user.id:7 or took<1 or level:warn)", &["took", "user.id"], &[]),
            ("resourceId:a \"host:5\" a (a or b) -(a:1 c)", &[], &["host:5", "a", "b"]),
        ] {
            let expr = grammar::parse(line).unwrap();
            assert_eq!(
                (texts_of(&wanted(&expr, &path_of)), texts_of(&wanted(&expr, &text_of))),
                (texts_of(paths), texts_of(texts)),
                "{line}"
            );
        }
    }

    #[test]
    fn values_that_are_near() {
        let known = ["checkout-12", "CHECKOUT", "a-checkout", "chekcout", "cart", "db", "checkout-12"];
        let known: Vec<String> = known.map(str::to_owned).to_vec();
        let long = "x".repeat(1 << 20);
        for (value, nearest) in [
            (long.as_str(), &[][..]),
            ("checkout", &["CHECKOUT", "checkout-12", "a-checkout"]),
            ("Checkout", &["CHECKOUT", "checkout-12", "a-checkout"]),
            ("chekcou", &["chekcout"]),
            ("chckout", &["CHECKOUT", "chekcout"]),
            ("cat", &["cart"]),
            ("bart", &[]),
            ("cxyt", &[]),
            ("", &["checkout-12", "CHECKOUT", "a-checkout"]),
        ] {
            assert_eq!(near(value, &known), nearest, "{value}");
        }
    }
}
