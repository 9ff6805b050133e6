//! pingora: the least proxy its library makes, built outside of this workspace.
//!
//! `loadtests/peers/pingora` is its source. It routes one host, sets `X-Forwarded-For` and pools upstream
//! connections as the library does.

use super::{Launch, Site};

/// Command line only.
pub fn launch(site: &Site) -> Launch {
    let listen = site.listen.to_string();
    let (upstream, workers) = (site.upstream.tcp().to_string(), site.workers.to_string());
    let arguments = [&listen, site.host, &upstream, &workers].map(Into::into).into();
    Launch { arguments, file: None }
}
