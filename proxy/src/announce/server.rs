//! The datagram socket to one router.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use router_core::address::ListenAddr;

/// Where announcements go.
pub struct Server {
    addr: ListenAddr,
    link: Link,
    /// The last announcement did not leave; said once, not every ten seconds.
    failing: bool,
}

enum Link {
    Udp(UdpSocket),
    /// Unix sockets are named in every send: a restarted router is a new socket at the same path.
    Unix(UnixDatagram, PathBuf),
}

impl Server {
    /// Opens a socket towards `addr`. The router need not be up yet.
    pub fn open(addr: &ListenAddr) -> io::Result<Self> {
        let link = match addr {
            ListenAddr::Tcp(to) => Link::Udp(udp(*to)?),
            ListenAddr::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Link::Unix(socket, path.clone())
            }
        };
        Ok(Self { addr: addr.clone(), link, failing: false })
    }

    /// Sends one datagram. A failure is logged when it begins and when it ends.
    pub fn send(&mut self, datagram: &[u8]) {
        let sent = match &self.link {
            // A refused datagram is reported by the next send, which then sends nothing.
            Link::Udp(socket) => socket.send(datagram).or_else(|_| socket.send(datagram)),
            Link::Unix(socket, path) => socket.send_to(datagram, path),
        };
        match (sent, self.failing) {
            (Err(error), false) => {
                tracing::warn!(server = %self.addr, %error, "cannot announce; trying on");
                self.failing = true;
            }
            (Ok(_), true) => {
                tracing::info!(server = %self.addr, "announcing again");
                self.failing = false;
            }
            _ => {}
        }
    }

    /// Whether datagrams can get lost on the way.
    pub fn is_lossy(&self) -> bool {
        !self.addr.is_local()
    }
}

fn udp(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = match to.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket)
}
