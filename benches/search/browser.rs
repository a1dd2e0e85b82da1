//! A Chromium of our own, told what to do through its driver. Out: when a page's first byte came and when it was painted.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::client::percentile;

/// Notes when a frame is done, in milliseconds since the page was asked for: `rows` is the one in which all rows of a list are there, `whole`
/// the one after everything has been parsed. A frame's layout and paint follow its callbacks, and a message that a callback sends comes after them.
const WATCH: &str = "
const done = (name) => {
  const after = new MessageChannel();
  after.port1.onmessage = () => { window[name] ??= performance.now(); };
  after.port2.postMessage(0);
};
const look = () => document.querySelectorAll('.row').length < 200 ? requestAnimationFrame(look) : done('rows');
look();
addEventListener('DOMContentLoaded', () => requestAnimationFrame(() => done('whole')));
";

/// The frame that counts.
#[derive(Clone, Copy)]
pub(crate) enum Frame {
    /// All 200 rows of a list.
    Rows,
    /// Everything.
    Whole,
}

/// Sorted times since a page was asked for.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) first_byte: Vec<Duration>,
    pub(crate) painted: Vec<Duration>,
}

impl Seen {
    pub(crate) fn painted_p50(&self) -> f64 {
        percentile(&self.painted, 0.5)
    }
}

/// To be closed; the driver ends with this.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
}

impl Browser {
    /// None if there is no Chromium, or no driver for it.
    pub(crate) async fn open() -> Option<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).ok()?.local_addr().ok()?.port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut browser =
            Self { driver: command.spawn().ok()?, session: String::new(), client: reqwest::Client::new() };
        let url = format!("http://127.0.0.1:{port}/session");
        let options =
            json!({"args": ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"]});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        for _ in 0..100 {
            if let Ok(answer) = browser.client.post(&url).json(&wanted).send().await {
                let answer: Value = answer.json().await.ok()?;
                browser.session = format!("{url}/{}", answer["value"]["sessionId"].as_str()?);
                let watch =
                    json!({"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": WATCH}});
                browser.tell("goog/cdp/execute", watch).await;
                return Some(browser);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// Asks for a page so many times, after once to warm up, as every search is asked.
    pub(crate) async fn watch(&self, url: &str, frame: Frame, times: usize) -> Seen {
        let name = match frame {
            Frame::Rows => "rows",
            Frame::Whole => "whole",
        };
        let read = format!(
            "const [asked, answer] = [performance.getEntriesByType('navigation')[0].responseStart, arguments[0]];
const look = () => window.{name} === undefined ? setTimeout(look, 5) : answer([asked, window.{name}]);
look();"
        );
        let mut seen = Seen::default();
        for round in 0..=times {
            self.tell("url", json!({"url": url})).await;
            let at = self.tell("execute/async", json!({"script": read, "args": []})).await;
            let [first_byte, painted] = [0, 1].map(|place| at[place].as_f64().expect("a number"));
            if round > 0 {
                seen.first_byte.push(Duration::from_secs_f64(first_byte / 1e3));
                seen.painted.push(Duration::from_secs_f64(painted / 1e3));
            }
        }
        seen.first_byte.sort_unstable();
        seen.painted.sort_unstable();
        seen
    }

    /// Ends Chromium; the driver that is told to end leaves it behind now and then.
    pub(crate) async fn close(self) {
        let _ = self.client.delete(&self.session).send().await;
    }

    async fn tell(&self, path: &str, body: Value) -> Value {
        let answer = self.client.post(format!("{}/{path}", self.session)).json(&body).send().await;
        let mut answer: Value = answer.expect("chromedriver answers").json().await.expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.driver.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.driver.wait();
    }
}
