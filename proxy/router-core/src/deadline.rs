//! Deadlines of a worker's sockets, enforced by shutting the socket down.
//!
//! A pending read or write is never dropped, because the runtime would lose the bytes it already
//! moved. Instead a tick looks at every watched socket and shuts down those that are due: the
//! pending operation then completes by itself with an end-of-stream or a broken pipe, and its owner
//! asks [`Watch::expired`] why. Setting a deadline is one store into worker-local memory, so it costs
//! nothing on the hot path. Precision is one tick, [`TICK_MS`].
//!
//! A stream that shares its socket with others has a watch without a socket. Its owner is woken
//! instead ([`Watch::wake_with`]) and asks the same question.

mod minding;

pub use minding::{GoneWhen, LOOK_MS};

use std::{
    cell::{Cell, RefCell},
    os::fd::RawFd,
    task::Waker,
    time::{Duration, Instant},
};

use nix::sys::socket::{Shutdown, shutdown};

use minding::Minded;

/// Distance between two looks at the deadlines, and so their precision.
pub const TICK_MS: u64 = 100;

/// No deadline.
const NEVER: u64 = u64::MAX;

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(0) };
    static SLOTS: RefCell<Slots> = const { RefCell::new(Slots::new()) };
}

/// Which half of a socket a deadline is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Half {
    /// Waiting for bytes. When due the receiving side is shut down, the sending side stays usable.
    Read,
    /// Waiting for room. When due both sides are shut down.
    Write,
}

struct Slot {
    /// The socket to shut down; none for a stream that shares one.
    fd: Option<RawFd>,
    read_due: u64,
    write_due: u64,
    expired: Option<Half>,
    /// The socket waits for a new request, so a drain may end it at once.
    idle: bool,
    /// Who wants to know of an expiry, or of the beginning of a drain.
    waker: Option<Waker>,
    /// Whose end ends this one too.
    minded: Option<Minded>,
    /// The minded one is gone.
    bereft: bool,
    /// Carries a tunnel, which may last longer than other things in a drain.
    spared: bool,
}

impl Slot {
    const fn new(fd: Option<RawFd>) -> Self {
        Self {
            fd,
            read_due: NEVER,
            write_due: NEVER,
            expired: None,
            idle: false,
            waker: None,
            minded: None,
            bereft: false,
            spared: false,
        }
    }

    /// Looks at the minded one, if it is time.
    fn look(&mut self, now: u64) {
        if let Some(minded) = &mut self.minded
            && minded.next_ms <= now
        {
            minded.next_ms = now + LOOK_MS;
            self.bereft = minded.is_gone();
        }
    }

    /// The half whose deadline passes now. After the read deadline there may still be one of a
    /// write: that of the answer that says so.
    fn due(&self, now: u64, ending: Ending) -> Option<Half> {
        let ending_idle = ending >= Ending::Idle;
        if self.expired == Some(Half::Write) {
            None
        } else if self.write_due <= now || (ending == Ending::AllButSpared && !self.spared) {
            Some(Half::Write)
        } else if self.expired.is_none()
            && (self.read_due <= now || self.bereft || (ending_idle && self.idle))
        {
            Some(Half::Read)
        } else {
            None
        }
    }
}

struct Slots {
    entries: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Set once: who keeps connections open for another request is to stop that.
    leaving: bool,
    /// Which sockets are ended at the next tick, whatever their deadlines.
    ending: Ending,
}

/// Which sockets a drain ends. It goes one way only.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Ending {
    None,
    /// Those that wait for a new request.
    Idle,
    /// All but those that carry tunnels.
    AllButSpared,
}

impl Slots {
    const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), leaving: false, ending: Ending::None }
    }
}

/// The registration of one socket. Dropping it ends the watch, so it must go before the socket.
#[derive(Debug)]
pub struct Watch {
    slot: usize,
}

impl Watch {
    /// Watches `fd` without a deadline. The caller keeps `fd` open for as long as this lives.
    pub fn new(fd: RawFd) -> Self {
        Self::register(Some(fd))
    }

    /// Watches a stream that shares its socket with others: an expiry wakes its owner.
    pub fn of_stream() -> Self {
        Self::register(None)
    }

