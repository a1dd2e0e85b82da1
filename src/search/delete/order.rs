//! What is to be deleted, as the caller says it. In: JSON. Out: an [`Order`], or the fault at a field. Stricter than a search: an empty
//! value, which a search ignores, could make a deletion wider than it was meant. Pure.

use crate::{
    record::Timestamp,
    search::{
        expr::Expr,
        params::{self, Fault, Query},
    },
};

#[derive(Debug, PartialEq)]
pub struct Order {
    pub query: Query,
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The dry run.
    Count,
    /// If it is so many.
    Delete { expect: u64 },
}

impl Order {
    pub fn read(body: &[u8], now: Timestamp) -> Result<Self, Fault> {
        let mut pairs = params::from_json(body)?;
        let mut take = |wanted: &str| {
            let at = pairs.iter().position(|(name, _)| name == wanted)?;
            Some(pairs.remove(at).1)
        };
        let (dry_run, expect) = (take("dryRun"), take("expect"));
        let action = match (dry_run.as_deref().unwrap_or("true"), expect) {
            ("true", _) => Action::Count,
            ("false", Some(number)) => Action::Delete {
                expect: number.parse().map_err(|_| Fault::needed("expect", "a whole number", &number))?,
            },
            ("false", None) => {
                return Err(Fault::new("expect", "is needed: the number of records that the dry run gave"));
            }
            (other, _) => {
                return Err(Fault::needed("dryRun", "true or false", other));
            }
        };
        for (name, value) in &pairs {
            if ["limit", "cursor", "asOf", "budget"].contains(&name.as_str()) {
                return Err(Fault::new(name, "cannot be given here: a deletion takes all or nothing"));
            }
            if value.is_empty() {
                return Err(Fault::new(name, "is empty"));
            }
        }
        let query = params::read(&pairs, now)?;
        let is_open = query.filter.from.is_none() && query.filter.to.is_none();
        if is_open && query.filter.expr() == Expr::everything() {
            return Err(Fault::new("body", "a condition or a time range is needed"));
        }
        Ok(Self { query, action })
    }

    /// The parameters as in the address of the search.
    pub fn text(&self) -> String {
        let pairs = self.query.params();
        params::encode(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: serde_json::Value) -> Result<Order, Fault> {
        Order::read(body.to_string().as_bytes(), Timestamp(1_800_000_000_000_000))
    }

    #[test]
    fn a_dry_run_unless_said_otherwise() {
        assert_eq!(read(json!({"level": "error"})).unwrap().action, Action::Count);
        let order = read(json!({"level": "error", "from": "1h", "dryRun": false, "expect": 7})).unwrap();
        assert_eq!(
            (order.action, order.text().as_str()),
            (Action::Delete { expect: 7 }, "?level=error&from=1h")
        );
    }

    #[test]
    fn no_condition_hides_another() {
        let fault = |body: &str| Order::read(body.as_bytes(), Timestamp(1_800_000_000_000_000)).unwrap_err();
        assert_eq!(fault(r#"{"q":"a","q":"b"}"#).field, "q");
        assert_eq!(fault(r#"{"q":"a","dryRun":false,"expect":1,"dryRun":true}"#).field, "dryRun");
        let both = Order::read(br#"{"level":"warn","level":"error"}"#, Timestamp(0)).unwrap();
        assert_eq!(both.query.filter, read(json!({"level": ["warn", "error"]})).unwrap().query.filter);
    }

    #[test]
    fn what_is_doubtful_is_refused() {
        for (body, field) in [
            (json!({}), "body"),
            (json!({"q": "*"}), "body"),
            (json!([]), "body"),
            (json!({"level": "error", "traceId": ""}), "traceId"),
            (json!({"level": "error", "limit": 5}), "limit"),
            (json!({"level": "error", "cursor": "x"}), "cursor"),
            (json!({"level": "error", "asOf": "7-7-"}), "asOf"),
            (json!({"level": "error", "dryRun": "no"}), "dryRun"),
            (json!({"level": "error", "dryRun": false}), "expect"),
            (json!({"level": "error", "dryRun": false, "expect": -1}), "expect"),
            (json!({"colour": "red"}), "colour"),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().field, field, "{body}");
        }
    }
}
