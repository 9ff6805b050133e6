//! Real nginx that ends TLS itself: the node of a passthrough key.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::certs::{self, utf8};
use super::process::Process;
use super::wait::{SOON, eventually_true};

/// A server with one certificate, on a unix socket.
pub struct TlsNode {
    pub process: Process,
    pub socket: PathBuf,
}

impl TlsNode {
    /// Serves `name` below `folder`. `listen` is added to the listen line, `rest` to the server.
    #[track_caller]
    pub fn start(nginx: &Path, folder: &Path, name: &str, listen: &str, rest: &str) -> Self {
        let pair = certs::leaf(folder, name);
        let socket = folder.join(format!("{name}.sock"));
        let text = format!(
            "daemon off;\nmaster_process off;\npid {name}.pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\nclient_max_body_size 0;\nclient_body_temp_path {name}.body;\n\
             server {{\nlisten unix:{} ssl {listen};\nssl_certificate {};\nssl_certificate_key {};\n\
             ssl_protocols TLSv1.2 TLSv1.3;\nlocation = / {{ return 200 \"{name} $ssl_protocol \
             $proxy_protocol_addr:$proxy_protocol_port\"; }}\n{rest}\n}} }}\n",
            socket.display(),
            pair.crt.display(),
            pair.key.display(),
        );
        let file = folder.join(format!("{name}.nginx.conf"));
        std::fs::write(&file, text).expect("write");
        let mut command = Command::new(nginx);
        command.args(["-e", "stderr", "-p", utf8(folder), "-c", utf8(&file)]);
        let process = Process::start(&mut command, folder, name, Signal::SIGTERM);
        eventually_true("nginx listens", SOON, || socket.exists());
        Self { process, socket }
    }

    /// A static route to it.
    pub fn route(&self, key: &str) -> String {
        format!("{key}={},proto=tls", self.socket.display())
    }
}