    fn register(fd: Option<RawFd>) -> Self {
        SLOTS.with_borrow_mut(|slots| {
            let entry = Some(Slot::new(fd));
            let slot = match slots.free.pop() {
                Some(slot) => {
                    slots.entries[slot] = entry;
                    slot
                }
                None => {
                    slots.entries.push(entry);
                    slots.entries.len() - 1
                }
            };
            Self { slot }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Slot) -> T) -> T {
        SLOTS.with_borrow_mut(|slots| {
            act(slots.entries[self.slot].as_mut().expect("a watch owns its slot until it drops"))
        })
    }

    /// Sets the deadline of one half to `after` from now.
    pub fn arm(&self, half: Half, after: Duration) {
        let due = now_ms().saturating_add(after.as_millis() as u64);
        self.with(|slot| match half {
            Half::Read => slot.read_due = due,
            Half::Write => slot.write_due = due,
        });
    }

    /// Takes the deadline of one half away.
    pub fn disarm(&self, half: Half) {
        self.with(|slot| match half {
            Half::Read => slot.read_due = NEVER,
            Half::Write => slot.write_due = NEVER,
        });
    }

    /// While this socket is waited on, looks whether `other` is gone; then its receiving side is shut
    /// down as if a deadline had passed. `other` must stay open until [`Watch::stop_minding`].
    pub fn mind(&self, other: &Watch, gone_when: GoneWhen) {
        // A stream that shares its socket is told of its end by the protocol.
        let minded = other.with(|slot| slot.fd).map(|fd| Minded {
            fd,
            gone_when,
            next_ms: now_ms() + LOOK_MS,
        });
        self.with(|slot| slot.minded = minded);
    }

    /// Ends [`Watch::mind`] and says whether the other one was found gone.
    pub fn stop_minding(&self) -> bool {
        self.with(|slot| {
            slot.minded = None;
            slot.bereft
        })
    }

    /// Says that the socket waits for a new request (`true`) or serves one.
    pub fn set_idle(&self, idle: bool) {
        self.with(|slot| slot.idle = idle);
    }

    /// Says that the socket carries a tunnel from now on, or streams of which some may.
    pub fn spare(&self) {
        self.with(|slot| slot.spared = true);
    }

    /// Wakes `waker` when a deadline passes or a drain begins, instead of the one given before.
    pub fn wake_with(&self, waker: &Waker) {
        self.with(|slot| match &mut slot.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        });
    }

    /// The half whose deadline passed, if one did.
    pub fn expired(&self) -> Option<Half> {
        self.with(|slot| slot.expired)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // At thread end the slots may be gone already; then there is nothing to give back.
        let _ = SLOTS.try_with(|slots| {
            let mut slots = slots.borrow_mut();
            slots.entries[self.slot] = None;
            slots.free.push(self.slot);
        });
    }
}

/// Milliseconds on this worker's coarse clock, at most one tick old.
pub fn now_ms() -> u64 {
    CLOCK.get()
}

/// Milliseconds since the process first asked, the origin of every worker's clock.
pub fn process_ms() -> u64 {
    // One is added so that zero can stand for "never" in atomics elsewhere.
    start().elapsed().as_millis() as u64 + 1
}

fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Microseconds of the same clock, read now.
pub fn process_us() -> u64 {
    start().elapsed().as_micros() as u64
}

/// Moves the clock on and shuts down what is due. Returns how many sockets were.
pub fn tick() -> usize {
    let now = process_ms();
    CLOCK.set(now);
    SLOTS.with_borrow_mut(|slots| {
        let ending = slots.ending;
        let mut ended = 0;
        for slot in slots.entries.iter_mut().flatten() {
            slot.look(now);
            let Some(half) = slot.due(now, ending) else { continue };
            slot.expired = Some(half);
            ended += 1;
            if let Some(fd) = slot.fd {
                let how = if half == Half::Read { Shutdown::Read } else { Shutdown::Both };
                // ENOTCONN only says that the other side was faster.
                let _ = shutdown(fd, how);
            }
            if let Some(waker) = &slot.waker {
                waker.wake_by_ref();
            }
        }
        ended
    })
}

/// From now on the answer to a request is the last of its connection.
pub fn start_leaving() {
    SLOTS.with_borrow_mut(|slots| {
        slots.leaving = true;
        let wakers = slots.entries.iter().flatten().filter_map(|slot| slot.waker.as_ref());
        wakers.for_each(Waker::wake_by_ref);
    });
}

/// From the next tick on, sockets that wait for a new request are ended.
pub fn end_idle() {
    SLOTS.with_borrow_mut(|slots| slots.ending = slots.ending.max(Ending::Idle));
}

