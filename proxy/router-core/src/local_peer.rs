//! What is different about a peer on this machine.
//!
//! An algorithm of congestion control that paces, such as BBR, sends 64 KiB and then sets a timer for
//! the next. Between two processes of one machine there is no queue to spare, and the timers cost as much
//! as all else about a large body. A system that has such an algorithm as its default is taken at its word
//! for all connections but those.

use std::sync::OnceLock;

use socket2::Socket;

/// Algorithms that pace by a timer for each burst.
const PACING: &[&[u8]] = &[b"bbr", b"bbr2", b"bbr3"];
/// One that does not. Every kernel has it and lets everyone use it.
const UNPACED: &[u8] = b"reno";

/// Lets a socket whose peer is on this machine send without pacing; its connections inherit that.
///
/// What the kernel does not allow is left as it is.
pub fn spare_pacing(socket: &Socket) {
    static SYSTEM_PACES: OnceLock<bool> = OnceLock::new();
    if *SYSTEM_PACES.get_or_init(|| paces(socket)) {
        let _ = socket.set_tcp_congestion(UNPACED);
    }
}

fn paces(socket: &Socket) -> bool {
    socket.tcp_congestion().is_ok_and(|name| {
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        PACING.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Protocol, Type};

    #[test]
    fn a_spared_socket_does_not_pace_whatever_the_system_does() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        let system = socket.tcp_congestion().unwrap();
        spare_pacing(&socket);
        assert!(!paces(&socket));
        if !system.starts_with(b"bbr") {
            assert_eq!(
                socket.tcp_congestion().unwrap(),
                system,
                "a choice that does not pace stays"
            );
        }
    }
}
