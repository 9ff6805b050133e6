//! The loader's thread: requests as they come, files once per poll interval, stop soon.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use router_core::subscriber::CertRequest;

use super::CertLoader;
use crate::tls::limits::{LOADER_WAIT_MS_MAX, REQUESTS_PER_PUBLISH_MAX};

/// Stops the loader's thread; dropping it does so too, without waiting.
#[derive(Debug)]
pub struct CertLoaderHandle {
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CertLoader {
    /// Moves the loader to its thread. It lives until it is stopped, also after the last sender
    /// of requests is gone.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn spawn(self, requests: Receiver<CertRequest>) -> io::Result<CertLoaderHandle> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_stopping);
        let thread = thread::Builder::new()
            .name("cert-loader".into())
            .spawn(move || self.run(&requests, &flag))?;
        Ok(CertLoaderHandle { is_stopping, thread: Some(thread) })
    }

    fn run(mut self, requests: &Receiver<CertRequest>, is_stopping: &AtomicBool) {
        let mut tick_due = Instant::now() + self.config.poll;
        while !is_stopping.load(Ordering::Relaxed) {
            let wait = match self.left_in_round {
                0 => tick_due.saturating_duration_since(Instant::now()),
                _ => Duration::ZERO,
            };
            let wait = wait.min(Duration::from_millis(LOADER_WAIT_MS_MAX));
            match requests.recv_timeout(wait) {
                Ok(first) => {
                    let more = requests.try_iter().take(REQUESTS_PER_PUBLISH_MAX - 1);
                    self.apply(std::iter::once(first).chain(more));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::park_timeout(wait),
            }
            if self.left_in_round > 0 {
                self.look_on();
            } else if Instant::now() >= tick_due {
                self.begin_round();
                tick_due = Instant::now() + self.config.poll;
            }
        }
    }
}

impl CertLoaderHandle {
    /// Asks the thread to end; it does within a fifth of a second, or when its current load ends.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
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
