//! This program again: as a blind relay of bytes or packets, or as the upstream with nothing before it.

use super::{Launch, Site};

/// Command line only.
pub fn launch(site: &Site) -> Launch {
    let listen = match &site.packets {
        Some(path) => path.display().to_string(),
        None => site.listen.to_string(),
    };
    let upstream = site.upstream.to_string();
    let arguments = ["floor", "--listen", &listen, "--upstream", &upstream].map(Into::into).into();
    Launch { arguments, file: None }
}

/// The upstream in the place of a proxy.
pub fn upstream_alone(site: &Site) -> Launch {
    let (listen, body_bytes) = (site.listen.to_string(), site.body_bytes.to_string());
    let arguments =
        ["origin", "--listen", &listen, "--protocol", "http", "--body-bytes", &body_bytes];
    Launch { arguments: arguments.map(Into::into).into(), file: None }
}
