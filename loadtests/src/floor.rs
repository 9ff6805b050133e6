//! The floor of a comparison: what a proxy's socket operations cost without any proxy.
//!
//! Each client connection gets one connection to the upstream; bytes go both ways unread. One thread, one
//! io_uring, registered sockets, one receive and one send per direction and turn, all submitted at once.
//! It parses, routes, pools and logs nothing, and serves a fixed number of clients. Started by `compare`.
//! Between unix sockets it passes uwsgi packets on instead ([`packets`]).

mod packets;
mod ring;

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::peers::UpstreamAddress;
use ring::{Completion, Ring};

/// Options of the hidden `floor` command.
#[derive(Debug, clap::Args)]
pub struct FloorArgs {
    /// Where to listen: `IP:PORT`, or a path for a unix socket.
    #[arg(long)]
    listen: UpstreamAddress,
    /// Where everything goes, of the same kind.
    #[arg(long)]
    upstream: UpstreamAddress,
}

/// Relays until it is ended.
pub fn run(args: &FloorArgs) -> Result<()> {
    match (&args.listen, &args.upstream) {
        (UpstreamAddress::Tcp(listen), UpstreamAddress::Tcp(upstream)) => relay(*listen, *upstream),
        (UpstreamAddress::Unix(listen), UpstreamAddress::Unix(node)) => packets::run(listen, node),
        _ => anyhow::bail!("both addresses must be of one kind"),
    }
}

/// Passes bytes on between TCP connections.
fn relay(address: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let listener = listen(Domain::for_address(address), &address.into())?;
    let mut relay = Relay {
        ring: Ring::new(PAIRS_MAX * 2, BUFFER_BYTES).context("making the ring")?,
        pairs: (0..PAIRS_MAX).map(|_| None).collect(),
        upstream,
    };
    relay.ring.watch(&listener)?;
    let mut completions = Vec::new();
    loop {
        relay.ring.turn(&mut completions)?;
        for completion in completions.drain(..) {
            match completion {
                Completion::Listener => {
                    relay.accept(&listener)?;
                    relay.ring.watch(&listener)?;
                }
                Completion::Received { end, bytes } => relay.received(end, bytes)?,
                Completion::Sent { end, bytes } => relay.sent(end, bytes)?,
            }
        }
    }
}

/// All connections. End `2 * n` is the client of pair `n`, end `2 * n + 1` its upstream.
struct Relay {
    ring: Ring,
    pairs: Vec<Option<Pair>>,
    upstream: SocketAddr,
}

/// Two connections.
struct Pair {
    sockets: [Socket; 2],
    /// Operations the kernel has not completed.
    pending: u8,
    is_over: bool,
}

impl Relay {
    /// Takes what waits; a client beyond the last pair is turned away.
    fn accept(&mut self, listener: &Socket) -> Result<()> {
        while let Ok((client, _)) = listener.accept() {
            let Some(number) = self.pairs.iter().position(Option::is_none) else { continue };
            // On loopback this returns at once; it is done once per kept-alive connection.
            let upstream = TcpStream::connect(self.upstream).context("connecting upstream")?;
            let sockets = [client, Socket::from(upstream)];
            for (side, socket) in sockets.iter().enumerate() {
                socket.set_tcp_nodelay(true).context("sending at once")?;
                self.ring.register(number * 2 + side, socket)?;
                self.ring.receive(number * 2 + side)?;
            }
            self.pairs[number] = Some(Pair { sockets, pending: 2, is_over: false });
        }
        Ok(())
    }

    /// Bytes of `end` are in its buffer: they go out at the other end.
    fn received(&mut self, end: usize, bytes: i32) -> Result<()> {
        match usize::try_from(bytes) {
            Ok(length) if length > 0 && !self.is_over(end) => self.ring.send(end, end ^ 1, length),
            _ => self.complete(end),
        }
    }

    /// The buffer of `end` is empty again.
    fn sent(&mut self, end: usize, bytes: i32) -> Result<()> {
        if bytes > 0 && !self.is_over(end) { self.ring.receive(end) } else { self.complete(end) }
    }

    fn is_over(&self, end: usize) -> bool {
        self.pairs[end / 2].as_ref().is_none_or(|pair| pair.is_over)
    }

    /// One direction has ended, and with it both; the pair goes when the kernel is done with both.
    fn complete(&mut self, end: usize) -> Result<()> {
        let Some(pair) = &mut self.pairs[end / 2] else { return Ok(()) };
        pair.pending -= 1;
        if !pair.is_over {
            pair.is_over = true;
            for socket in &pair.sockets {
                let _ = socket.shutdown(std::net::Shutdown::Both);
            }
        }
        if pair.pending == 0 {
            self.ring.forget(end & !1)?;
            self.ring.forget(end | 1)?;
            self.pairs[end / 2] = None;
        }
        Ok(())
    }
}

fn listen(domain: Domain, address: &SockAddr) -> Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(domain, kind, None).context("a socket")?;
    if domain != Domain::UNIX {
        socket.set_reuse_address(true).context("allowing the address to be bound again")?;
    }
    socket.bind(address).context("binding the listener")?;
    socket.listen(BACKLOG).context("listening")?;
    Ok(socket)
}

/// Clients at once.
const PAIRS_MAX: usize = 256;
/// Bytes received at once: bodies in few pieces, all buffers of 64 clients within the second cache.
const BUFFER_BYTES: usize = 64 * 1024;
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// An upstream that sends everything back.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        address
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
        }
    }

    #[test]
    fn bytes_go_both_ways_and_an_end_makes_room_for_the_next_client() {
        if Ring::new(2, 16).is_err() {
            eprintln!("SKIPPED: no io_uring on this machine");
            return;
        }
        let upstream = echo();
        let [listen] = crate::machine::free_addresses().unwrap();
        thread::spawn(move || relay(listen, upstream).unwrap());
        let sent: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
        // More clients than there is room for at once, one after the other.
        for number in 0..PAIRS_MAX + 10 {
            let mut stream = connect(listen);
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let part = if number == 0 { &sent[..] } else { &sent[..100] };
            let mut writer = stream.try_clone().unwrap();
            let mut back = vec![0; part.len()];
            thread::scope(|scope| {
                scope.spawn(|| writer.write_all(part).unwrap());
                stream.read_exact(&mut back).unwrap();
            });
            assert!(back == part, "client {number}");
        }
    }
}
