//! uWSGI's http router: one http process below its master, no workers, keep-alive to clients.

use super::{Launch, Site, UpstreamAddress};

/// Command line only. Debian's `uwsgi-core` brings the router as the plugin `http`.
pub fn launch(site: &Site) -> Launch {
    let upstream = match &site.upstream {
        UpstreamAddress::Tcp(address) => address.to_string(),
        UpstreamAddress::Unix(path) => path.display().to_string(),
    };
    let arguments = [
        "--plugins",
        "http",
        "--master",
        "--http",
        &site.listen.to_string(),
        "--http-to",
        &upstream,
        "--http-processes",
        "1",
        // Seconds an idle client is kept.
        "--http-keepalive=75",
        "--http-timeout",
        "75",
        "--http-events",
        "256",
        "--http-buffer-size",
        "65536",
        "--listen",
        &site.backlog.to_string(),
        "--max-fd",
        &site.descriptors_max.to_string(),
        "--disable-logging",
        "--no-orphans",
        "--die-on-term",
    ]
    .map(Into::into)
    .into();
    Launch { arguments, file: None }
}
