//! A collector of traces: takes what the router exports, and has it read by OpenTelemetry's own messages.

use std::path::PathBuf;
use std::process::Command;

use super::origin::{After, Origin};
use super::tools::{python_with, report_missing, run_with_input};
use super::wait::{SOON, eventually};

const DECODER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/otlp_decode.py");

/// Takes every request.
pub struct Collector {
    origin: Origin,
    python: PathBuf,
}

impl Collector {
    /// `None`, after a word about it, without a Python that knows the messages.
    pub fn start() -> Option<Self> {
        let Some(python) = python_with("opentelemetry.proto") else {
            report_missing("python3 with opentelemetry-proto");
            return None;
        };
        let origin = Origin::start(|exchange| {
            exchange.read_body()?;
            exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            Ok(After::Close)
        });
        Some(Self { origin, python })
    }

    /// What `--otlp` wants.
    pub fn url(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// All spans so far.
    #[track_caller]
    pub fn spans(&self) -> Vec<Span> {
        let seen = self.origin.seen();
        let bodies = seen.iter().filter(|request| !request.body.is_empty()).map(|request| {
            assert_eq!(request.request_line(), "POST /v1/traces HTTP/1.1");
            assert_eq!(request.fields("content-type"), ["application/x-protobuf"]);
            request.body.iter().map(|octet| format!("{octet:02x}")).collect::<String>() + "\n"
        });
        let lines: String = bodies.collect();
        let told = run_with_input(Command::new(&self.python).arg(DECODER), lines.as_bytes());
        assert_eq!(told.code, Some(0), "{told:?}");
        let spans: Vec<serde_json::Value> = serde_json::from_str(&told.stdout).expect("JSON");
        spans.into_iter().map(Span).collect()
    }

    /// All spans, once there are `count`, in the order of their begin.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Span> {
        let mut spans = eventually(&format!("there are {count} spans"), SOON, || {
            let spans = self.spans();
            (spans.len() >= count).then_some(spans)
        });
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans.sort_by_key(|span| span.0["start"].as_u64());
        spans
    }
}

/// One span as it was read.
#[derive(Clone, Debug)]
pub struct Span(pub serde_json::Value);

impl Span {
    /// A part of it that is text.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} in {self:#?}"))
    }

    /// An attribute; null if it has none of this name.
    pub fn attribute(&self, name: &str) -> &serde_json::Value {
        &self.0["attributes"][name]
    }

    /// Whether it is about a request to a node.
    pub fn is_client(&self) -> bool {
        self.0["kind"] == "SPAN_KIND_CLIENT"
    }

    /// Asserts that its attributes are these, among others.
    #[track_caller]
    pub fn assert(&self, attributes: &[(&str, serde_json::Value)]) {
        for (name, value) in attributes {
            assert_eq!(self.attribute(name), value, "{name} of {self:#?}");
        }
    }
}
