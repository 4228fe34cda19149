//! A browser without a window, which is told what to do over a pipe (the Chrome DevTools Protocol).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The smallest browser that Debian has.
pub(super) const PACKAGES: &[&str] = &["chromium-headless-shell"];

/// A browser that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(super) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What the page complained about: files that are not there, scripts that failed.
    pub(super) complaints: Vec<String>,
}

impl Browser {
    pub(super) fn start(profile: &Path) -> Result<Self> {
        // The browser reads from descriptor 3 and writes to 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >&2", "chromium-headless-shell"]);
        command.args(["--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--mute-audio"]);
        // Only the project's own pages are opened, and nothing is asked of the network. The sandbox does not
        // work for root, and in many containers.
        command.args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]);
        command.arg(format!("--user-data-dir={}", profile.display()));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the browser")?;
        let to = child.stdin.take().context("a pipe")?;
        let mut said = BufReader::new(child.stdout.take().context("a pipe")?);
        let (send, from) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while said.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                let value = serde_json::from_slice(message.strip_suffix(b"\0").unwrap_or(&message));
                if value.is_ok_and(|value| send.send(value).is_err()) {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self { child, to, from, session: None, last: 0, complaints: Vec::new() };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &target)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, &json!({}))?;
        }
        Ok(browser)
    }

    /// Shows pages as on a screen so many pixels wide. `scheme` is `light` or `dark`.
    pub(super) fn show_as(&mut self, width: u32, scheme: &str) -> Result<()> {
        let screen = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", &screen)?;
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &scheme).map(drop)
    }

    /// Opens a file, and waits until all of it is there.
    pub(super) fn open(&mut self, file: &Path) -> Result<()> {
        let url = format!("file://{}", file.display());
        let answer = self.call("Page.navigate", &json!({"url": url}))?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("the browser cannot open {url}: {error}");
        }
        loop {
            let message = self.receive()?;
            if message["method"] == "Page.loadEventFired" {
                return Ok(());
            }
        }
    }

    /// The value of an expression of JavaScript, or of what it promises.
    pub(super) fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let expression = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let answer = self.call("Runtime.evaluate", &expression)?;
        if let Some(error) = answer.get("exceptionDetails") {
            bail!("a script failed: {error}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Presses keys, one for each character.
    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        for character in text.chars() {
            for kind in ["keyDown", "keyUp"] {
                let key = json!({"type": kind, "text": character, "key": character});
                self.call("Input.dispatchKeyEvent", &key)?;
            }
        }
        Ok(())
    }

    /// Calls a method of the protocol, and waits for its answer.
    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        write!(self.to, "{message}\0").context("the browser has ended")?;
        loop {
            let answer = self.receive()?;
            if answer["id"] == self.last {
                if let Some(error) = answer.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(answer["result"].clone());
            }
        }
    }

    fn receive(&mut self) -> Result<Value> {
        let message = self.from.recv_timeout(PATIENCE).context("the browser does not answer")?;
        let (method, parameters) = (&message["method"], &message["params"]);
        if method == "Runtime.exceptionThrown" {
            let details = &parameters["exceptionDetails"];
            let description = details["exception"]["description"].as_str().unwrap_or_default();
            self.complaints
                .push(format!("a script fails: {}", description.lines().next().unwrap_or_default()));
        }
        if method == "Log.entryAdded" && parameters["entry"]["level"] == "error" {
            let text = |name: &str| parameters["entry"][name].as_str().unwrap_or_default();
            self.complaints.push(format!("{}: {}", text("text"), text("url")));
        }
        Ok(message)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // `exec` made the shell the browser. Its other processes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
