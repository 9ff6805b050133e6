//! HAProxy: a thread for each worker, idle upstream connections shared by all clients, no logs.

use super::{ConfigFile, Launch, Site, UpstreamAddress};

/// A configuration file in the run's directory. Only for HTTP upstreams.
pub fn launch(site: &Site) -> Launch {
    let path = site.directory.join("haproxy.cfg");
    // In the foreground and without a master process: nothing but the worker is measured.
    let arguments = vec!["-db".into(), "-f".into(), path.clone().into()];
    let upstream = match &site.upstream {
        UpstreamAddress::Tcp(address) => address.to_string(),
        UpstreamAddress::Unix(path) => format!("unix@{}", path.display()),
    };
    let text = format!(
        "global
    nbthread {workers}
    maxconn {clients}
    maxpipes {pipes}
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    timeout http-keep-alive 75s
    timeout tunnel 1h
    option forwardfor
    option splice-request
    option splice-response
    http-reuse always
frontend web
    bind {listen} backlog {backlog}{tls}
    use_backend app if {{ req.hdr(host) -i {host} }}
backend app
    server app1 {upstream}
",
        workers = site.workers,
        clients = site.clients_max,
        // Descriptors are scarce with many tunnels, and none set aside would mean a quarter.
        pipes = if site.carries_tunnels { 1 } else { 128 },
        tls = tls(site),
        listen = site.listen,
        backlog = site.backlog,
        host = site.host,
    );
    Launch { arguments, file: Some(ConfigFile { path, text }) }
}

/// Tickets are on unless turned off; so is TLS 1.3.
fn tls(site: &Site) -> String {
    let Some(files) = &site.tls else { return String::new() };
    format!(" ssl crt {} ssl-min-ver TLSv1.2 alpn h2,http/1.1", files.both.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Protocol;
    use crate::peers;

    #[test]
    fn upstream_connections_are_reused_by_all_clients() {
        let upstream = UpstreamAddress::Tcp(([127, 0, 0, 1], 9000).into());
        let text = launch(&peers::site(Protocol::Http, upstream)).file.unwrap().text;
        assert!(text.contains("http-reuse always") && text.contains("app1 127.0.0.1:9000\n"));
        assert!(text.contains("nbthread 1"));
    }

    #[test]
    fn a_certificate_turns_tls_and_http_2_on() {
        let upstream = UpstreamAddress::Tcp(([127, 0, 0, 1], 9000).into());
        let mut site = peers::site(Protocol::Http, upstream);
        assert!(!launch(&site).file.unwrap().text.contains(" ssl "));
        site.tls = Some(crate::tls::CertFiles::below(&site.directory));
        let text = launch(&site).file.unwrap().text;
        assert!(
            text.contains(" ssl crt /run/load/site.pem ssl-min-ver TLSv1.2 alpn h2,http/1.1\n"),
            "{text}"
        );
    }
}
