//! The floor of the fastrouter: the socket operations of a packet that is passed on, and nothing else.
//!
//! Each connection brings one packet; it goes to the node on a connection of its own, the answer comes back
//! and both are closed. What needs no waiting is done by plain calls, and only the answer is awaited, by an
//! operation of the ring: of the ways tried this was the cheapest (docs/PERFORMANCE.md). A packet and its
//! answer must come in one piece each, as those of the scenario do.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, SockAddr, Socket, Type};

use super::ring::{Completion, Ring};

/// Passes packets on until it is ended.
pub fn run(listen: &Path, node: &Path) -> Result<()> {
    let listener = super::listen(Domain::UNIX, &SockAddr::unix(listen).context("socket path")?)?;
    let mut passages = Passages {
        ring: Ring::new(PASSAGES_MAX, ANSWER_BYTES).context("making the ring")?,
        open: (0..PASSAGES_MAX).map(|_| None).collect(),
        free: (0..PASSAGES_MAX).collect(),
        packet: vec![0; PACKET_BYTES],
        node: SockAddr::unix(node).context("socket path of the node")?,
    };
    passages.ring.watch(&listener)?;
    let mut completions = Vec::new();
    loop {
        passages.ring.turn(&mut completions)?;
        for completion in completions.drain(..) {
            match completion {
                Completion::Listener => {
                    passages.accept(&listener)?;
                    passages.ring.watch(&listener)?;
                }
                Completion::Received { end, bytes } => passages.answer(end, bytes)?,
                Completion::Sent { .. } => {}
            }
        }
    }
}

/// All packets that wait for their answer.
struct Passages {
    ring: Ring,
    open: Vec<Option<Passage>>,
    /// Numbers of those that are not open, the one used last on top.
    free: Vec<usize>,
    packet: Vec<u8>,
    node: SockAddr,
}

/// A client and its node. Dropping closes both.
struct Passage {
    client: Socket,
    node: Socket,
}

impl Passages {
    /// Passes on the packets of all that wait; a client beyond the last number is turned away.
    fn accept(&mut self, listener: &Socket) -> Result<()> {
        while let Ok((client, _)) = listener.accept() {
            let Some(number) = self.free.pop() else { continue };
            match self.ask(&client)? {
                Some(node) => {
                    self.ring.receive_from(number, &node)?;
                    self.open[number] = Some(Passage { client, node });
                }
                None => self.free.push(number),
            }
        }
        Ok(())
    }

    /// The connection to the node, with the packet on it; `None` if the client sent none.
    fn ask(&mut self, client: &Socket) -> Result<Option<Socket>> {
        // It waits where the client has connected and not yet sent.
        let received = recv(client.as_raw_fd(), &mut self.packet, MsgFlags::empty()).unwrap_or(0);
        let Some(packet) = self.packet.get(..received).filter(|packet| !packet.is_empty()) else {
            return Ok(None);
        };
        let node =
            Socket::new_raw(Domain::UNIX, Type::STREAM.cloexec(), None).context("a socket")?;
        node.connect(&self.node).context("connecting to the node")?;
        let sent = node.send(packet).context("sending a packet")?;
        anyhow::ensure!(sent == received, "a packet was sent in part");
        Ok(Some(node))
    }

    /// Sends what the node answered, then closes both.
    fn answer(&mut self, number: usize, bytes: i32) -> Result<()> {
        let passage = self.open.get_mut(number).and_then(Option::take);
        let Passage { client, node: _closes } = passage.context("an answer to nobody")?;
        let length = usize::try_from(bytes).unwrap_or(0);
        match client.send(self.ring.received(number, length)) {
            Ok(sent) => anyhow::ensure!(sent == length, "an answer was sent in part"),
            // The client has left.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error).context("sending an answer"),
        }
        self.free.push(number);
        Ok(())
    }
}

/// Packets under way at once.
const PASSAGES_MAX: usize = 256;
const PACKET_BYTES: usize = 16 * 1024;
const ANSWER_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::client::packets::{exchange, packet};

    #[test]
    fn every_packet_reaches_the_node_and_its_answer_the_client() {
        if Ring::new(2, 16).is_err() {
            eprintln!("SKIPPED: no io_uring on this machine");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (router, node) = (path("router.sock"), path("node.sock"));
        let upstream = UnixListener::bind(&node).unwrap();
        std::thread::spawn(move || {
            for (number, stream) in upstream.incoming().flatten().enumerate() {
                let mut packet = [0; 1024];
                let length = recv(stream.as_raw_fd(), &mut packet, MsgFlags::empty()).unwrap();
                let body = format!("{number}:{length}");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                (&stream).write_all((head + &body).as_bytes()).unwrap();
            }
        });
        let floor = (router.clone(), node);
        std::thread::spawn(move || run(&floor.0, &floor.1).unwrap());
        let until = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(&router).is_err() {
            assert!(Instant::now() < until, "it does not listen");
            std::thread::yield_now();
        }
        let packet = packet("/");
        for number in 0..PASSAGES_MAX + 10 {
            let body = exchange(&router, &packet).unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), format!("{number}:{}", packet.len()));
        }
    }
}
