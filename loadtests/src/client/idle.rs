//! Connections that were served once and then rest, to weigh what a proxy keeps for each.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use super::wire::{Dial, Wire};
use super::{Plan, response, websocket};

/// Open, idle connections.
#[derive(Debug)]
pub struct IdleConnections {
    wires: Vec<Wire>,
}

impl IdleConnections {
    /// Opens `count` connections in waves, one request each, all of a wave in flight at once.
    ///
    /// # Errors
    /// When any connection is refused or answered wrongly: memory of a proxy that turns clients
    /// away is not comparable.
    pub fn open(plan: &Plan, dial: &Dial, count: usize, stop: &AtomicBool) -> Result<Self> {
        let mut wires = Vec::with_capacity(count);
        let mut buffer = vec![0; 64 * 1024];
        while wires.len() < count {
            anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
            let first = wires.len();
            for _ in 0..WAVE.min(count - first) {
                let wire = dial.connect();
                wires.push(wire.with_context(|| format!("connection {}", wires.len()))?);
            }
            for wire in &mut wires[first..] {
                wire.write_all(&plan.request).context("sending the request")?;
            }
            for wire in &mut wires[first..] {
                read_response(wire, plan, &mut buffer)?;
            }
        }
        Ok(Self { wires })
    }

    /// Opens `count` WebSockets; over each a message went there and back.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_websockets(
        request: &[u8],
        dial: &Dial,
        count: usize,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let mut wires = Vec::with_capacity(count);
        while wires.len() < count {
            anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
            let wire = websocket::open(dial, request);
            wires.push(wire.with_context(|| format!("WebSocket {}", wires.len()))?);
        }
        Ok(Self { wires })
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
