//! What brings spans to the collector, made at start and only if requests are traced.

use std::io;

use super::generation::hostname;
use crate::{
    config::Settings,
    http::request_id::RequestId,
    traces::{Exporter, Origin, Traces},
};

/// Starts it.
///
/// # Errors
/// No thread can be started.
pub fn start(settings: &Settings) -> io::Result<Option<(Traces, Exporter)>> {
    let instance = RequestId::random().map(RequestId::hex).unwrap_or_default();
    let origin = Origin {
        service: settings.program.name(),
        instance: &String::from_utf8_lossy(&instance),
        host: &hostname(),
    };
    Traces::start(&settings.traces, &origin, settings.workers)
}
