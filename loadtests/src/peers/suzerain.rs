//! Our routers: one static route.

use super::{Launch, Site, UpstreamAddress};
use crate::origin::Protocol;

/// Command line only; every option has a flag.
pub fn launch(site: &Site) -> Launch {
    let upstream = match &site.upstream {
        UpstreamAddress::Tcp(address) => address.to_string(),
        UpstreamAddress::Unix(path) => path.display().to_string(),
    };
    // A route without `proto` speaks uwsgi.
    let protocol = match site.protocol {
        Protocol::Http => ",proto=http",
        Protocol::Uwsgi => "",
    };
    let certificate =
        site.tls.as_ref().map(|files| format!("{},{}", files.crt.display(), files.key.display()));
    let (listen, address) = match &site.packets {
        Some(path) => ("--uwsgi", path.display().to_string()),
        None if certificate.is_some() => ("--https", site.listen.to_string()),
        None => ("--http", site.listen.to_string()),
    };
    let arguments = [
        "run",
        listen,
        &address,
        "--route",
        &format!("{}={upstream}{protocol}", site.host),
        "--workers",
        &site.workers.to_string(),
        "--io",
        &site.io,
        "--access-log",
        "off",
        "--admin",
        &site.admin.to_string(),
    ]
    .map(Into::into);
    let mut arguments = Vec::from(arguments);
    if let Some(certificate) = certificate {
        arguments.extend(["--default-cert".into(), certificate.into()]);
    }
    Launch { arguments, file: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers;

    #[test]
    fn a_route_names_http_and_leaves_uwsgi_to_the_default() {
        let upstream = UpstreamAddress::Tcp(([127, 0, 0, 1], 9000).into());
        let launch = launch(&peers::site(Protocol::Http, upstream));
        assert!(launch.arguments.contains(&"load.test=127.0.0.1:9000,proto=http".into()));
        let upstream = UpstreamAddress::Unix("/run/app.sock".into());
        let launch = super::launch(&peers::site(Protocol::Uwsgi, upstream));
        assert!(launch.arguments.contains(&"load.test=/run/app.sock".into()));
    }
}
