//! The page as people get it: when its first byte comes, when histogram and facets are there too, and when a browser has painted its rows.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::percentile,
    product::Product,
    progress::Progress,
    records::RARE_WORDS,
    settings::Settings,
    tables::{Tables, latency_cells, verdict},
};

const ROWS: usize = 200;
const FIRST_BYTE_GOAL_MS: f64 = 50.0;
const PAINTED_GOAL_MS: f64 = 100.0;
/// Notes when the frame is done in which all rows are there, in milliseconds since the page was asked for: a frame's layout and paint follow
/// its callbacks, and a message that a callback sends comes after them.
const WATCH: &str = "const look = () => { if (document.querySelectorAll('.row').length < 200) return requestAnimationFrame(look); const after = new MessageChannel(); after.port1.onmessage = () => { window.painted ??= performance.now(); }; after.port2.postMessage(0); }; look();";
const READ: &str =
    "return [performance.getEntriesByType('navigation')[0].responseStart, window.painted ?? -1]";

pub(crate) async fn run(product: &Product, settings: &Settings, tables: &mut Tables, progress: &Progress) {
    let questions = [
        ("newest records", String::new()),
        ("the last hour", "&from=1h".to_owned()),
        ("one level", "&q=level%3Aerror".to_owned()),
        ("part of a word", "&q=after".to_owned()),
        ("a rare word", format!("&q={}", RARE_WORDS[0])),
    ];
    tables.section(
        "Page of 200 rows",
        &[
            "search",
            "first byte p50 ms",
            "p95 ms",
            "max ms",
            "goal p95",
            "",
            "whole page p50 ms",
            "p95 ms",
            "bytes, gzip",
        ],
    );
    for (name, question) in &questions {
        let (mut first, mut whole, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..settings.repeats * 8 {
            let seen = fetch(product.address(), &format!("/?limit={ROWS}{question}")).await;
            first.push(seen.first_byte);
            whole.push(seen.whole);
            bytes = seen.bytes;
        }
        first.sort_unstable();
        whole.sort_unstable();
        let mut cells = vec![(*name).to_owned()];
        cells.extend(latency_cells(&first));
        cells.extend([
            format!("{FIRST_BYTE_GOAL_MS}"),
            verdict(percentile(&first, 0.95) <= FIRST_BYTE_GOAL_MS),
        ]);
        cells.extend([0.5, 0.95].map(|share| format!("{:.1}", percentile(&whole, share))));
        cells.push(bytes.to_string());
        progress.say(&format!("page, {name}: first byte p95 {} ms", cells[2]));
        tables.row(&cells);
    }
    let Some(browser) = Browser::open().await else {
        return tables.note("No Chromium with its driver is installed, so nothing was painted.");
    };
    tables.section(
        "The same in Chromium",
        &["search", "first byte p50 ms", "painted p50 ms", "p95 ms", "max ms", "goal p50", ""],
    );
    for (name, question) in questions.iter().filter(|(name, _)| *name != "a rare word") {
        let (mut first, mut painted) = (Vec::new(), Vec::new());
        let url = json!({"url": format!("http://{}/?limit={ROWS}{question}", product.address())});
        // Once to warm up, as every search is asked.
        browser.tell("url", url.clone()).await;
        for _ in 0..settings.repeats * 4 {
            browser.tell("url", url.clone()).await;
            let times = browser.tell("execute/sync", json!({"script": READ, "args": []})).await;
            let [begun, seen] = [0, 1].map(|at| times[at].as_f64().expect("a number"));
            assert!(seen > 0.0, "{ROWS} rows are painted: {times}");
            first.push(Duration::from_secs_f64(begun / 1e3));
            painted.push(Duration::from_secs_f64(seen / 1e3));
        }
        first.sort_unstable();
        painted.sort_unstable();
        let p50 = percentile(&painted, 0.5);
        let mut cells = vec![(*name).to_owned(), format!("{:.1}", percentile(&first, 0.5))];
        cells.extend(latency_cells(&painted));
        cells.extend([format!("{PAINTED_GOAL_MS}"), verdict(p50 <= PAINTED_GOAL_MS)]);
        progress.say(&format!("page, {name}: painted p50 {p50:.1} ms"));
        tables.row(&cells);
    }
}

struct Fetched {
    first_byte: Duration,
    whole: Duration,
    bytes: usize,
}

/// One GET on a connection of its own, read to its end.
async fn fetch(address: &str, path: &str) -> Fetched {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    );
    let started = Instant::now();
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::with_capacity(256 << 10);
    stream.read_buf(&mut answer).await.expect("the server answers");
    let first_byte = started.elapsed();
    stream.read_to_end(&mut answer).await.expect("the server answers");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
    Fetched { first_byte, whole: started.elapsed(), bytes: answer.len() }
}

/// A Chromium of our own; it ends with this.
struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
}

impl Browser {
    async fn open() -> Option<Self> {
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

    async fn tell(&self, path: &str, body: Value) -> Value {
        let answer = self.client.post(format!("{}/{path}", self.session)).json(&body).send().await;
        let mut answer: Value = answer.expect("chromedriver answers").json().await.expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its Chromium when it is told to end itself.
        let pid = nix::unistd::Pid::from_raw(self.driver.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.driver.wait();
    }
}
