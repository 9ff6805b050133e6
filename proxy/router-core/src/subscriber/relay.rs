//! Passing subscriptions on to other routers (`--resubscribe`), byte for byte.
//!
//! The registry hands over only what its signature proved and what counted, so a datagram is passed
//! on at most once by each router, in whatever circle the routers stand: its stamp counts once for a
//! node, whatever the command, and a copy that comes back is refused before it could be passed on
//! again. A router without signatures has no such memory and passes nothing on; the configuration
//! does not allow it to be asked.
//!
//! Nothing waits for a receiver that is behind: a bounded queue per target keeps the order, and gives
//! up its oldest first, because a younger datagram says the same or something newer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;

use super::counters::{SubscriptionCounters, bump};
use super::limits::RELAY_QUEUE_MAX;
use crate::address::ListenAddr;

/// Every router that is told.
#[derive(Debug, Default)]
pub(super) struct Relay {
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    way: Way,
    waiting: VecDeque<Arc<[u8]>>,
}

/// Sockets are not connected: a target that was away is reached again as soon as it is back.
#[derive(Debug)]
enum Way {
    Udp(UdpSocket, SocketAddr),
    Unix(UnixDatagram, PathBuf),
}

impl Relay {
    /// Opens a socket for each target.
    pub(super) fn open(targets: &[ListenAddr]) -> io::Result<Self> {
        let open = |target| Ok(Target { way: Way::open(target)?, waiting: VecDeque::new() });
        let targets = targets.iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { targets })
    }

    /// Passes one datagram on to all.
    pub(super) fn pass_on(&mut self, datagram: Vec<u8>, counters: &SubscriptionCounters) {
        let datagram: Arc<[u8]> = datagram.into();
        for target in &mut self.targets {
            if target.waiting.len() >= RELAY_QUEUE_MAX {
                target.waiting.pop_front();
                bump(&counters.forward_drops);
            }
            target.waiting.push_back(Arc::clone(&datagram));
            target.flush(counters);
        }
    }

    /// Sends what had to wait.
    pub(super) fn flush(&mut self, counters: &SubscriptionCounters) {
        self.targets.iter_mut().for_each(|target| target.flush(counters));
    }

    /// Whether something waits for room at a receiver.
    pub(super) fn is_waiting(&self) -> bool {
        self.targets.iter().any(|target| !target.waiting.is_empty())
    }
}

impl Target {
    fn flush(&mut self, counters: &SubscriptionCounters) {
        while let Some(datagram) = self.waiting.front() {
            match self.way.send(datagram) {
                Ok(_) => bump(&counters.forwarded),
                Err(error) if is_full(&error) => return,
                Err(_) => bump(&counters.forward_drops),
            }
            self.waiting.pop_front();
        }
    }
}

/// The receiver or this machine has no room now; anything else is as good as lost.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl Way {
    fn open(target: &ListenAddr) -> io::Result<Self> {
        match target {
            ListenAddr::Tcp(to) => {
                let any: IpAddr = match to {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp(socket, *to))
            }
            ListenAddr::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(socket, path.clone()))
            }
        }
    }

    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket, to) => socket.send_to(datagram, to),
            Self::Unix(socket, path) => socket.send_to(datagram, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    /// A receiver that does not read fills its queue in the kernel and then ours; what is lost is
    /// the oldest of ours, and the order stays.
    #[test]
    fn a_receiver_that_is_behind_loses_the_oldest_and_bounds_what_waits() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("other.sock");
        let receiver = UnixDatagram::bind(&path).expect("binds");
        let mut relay = Relay::open(&[ListenAddr::Unix(path)]).expect("opens");
        let counters = SubscriptionCounters::default();
        let sent = RELAY_QUEUE_MAX as u64 + 3000;
        for number in 0..sent {
            relay.pass_on(number.to_le_bytes().to_vec(), &counters);
        }
        assert!(relay.is_waiting());
        assert_eq!(relay.targets[0].waiting.len(), RELAY_QUEUE_MAX);
        let (forwarded, dropped) = (&counters.forwarded, &counters.forward_drops);
        let waiting = RELAY_QUEUE_MAX as u64;
        assert_eq!(forwarded.load(Relaxed) + dropped.load(Relaxed) + waiting, sent);
        let mut bytes = [0; 8];
        let mut last = None;
        receiver.set_nonblocking(true).expect("is set");
        while relay.is_waiting() || receiver.recv(&mut bytes).is_ok() {
            let number = u64::from_le_bytes(bytes);
            assert!(last.is_none_or(|last| last <= number));
            last = Some(number);
            relay.flush(&counters);
            if relay.is_waiting() {
                receiver.recv(&mut bytes).expect("there is more");
            }
        }
        assert_eq!(last, Some(sent - 1), "the newest arrives");
        assert_eq!(forwarded.load(Relaxed) + dropped.load(Relaxed), sent);
    }

    #[test]
    fn a_target_that_is_away_costs_a_count_and_is_reached_when_it_is_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("other.sock");
        let mut relay = Relay::open(&[ListenAddr::Unix(path.clone())]).expect("opens");
        let counters = SubscriptionCounters::default();
        relay.pass_on(vec![1], &counters);
        assert_eq!(counters.forward_drops.load(Relaxed), 1);
        let receiver = UnixDatagram::bind(&path).expect("binds");
        relay.pass_on(vec![2], &counters);
        let mut bytes = [0; 8];
        assert_eq!(receiver.recv(&mut bytes).expect("arrives"), 1);
        assert_eq!((bytes[0], counters.forwarded.load(Relaxed)), (2, 1));
    }
}
