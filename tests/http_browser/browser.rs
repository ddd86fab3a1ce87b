//! A Chromium without a window, and one page in it, steered over a pipe by its DevTools protocol.
//!
//! The pipe needs neither a WebSocket nor chromedriver, which has to be of the browser's own version.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::common::wait_until;

/// For one step: far beyond what it needs, and well below the time of a test.
pub(super) const STEP: Duration = Duration::from_secs(20);

/// For one call: while the page goes elsewhere, the browser answers only when it is there.
const CALL: Duration = Duration::from_secs(45);

const PROGRAM: &str = "/usr/bin/chromium";

const OPTIONS: [&str; 14] = [
    "--remote-debugging-pipe",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
];

/// A browser with one page, which ends with the test.
pub(super) struct Browser {
    /// Its number is that of a process group with all processes of the browser.
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    events: VecDeque<Value>,
    last_id: u64,
    /// The page's, empty for the browser as a whole.
    session: String,
    /// The user's data, which are new each time.
    folder: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser with an empty page.
    pub(super) fn start() -> Self {
        assert!(
            fs::exists(PROGRAM).unwrap(),
            "{PROGRAM} is missing: it is Debian's package chromium, which tests/run installs"
        );
        let folder = tempfile::tempdir().unwrap();
        // The browser reads commands from descriptor 3, and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(PROGRAM)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .env("HOME", folder.path())
            .env("LC_ALL", "C.UTF-8")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in answers.split(0) {
                let Ok(message) = message else { return };
                if sender
                    .send(serde_json::from_slice(&message).unwrap())
                    .is_err()
                {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            events: VecDeque::new(),
            last_id: 0,
            session: String::new(),
            folder,
        };
        browser.attach();
        browser
    }

    /// Steers the page that the browser begins with.
    fn attach(&mut self) {
        let targets = self.call("Target.getTargets", json!({}));
        let targets = targets["targetInfos"].as_array().unwrap();
        let page = targets.iter().find(|target| target["type"] == "page");
        let target = page.expect("the first page")["targetId"].clone();
        let options = json!({ "targetId": target, "flatten": true });
        let attached = self.call("Target.attachToTarget", options);
        self.session = attached["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Calls a method of the protocol, and returns its result.
    #[track_caller]
    pub(super) fn call(&mut self, method: &str, parameters: Value) -> Value {
        match self.try_call(method, parameters) {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        let deadline = Instant::now() + CALL;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(mut message) = self.messages.recv_timeout(rest) else {
                panic!("no answer to {method}");
            };
            if message["id"].is_null() {
                self.events.push_back(message);
            } else if message["id"] == self.last_id {
                return match message["error"].take() {
                    Value::Null => Ok(message["result"].take()),
                    error => Err(error),
                };
            }
        }
    }

    /// What the browser has written to standard error, but for its regrets that there is no D-Bus.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        let lines = text.split_inclusive('\n');
        lines.filter(|line| !line.contains("dbus/")).collect()
    }

    /// The events that have come since the last time.
    pub(super) fn events(&mut self) -> Vec<Value> {
        // What came before the answer to this is here.
        self.call("Runtime.getIsolateId", json!({}));
        self.events.drain(..).collect()
    }

    /// The value of an expression in the page, which may be a promise; null in a page that leaves.
    #[track_caller]
    pub(super) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression,
            "returnByValue": true,
            "awaitPromise": true,
        });
        let Ok(mut result) = self.try_call("Runtime.evaluate", parameters) else {
            return Value::Null;
        };
        let failure = &result["exceptionDetails"];
        assert!(failure.is_null(), "{expression}: {failure:#}");
        result["result"]["value"].take()
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub(super) fn wait(&mut self, expression: &str) {
        wait_until(expression, STEP, || self.value(expression) == true);
    }

    /// Waits until a path with its query is in the address bar, and the page is loaded.
    #[track_caller]
    pub(super) fn wait_for(&mut self, address: &str) {
        let address = json!(address);
        self.wait(&format!(
            "location.pathname + location.search == {address} && document.readyState == 'complete'"
        ));
    }

    /// Goes to a URL, and waits until it is there.
    #[track_caller]
    pub(super) fn go(&mut self, url: &str) {
        let gone = self.call("Page.navigate", json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.wait("document.readyState == 'complete'");
    }

    /// Leaves for a URL, and does not wait for its answer.
    #[track_caller]
    pub(super) fn leave_for(&mut self, url: &str) {
        self.value(&format!("void (location.href = {})", json!(url)));
    }

    /// Clicks at the middle of an element's first line, as a mouse does. `element` is an expression.
    #[track_caller]
    pub(super) fn click(&mut self, element: &str) {
        let place = self.value(&format!(
            "(element => {{
                element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = element.getClientRects()[0];
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const hit = document.elementFromPoint(x, y);
                return element.contains(hit) ? {{ x, y }} : null;
            }})({element})"
        ));
        assert!(place.is_object(), "{element} cannot be clicked");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "button": "left", "clickCount": 1, "x": place["x"], "y": place["y"],
            });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key that has a number, and types `text` by it, if any.
    #[track_caller]
    pub(super) fn press(&mut self, key: &str, number: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": number,
                "text": if kind == "keyDown" { text } else { "" },
            });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types text where the focus is.
    #[track_caller]
    pub(super) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Makes the window so large, as a phone's if it is narrow.
    #[track_caller]
    pub(super) fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Prefers dark colours, or light ones.
    #[track_caller]
    pub(super) fn prefer_dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        );
    }

    /// The page as a picture (PNG).
    #[track_caller]
    pub(super) fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        base64(shot["data"].as_str().unwrap())
    }

    /// Ends the browser as a user does.
    #[track_caller]
    pub(super) fn close(mut self) {
        self.call("Page.navigate", json!({ "url": "about:blank" }));
        self.session.clear();
        self.call("Browser.close", json!({}));
        let child = &mut self.child;
        wait_until("the browser's end", STEP, || {
            child.try_wait().unwrap().is_some()
        });
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the browser's log\n{}---", self.log());
        }
    }
}

/// Decodes what the browser sends as text (RFC 4648 section 4).
pub(super) fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("digit {byte}"),
    };
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    for group in digits.chunks(4) {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 6 | u32::from(digit(*byte)));
        let bits = bits << (6 * (4 - group.len())) << 8;
        bytes.extend(&bits.to_be_bytes()[..group.len() - 1]);
    }
    bytes
}
