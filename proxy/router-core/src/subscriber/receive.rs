//! Many datagrams by one system call, into memory that is there from the start.
//!
//! A slot has one byte more than a datagram may have: one that fills it, or that the kernel says
//! it cut, is too long and is never looked at. uWSGI uses what is left of a cut datagram
//! (subscription.md, 1); that lets a sender choose where the cut falls.
//!
//! A sender on a unix socket may attach descriptors. The room is for exactly what was asked for, so
//! the kernel drops them (and then nothing else is read beside that datagram); any that got through
//! would be closed.

use std::io::IoSliceMut;
use std::net::SocketAddr;

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, UnixCredentials,
    recvmmsg,
};
use nix::unistd::close;
use route_table::Credentials;
use subscribe::limits::{BATCH_DATAGRAMS_MAX, DATAGRAM_BYTES_MAX};
use subscribe::{Peer, Source};

use super::limits::SLOT_BYTES;
use super::socket::{AskCredentials, DatagramSocket, Kind};

/// The thread's memory for one batch.
pub(super) struct Arena {
    bytes: Box<[u8]>,
    received: Vec<Received>,
}

struct Received {
    len: usize,
    is_cut: bool,
    source: Source,
}

/// One datagram of the batch.
pub(super) enum Datagram<'a> {
    /// All of it.
    Whole(Source, &'a [u8]),
    /// Longer than allowed.
    Oversize,
}

impl Arena {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; BATCH_DATAGRAMS_MAX * SLOT_BYTES].into(),
            received: Vec::with_capacity(BATCH_DATAGRAMS_MAX),
        }
    }

    /// Fills the arena with what waits on `socket`, at most [`BATCH_DATAGRAMS_MAX`]. Answers how
    /// many datagrams the kernel dropped since the last call that told.
    ///
    /// # Errors
    /// `EAGAIN` if nothing waits, or what the socket reports; the arena is empty then.
    pub(super) fn fill(&mut self, socket: &mut DatagramSocket) -> nix::Result<u32> {
        let drops = match socket.kind() {
            Kind::Udp(_) => {
                self.receive::<SockaddrStorage>(socket, Some(cmsg_space!(u32)), ip_peer)?
            }
            // Senders on unix sockets have no name worth knowing, and the kernel leaves the
            // name's memory alone where there is none.
            Kind::Unix(..) => {
                let room = match socket.asks() {
                    AskCredentials::Yes => Some(cmsg_space!(UnixCredentials)),
                    AskCredentials::No => None,
                };
                self.receive::<()>(socket, room, |()| Peer::Unix)?
            }
        };
        let Some(drops) = drops else { return Ok(0) };
        Ok(drops.wrapping_sub(std::mem::replace(&mut socket.drops_seen, drops)))
    }

    /// The datagrams in the order they came.
    pub(super) fn datagrams(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.received.iter().zip(self.bytes.chunks_exact(SLOT_BYTES)).map(|(received, slot)| {
            if received.is_cut || received.len > DATAGRAM_BYTES_MAX {
                return Datagram::Oversize;
            }
            Datagram::Whole(received.source, &slot[..received.len])
        })
    }

    /// The headers are made anew for each call: the kernel writes the lengths it used into them,
    /// and would take those for the room there is the next time.
    fn receive<S: Copy + SockaddrLike>(
        &mut self,
        socket: &DatagramSocket,
        control: Option<Vec<u8>>,
        peer: impl Fn(S) -> Peer,
    ) -> nix::Result<Option<u32>> {
        self.received.clear();
        let slots = self.bytes.chunks_exact_mut(SLOT_BYTES);
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            slots.map(|slot| [IoSliceMut::new(slot)]).collect();
        let mut headers = MultiHeaders::<S>::preallocate(BATCH_DATAGRAMS_MAX, control);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let messages = recvmmsg(socket.raw(), &mut headers, slices.iter_mut(), flags, None)?;
        let mut drops = None;
        for message in messages {
            let mut credentials = None;
            for control in message.cmsgs().into_iter().flatten() {
                match control {
                    ControlMessageOwned::RxqOvfl(total) => drops = Some(total),
                    ControlMessageOwned::ScmCredentials(sender) => {
                        credentials = Some(read_credentials(sender));
                    }
                    ControlMessageOwned::ScmRights(descriptors) => {
                        for descriptor in descriptors {
                            let _ = close(descriptor);
                        }
                    }
                    _ => {}
                }
            }
            self.received.push(Received {
                len: message.bytes,
                is_cut: message.flags.contains(MsgFlags::MSG_TRUNC),
                source: Source { peer: message.address.map_or(Peer::Unix, &peer), credentials },
            });
        }
        Ok(drops)
    }
}

/// The kernel's numbers are never negative.
fn read_credentials(sender: UnixCredentials) -> Credentials {
    let pid = u32::try_from(sender.pid()).unwrap_or_default();
    Credentials { pid, uid: sender.uid(), gid: sender.gid() }
}

fn ip_peer(addr: SockaddrStorage) -> Peer {
    let v4 = addr.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    let v6 = || addr.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()));
    v4.or_else(v6).map_or(Peer::Unix, Peer::Ip)
}
