//! What passes through for one key without being framed as HTTP, all per key.

use router_core::deadline::GoneWhen;

use crate::config::Settings;

/// An option that is on or off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Switch {
    /// It is not wanted.
    #[default]
    Off,
    /// It is.
    On,
}

/// How a chunked body reaches a uwsgi node.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Chunks {
    /// Complete, with its length: any application can read that.
    #[default]
    Held,
    /// As chunks, as they come: for applications that read chunks.
    Raw,
}

/// The rules of one key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Streams {
    /// Whether RTSP is spoken, plain and tunnelled in HTTP.
    pub rtsp: Switch,
    /// Whether a source may send without a length.
    pub source: Switch,
    /// How chunked bodies reach uwsgi nodes.
    pub uwsgi_chunked: Chunks,
    /// When a client whose node still works is taken for gone.
    pub gone_when: GoneWhen,
}

/// Whether RTSP is spoken for any key, so that requests which are none of HTTP are looked at.
#[must_use]
pub fn rtsp_anywhere(settings: &Settings) -> Switch {
    let keys = settings.keys.iter().map(|(_, policy)| policy);
    let mut all = keys.chain([&settings.policy]);
    if all.any(|policy| policy.streams.rtsp == Switch::On) { Switch::On } else { Switch::Off }
}
