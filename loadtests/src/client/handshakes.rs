//! TLS handshakes as load: connect, shake hands, take the tickets, say goodbye, again.
//!
//! Blocking threads, all on the CPU of the client, each with one connection at a time. What a handshake
//! costs the proxy does not depend on who sets the pace.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::tally::{Failure, Tally};
use super::wire::WAIT;
use super::{ERRORS_MAX, Mark, Plan};
use crate::scenario::Tickets;
use crate::{child, tls};

/// Shakes hands over `plan.connections` connections at a time, as [`super::run`] sends requests.
///
/// # Errors
/// As [`super::run`].
pub fn run(
    plan: &Plan,
    tickets: Tickets,
    core: usize,
    stop: &AtomicBool,
    mut mark: impl FnMut(Mark) -> Result<()>,
) -> Result<Tally> {
    let tally = Mutex::new(Tally::new()?);
    let over = AtomicBool::new(false);
    let counted = std::thread::scope(|scope| {
        for _ in 0..plan.connections {
            scope.spawn(|| work(plan, tickets, core, &over, &tally));
        }
        let counted = window(plan, &tally, stop, &mut mark);
        over.store(true, Ordering::Relaxed);
        counted
    })?;
    anyhow::ensure!(counted.errors() <= ERRORS_MAX, "{}", counted.describe_errors());
    Ok(counted)
}

/// Waits, and takes what was counted within the window.
fn window(
    plan: &Plan,
    tally: &Mutex<Tally>,
    stop: &AtomicBool,
    mark: &mut impl FnMut(Mark) -> Result<()>,
) -> Result<Tally> {
    let count = || tally.lock().unwrap_or_else(PoisonError::into_inner);
    pause(plan.warmup, stop)?;
    mark(Mark::Opens)?;
    *count() = Tally::new()?;
    let opened = Instant::now();
    pause(plan.window, stop)?;
    let mut counted = count().clone();
    counted.window = opened.elapsed();
    mark(Mark::Closes)?;
    Ok(counted)
}

fn pause(length: std::time::Duration, stop: &AtomicBool) -> Result<()> {
    let until = Instant::now() + length;
    while Instant::now() < until {
        anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
        let left = until.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(std::time::Duration::from_millis(50)));
    }
    Ok(())
}

/// One thread's handshakes. Each has tickets of its own.
fn work(plan: &Plan, tickets: Tickets, core: usize, over: &AtomicBool, tally: &Mutex<Tally>) {
    let config = match child::pin_this_thread(core).and_then(|()| tls::client_config(None, tickets))
    {
        Ok(config) => config,
        Err(_) => return,
    };
    let mut expected = HandshakeKind::Full;
    while !over.load(Ordering::Relaxed) {
        let started = Instant::now();
        let outcome = shake_hands(plan, &config);
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(kind) if kind == expected => tally.record(started.elapsed(), 0),
            // The first with tickets is full, and a proxy may give none now and then.
            Ok(_) => tally.fail(Failure::NotAsPlanned),
            Err(_) => {
                tally.fail(Failure::Connect);
                drop(tally);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        if tickets == Tickets::Used {
            expected = HandshakeKind::Resumed;
        }
    }
}

fn shake_hands(plan: &Plan, config: &Arc<ClientConfig>) -> Result<HandshakeKind> {
    let mut socket = TcpStream::connect_timeout(&plan.target, WAIT).context("connecting")?;
    socket.set_read_timeout(Some(WAIT)).context("setting the read timeout")?;
    let mut session =
        ClientConnection::new(config.clone(), tls::server_name()?).context("starting TLS")?;
    while session.is_handshaking() {
        session.complete_io(&mut socket).context("shaking hands")?;
    }
    // Only now the proxy has seen the client's last message: in TLS 1.3 its tickets say so.
    while session.tls13_tickets_received() == 0 {
        anyhow::ensure!(session.read_tls(&mut socket).context("reading tickets")? > 0, "closed");
        session.process_new_packets().context("reading tickets")?;
    }
    let kind = session.handshake_kind().context("no handshake")?;
    session.send_close_notify();
    session.write_tls(&mut socket).context("saying goodbye")?;
    socket.shutdown(Shutdown::Write).context("closing")?;
    // The proxy closes too; it may do so with or without an alert.
    while matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
    Ok(kind)
}
