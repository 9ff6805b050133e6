//! Messages with descriptors between two processes of the router.
//!
//! A message is received whole or not at all, and the end of the other process is an end of the
//! channel. No wait is without a limit.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

/// Longest message. What is longer goes into a file whose descriptor is passed.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// Most descriptors of one message; the kernel allows 253.
pub const DESCRIPTORS_MAX: usize = 128;
/// How long a process may leave messages unread before it counts as gone.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other process closed it, mostly because it ended.
    #[error("the other process is gone")]
    Ended,
    /// Nothing came.
    #[error("no word within {} s", .0.as_secs())]
    Silent(Duration),
    /// A message was cut.
    #[error("a message is longer than allowed")]
    Oversize,
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// One end.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// A message as it came.
#[derive(Debug)]
pub struct Received {
    /// What it says.
    pub bytes: Vec<u8>,
    /// What was passed with it.
    pub fds: Vec<OwnedFd>,
}

impl Channel {
    /// Two ends; the second one is for another process.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(near), far))
    }

    /// The end that another process made.
    #[must_use]
    pub fn of(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`ChannelError`], also if the other process does not read.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        if bytes.len() > MESSAGE_BYTES_MAX || fds.len() > DESCRIPTORS_MAX {
            return Err(ChannelError::Oversize);
        }
        self.wait(PollFlags::POLLOUT, SEND_LIMIT)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(ChannelError::Oversize);
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, flags) {
            Ok(_whole) => Ok(()),
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Err(ChannelError::Ended),
            Err(error) => Err(ChannelError::System(error.into())),
        }
    }

    /// The next message, if it comes within `limit`.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn receive(&self, limit: Duration) -> Result<Received, ChannelError> {
        self.wait(PollFlags::POLLIN, limit)?;
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags);
        let message = match message {
            Err(rustix::io::Errno::CONNRESET) => return Err(ChannelError::Ended),
            outcome => outcome.map_err(io::Error::from)?,
        };
        let fds: Vec<OwnedFd> = control
            .drain()
            .filter_map(|part| match part {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        if message.bytes == 0 {
            return Err(ChannelError::Ended);
        }
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(ChannelError::Oversize);
        }
        bytes.truncate(message.bytes);
        Ok(Received { bytes, fds })
    }

    /// Whether the other process is gone.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.wait(PollFlags::empty(), Duration::ZERO), Err(ChannelError::Ended))
    }

    fn wait(&self, what: PollFlags, limit: Duration) -> Result<(), ChannelError> {
        let due = Instant::now() + limit;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            // Up to the end of the millisecond that it ends in.
            let timeout = PollTimeout::try_from(left.as_millis() + u128::from(!left.is_zero()));
            let mut fds = [PollFd::new(self.0.as_fd(), what)];
            match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
                Ok(0) if Instant::now() >= due => return Err(ChannelError::Silent(limit)),
                Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(ChannelError::System(error.into())),
            }
            let found = fds[0].revents().unwrap_or(PollFlags::POLLERR);
            // What it said before its end is still to be read.
            return match found.intersects(what) {
                true => Ok(()),
                false => Err(ChannelError::Ended),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    const SOON: Duration = Duration::from_secs(5);

    fn pair() -> (Channel, Channel) {
        let (near, far) = Channel::pair().unwrap();
        (near, Channel::of(far))
    }

    #[test]
    fn a_message_brings_its_descriptors() {
        let (near, far) = pair();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let many = vec![theirs.as_fd(); DESCRIPTORS_MAX];
        near.send(b"take", &many).unwrap();
        near.send(b"and no more", &[]).unwrap();
        let mut received = far.receive(SOON).unwrap();
        assert_eq!((&received.bytes[..], received.fds.len()), (&b"take"[..], DESCRIPTORS_MAX));
        drop(theirs);
        ours.send(b"over").unwrap();
        let passed = UnixDatagram::from(received.fds.pop().unwrap());
        assert_eq!(passed.recv(&mut [0; 8]).unwrap(), 4);
        assert_eq!(far.receive(SOON).unwrap().bytes, b"and no more");
    }

    #[test]
    fn silence_and_the_end_are_told_apart() {
        let (near, far) = pair();
        assert!(matches!(far.receive(Duration::from_millis(5)), Err(ChannelError::Silent(_))));
        assert!(!far.is_ended());
        near.send(b"last words", &[]).unwrap();
        drop(near);
        assert_eq!(far.receive(SOON).unwrap().bytes, b"last words");
        assert!(matches!(far.receive(SOON), Err(ChannelError::Ended)));
        assert!(far.is_ended());
        assert!(matches!(far.send(b"hello?", &[]), Err(ChannelError::Ended)));
    }

    #[test]
    fn too_much_is_refused_before_it_is_sent() {
        let (near, _far) = pair();
        let long = vec![0; MESSAGE_BYTES_MAX + 1];
        assert!(matches!(near.send(&long, &[]), Err(ChannelError::Oversize)));
    }
}
