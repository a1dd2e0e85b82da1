//! One row of the table: a request and what its reply has to be.

use serde_json::Value;

use crate::harness::{
    Answer,
    app::{INGEST, JSON, NDJSON},
    records::{ndjson, sample},
};

pub struct Case {
    pub name: String,
    pub method: &'static str,
    pub path: String,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub chunked: bool,
    /// What Content-Length says.
    pub length: u64,
    pub status: u16,
    pub accepted: usize,
    /// Index and field of the rejected records that have to be listed, in order; an empty field is not looked at.
    rejected: Vec<(usize, &'static str)>,
    rejected_total: usize,
    /// Words that the reply has to contain.
    says: Vec<&'static str>,
}

impl Case {
    pub fn new(name: impl Into<String>, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            name: name.into(),
            method: "POST",
            path: INGEST.to_owned(),
            content_type,
            headers: Vec::new(),
            length: body.len() as u64,
            body,
            chunked: false,
            status: 0,
            accepted: 0,
            rejected: Vec::new(),
            rejected_total: 0,
            says: Vec::new(),
        }
    }

    pub fn json(name: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new(name, JSON, body)
    }

    /// One record as one object.
    pub fn record(name: impl Into<String>, record: &Value) -> Self {
        Self::json(name, record.to_string())
    }

    /// A good line, these bytes, a good line.
    pub fn between(name: impl Into<String>, line: &[u8]) -> Self {
        let good = ndjson([sample()]);
        Self::new(name, NDJSON, [good.as_bytes(), line, b"\n", good.as_bytes()].concat())
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn query(mut self, query: &str) -> Self {
        self.path = format!("{INGEST}?{query}");
        self
    }

    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// A Content-Length that lies.
    pub fn declaring(mut self, length: u64) -> Self {
        self.length = length;
        self
    }

    /// 202 for all of them.
    pub fn accepted(self, records: usize) -> Self {
        self.mixed(records, &[])
    }

    /// 202 for some, these rejected.
    pub fn mixed(mut self, accepted: usize, rejected: &[(usize, &'static str)]) -> Self {
        self.status = 202;
        self.accepted = accepted;
        self.rejecting(rejected)
    }

    /// 422: the only record is rejected for this field.
    pub fn rejected(self, field: &'static str) -> Self {
        self.all_rejected(&[(0, field)])
    }

    pub fn all_rejected(mut self, rejected: &[(usize, &'static str)]) -> Self {
        self.status = 422;
        self.rejecting(rejected)
    }

    fn rejecting(mut self, rejected: &[(usize, &'static str)]) -> Self {
        self.rejected = rejected.to_vec();
        self.rejected_total = rejected.len();
        self
    }

    pub fn rejected_total(mut self, total: usize) -> Self {
        self.rejected_total = total;
        self
    }

    /// The whole body is refused.
    pub fn refused(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn says(mut self, words: &'static str) -> Self {
        self.says.push(words);
        self
    }

    /// What is wrong with the answer.
    pub fn faults(&self, answer: &Answer) -> Vec<String> {
        let mut faults = Vec::new();
        let text = answer.text();
        let shown: String = text.chars().take(300).collect();
        let mut expect = |right: bool, what: String| {
            if !right {
                faults.push(format!("{what}; got {} {shown}", answer.status));
            }
        };
        expect(answer.status == self.status, format!("{} expected", self.status));
        let json = &answer.json;
        if self.status == 202 {
            expect(json["accepted"] == self.accepted, format!("{} accepted expected", self.accepted));
            let ids = json["ids"].as_array().map_or(0, Vec::len);
            expect(ids == self.accepted, format!("{} ids expected", self.accepted));
        } else {
            expect(json.get("ids").is_none_or(|ids| ids == &serde_json::json!([])), "no ids expected".into());
        }
        if matches!(self.status, 202 | 422) {
            expect(json["rejectedTotal"] == self.rejected_total, format!("{} rejected", self.rejected_total));
            let listed = json["rejected"].as_array().cloned().unwrap_or_default();
            expect(listed.len() == self.rejected.len(), format!("{} listed", self.rejected.len()));
            for ((index, field), entry) in self.rejected.iter().zip(&listed) {
                expect(entry["index"] == *index, format!("index {index} expected"));
                expect(field.is_empty() || entry["field"] == *field, format!("field {field} expected"));
                let error = entry["error"].as_str().unwrap_or_default();
                expect(!error.is_empty(), format!("a reason for {index} expected"));
            }
        } else if self.method == "POST" {
            expect(json["error"].as_str().is_some_and(|error| !error.is_empty()), "a reason expected".into());
        }
        for words in &self.says {
            expect(text.contains(words), format!("the words `{words}` expected"));
        }
        let nosniff = answer.header("x-content-type-options") == Some("nosniff");
        expect(nosniff || self.status == 0, "nosniff expected".into());
        faults
    }
}
