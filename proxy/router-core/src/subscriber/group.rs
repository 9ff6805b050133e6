//! Addresses that many listen on: multicast groups, and the broadcast address.
//!
//! A socket bound to such an address receives what is sent to it and nothing else. Every socket gets
//! a copy, so several routers of one machine may share the address, unlike a unicast one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::Socket;

/// How many an address stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cast {
    /// One socket.
    One,
    /// The members of a group.
    Group(Ipv4Addr),
    /// Everybody on the link.
    Broadcast,
}

impl Cast {
    /// # Errors
    /// An IPv6 group: which interface it is on would have to be said with it.
    pub(super) fn of(addr: SocketAddr) -> io::Result<Self> {
        match addr.ip() {
            IpAddr::V4(v4) if v4.is_multicast() => Ok(Self::Group(v4)),
            IpAddr::V4(Ipv4Addr::BROADCAST) => Ok(Self::Broadcast),
            IpAddr::V6(v6) if v6.is_multicast() => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "IPv6 groups are not supported; use one from 224.0.0.0 to 239.255.255.255",
            )),
            _ => Ok(Self::One),
        }
    }

    /// Before the bind.
    pub(super) fn prepare(self, socket: &Socket) -> io::Result<()> {
        match self {
            Self::One => Ok(()),
            Self::Group(_) => socket.set_reuse_address(true),
            Self::Broadcast => {
                socket.set_reuse_address(true)?;
                socket.set_broadcast(true)
            }
        }
    }

    /// After the bind: joins the group on the interfaces with these addresses, or, if none is named,
    /// where the kernel's routes say.
    pub(super) fn join(self, socket: &Socket, interfaces: &[Ipv4Addr]) -> io::Result<()> {
        self.join_each(socket, interfaces, |_| false)
    }

    /// [`Self::join`] for a socket that may be a member already.
    pub(super) fn join_again(self, socket: &Socket, interfaces: &[Ipv4Addr]) -> io::Result<()> {
        self.join_each(socket, interfaces, |cause| cause.kind() == io::ErrorKind::AddrInUse)
    }

    fn join_each(
        self,
        socket: &Socket,
        interfaces: &[Ipv4Addr],
        is_fine: impl Fn(&io::Error) -> bool,
    ) -> io::Result<()> {
        let Self::Group(group) = self else { return Ok(()) };
        let by_route = [Ipv4Addr::UNSPECIFIED];
        let interfaces = if interfaces.is_empty() { &by_route } else { interfaces };
        interfaces.iter().try_for_each(|interface| {
            match socket.join_multicast_v4(&group, interface) {
                Err(cause) if !is_fine(&cause) => {
                    let at = match interface.is_unspecified() {
                        true => "without multicast-interface".to_owned(),
                        false => format!("on {interface}"),
                    };
                    let why = format!("the group is not joined {at}: {cause}");
                    Err(io::Error::new(cause.kind(), why))
                }
                _ => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_broadcast_are_told_from_addresses_of_one_socket() {
        let of = |text: &str| Cast::of(text.parse().expect("an address")).ok();
        assert_eq!(of("224.0.0.1:1"), Some(Cast::Group(Ipv4Addr::new(224, 0, 0, 1))));
        assert_eq!(of("239.255.255.255:1"), Some(Cast::Group(Ipv4Addr::new(239, 255, 255, 255))));
        assert_eq!(of("255.255.255.255:1"), Some(Cast::Broadcast));
        for one in ["223.255.255.255:1", "240.0.0.1:1", "127.0.0.1:1", "[::1]:1"] {
            assert_eq!(of(one), Some(Cast::One), "{one}");
        }
        assert_eq!(of("[ff02::1]:1"), None);
    }
}
