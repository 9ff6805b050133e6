//! The loader's thread: errands and changed files as they come, all files once per poll interval.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::errands::{Errand, ErrandInbox, Errands};
use super::{CertLoader, unix_now};
use crate::tls::limits::REQUESTS_PER_PUBLISH_MAX;

/// Stops the loader's thread; dropping it does so too, without waiting.
#[derive(Debug)]
pub struct CertLoaderHandle {
    is_stopping: Arc<AtomicBool>,
    errands: Errands,
    thread: Option<JoinHandle<()>>,
}

impl CertLoader {
    /// Carries out all errands that are there.
    pub fn settle(&mut self, inbox: &ErrandInbox) {
        loop {
            let errands = inbox.take(REQUESTS_PER_PUBLISH_MAX);
            if errands.is_empty() {
                return;
            }
            self.carry_out(errands);
        }
    }

    /// Moves the loader to its thread. `errands` is the other end of `inbox`.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn spawn(self, inbox: ErrandInbox, errands: Errands) -> io::Result<CertLoaderHandle> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_stopping);
        let thread = thread::Builder::new()
            .name("cert-loader".into())
            .spawn(move || self.run(&inbox, &flag))?;
        Ok(CertLoaderHandle { is_stopping, errands, thread: Some(thread) })
    }

    fn run(mut self, inbox: &ErrandInbox, is_stopping: &AtomicBool) {
        let mut tick_due = Instant::now() + self.config.poll;
        while !is_stopping.load(Ordering::Relaxed) {
            self.wait(inbox, tick_due);
            self.carry_out(inbox.take(REQUESTS_PER_PUBLISH_MAX));
            let now = Instant::now();
            self.listen(now);
            self.look_noticed(now);
            if self.left_in_round > 0 {
                self.look_on();
            } else if now >= tick_due {
                self.begin_round();
                tick_due = Instant::now() + self.config.poll;
            }
        }
    }

    /// Until there is something to do.
    fn wait(&self, inbox: &ErrandInbox, tick_due: Instant) {
        let due = self.notices.due_at().map_or(tick_due, |due| due.min(tick_due));
        let wait = match self.left_in_round {
            0 => due.saturating_duration_since(Instant::now()),
            _ => Duration::ZERO,
        };
        // Up to the end of the millisecond that it ends in.
        let wait = if wait.is_zero() { wait } else { wait + Duration::from_millis(1) };
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        let watched = self.watch.fd().map(readable);
        let mut fds: Vec<PollFd<'_>> =
            [Some(readable(inbox.bell())), watched].into_iter().flatten().collect();
        if let Err(error) = poll(&mut fds, timeout)
            && error != nix::errno::Errno::EINTR
        {
            thread::park_timeout(wait);
        }
    }

    fn carry_out(&mut self, errands: Vec<Errand>) {
        let mut requests = Vec::new();
        for errand in errands {
            match errand {
                Errand::Subscription(request) => requests.push(request),
                Errand::Reconfigure(config, reply) => {
                    self.apply(std::mem::take(&mut requests));
                    let _ = reply.try_send(self.reconfigure(*config));
                }
                Errand::Reload(what, reply) => {
                    self.apply(std::mem::take(&mut requests));
                    let report = self.reload(&what, unix_now());
                    // Whoever asked may have gone.
                    let _ = reply.try_send(report);
                }
                Errand::Show(what, reply) => drop(reply.try_send(self.show(&what, unix_now()))),
            }
        }
        self.apply(requests);
    }
}

impl CertLoaderHandle {
    /// What gives the loader errands.
    #[must_use]
    pub fn errands(&self) -> &Errands {
        &self.errands
    }

    /// Asks the thread to end; it does at once, or when its current step ends.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.errands.ring();
    }

    /// [`Self::stop`], then waits for the end.
    pub fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for CertLoaderHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}
