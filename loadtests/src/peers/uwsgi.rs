//! uWSGI's http router or fastrouter: router processes below a master, no workers of its own.

use super::{Launch, Site, UpstreamAddress};

/// Command line only. Debian's `uwsgi-core` brings the router as the plugin `http`.
pub fn launch(site: &Site) -> Launch {
    let upstream = match &site.upstream {
        UpstreamAddress::Tcp(address) => address.to_string(),
        UpstreamAddress::Unix(path) => path.display().to_string(),
    };
    if let Some(packets) = &site.packets {
        return fastrouter(site, &packets.display().to_string(), &upstream);
    }
    let arguments = [
        "--plugins",
        "http",
        "--master",
        "--http",
        &site.listen.to_string(),
        "--http-to",
        &upstream,
        "--http-processes",
        &site.workers.to_string(),
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

/// Its fastrouter, with one application for every host.
fn fastrouter(site: &Site, listen: &str, upstream: &str) -> Launch {
    let arguments = [
        "--plugins",
        "fastrouter",
        "--master",
        "--fastrouter",
        listen,
        "--fastrouter-to",
        upstream,
        "--fastrouter-processes",
        &site.workers.to_string(),
        "--fastrouter-events",
        "256",
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
