//! The end of a router: which signal asks for it, and how it is made gentle.

use std::{
    io,
    time::{Duration, Instant},
};

use router_core::drain::DrainPhase;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1},
    iterator::Signals,
};

use crate::startup::Running;

/// How often a drain looks whether the workers are done.
const POLL: Duration = Duration::from_millis(20);
/// How long the access log may take to write its last lines.
const LOG_GRACE: Duration = Duration::from_secs(2);

/// The signals this process reacts to. Watched from before the first thread starts.
pub struct EndSignals(Signals);

impl EndSignals {
    /// Takes the signals over from their default action.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn watch() -> io::Result<Self> {
        Signals::new([SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1]).map(Self)
    }

    /// Waits for an end signal, then drains: nothing new is accepted, what is under way has `limit`
    /// to finish. A second signal cuts the wait short.
    pub fn serve_until_ended(mut self, running: Running, limit: Duration) {
        while !self.0.wait().any(|signal| ends(signal, &running)) {}
        tracing::info!("draining: what is under way has {} s to finish", limit.as_secs());
        let cut = self.drain(&running, Instant::now() + limit);
        self.end(running);
        if cut {
            tracing::warn!("drain cut short: some exchanges were not finished");
        } else {
            tracing::info!("drained");
        }
    }

    /// Returns whether the drain had to be cut.
    fn drain(&mut self, running: &Running, deadline: Instant) -> bool {
        running.drain.advance(DrainPhase::Draining);
        while !running.workers.iter().all(|worker| worker.is_finished()) {
            let asked_again = self.0.pending().any(|signal| ends(signal, running));
            if asked_again || Instant::now() >= deadline {
                running.drain.advance(DrainPhase::Aborting);
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }

    fn end(self, running: Running) {
        for worker in running.workers {
            let _ = worker.join();
        }
        running.subscriber.join();
        running.cert_loader.stop();
        running.cert_loader.join();
        if !running.log_writer.stop(LOG_GRACE) {
            tracing::warn!("the last lines of the access log could not be written");
        }
        if let Some(admin) = running.admin {
            admin.stop();
        }
        drop(running.socket_files);
    }
}

/// Whether `signal` asks for the end; the others are carried out.
fn ends(signal: i32, running: &Running) -> bool {
    match signal {
        SIGUSR1 => running.log_writer.reopen(),
        // Habit sends it to reload; ending the router would be the worst answer to that.
        SIGHUP => tracing::warn!("SIGHUP ignored: reloading is not supported yet"),
        _ => return true,
    }
    false
}
