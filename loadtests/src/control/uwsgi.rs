//! uWSGI's http router as the peer: what one signed announcement costs it.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use super::Bench;
use super::router::wait_for_listener;
use crate::child::Running;
use crate::peers::find_program;
use crate::{machine, measure};

/// A running router of uWSGI's.
pub struct Peer {
    running: Running,
    /// Where it takes datagrams.
    pub subscribe: SocketAddr,
}

impl Peer {
    /// Starts it, if it is installed.
    pub fn start(bench: &Bench<'_>, keys: &Path) -> Result<Option<Self>> {
        let Some(program) = find_program("uwsgi") else { return Ok(None) };
        let [http, subscribe] = machine::free_addresses()?;
        let arguments = [
            "--plugins",
            "http",
            "--master",
            "--http",
            &http.to_string(),
            "--http-subscription-server",
            &subscribe.to_string(),
            "--subscriptions-sign-check",
            &format!("SHA256:{}", keys.display()),
            "--http-processes",
            "1",
            "--disable-logging",
            "--no-orphans",
            "--die-on-term",
        ]
        .map(Into::into);
        let log = bench.directory.join("uwsgi.log");
        let mut running = Running::start("uwsgi", &program, &arguments, &[bench.other_core], log)?;
        wait_for_listener(&mut running, http)?;
        Ok(Some(Self { running, subscribe }))
    }

    /// CPU time of all its processes so far, in nanoseconds.
    pub fn cpu_ns(&self) -> Result<u64> {
        let members = self.running.members().context("listing uWSGI's processes")?;
        Ok(measure::cpu_time(&members)?.run_ns)
    }
}
