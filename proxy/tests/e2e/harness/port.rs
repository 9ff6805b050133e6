//! Ports for servers that cannot tell which one they got.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, SockAddr, Socket, Type};

use super::wait::{SOON, eventually_true};

/// A port for a server that sets `SO_REUSEPORT`, kept free until that server listens.
pub struct Port(#[expect(dead_code, reason = "held for its port")] Socket, pub SocketAddr);

impl Port {
    pub fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_port(true).expect("reuse port");
        socket.set_reuse_address(true).expect("reuse address");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("bind");
        let address = socket.local_addr().as_ref().ok().and_then(SockAddr::as_socket);
        Self(socket, address.expect("an IP address"))
    }

    /// Waits until the server listens.
    #[track_caller]
    pub fn wait(&self) {
        eventually_true("the server listens", SOON, || TcpStream::connect(self.1).is_ok());
    }
}
