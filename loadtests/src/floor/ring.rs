//! An io_uring with one buffer for each registered socket.
//!
//! The only unsafe call of the load tests is here: an operation handed to the kernel must not outlive its
//! buffer. Buffers are made once, never moved, and freed after the ring; and each has at most one operation
//! under way, because a socket receives again only when what it received has been sent.

use std::io;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode, squeue, types};
use nix::libc;
use socket2::Socket;

/// A ring with its buffers. The ring is the first field: it is dropped before the buffers.
pub struct Ring {
    uring: IoUring,
    buffers: Vec<Box<[u8]>>,
    /// Whether the last receive of a socket filled its buffer: then more is probably there.
    was_full: Vec<bool>,
}

/// What the kernel has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completion {
    /// The listener has a connection to accept.
    Listener,
    /// A receive ended: so many bytes, or an error below zero.
    Received {
        /// Number of the socket, and of its buffer.
        end: usize,
        /// The kernel's result.
        bytes: i32,
    },
    /// What one socket received was sent by the other.
    Sent {
        /// Number of the socket that had received it.
        end: usize,
        /// The kernel's result.
        bytes: i32,
    },
}

impl Ring {
    /// A ring for so many sockets, completions handed over only when asked for.
    pub fn new(sockets: usize, buffer_bytes: usize) -> io::Result<Self> {
        let entries = u32::try_from(sockets).unwrap_or(u32::MAX).next_power_of_two();
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(entries * 4)
            .build(entries)?;
        uring.submitter().register_files_sparse(entries)?;
        Ok(Self {
            uring,
            buffers: (0..sockets).map(|_| vec![0; buffer_bytes].into()).collect(),
            was_full: vec![false; sockets],
        })
    }

    /// Submits all that was asked for, waits for the first completion and takes what is there.
    pub fn turn(&mut self, completions: &mut Vec<Completion>) -> Result<()> {
        match self.uring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error).context("waiting on the ring"),
        }
        for entry in self.uring.completion() {
            let end = (entry.user_data() >> KIND_BITS) as usize;
            let bytes = entry.result();
            completions.push(match entry.user_data() & KIND_MASK {
                RECEIVE => {
                    self.was_full[end] = usize::try_from(bytes) == Ok(self.buffers[end].len());
                    Completion::Received { end, bytes }
                }
                SEND => Completion::Sent { end, bytes },
                _ => Completion::Listener,
            });
        }
        Ok(())
    }

    /// Tells once when the listener has a connection.
    pub fn watch(&mut self, listener: &Socket) -> Result<()> {
        let poll = opcode::PollAdd::new(types::Fd(listener.as_raw_fd()), libc::POLLIN as u32);
        self.push(poll.build().user_data(LISTENER))
    }

    /// Makes `socket` known by its number.
    pub fn register(&mut self, end: usize, socket: &Socket) -> Result<()> {
        self.update(end, socket.as_raw_fd())
    }

    /// Drops what was registered.
    pub fn forget(&mut self, end: usize) -> Result<()> {
        self.update(end, -1)
    }

    /// Receives from a socket without a number into the buffer `end`. The socket stays open until then.
    pub fn receive_from(&mut self, end: usize, socket: &Socket) -> Result<()> {
        let buffer = &mut self.buffers[end];
        let length = u32::try_from(buffer.len()).context("length of a buffer")?;
        let descriptor = types::Fd(socket.as_raw_fd());
        let receive = opcode::Recv::new(descriptor, buffer.as_mut_ptr(), length);
        // A node has not answered yet when it was just asked.
        let entry = receive.ioprio(POLL_FIRST).build();
        self.push(entry.user_data((end as u64) << KIND_BITS | RECEIVE))
    }

    /// What the buffer `end` received, `length` bytes.
    pub fn received(&self, end: usize, length: usize) -> &[u8] {
        self.buffers[end].get(..length).unwrap_or_default()
    }

    fn update(&mut self, end: usize, descriptor: i32) -> Result<()> {
        let slot = u32::try_from(end).context("number of a socket")?;
        self.uring.submitter().register_files_update(slot, &[descriptor]).context("registering")?;
        Ok(())
    }

    /// Receives into the buffer of the socket.
    pub fn receive(&mut self, end: usize) -> Result<()> {
        let slot = u32::try_from(end).context("number of a socket")?;
        // An empty socket is only watched; to try it first would be a system call for nothing.
        let priority = if self.was_full[end] { 0 } else { POLL_FIRST };
        let buffer = &mut self.buffers[end];
        let length = u32::try_from(buffer.len()).context("length of a buffer")?;
        let receive = opcode::Recv::new(types::Fixed(slot), buffer.as_mut_ptr(), length);
        let entry = receive.ioprio(priority).build();
        self.push(entry.user_data((end as u64) << KIND_BITS | RECEIVE))
    }

    /// Sends the first `length` bytes of the buffer of `end` at the socket `to`, all of them.
    pub fn send(&mut self, end: usize, to: usize, length: usize) -> Result<()> {
        let slot = u32::try_from(to).context("number of a socket")?;
        let bytes = self.buffers[end].get(..length).context("more than was received")?;
        let length = u32::try_from(length).context("length of a send")?;
        let send = opcode::Send::new(types::Fixed(slot), bytes.as_ptr(), length);
        let entry = send.flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL).build();
        self.push(entry.user_data((end as u64) << KIND_BITS | SEND))
    }

    fn push(&mut self, entry: squeue::Entry) -> Result<()> {
        if self.uring.submission().is_full() {
            self.uring.submit().context("submitting")?;
        }
        // JUSTIFICATION: the floor is io_uring itself, and its crate has no safe way in.
        // SAFETY: the buffer of the entry lives as long as the ring and is not touched while the
        // operation is under way, see the head of this file.
        #[expect(unsafe_code, reason = "io_uring operations borrow their buffers unseen")]
        unsafe { self.uring.submission().push(&entry) }.context("the ring is full")
    }
}

const LISTENER: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const KIND_BITS: u32 = 2;
const KIND_MASK: u64 = (1 << KIND_BITS) - 1;
/// `IORING_RECVSEND_POLL_FIRST`.
const POLL_FIRST: u16 = 1;
