//! A real Chromium behind its driver, one of each per test. It is looked at by role, label and id, as people and screen readers do.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};

use super::run::{self, eventually, seconds};

/// Whether pages may run scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

pub struct Browser {
    pub page: Client,
    pub port: u16,
    driver: Child,
}

impl Browser {
    /// A window `width` pixels wide; below 500 as a phone has it.
    pub async fn open(width: u32, scripts: Scripts) -> Self {
        let port = run::free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        run::started(driver.id());
        let folder = run::fresh_folder("chromium");
        let mut options = json!({
            "args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                // A host that browsers do not trust as they trust loopback.
                "--host-resolver-rules=MAP logs.test 127.0.0.1",
                format!("--window-size={width},900"), format!("--user-data-dir={}", folder.display())],
        });
        if width < 500 {
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": width, "height": 740, "pixelRatio": 1.0}});
        }
        if scripts == Scripts::Off {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let capabilities = json!({"browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}});
        let capabilities = capabilities.as_object().expect("this is an object").clone();
        let page = eventually("chromedriver opens a window", seconds(40), async || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            builder.connect(&format!("http://127.0.0.1:{port}")).await.ok()
        })
        .await;
        Self { page, port, driver }
    }

    pub async fn goto(&self, url: &str) {
        self.page.goto(url).await.expect("the page opens");
    }

    /// The first element, as soon as there is one.
    pub async fn find(&self, css: &str) -> Element {
        let wait = self.page.wait().at_most(Duration::from_secs(10)).for_element(Locator::Css(css)).await;
        wait.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    pub async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.page.find_all(Locator::Css(css)).await.expect("the selector is right") {
            texts.push(element.text().await.unwrap_or_default());
        }
        texts
    }

    pub async fn count(&self, css: &str) -> usize {
        self.page.find_all(Locator::Css(css)).await.expect("the selector is right").len()
    }

    /// Puts this text into a field, in place of what is there.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Path and parameters of the page.
    pub async fn address(&self) -> String {
        let url = self.page.current_url().await.expect("the window is open");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    pub async fn back(&self) {
        self.page.back().await.expect("the browser answers");
    }

    /// Waits until the address ends so.
    pub async fn arrives(&self, end: &str) {
        let mut last = String::new();
        let arriving = tokio::time::timeout(seconds(10), async {
            loop {
                last = self.address().await;
                if last.ends_with(end) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(arriving.await.is_ok(), "the address is {last} and does not end in {end}");
    }

    pub async fn script(&self, code: &str) -> Value {
        self.page.execute(code, Vec::new()).await.expect("the script runs")
    }

    pub async fn close(self) {
        self.page.clone().close().await.expect("the window closes");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = self.driver.id();
        let _ = killpg(Pid::from_raw(group as i32), Signal::SIGKILL);
        let _ = self.driver.wait();
        run::ended(group);
    }
}
