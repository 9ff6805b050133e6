//! The demo's addresses: the well-known port if it is free, else one the kernel chooses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// `port` on loopback if a stream can be bound there now, else port 0.
pub fn tcp_or_free(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpListener::bind(wanted).is_ok() { wanted } else { free() }
}

/// `port` on loopback if datagrams can be bound there now, else port 0.
pub fn udp_or_free(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if UdpSocket::bind(wanted).is_ok() { wanted } else { free() }
}

fn free() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_left_to_its_owner() {
        let owner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let taken = owner.local_addr().expect("a bound address").port();
        assert_eq!(tcp_or_free(taken).port(), 0);
        let owner = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let taken = owner.local_addr().expect("a bound address").port();
        assert_eq!(udp_or_free(taken).port(), 0);
    }
}