/// From the next tick on, sockets are ended that do not carry a tunnel.
pub fn end_all_but_spared() {
    SLOTS.with_borrow_mut(|slots| slots.ending = Ending::AllButSpared);
}

/// Whether [`start_leaving`] was called on this worker.
pub fn is_draining() -> bool {
    SLOTS.with_borrow(|slots| slots.leaving)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::{fd::AsRawFd, unix::net::UnixStream},
    };

    #[test]
    fn due_read_ends_the_reader_but_not_the_writer() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let watch = Watch::new(near.as_raw_fd());
        tick();
        watch.arm(Half::Read, Duration::ZERO);
        assert_eq!(tick(), 1);
        assert_eq!(watch.expired(), Some(Half::Read));
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        near.write_all(b"408").unwrap();
        let mut got = [0; 3];
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"408");
    }

    #[test]
    fn a_stalled_answer_to_a_late_request_is_cut_too() {
        let (near, _far) = UnixStream::pair().unwrap();
        let watch = Watch::new(near.as_raw_fd());
        watch.arm(Half::Read, Duration::ZERO);
        tick();
        watch.arm(Half::Write, Duration::ZERO);
        assert_eq!(tick(), 1);
        assert_eq!(watch.expired(), Some(Half::Write));
    }

    #[test]
    fn a_stream_without_a_socket_wakes_its_owner() {
        use std::sync::{Arc, atomic};
        struct Woken(atomic::AtomicBool);
        impl std::task::Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, atomic::Ordering::Relaxed);
            }
        }
        let woken = Arc::new(Woken(atomic::AtomicBool::new(false)));
        let watch = Watch::of_stream();
        watch.wake_with(&woken.clone().into());
        watch.arm(Half::Read, Duration::ZERO);
        tick();
        assert_eq!(watch.expired(), Some(Half::Read));
        assert!(woken.0.load(atomic::Ordering::Relaxed));
    }

    #[test]
    fn disarmed_and_dropped_watches_end_nothing() {
        let (near, _far) = UnixStream::pair().unwrap();
        let watch = Watch::new(near.as_raw_fd());
        watch.arm(Half::Write, Duration::ZERO);
        watch.disarm(Half::Write);
        assert_eq!(tick(), 0);
        watch.arm(Half::Write, Duration::ZERO);
        drop(watch);
        assert_eq!(tick(), 0);
    }

    #[test]
    fn a_client_that_is_gone_ends_the_wait_for_its_node() {
        for (gone_when, ends) in [(GoneWhen::Reset, 0), (GoneWhen::Finished, 1)] {
            let (mut node, _far) = UnixStream::pair().unwrap();
            let (client, far_client) = UnixStream::pair().unwrap();
            let (waiting, watch) = (Watch::new(node.as_raw_fd()), Watch::new(client.as_raw_fd()));
            tick();
            waiting.mind(&watch, gone_when);
            waiting.with(|slot| slot.minded.as_mut().unwrap().next_ms = 0);
            assert_eq!(tick(), 0, "it is there");
            far_client.shutdown(std::net::Shutdown::Write).unwrap();
            waiting.with(|slot| slot.minded.as_mut().unwrap().next_ms = 0);
            assert_eq!(tick(), ends);
            assert_eq!(waiting.stop_minding(), ends == 1);
            if ends == 1 {
                assert_eq!(node.read(&mut [0; 8]).unwrap(), 0);
            }
        }
    }

    #[test]
    fn drain_ends_idle_sockets_only() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (busy, _far) = UnixStream::pair().unwrap();
        let (idle, at_work) = (Watch::new(near.as_raw_fd()), Watch::new(busy.as_raw_fd()));
        idle.set_idle(true);
        start_leaving();
        assert_eq!(tick(), 0, "it may still ask");
        end_idle();
        assert_eq!(tick(), 1);
        assert!(idle.expired().is_some() && at_work.expired().is_none());
    }

    #[test]
    fn tunnels_outlive_the_rest_of_a_drain() {
        let (tunnel, _far) = UnixStream::pair().unwrap();
        let (mut busy, _far) = UnixStream::pair().unwrap();
        let (tunnel, at_work) = (Watch::new(tunnel.as_raw_fd()), Watch::new(busy.as_raw_fd()));
        tunnel.spare();
        end_all_but_spared();
        end_idle();
        assert_eq!(tick(), 1);
        assert!(tunnel.expired().is_none() && at_work.expired() == Some(Half::Write));
        assert!(busy.write_all(b"late").is_err());
        assert_eq!(tick(), 0, "once");
    }
}
