//! Connections that were served once and then rest, to weigh what a proxy keeps for each.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use super::wire::{Dial, Wire};
use super::{Plan, response, websocket};

/// Open, idle connections.
#[derive(Debug, Default)]
pub struct IdleConnections {
    wires: Vec<Wire>,
}

/// What a connection has carried before it rests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdleKind {
    /// One request, and may carry more.
    Http,
    /// A WebSocket's handshake and a message there and back.
    WebSocket,
}

impl IdleConnections {
    /// Opens more, in waves, until there are `count`.
    ///
    /// # Errors
    /// When any connection is refused or answered wrongly: memory of a proxy that turns clients
    /// away is not comparable.
    pub fn grow(
        &mut self,
        kind: IdleKind,
        plan: &Plan,
        dial: &Dial,
        count: usize,
        stop: &AtomicBool,
    ) -> Result<()> {
        while self.wires.len() < count {
            anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
            match kind {
                IdleKind::Http => self.wave(plan, dial, count)?,
                IdleKind::WebSocket => {
                    let wire = websocket::open(dial, &plan.request);
                    let number = self.wires.len();
                    self.wires.push(wire.with_context(|| format!("WebSocket {number}"))?);
                }
            }
        }
        Ok(())
    }

    /// Connections with a request each, all of them in flight at once.
    fn wave(&mut self, plan: &Plan, dial: &Dial, count: usize) -> Result<()> {
        let first = self.wires.len();
        let mut buffer = vec![0; 64 * 1024];
        for number in first..count.min(first + WAVE) {
            let wire = dial.connect();
            self.wires.push(wire.with_context(|| format!("connection {number}"))?);
        }
        let wave = self.wires.get_mut(first..).unwrap_or_default();
        for wire in wave.iter_mut() {
            wire.write_all(&plan.request).context("sending the request")?;
        }
        for wire in wave.iter_mut() {
            read_response(wire, plan, &mut buffer)?;
        }
        Ok(())
    }

    /// How many the proxy has not closed.
    pub fn still_open(&mut self) -> usize {
        self.wires.iter_mut().map(|wire| usize::from(wire.is_open())).sum()
    }
}

fn read_response(wire: &mut Wire, plan: &Plan, buffer: &mut [u8]) -> Result<()> {
    let mut bytes = Vec::new();
    loop {
        let length = wire.read(buffer).context("reading the response")?;
        anyhow::ensure!(length > 0, "closed inside the response");
        bytes.extend_from_slice(&buffer[..length]);
        let Some(head) = response::head(&bytes)? else { continue };
        anyhow::ensure!(head.persistent, "the proxy does not keep connections open");
        anyhow::ensure!(head.body_bytes == plan.body_bytes, "wrong body length");
        if bytes.len() as u64 >= head.head_bytes as u64 + head.body_bytes {
            return Ok(());
        }
    }
}

/// Requests in flight at once while connecting.
const WAVE: usize = 64;
