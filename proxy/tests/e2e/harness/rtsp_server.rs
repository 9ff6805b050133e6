//! GStreamer's RTSP server as a node, and ffmpeg's tools as its clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::process::Process;
use super::tools::{self, Finished, run};
use super::wait::{SOON, eventually};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/rtsp_server.py");
/// The bindings are Debian's, so they belong to Debian's Python.
const PYTHON: &str = "/usr/bin/python3";
/// Succeeds where the bindings are installed.
const BINDINGS: &str = "import gi; gi.require_version('GstRtspServer', '1.0')";

/// A running server.
pub struct RtspServer {
    process: Process,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

impl RtspServer {
    /// Starts a server whose picture is `width` wide; `None` where it is not installed.
    pub fn start(folder: &Path, width: u32) -> Option<Self> {
        if run(Command::new(PYTHON).args(["-c", BINDINGS])).code != Some(0) {
            tools::report_missing("gir1.2-gst-rtsp-server-1.0");
            return None;
        }
        let port_file: PathBuf = folder.join(format!("rtsp-{width}.port"));
        let mut command = Command::new(PYTHON);
        command.arg(SERVER).arg(width.to_string()).arg(&port_file);
        let process =
            Process::start(&mut command, folder, &format!("rtsp-{width}"), Signal::SIGTERM);
        let port = eventually("the RTSP server listens", SOON, || {
            std::fs::read_to_string(&port_file).ok()
        });
        Some(Self { process, address: format!("127.0.0.1:{port}") })
    }

    /// Connections that reached it.
    pub fn connections(&self) -> usize {
        self.process.stdout().lines().filter(|line| *line == "connected").count()
    }

    /// Whether it received pictures.
    pub fn has_recorded(&self) -> bool {
        self.process.stdout().contains("recorded")
    }
}

/// Width of the picture at `url`, asked by ffprobe over `transport`.
#[track_caller]
pub fn picture_width(ffprobe: &Path, transport: &str, url: &str) -> u32 {
    let Finished { stdout, stderr, .. } = run(Command::new(ffprobe)
        .args(["-v", "error", "-rtsp_transport", transport])
        .args(["-show_entries", "stream=width", "-of", "csv=p=0", url]));
    stdout.trim().parse().unwrap_or_else(|_| panic!("{url}: {stdout}{stderr}"))
}
