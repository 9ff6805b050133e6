//! A headless Chromium, driven over its DevTools WebSocket.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::client::{READ_TIMEOUT, get};
use super::process::Process;
use super::wait::eventually;

/// How long a browser may take to start on a busy machine, and a page to come to its end.
const BROWSER_MAX: Duration = Duration::from_secs(40);

/// A browser with one page.
pub struct Chromium {
    devtools: WebSocket<TcpStream>,
    last_id: u64,
    _process: Process,
}

impl Chromium {
    /// Starts a browser that opens `url` and finds all names at 127.0.0.1.
    ///
    /// Certificates are not checked: the tests' CA is not the browser's.
    #[track_caller]
    pub fn open(program: &Path, folder: &Path, url: &str) -> Self {
        let profile = folder.join("chromium");
        let mut command = Command::new(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]);
        command.args(["--no-first-run", "--disable-background-networking", "--disable-sync"]);
        command.args(["--disable-component-update", "--disable-dev-shm-usage"]);
        command.args(["--ignore-certificate-errors", "--remote-debugging-port=0"]);
        command.args(["--no-proxy-server", "--host-resolver-rules=MAP * 127.0.0.1"]);
        command.arg(format!("--user-data-dir={}", profile.display())).arg(url);
        let process = Process::start(&mut command, folder, "chromium", Signal::SIGTERM);
        let port = eventually("the browser listens", BROWSER_MAX, || {
            let file = std::fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
            file.lines().next()?.parse().ok()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let page = eventually("the browser has a page", BROWSER_MAX, || page_of(address));
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(READ_TIMEOUT)).expect("a timeout");
        let (devtools, _) = tungstenite::client(page.as_str(), stream).expect("a handshake");
        Self { devtools, last_id: 0, _process: process }
    }

    /// Text of the element with this id, once it is another than `pending`.
    #[track_caller]
    pub fn text_of(&mut self, id: &str, pending: &str) -> String {
        let script = format!("document.getElementById({})?.textContent", json!(id));
        eventually("the page shows its outcome", BROWSER_MAX, || {
            let text = self.evaluate(&script);
            text.as_str().filter(|text| *text != pending).map(str::to_owned)
        })
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, script: &str) {
        eventually(what, BROWSER_MAX, || (self.evaluate(script) == true).then_some(()));
    }

    /// Gives the page this size, on a light or a dark screen.
    #[track_caller]
    pub fn resize(&mut self, width: u32, height: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [scheme] }));
    }

    /// A picture of what is seen of the page, as PNG.
    #[track_caller]
    pub fn screenshot(&mut self) -> Vec<u8> {
        let picture = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let text = picture["data"].as_str().expect("a picture");
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).expect("base64")
    }

    /// Value of an expression in the page.
    #[track_caller]
    pub fn evaluate(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "returnByValue": true });
        self.call("Runtime.evaluate", &params)["result"]["value"].clone()
    }

    /// Result of one DevTools method.
    #[track_caller]
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let call = json!({ "id": self.last_id, "method": method, "params": params });
        self.devtools.send(Message::text(call.to_string())).expect("the browser lives");
        loop {
            let message = self.devtools.read().expect("the browser answers");
            let answer: Value = serde_json::from_slice(&message.into_data()).expect("JSON");
            if answer["id"] == self.last_id {
                return answer["result"].clone();
            }
        }
    }
}

/// Address of the page's debugger, once there is one.
fn page_of(devtools: SocketAddr) -> Option<String> {
    let targets = get(devtools, &devtools.to_string(), "/json/list").json();
    let page = targets.as_array()?.iter().find(|target| target["type"] == "page")?;
    page["webSocketDebuggerUrl"].as_str().map(str::to_owned)
}
