//! How each proxy is set up to pass TLS on by server name.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::peers::find_program;
use crate::scenario::HOST;

/// A proxy with one way to configure it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// Ours.
    Suzerain,
    /// HAProxy in TCP mode, copying.
    Haproxy,
    /// HAProxy in TCP mode, splicing when it thinks best.
    HaproxySplice,
    /// nginx's stream module with its default buffers of 16 KB.
    Nginx,
    /// nginx with buffers as large as ours.
    NginxLarge,
}

impl Peer {
    /// Ours first.
    pub const ALL: [Self; 5] =
        [Self::Suzerain, Self::Haproxy, Self::HaproxySplice, Self::Nginx, Self::NginxLarge];

    /// Name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suzerain => "suzerain",
            Self::Haproxy => "haproxy",
            Self::HaproxySplice => "haproxy, splice",
            Self::Nginx => "nginx, 16k",
            Self::NginxLarge => "nginx, 64k",
        }
    }

    /// The program of a peer, if it is installed.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Suzerain => None,
            Self::Haproxy | Self::HaproxySplice => find_program("haproxy"),
            Self::Nginx | Self::NginxLarge => {
                Path::new(STREAM_MODULE).is_file().then(|| find_program("nginx"))?
            }
        }
    }

    /// Arguments after the program's name; configuration files are written to `directory`.
    pub fn arguments(
        self,
        listen: SocketAddr,
        upstream: SocketAddr,
        io: &str,
        directory: &Path,
    ) -> Result<Vec<OsString>> {
        let file = directory.join(format!("{}.conf", self.name().replace([' ', ','], "_")));
        let text = match self {
            Self::Suzerain => {
                let listen = listen.to_string();
                let route = format!("{HOST}={upstream},proto=tls");
                let arguments = ["run", "--tls-passthrough", &listen, "--route", &route];
                let rest = ["--workers", "1", "--io", io, "--access-log", "off"];
                return Ok(arguments.into_iter().chain(rest).map(Into::into).collect());
            }
            Self::Haproxy => haproxy(listen, upstream, ""),
            Self::HaproxySplice => haproxy(listen, upstream, "    option splice-auto\n"),
            Self::Nginx => nginx(listen, upstream, directory, "16k"),
            Self::NginxLarge => nginx(listen, upstream, directory, "64k"),
        };
        std::fs::write(&file, text).context("writing a configuration")?;
        let file = file.into_os_string();
        Ok(match self {
            Self::Haproxy | Self::HaproxySplice => vec!["-db".into(), "-f".into(), file],
            _ => {
                vec!["-p".into(), directory.into(), "-e".into(), "stderr".into(), "-c".into(), file]
            }
        })
    }
}

fn haproxy(listen: SocketAddr, upstream: SocketAddr, splice: &str) -> String {
    format!(
        "global
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 75s
    timeout server 75s
{splice}frontend tls
    bind {listen}
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend app if {{ req.ssl_sni -i {HOST} }}
backend app
    server app1 {upstream}
"
    )
}

fn nginx(listen: SocketAddr, upstream: SocketAddr, directory: &Path, buffer: &str) -> String {
    format!(
        "load_module {STREAM_MODULE};
{user}worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ use epoll; }}
stream {{
    map $ssl_preread_server_name $upstream {{ {HOST} {upstream}; }}
    server {{
        listen {listen};
        ssl_preread on;
        tcp_nodelay on;
        proxy_buffer_size {buffer};
        proxy_pass $upstream;
    }}
}}
",
        user = if nix::unistd::geteuid().is_root() { "user root;\n" } else { "" },
        directory = directory.display(),
    )
}

const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_routes_by_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let [listen, upstream] = [1, 2].map(|port| ([127, 0, 0, 1], port).into());
        for peer in Peer::ALL {
            let arguments = peer.arguments(listen, upstream, "auto", directory.path()).unwrap();
            let last = arguments.last().unwrap();
            let text = std::fs::read_to_string(last);
            let text = text.unwrap_or_else(|_| format!("{arguments:?}"));
            assert!(text.contains("load.test") && text.contains("127.0.0.1:2"), "{text}");
        }
    }
}
