//! Moving bytes from socket to socket through a pipe of the worker: the kernel passes on the pages they
//! lie in and copies nothing.
//!
//! One pipe serves all streams of a worker, so it is empty whenever no stretch is under way: what the
//! other side does not take is read out of it again at once. A pipe of which that is not certain is
//! closed, and what was in it is gone with it.

use std::{
    cell::Cell,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::{pipe2, read},
};
use nix_026::{
    errno::Errno as Errno026,
    fcntl::{FcntlArg as FcntlArg026, OFlag as OFlag026, SpliceFFlags, fcntl as fcntl026, splice},
};

use super::{BURST_BYTES, Way};

thread_local! {
    static PIPE: Cell<Place> = const { Cell::new(Place::Unmade) };
}

/// Where the pipe of a worker is.
enum Place {
    /// There is none, or it is in use.
    Unmade,
    /// It rests, empty.
    Ready(Pipe),
    /// The system does not let us: bytes are copied.
    Denied,
}

/// A pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    exit: OwnedFd,
    entry: OwnedFd,
    /// Bytes in it.
    held: usize,
}

/// The pipe of this worker, until it is [put back](put_back). `None` if there can be none, now or ever.
pub(super) fn take() -> Option<Pipe> {
    match PIPE.replace(Place::Unmade) {
        Place::Ready(pipe) => Some(pipe),
        Place::Unmade => match Pipe::new() {
            Ok(pipe) => Some(pipe),
            // Descriptors may be there again later.
            Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => None,
            Err(_denied) => {
                PIPE.set(Place::Denied);
                None
            }
        },
        Place::Denied => {
            PIPE.set(Place::Denied);
            None
        }
    }
}

/// Leaves the pipe for the next stretch; one that is not empty closes instead.
pub(super) fn put_back(pipe: Pipe) {
    if pipe.held == 0 {
        PIPE.set(Place::Ready(pipe));
    }
}

/// Copies from now on: the kernel does not splice.
pub(super) fn give_up(pipe: Pipe) {
    drop(pipe);
    PIPE.set(Place::Denied);
}

/// Lets splicing between these two not wait, which a flag of the call alone does not do. The runtime's
/// operations wait all the same.
pub(super) fn prepare(way: Way) -> io::Result<()> {
    for socket in [way.source, way.sink] {
        fcntl026(socket, FcntlArg026::F_SETFL(OFlag026::O_NONBLOCK))?;
    }
    Ok(())
}

impl Pipe {
    fn new() -> nix::Result<Self> {
        let (exit, entry) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        // A smaller one works too: it is what a user with many pipes gets.
        let _ = fcntl(&entry, FcntlArg::F_SETPIPE_SZ(BURST_BYTES as i32));
        Ok(Self { exit, entry, held: 0 })
    }

