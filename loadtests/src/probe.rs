//! One look at a started proxy before it is measured: does it really serve?
//!
//! A proxy that answers errors, cuts bodies or drops connections would look fast. So its first
//! answers are compared byte by byte with the upstream's, twice on one connection where the
//! scenario keeps connections open.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::child::Running;
use crate::client::Reuse;
use crate::client::wire::{Dial, Wire};
use crate::client::{packets, response, websocket};
use crate::origin::{self, ECHO_PATH};
use crate::scenario::{Alpn, HOST, Scenario, Tickets, Work, echo_request};
use crate::tls;

/// Waits until the proxy answers the scenario's request as the upstream does.
///
/// # Errors
/// The last answer's fault, when the proxy ended or does not answer rightly in time.
pub fn until_serving(
    proxy: &mut Running,
    dial: &Dial,
    scenario: Scenario,
    stop: &AtomicBool,
) -> Result<()> {
    let until = Instant::now() + START_WAIT;
    loop {
        proxy.ensure_alive()?;
        anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
        match serves(dial, scenario) {
            Ok(()) => return speaks(dial, scenario),
            Err(error) if Instant::now() >= until => {
                return Err(error.context(format!("not serving:\n{}", proxy.log_tail())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The request as the upstream received it through the proxy.
pub fn request_as_forwarded(dial: &Dial) -> Result<String> {
    if let Some(router) = &dial.packets {
        let body = packets::exchange(router, &packets::packet(ECHO_PATH))?;
        return Ok(String::from_utf8_lossy(&body).into_owned());
    }
    let mut stream = dial.connect()?;
    let body = exchange(&mut stream, &echo_request())?.body;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Whether it agrees on what the scenario is about, beyond plain requests.
fn speaks(dial: &Dial, scenario: Scenario) -> Result<()> {
    match scenario.work() {
        Work::H2load { alpn: Alpn::H2, .. } => {
            let tls = Some(tls::client_config(Some(Alpn::H2), Tickets::Unused)?);
            let wire = Dial { tls, ..dial.clone() }.connect();
            let wire = wire.context("does not negotiate h2 (ALPN): the handshake failed")?;
            anyhow::ensure!(
                wire.alpn() == Some(b"h2"),
                "does not negotiate h2: ALPN came to {}",
                wire.alpn().map_or("nothing".into(), String::from_utf8_lossy)
            );
            Ok(())
        }
        Work::Messages => websocket::open(dial, &websocket::request(HOST)).map(drop),
        _ => Ok(()),
    }
}

fn serves(dial: &Dial, scenario: Scenario) -> Result<()> {
    let expected = origin::body(scenario.load().body_bytes);
    if let Some(router) = &dial.packets {
        let body = packets::exchange(router, &scenario.request())?;
        anyhow::ensure!(body == expected, "the body is not the upstream's");
        return Ok(());
    }
    let mut stream = dial.connect()?;
    let exchanges = if scenario.reuse() == Reuse::KeepAlive { 2 } else { 1 };
    for number in 1..=exchanges {
        let answer = exchange(&mut stream, &scenario.probe_request())?;
        anyhow::ensure!(answer.body == expected, "the body is not the upstream's");
        let kept = answer.persistent || exchanges == 1;
        anyhow::ensure!(kept, "the connection was not kept after answer {number}");
    }
    Ok(())
}

struct Answer {
    body: Vec<u8>,
    persistent: bool,
}

fn exchange(stream: &mut Wire, request: &[u8]) -> Result<Answer> {
    stream.write_all(request).context("sending a request")?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut buffer).context("reading an answer")?;
        anyhow::ensure!(length > 0, "closed after {} bytes of the answer", bytes.len());
        bytes.extend_from_slice(&buffer[..length]);
        let head = response::head(&bytes).with_context(|| first_line(&bytes))?;
        let Some(head) = head else { continue };
        let length = head.head_bytes + usize::try_from(head.body_bytes).context("body length")?;
        anyhow::ensure!(bytes.len() <= length, "more bytes than the answer's length");
        if bytes.len() == length {
            let body = bytes.split_off(head.head_bytes);
            return Ok(Answer { body, persistent: head.persistent });
        }
    }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    format!("answer began with {:?}", String::from_utf8_lossy(line))
}

const START_WAIT: Duration = Duration::from_secs(8);
