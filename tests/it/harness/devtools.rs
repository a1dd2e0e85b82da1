//! What WebDriver alone cannot do with a [`Browser`]: keys without a field, dark mode, paper, other widths, the browser's own log, and
//! axe-core, which looks for what keeps people from using a page.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use serde_json::{Value, json};

use super::browser::Browser;

pub const ENTER: char = '\u{E007}';
pub const ESCAPE: char = '\u{E00C}';
pub const TAB: char = '\u{E004}';

impl Browser {
    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: char) {
        let keys = KeyActions::new("keys".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.page.perform_actions(keys).await.expect("the browser answers");
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.ask("goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    pub async fn prefers_dark(&self) {
        let dark = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": dark})).await;
    }

    pub async fn on_paper(&self) {
        self.devtools("Emulation.setEmulatedMedia", json!({"media": "print"})).await;
    }

    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Runs the script before those of every page that is opened from now on.
    pub async fn before_pages(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// Messages of the console since the last call: errors, and what the content security policy refused.
    pub async fn console(&self) -> Vec<String> {
        let said = self.ask("se/log", json!({"type": "browser"})).await;
        let said = said.as_array().expect("a list").iter();
        said.map(|entry| entry["message"].as_str().expect("a text").to_owned()).collect()
    }

    /// Addresses that were asked for since the last call.
    pub async fn requests(&self) -> Vec<String> {
        let seen = self.ask("se/log", json!({"type": "performance"})).await;
        let events = seen.as_array().expect("a list").iter().map(|entry| {
            let text = entry["message"].as_str().expect("a text");
            serde_json::from_str::<Value>(text).expect("an event is JSON")["message"].take()
        });
        let sent = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().expect("a text").to_owned()).collect()
    }

    /// What axe-core finds wrong with the page as it is now; `rule: element` each. Rules are those of WCAG 2.2 AA and its best practices.
    /// Lines of a list are 22 pixels high where there is a mouse, as readers of logs want it, and what they link to stands once more in
    /// the opened row: they alone may be smaller than 24 pixels there.
    pub async fn axe(&self) -> Vec<String> {
        self.script(axe_source()).await;
        let run = "const done = arguments[arguments.length - 1];
            const mayBeSmall = (rule, node) => rule.id === 'target-size' && innerWidth > 700 && node.element.matches('.row > *');
            axe.run(document, {elementRef: true, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(
                (found) => done(found.violations.flatMap((rule) => rule.nodes.filter((node) => !mayBeSmall(rule, node)).map((node) => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`))),
                (error) => done([String(error)]));";
        let found = self.page.execute_async(run, Vec::new()).await.expect("axe runs");
        found
            .as_array()
            .expect("a list")
            .iter()
            .map(|text| text.as_str().expect("a text").to_owned())
            .collect()
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        let session = self.page.session_id().await.expect("the browser answers").expect("a session is open");
        let url = format!("http://127.0.0.1:{}/session/{session}/{path}", self.port);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client can be built");
        let answer = client.post(url).json(&body).send().await.expect("chromedriver answers");
        let mut answer: Value = answer.json().await.expect("chromedriver answers JSON");
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {answer}");
        answer["value"].take()
    }
}

/// The text of axe-core, fetched once by scripts/axe.sh; a tool of the tests, no part of the product.
fn axe_source() -> &'static str {
    static SOURCE: OnceLock<String> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/axe.sh");
        let output = Command::new(script).output().expect("scripts/axe.sh runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = String::from_utf8(output.stdout).expect("a path is text");
        std::fs::read_to_string(path.trim()).expect("axe-core is there")
    })
}