    /// Takes up to `most` bytes of what is there. Zero also at the end of the stream.
    ///
    /// # Errors
    /// The source is broken, or [the kernel does not splice](cannot).
    pub(super) fn fill(&mut self, way: Way, most: usize) -> Result<usize, Errno026> {
        match splice(way.source, None, self.entry.as_raw_fd(), None, most, flags()) {
            Ok(received) => {
                self.held += received;
                Ok(received)
            }
            Err(Errno026::EAGAIN | Errno026::EINTR) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Hands on what the sink takes. An error of the sink is no matter here: sending what is left will meet it.
    pub(super) fn empty(&mut self, way: Way) {
        while self.held > 0 {
            match splice(self.exit.as_raw_fd(), None, way.sink, None, self.held, flags()) {
                Ok(sent) if sent > 0 => self.held -= sent.min(self.held),
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Reads back what was not taken, behind what is in `rest`.
    ///
    /// # Errors
    /// The bytes are lost; the pipe must not be used again.
    pub(super) fn drain(&mut self, rest: &mut Vec<u8>) -> nix::Result<()> {
        while self.held > 0 {
            let start = rest.len();
            rest.resize(start + self.held, 0);
            let outcome = read(&self.exit, &mut rest[start..]);
            rest.truncate(start + *outcome.as_ref().unwrap_or(&0));
            match outcome {
                Ok(0) => return Err(Errno::EPIPE),
                Ok(count) => self.held -= count,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether the kernel, or a filter of system calls, does not let us splice from this socket.
pub(super) fn cannot(error: Errno026) -> bool {
    matches!(error, Errno026::EINVAL | Errno026::ENOSYS | Errno026::EPERM | Errno026::EACCES)
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Burst, Window, run},
        *,
    };
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    const BODY_BYTES: usize = 1 << 20;

    /// Two ends of a connection: the worker's and the other side's.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, far)
    }

    fn way(source: &TcpStream, sink: &TcpStream) -> Way {
        Way { source: source.as_raw_fd(), sink: sink.as_raw_fd() }
    }

    fn body(seed: usize) -> Vec<u8> {
        (0..BODY_BYTES).map(|at| (at / 7 * 31 + seed) as u8).collect()
    }

    /// The resting pipe has no byte in it.
    fn assert_empty() {
        let Place::Ready(pipe) = PIPE.replace(Place::Unmade) else { panic!("no pipe rests") };
        assert_eq!(read(&pipe.exit, &mut [0]), Err(Errno::EAGAIN));
        put_back(pipe);
    }

    /// Moves a body from a node that has all of it to a client that reads, waiting as the pumps do.
    fn relay(sent: &[u8]) -> Vec<u8> {
        let (near, mut node) = connection();
        let (far, mut client) = connection();
        let (content, length) = (sent.to_vec(), sent.len());
        let writer = std::thread::spawn(move || node.write_all(&content).map(|()| node));
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            client.read_to_end(&mut got).map(|_| got)
        });
        let (mut window, mut left, mut first) = (Window::of_body(), length, b"head ".to_vec());
        while left > 0 || !first.is_empty() {
            let most = left as u64;
            let burst = run(way(&near, &far), &first, most, &mut window, |moved| left -= moved);
            first.clear();
            match burst {
                Burst::Paused => std::thread::yield_now(),
                Burst::Blocked(rest, _counted) => {
                    far.set_nonblocking(false).unwrap();
                    (&far).write_all(&rest).unwrap();
                    far.set_nonblocking(true).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        drop(far);
        drop(writer.join().unwrap().unwrap());
        reader.join().unwrap().unwrap()
    }

    #[test]
    fn a_large_body_passes_whole_behind_its_head() {
        let sent = body(1);
        assert_eq!(relay(&sent), [b"head ".as_slice(), &sent].concat());
        assert_empty();
    }

    #[test]
    fn without_a_pipe_it_is_copied() {
        PIPE.set(Place::Denied);
        let sent = body(2);
        assert_eq!(relay(&sent), [b"head ".as_slice(), &sent].concat());
        assert!(matches!(PIPE.replace(Place::Unmade), Place::Denied));
    }

    /// Goal: no byte of one connection is ever sent on another. Method: a client that takes nothing, or
    /// is gone, while much is under way to it; then a second connection of the same worker.
    #[test]
    fn nothing_stays_in_the_pipe_for_the_next_connection() {
        for client_is_gone in [false, true] {
            let (near, mut node) = connection();
            let (far, client) = connection();
            let client = (!client_is_gone).then_some(client);
            node.set_nonblocking(true).unwrap();
            let (mut window, mut received, mut sent) = (Window::of_body(), 0, 0);
            let content = body(3);
            let rest = loop {
                sent += node.write(&content[sent % BODY_BYTES..]).unwrap_or(0);
                let count = |moved| received += moved;
                match run(way(&near, &far), b"", u64::MAX, &mut window, count) {
                    Burst::Paused => std::thread::yield_now(),
                    Burst::Blocked(rest, _counted) => break rest,
                    Burst::SinkFailed if client_is_gone => break Vec::new(),
                    other => panic!("{other:?}"),
                }
            };
            assert_empty();
            if let Some(mut client) = client {
                drop(far);
                let mut got = Vec::new();
                client.read_to_end(&mut got).unwrap();
                assert_eq!(got.len() + rest.len(), received, "nothing is lost and nothing is kept");
                got.extend(rest);
                let whole = content.iter().cycle();
                assert!(got.iter().zip(whole).all(|(got, sent)| got == sent), "in order");
            }
            let sent = body(4);
            assert_eq!(relay(&sent), [b"head ".as_slice(), &sent].concat());
        }
    }

    #[test]
    fn a_pipe_that_is_not_empty_is_never_used_again() {
        let (near, mut node) = connection();
        let (far, _client) = connection();
        let between = way(&near, &far);
        prepare(between).unwrap();
        node.write_all(b"secret").unwrap();
        let mut pipe = take().unwrap();
        while pipe.fill(between, 100).unwrap() == 0 {}
        put_back(pipe);
        assert!(matches!(PIPE.replace(Place::Unmade), Place::Unmade));
    }
}
