//! The loop of the subscription thread: wait, receive, apply, sweep, publish once, carry out, look
//! at key files.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use route_table::RouteKey;
use subscribe::limits::BATCH_DATAGRAMS_MAX;
use subscribe::{Growth, KeyFiles as _, Now, Registry, Reject, Verdict};

use super::counters::{SubscriptionCounters, add, bump};
use super::effects::Effects;
use super::key_directories::KeyDirectories;
use super::key_watch::KeyWatch;
use super::limits::{LEASES_PER_TURN_MAX, POLL_MS_MAX, PUBLISH_DELAY_MAX, RELAY_RETRY_MS};
use super::operate::{Operated, Operation, OperationError, Pending};
use super::pause::{CatchUp, PausableClock};
use super::receive::{Arena, Datagram};
use super::socket::DatagramSocket;
use super::state_file::StateFile;
use super::trail::{Trail, TrailView};
use super::{Reconfiguration, RegistryView};
use crate::headroom::Headroom;

/// What the rest of the process asks of the thread.
pub(super) enum Ask {
    /// A copy of what is known, sent back through this.
    View(SyncSender<RegistryView>),
    /// Silence, and everything that is known for a successor, sent through this.
    Freeze(SyncSender<Vec<u8>>),
    /// The end of the silence.
    Thaw,
    /// Other sockets and rules.
    Reconfigure(Box<Reconfiguration>),
    /// Milliseconds on the clock of leases.
    Clock(SyncSender<u64>),
    /// A change by an operator, and who waits for it.
    Operate(Operation, SyncSender<Operated>),
    /// The story of a key or of all, sent back through this.
    Trail(Option<RouteKey>, SyncSender<TrailView>),
    /// The end.
    Stop,
}

/// Everything the thread owns.
pub(super) struct Shell {
    pub(super) sockets: Vec<DatagramSocket>,
    pub(super) registry: Registry,
    pub(super) key_directories: KeyDirectories,
    pub(super) key_watch: Option<KeyWatch>,
    pub(super) effects: Effects,
    pub(super) counters: Arc<SubscriptionCounters>,
    pub(super) arena: Arena,
    pub(super) clock: PausableClock,
    pub(super) catch_up: CatchUp,
    /// Changes by operators that wait for the publish of this turn.
    pub(super) operated: Vec<Pending>,
    /// Who came, left and was refused.
    pub(super) trail: Trail,
    pub(super) state_file: Option<StateFile>,
    pub(super) headroom: Arc<Headroom>,
}

/// What a turn left in the sockets that were readable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Left {
    Nothing,
    Datagrams,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Turn,
    /// With other sockets than before.
    TurnOfOthers,
    End,
}

impl Shell {
    /// Runs until it is asked to stop, or until nobody is left who could ask.
    pub(super) fn run(mut self, wake: &EventFd, asks: &Receiver<Ask>) {
        loop {
            let readable = self.wait(wake);
            let readable = match self.answer(wake, asks) {
                Next::Turn => readable,
                // Their numbers mean nothing any more; those that have something are found again.
                Next::TurnOfOthers => Vec::new(),
                Next::End => return,
            };
            if !self.clock.is_paused() && self.turn(&readable) == Left::Nothing {
                self.catch_up.end();
            }
        }
    }

