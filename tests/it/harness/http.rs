//! HTTP from outside: the answer as tests look at it, and requests that no honest client library would send.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Status, headers (names in lower case) and body of one reply.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// Null if the body is not JSON.
    pub json: Value,
}

impl Answer {
    fn new(status: u16, headers: BTreeMap<String, String>, body: Vec<u8>) -> Self {
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Self { status, headers, body, json }
    }

    pub async fn of(response: reqwest::Response) -> reqwest::Result<Self> {
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), lossy(value.as_bytes()))).collect();
        Ok(Self::new(status, headers, response.bytes().await?.to_vec()))
    }

    pub fn text(&self) -> String {
        lossy(&self.body)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The ids of a 202.
    pub fn ids(&self) -> Vec<String> {
        let ids = self.json["ids"].as_array().unwrap_or_else(|| panic!("no ids in {self:?}"));
        ids.iter().map(|id| id.as_str().expect("an id is a string").to_owned()).collect()
    }

    /// Asserts 202 for that many records, none rejected; gives their ids.
    #[track_caller]
    pub fn accepted(&self, records: usize) -> Vec<String> {
        assert_eq!((self.status, &self.json["accepted"]), (202, &Value::from(records)), "{}", self.text());
        assert_eq!(self.json["rejectedTotal"], 0, "{}", self.text());
        let ids = self.ids();
        assert_eq!(ids.len(), records, "one id per accepted record");
        ids
    }

    /// Asserts 503 with Retry-After and `stored`; gives the latter.
    #[track_caller]
    pub fn unavailable(&self) -> &str {
        assert_eq!(self.status, 503, "{}", self.text());
        let retry_after = self.header("retry-after").expect("a 503 carries Retry-After");
        assert!(retry_after.parse::<u32>().is_ok_and(|seconds| seconds > 0), "Retry-After: {retry_after}");
        let stored = self.json["stored"].as_str().expect("a 503 of the door carries `stored`");
        assert!(matches!(stored, "no" | "unknown"), "stored: {stored}");
        if stored == "unknown" {
            assert!(
                self.json["batchId"].is_string(),
                "an unknown outcome carries a batchId: {}",
                self.text()
            );
        }
        stored
    }
}

/// Sends the bytes as they are on a connection of their own and reads one reply. The server may answer and close before it has read
/// everything: what cannot be written any more is not sent. None if no reply comes.
pub async fn raw(port: u16, request: &[u8]) -> Option<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let (mut from, mut to) = stream.into_split();
    let request = request.to_vec();
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&request).await;
        to
    });
    let mut reply = Vec::new();
    let mut chunk = [0; 16 << 10];
    let answer = loop {
        match from.read(&mut chunk).await {
            Ok(read @ 1..) => reply.extend_from_slice(&chunk[..read]),
            _ => break None,
        }
        if let Some(answer) = parse(&reply) {
            break Some(answer);
        }
    };
    sending.abort();
    answer
}

/// None while the reply is incomplete.
fn parse(reply: &[u8]) -> Option<Answer> {
    let head_end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = lossy(&reply[..head_end]);
    let mut lines = head.lines();
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(&reply[head_end + 4..]);
    }
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let body = reply.get(head_end + 4..head_end + 4 + length)?;
    Some(Answer::new(status, headers, body.to_vec()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
