//! nginx: a pool of kept-alive upstream connections, bodies relayed through memory.
//!
//! Its defaults recycle a connection after 1,000 requests on both sides; that is lifted. It must
//! not spool big bodies to disk. Eight buffers of 32 KB were the cheapest for 1 MB bodies of the
//! sizes tried here (8 and 16 of 16, 32 and 64 KB, 8 of 256 KB, and no buffering): larger ones walk
//! out of the CPU's cache.

use super::{ConfigFile, Launch, Site, UpstreamAddress};
use crate::origin::Protocol;

/// A configuration file in the run's directory.
pub fn launch(site: &Site) -> Launch {
    let directory = site.directory.display();
    let path = site.directory.join("nginx.conf");
    let arguments = vec![
        "-p".into(),
        site.directory.clone().into(),
        "-e".into(),
        "stderr".into(),
        "-c".into(),
        path.clone().into(),
    ];
    let user = if site.as_root { "user root;\n" } else { "" };
    let upstream = upstream(&site.upstream);
    let (pool, location) = match site.protocol {
        Protocol::Http if site.carries_tunnels => ("", TUNNEL_LOCATION.to_owned()),
        Protocol::Http => (HTTP_POOL, HTTP_LOCATION.to_owned()),
        Protocol::Uwsgi => ("", uwsgi_location()),
    };
    let text = format!(
        "{user}worker_processes {workers};
worker_rlimit_nofile {descriptors};
daemon off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{
    use epoll;
    worker_connections {connections};
}}
http {{
    access_log off;
    server_tokens off;
    tcp_nodelay on;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_buffer_size 128k;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{certificate}    upstream app {{
        server {upstream} max_fails=0;
{pool}    }}
    server {{
        listen {listen} default_server backlog={backlog}{tls};
        return 444;
    }}
    server {{
        listen {listen}{tls};
        server_name {host};
        location / {{
{location}        }}
    }}
}}
",
        workers = site.workers,
        descriptors = site.descriptors_max,
        connections = if site.carries_tunnels { 2 * site.clients_max } else { site.clients_max }
            + UPSTREAM_CONNECTIONS,
        tls = if site.tls.is_some() { " ssl http2" } else { "" },
        certificate = certificate(site),
        listen = site.listen,
        backlog = site.backlog,
        host = site.host,
    );
    Launch { arguments, file: Some(ConfigFile { path, text }) }
}

fn upstream(address: &UpstreamAddress) -> String {
    match address {
        UpstreamAddress::Tcp(address) => address.to_string(),
        UpstreamAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// Tickets are on unless turned off; the cache is for clients without.
fn certificate(site: &Site) -> String {
    let Some(files) = &site.tls else { return String::new() };
    format!(
        "    ssl_certificate {};\n    ssl_certificate_key {};\n    ssl_protocols TLSv1.2 TLSv1.3;\n    \
         ssl_session_cache shared:tls:10m;\n    ssl_session_timeout 1h;\n",
        files.crt.display(),
        files.key.display()
    )
}

fn uwsgi_location() -> String {
    let mut text = String::from("            uwsgi_pass app;\n");
    for (name, value) in UWSGI_PARAMS {
        text.push_str(&format!("            uwsgi_param {name} {value};\n"));
    }
    text.push_str(
        "            uwsgi_buffer_size 16k;\n            uwsgi_buffers 8 32k;\n            \
         uwsgi_busy_buffers_size 128k;\n            uwsgi_max_temp_file_size 0;\n",
    );
    text
}

const HTTP_POOL: &str = "        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 75s;
";

const HTTP_LOCATION: &str = "            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_request_buffering off;
            proxy_buffer_size 16k;
            proxy_buffers 8 32k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
";

/// As nginx's own documentation of WebSockets has it.
const TUNNEL_LOCATION: &str = "            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection $http_connection;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
";

/// The list nginx ships as `uwsgi_params`, and the address of the client for applications.
const UWSGI_PARAMS: [(&str, &str); 14] = [
    ("QUERY_STRING", "$query_string"),
    ("REQUEST_METHOD", "$request_method"),
    ("CONTENT_TYPE", "$content_type"),
    ("CONTENT_LENGTH", "$content_length"),
    ("REQUEST_URI", "$request_uri"),
    ("PATH_INFO", "$document_uri"),
    ("DOCUMENT_ROOT", "$document_root"),
    ("SERVER_PROTOCOL", "$server_protocol"),
    ("REQUEST_SCHEME", "$scheme"),
    ("REMOTE_ADDR", "$remote_addr"),
    ("REMOTE_PORT", "$remote_port"),
    ("SERVER_PORT", "$server_port"),
    ("SERVER_NAME", "$server_name"),
    ("HTTP_X_FORWARDED_FOR", "$proxy_add_x_forwarded_for"),
];

/// Room for upstream connections beside the clients'.
const UPSTREAM_CONNECTIONS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers;

    #[test]
    fn http_upstreams_are_pooled_and_uwsgi_ones_cannot_be() {
        let upstream = UpstreamAddress::Tcp(([127, 0, 0, 1], 9000).into());
        let text = launch(&peers::site(Protocol::Http, upstream)).file.unwrap().text;
        assert!(text.contains("keepalive 256;") && text.contains("server 127.0.0.1:9000 "));
        let upstream = UpstreamAddress::Unix("/run/app.sock".into());
        let text = launch(&peers::site(Protocol::Uwsgi, upstream)).file.unwrap().text;
        assert!(text.contains("server unix:/run/app.sock ") && text.contains("uwsgi_pass app;"));
        assert!(!text.contains("keepalive 256"));
    }

    #[test]
    fn a_certificate_turns_tls_and_http_2_on() {
        let upstream = UpstreamAddress::Tcp(([127, 0, 0, 1], 9000).into());
        let mut site = peers::site(Protocol::Http, upstream);
        assert!(!launch(&site).file.unwrap().text.contains(" ssl "));
        site.tls = Some(crate::tls::CertFiles::below(&site.directory));
        let text = launch(&site).file.unwrap().text;
        assert!(
            text.matches(" ssl http2").count() == 2
                && text.contains("ssl_certificate /run/load/site.crt;"),
            "{text}"
        );
    }
}