    /// One turn: what the readable sockets hold, then one publish.
    ///
    /// Under a storm a publish costs as much as many datagrams, so full batches are followed by
    /// further ones until [`PUBLISH_DELAY_MAX`] is spent. A lone datagram is published at once.
    pub(super) fn turn(&mut self, readable: &[usize]) -> Left {
        let began = Instant::now();
        let mut left = Left::Nothing;
        let mut received_in_all = 0;
        let is_short = self.headroom.is_short();
        self.registry.set_growth(if is_short { Growth::Refused } else { Growth::Welcome });
        for &index in readable {
            loop {
                let received = self.receive(index);
                received_in_all += received;
                if received > 0 {
                    bump(&self.counters.batches);
                }
                if received < BATCH_DATAGRAMS_MAX {
                    break;
                }
                if began.elapsed() >= PUBLISH_DELAY_MAX {
                    left = Left::Datagrams;
                    break;
                }
            }
        }
        self.apply_key_changes();
        let now = self.now();
        self.counters.note_clock(now.mono_ms);
        let is_due = self.registry.poll_timeout().is_some_and(|due_ms| due_ms <= now.mono_ms);
        if is_due && self.catch_up.is_over(now) {
            let lapsed = self.registry.sweep_some(now, LEASES_PER_TURN_MAX);
            add(&self.counters.lapsed, lapsed);
        }
        let effects: Vec<_> = std::iter::from_fn(|| self.registry.poll_effect()).collect();
        for effect in &effects {
            self.trail.note_effect(now, effect);
            self.effects.prepare(effect);
        }
        if let Some(state_file) = &mut self.state_file {
            state_file.turn(&mut self.registry, now, &self.counters);
        }
        if self.registry.publish().is_some() {
            bump(&self.counters.publishes);
        }
        self.operated.drain(..).for_each(Pending::answer);
        self.effects.flush(&self.counters);
        for effect in effects {
            self.effects.carry_out(effect, now.mono_ms, &self.counters);
        }
        self.look_at_key_files(received_in_all);
        left
    }

    fn receive(&mut self, index: usize) -> usize {
        match self.arena.fill(&mut self.sockets[index]) {
            Ok(drops) => add(&self.counters.kernel_drops, drops as usize),
            Err(Errno::EAGAIN | Errno::EINTR) => return 0,
            Err(_) => {
                bump(&self.counters.receive_errors);
                return 0;
            }
        }
        let now = self.now();
        let datagrams = self.arena.datagrams();
        let received = datagrams.len();
        add(&self.counters.datagrams, received);
        for datagram in datagrams {
            let (verdict, peer) = match datagram {
                Datagram::Oversize => (Verdict::Rejected(Reject::Oversize), None),
                Datagram::Whole(source, bytes) => {
                    let keys = &mut self.key_directories;
                    let verdict = self.registry.apply(now, &source, bytes, keys);
                    self.trail.note(now, verdict, &source, bytes, &self.registry);
                    (verdict, Some(source.peer))
                }
            };
            self.counters.note(&verdict);
            if let Verdict::Rejected(reject) = verdict {
                self.effects.rejected(reject, peer, now.mono_ms);
            }
        }
        received
    }

    fn apply_key_changes(&mut self) {
        let now = self.now();
        let Some(key_watch) = &mut self.key_watch else { return };
        key_watch.note_read(self.key_directories.keys.take_read());
        for name in key_watch.take_changed() {
            let pem = self.key_directories.read(&name);
            let removed = self.registry.key_file_changed(now, &name, pem.as_deref());
            add(&self.counters.revoked, removed);
        }
    }

    /// Last in a turn, because what came in it is not to wait for this. A turn in which nothing came
    /// is over as soon as something does; the next one then looks undisturbed, so that no flood
    /// keeps a replaced key from being found.
    fn look_at_key_files(&mut self, received: usize) {
        let now_ms = self.now().mono_ms;
        let Some(key_watch) = &mut self.key_watch else { return };
        let (registry, sockets) = (&self.registry, &self.sockets);
        let in_use = |name: &str| registry.needs_key_file(name);
        key_watch.look(now_ms, in_use, || received == 0 && has_datagram(sockets));
    }

