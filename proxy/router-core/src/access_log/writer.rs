//! The thread that writes the access log.
//!
//! Alone allowed to wait for the disk. A write that fails is counted and its records are lost: a
//! full disk must not stop the router, and a log that retries for ever would hold every buffer.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::{AccessLogTarget, open_append};
use crate::handing::stop_within;

/// Bytes of whole lines, and the way back to the worker they came from.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) give_back: SyncSender<Vec<u8>>,
}

/// What the writer thread is asked to do, in the order it is asked.
#[derive(Debug)]
pub(super) enum Order {
    Write(Chunk),
    Reopen,
    Stop,
}

/// Where the thread writes.
#[derive(Debug)]
pub(super) enum Output {
    Stdout(io::Stdout),
    File(File),
}

impl Output {
    fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(out) => {
                let mut out = out.lock();
                out.write_all(lines)?;
                out.flush()
            }
            Self::File(file) => file.write_all(lines),
        }
    }
}

/// The running writer thread.
#[derive(Debug)]
pub struct AccessLogWriter {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    queue: SyncSender<Order>,
    ended: Receiver<()>,
}

impl AccessLogWriter {
    pub(super) fn off() -> Self {
        Self { running: None }
    }

    pub(super) fn spawn(
        target: AccessLogTarget,
        output: Output,
        orders: Receiver<Order>,
        queue: SyncSender<Order>,
        write_failures: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let (end, ended) = sync_channel(1);
        thread::Builder::new().name("access-log".into()).spawn(move || {
            write_until_stopped(&target, output, &orders, &write_failures);
            let _ = end.send(());
        })?;
        Ok(Self { running: Some(Running { queue, ended }) })
    }

    /// Opens the file again under its name, for whoever rotates it. Ignored while the queue is
    /// full, and for other targets.
    pub fn reopen(&self) {
        if let Some(running) = &self.running {
            let _ = running.queue.try_send(Order::Reopen);
        }
    }

    /// Writes what is queued, then ends the thread. Sinks should be flushed or dropped before.
    ///
    /// Returns `false` when the thread was still writing after `grace`, for instance to a dead
    /// network file system; it is left behind then.
    pub fn stop(self, grace: Duration) -> bool {
        let Some(running) = self.running else { return true };
        stop_within(&running.queue, Order::Stop, &running.ended, grace)
    }
}

fn write_until_stopped(
    target: &AccessLogTarget,
    mut output: Output,
    orders: &Receiver<Order>,
    write_failures: &AtomicU64,
) {
    let mut failing = false;
    while let Ok(order) = orders.recv() {
        match order {
            Order::Write(Chunk { mut bytes, give_back }) => {
                let written = output.write_lines(&bytes);
                if let Err(error) = &written {
                    write_failures.fetch_add(1, Relaxed);
                    if !failing {
                        tracing::warn!(%error, "the access log cannot be written");
                    }
                }
                failing = written.is_err();
                bytes.clear();
                let _ = give_back.try_send(bytes);
            }
            Order::Reopen => reopen(target, &mut output),
            Order::Stop => return,
        }
    }
}

fn reopen(target: &AccessLogTarget, output: &mut Output) {
    let AccessLogTarget::File(path) = target else { return };
    match open_append(path) {
        Ok(file) => *output = Output::File(file),
        Err(error) => tracing::warn!(%error, path = %path.display(), "access log not reopened"),
    }
}
