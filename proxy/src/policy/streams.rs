//! What passes through for one key without being framed as HTTP, all per key.

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

/// The rules of one key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Streams {
    /// Whether RTSP is spoken, plain and tunnelled in HTTP.
    pub rtsp: Switch,
}

/// Whether RTSP is spoken for any key, so that requests which are none of HTTP are looked at.
#[must_use]
pub fn rtsp_anywhere(settings: &Settings) -> Switch {
    let keys = settings.keys.iter().map(|(_, policy)| policy);
    let mut all = keys.chain([&settings.policy]);
    if all.any(|policy| policy.streams.rtsp == Switch::On) { Switch::On } else { Switch::Off }
}