    /// Sleeps until a socket or the key directory has something, somebody asks, or time is up.
    /// Answers the sockets that are readable. While frozen it only waits for somebody to ask.
    fn wait(&self, wake: &EventFd) -> Vec<usize> {
        if self.clock.is_paused() {
            let _ = poll(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            return Vec::new();
        }
        let key_fd = self.key_watch.as_ref().and_then(KeyWatch::fd);
        let others = std::iter::once(wake.as_fd()).chain(key_fd);
        let mut fds: Vec<PollFd<'_>> = self
            .sockets
            .iter()
            .map(|socket| socket.as_fd())
            .chain(others)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // An interrupted wait is a turn with nothing to receive.
        let _ = poll(&mut fds, self.timeout());
        let sockets = fds.iter().take(self.sockets.len()).enumerate();
        sockets.filter(|(_, fd)| fd.any() == Some(true)).map(|(index, _)| index).collect()
    }

    fn timeout(&self) -> PollTimeout {
        let now_ms = self.now().mono_ms;
        let lease = self.registry.poll_timeout();
        let keys = self.key_watch.as_ref().map(|watch| watch.due_ms(now_ms));
        let relay = self.effects.is_waiting().then(|| now_ms + RELAY_RETRY_MS);
        let due_ms = lease.into_iter().chain(keys).chain(relay).min().unwrap_or(u64::MAX);
        let wait_ms = due_ms.saturating_sub(now_ms).min(POLL_MS_MAX);
        PollTimeout::try_from(wait_ms).unwrap_or(PollTimeout::ZERO)
    }

    fn answer(&mut self, wake: &EventFd, asks: &Receiver<Ask>) -> Next {
        // Only clears the readiness; how often somebody asked is told by the channel.
        let _ = wake.read();
        let mut next = Next::Turn;
        loop {
            match asks.try_recv() {
                // Who no longer waits for the view does not miss it.
                Ok(Ask::View(reply)) => drop(reply.try_send(RegistryView::take(&self.registry))),
                Ok(Ask::Freeze(reply)) => {
                    self.clock.pause();
                    if let Some(state_file) = &mut self.state_file {
                        state_file.leave(&mut self.registry);
                    }
                    drop(reply.try_send(self.registry.export(self.now())));
                    tracing::info!(nodes = self.registry.stats().nodes, "subscriptions frozen");
                }
                Ok(Ask::Thaw) => self.thaw(),
                Ok(Ask::Reconfigure(other)) => {
                    self.reconfigure(*other);
                    next = Next::TurnOfOthers;
                }
                // The successor would not know of it.
                Ok(Ask::Operate(_, reply)) if self.clock.is_paused() => {
                    drop(reply.try_send(Err(OperationError::Frozen)));
                }
                Ok(Ask::Clock(reply)) => drop(reply.try_send(self.now().mono_ms)),
                Ok(Ask::Operate(operation, reply)) => {
                    let pending = Pending::new(&mut self.registry, operation, reply);
                    self.operated.push(pending);
                }
                Ok(Ask::Trail(key, reply)) => {
                    drop(reply.try_send(self.trail.view(key.as_ref())));
                }
                Ok(Ask::Stop) | Err(TryRecvError::Disconnected) => return Next::End,
                Err(TryRecvError::Empty) => return next,
            }
        }
    }

    /// Keeps the state file from now on.
    pub(super) fn begin_state_file(&mut self) {
        let now = self.now();
        if let Some(state_file) = &mut self.state_file {
            state_file.begin(&mut self.registry, now, &self.counters);
        }
    }

    fn thaw(&mut self) {
        if let Some(stood) = self.clock.resume() {
            self.catch_up = CatchUp::begin(self.now());
            let now = self.now();
            if let Some(state_file) = &mut self.state_file {
                state_file.return_to(now);
            }
            tracing::info!(stood_ms = stood.as_millis() as u64, "subscriptions go on");
        }
    }

    fn now(&self) -> Now {
        self.clock.now()
    }
}

/// Whether a datagram waits.
pub(super) fn has_datagram(sockets: &[DatagramSocket]) -> bool {
    let fds = sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
    let mut fds: Vec<PollFd<'_>> = fds.collect();
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
