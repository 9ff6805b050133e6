//! nginx: one worker, a pool of kept-alive upstream connections, bodies relayed through memory.
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
    let upstream = match &site.upstream {
        UpstreamAddress::Tcp(address) => address.to_string(),
        UpstreamAddress::Unix(path) => format!("unix:{}", path.display()),
    };
    let (pool, location) = match site.protocol {
        Protocol::Http => (HTTP_POOL, HTTP_LOCATION.to_owned()),
        Protocol::Uwsgi => ("", uwsgi_location()),
    };
    let text = format!(
        "{user}worker_processes 1;
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
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream app {{
        server {upstream} max_fails=0;
{pool}    }}
    server {{
        listen {listen} default_server backlog={backlog};
        return 444;
    }}
    server {{
        listen {listen};
        server_name {host};
        location / {{
{location}        }}
    }}
}}
",
        descriptors = site.descriptors_max,
        connections = site.clients_max + UPSTREAM_CONNECTIONS,
        listen = site.listen,
        backlog = site.backlog,
        host = site.host,
    );
    Launch { arguments, file: Some(ConfigFile { path, text }) }
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
            proxy_buffer_size 16k;
            proxy_buffers 8 32k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
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
}
