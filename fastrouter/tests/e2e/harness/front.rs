//! Real web servers that pass requests on in packets, and real vassals behind the router.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::certs::utf8;
use super::port::Port;
use super::process::Process;
use super::tools::{Curl, curl};
use super::vassal::{VassalSetup, vassal};

/// The params that the distribution's nginx sends.
pub const PARAMS: &str = "include /etc/nginx/uwsgi_params;";
/// The application behind all of it.
const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/web_app.py");

/// A running web server.
pub struct Front {
    pub process: Process,
    port: Port,
}

impl Front {
    /// nginx that passes everything to `to`: an address, `unix:/path` or the name of an upstream.
    #[track_caller]
    pub fn nginx(program: &Path, folder: &Path, to: &str) -> Self {
        Self::nginx_with(
            program,
            folder,
            "",
            &format!("location / {{ {PARAMS} uwsgi_pass {to}; }}"),
        )
    }

    /// nginx with these lines in its `http` block and in its server.
    #[track_caller]
    pub fn nginx_with(program: &Path, folder: &Path, http: &str, server: &str) -> Self {
        let port = Port::reserve();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
            .collect();
        let text = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\nclient_max_body_size 0;\n{temporary}{http}\n\
             server {{\nlisten {} reuseport;\n{server}\n}} }}\n",
            port.1
        );
        let name = format!("nginx-{}", port.1.port());
        let file = folder.join(format!("{name}.conf"));
        std::fs::write(&file, text).expect("write");
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p", utf8(folder), "-c", utf8(&file)]);
        let process = Process::start(&mut command, folder, &name, Signal::SIGTERM);
        port.wait();
        Self { process, port }
    }

    /// Apache with Debian's modules and these lines.
    #[track_caller]
    pub fn apache(program: &Path, folder: &Path, lines: &str) -> Self {
        let port = Port::reserve();
        let modules = ["mpm_event", "authz_core", "proxy", "proxy_uwsgi"]
            .map(|name| {
                format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
            })
            .concat();
        let text = format!(
            "{modules}ServerName localhost\nListen {}\nUser daemon\nGroup daemon\n\
             PidFile apache.pid\nErrorLog apache.log\nDefaultRuntimeDir {folder}\n{lines}\n",
            port.1,
            folder = folder.display(),
        );
        let file = folder.join("apache.conf");
        std::fs::write(&file, text).expect("write");
        let mut command = Command::new(program);
        command.args(["-d", utf8(folder), "-f", utf8(&file), "-DFOREGROUND"]);
        let process = Process::start(&mut command, folder, "apache", Signal::SIGTERM);
        port.wait();
        Self { process, port }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.1
    }

    /// Asks for `target` of `host` with these further arguments of curl.
    #[track_caller]
    pub fn ask(&self, program: &Path, host: &str, target: &str, more: &[&str]) -> Curl {
        let (host, url) = (format!("Host: {host}"), format!("http://{}{target}", self.port.1));
        curl(program, &[&["-H", &host, &url][..], more].concat())
    }
}

/// A real uWSGI with the application, answering as `node`.
pub fn app(node: &str) -> VassalSetup {
    vassal(node).args(["--wsgi-file", APP])
}

/// A file of `length` bytes that are not all the same.
#[track_caller]
pub fn file_of(folder: &Path, length: usize) -> PathBuf {
    let file = folder.join(format!("{length}.bytes"));
    let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
    std::fs::write(&file, bytes).expect("write");
    file
}

/// What the application says of a body of [`file_of`].
#[track_caller]
pub fn sha1_of(file: &Path) -> String {
    let sum = super::tools::run(Command::new("sha1sum").arg(file));
    sum.stdout.split(' ').next().expect("a sum").to_owned()
}
