//! A reader of `GET /tail`: server-sent events as they come.

use std::time::Duration;

use serde_json::Value;

use super::Answer;

/// Nothing may keep a reader waiting for longer: each 15 s there is an event.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: String,
}

pub struct Follower {
    response: reqwest::Response,
    /// What came and is no whole event yet.
    rest: Vec<u8>,
    /// Of the last event.
    pub last: String,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Values of a field of its records.
    pub fn values(&self, field: &str) -> Vec<String> {
        let data = self.json();
        let records = data["records"].as_array().unwrap_or_else(|| panic!("no records in {self:?}"));
        records.iter().map(|record| record[field].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Follower {
    /// Follows; the first event has to be `hello`.
    pub async fn open(url: &str, query: &str) -> Self {
        Self::resume(url, query, None).await
    }

    /// Goes on behind an event.
    pub async fn resume(url: &str, query: &str, last: Option<&str>) -> Self {
        let mut follower = match Self::ask(url, query, last).await {
            Ok(follower) => follower,
            Err(answer) => panic!("{}: {}", answer.status, answer.text()),
        };
        let hello = follower.next().await.expect("a tail begins");
        assert_eq!(hello.name, "hello");
        if let Some(last) = last {
            assert_eq!(hello.id, last, "it begins where it was told to");
        }
        follower
    }

    /// The answer, if it is no stream.
    pub async fn ask(url: &str, query: &str, last: Option<&str>) -> Result<Self, Answer> {
        // Without the time limit of other requests.
        let client = reqwest::Client::builder().no_proxy().build().expect("a client can be built");
        let mut request = client.get(format!("{url}/tail?{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.expect("the process answers");
        if response.status() != 200 {
            return Err(Answer::of(response).await.expect("the answer is whole"));
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers().get("content-encoding"), None);
        Ok(Self { response, rest: Vec::new(), last: String::new() })
    }

    /// The next event; None at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
                let lines: Vec<u8> = self.rest.drain(..end + 2).collect();
                let event = read(std::str::from_utf8(&lines).expect("events are UTF-8"));
                self.last.clone_from(&event.id);
                return Some(event);
            }
            match tokio::time::timeout(WAIT_MAX, self.response.chunk()).await.expect("a tail is never silent")
            {
                Ok(Some(chunk)) => self.rest.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The next event of this name, without the beats in front of it, and without troubles, of which a stream says when they are over
    /// only by going on.
    pub async fn find(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
            if event.name == name {
                return event;
            }
            assert!(["beat", "trouble"].contains(&event.name.as_str()), "{name} was expected: {event:?}");
        }
    }

    /// Records until there are this many; asserts that there are not more.
    pub async fn records(&mut self, field: &str, count: usize) -> Vec<String> {
        let mut values = Vec::new();
        while values.len() < count {
            let event = self.find("records").await;
            assert_eq!(event.json()["skipped"], 0, "{event:?}");
            values.extend(event.values(field));
        }
        assert_eq!(values.len(), count, "{values:?}");
        values
    }
}

fn read(text: &str) -> Event {
    let mut event = Event { name: String::new(), id: String::new(), data: String::new() };
    let mut data = Vec::new();
    for line in text.trim_end_matches('\n').split('\n') {
        match line.split_once(": ").unwrap_or_else(|| panic!("no field of an event: {line}")) {
            ("event", name) => event.name = name.to_owned(),
            ("id", id) => event.id = id.to_owned(),
            ("data", line) => data.push(line),
            ("retry", millis) => assert!(millis.parse::<u32>().is_ok()),
            (field, _) => panic!("{field} is no field of an event"),
        }
    }
    event.data = data.join("\n");
    event
}
