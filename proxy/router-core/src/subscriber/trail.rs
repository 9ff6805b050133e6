//! The story of every key: who announced it, when, from where, and why somebody was refused.
//!
//! Kept in memory within fixed bounds, and fed by the subscription thread while it applies datagrams.
//! A renewal leaves nothing here: when a node was last announced is in its counters. What was
//! accepted and what was refused lie apart, and so do refusals for keys that somebody serves and
//! for all others, so that a flood of made-up keys pushes out only what was made up.

mod refusals;
mod stories;

pub use refusals::RefusalBounds;

use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use route_table::RouteKey;
use subscribe::{Departure, Effect, Now, Peer, Registry, Reject, Source, Subscription, Verdict};

use super::SubscriberHandle;
use super::limits::{
    REFUSALS_OF_STRANGERS, REFUSALS_OF_THE_KNOWN, TRAIL_TEXT_BYTES_MAX, VIEW_WAIT_MS_MAX,
};
use super::thread_loop::Ask;
use refusals::Refusals;
use stories::Stories;

/// What became of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Happened {
    /// It was announced for the first time.
    Added,
    /// It was announced with other facts, or fell asleep.
    Changed,
    /// It left.
    Left(Departure),
}

impl Happened {
    /// The word of tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Left(why) => why.as_str(),
        }
    }
}

/// One event of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrailEvent {
    /// When, in seconds of Unix time.
    pub unix: u64,
    /// What.
    pub happened: Happened,
    /// The address of the node, as announced.
    pub address: Box<str>,
    /// Who sent the datagram; `None` if there was none.
    pub source: Option<Source>,
}

/// Datagrams for one key that were refused for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The key they claimed, as far as it could be read; cut if it is long.
    pub key: String,
    /// The address the last one claimed.
    pub address: String,
    /// Why.
    pub reject: Reject,
    /// When the first came, in seconds of Unix time.
    pub first_unix: u64,
    /// When the last came.
    pub last_unix: u64,
    /// How many.
    pub count: u64,
    /// Who sent the last one.
    pub source: Option<Source>,
}

/// What is known about one key, or about all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrailView {
    /// Events with their key; those of one key in the order they happened.
    pub events: Vec<(RouteKey, TrailEvent)>,
    /// Refusals, the latest last.
    pub refused: Vec<Refused>,
}

/// Everything that is remembered.
#[derive(Debug)]
pub(super) struct Trail {
    stories: Stories,
    /// Refusals for keys that are served, or were lately; where one lies depends on its key.
    of_the_known: Refusals,
    /// All other refusals; where one lies depends on its sender.
    of_strangers: Refusals,
}

impl Trail {
    pub fn new() -> Self {
        Self {
            stories: Stories::default(),
            of_the_known: Refusals::new(REFUSALS_OF_THE_KNOWN),
            of_strangers: Refusals::new(REFUSALS_OF_STRANGERS),
        }
    }

    /// A datagram was applied.
    #[inline]
    pub fn note(
        &mut self,
        now: Now,
        verdict: Verdict,
        source: &Source,
        datagram: &[u8],
        registry: &Registry,
    ) {
        match verdict {
            Verdict::Renewed => {}
            Verdict::Rejected(reject) => self.refuse(now, reject, source, datagram, registry),
            Verdict::Added => self.accept(now, Happened::Added, source, datagram),
            Verdict::Changed => self.accept(now, Happened::Changed, source, datagram),
            Verdict::Removed => {
                self.accept(now, Happened::Left(Departure::Unsubscribed), source, datagram);
            }
        }
    }

    /// A node left without a datagram that says so.
    pub fn note_effect(&mut self, now: Now, effect: &Effect) {
        let Effect::NodeRemoved { key, node, why } = effect else { return };
        if *why == Departure::Unsubscribed {
            return;
        }
        let happened = Happened::Left(*why);
        let address = node.facts.announced.clone();
        self.stories.add(key, TrailEvent { unix: now.unix, happened, address, source: None });
    }

    /// The story of one key, or of all that are remembered.
    pub fn view(&self, key: Option<&RouteKey>) -> TrailView {
        let mut refused = self.of_the_known.list(key);
        refused.extend(self.of_strangers.list(key));
        refused.sort_by_key(|refused| refused.last_unix);
        TrailView { events: self.stories.list(key), refused }
    }

    fn accept(&mut self, now: Now, happened: Happened, source: &Source, datagram: &[u8]) {
        // It was accepted, so both can be read.
        let Ok(read) = Subscription::decode(datagram) else { return };
        let Ok(key) = RouteKey::parse(read.key) else { return };
        let address = cut(read.address).into();
        let source = Some(*source);
        self.stories.add(&key, TrailEvent { unix: now.unix, happened, address, source });
    }

    fn refuse(
        &mut self,
        now: Now,
        reject: Reject,
        source: &Source,
        datagram: &[u8],
        registry: &Registry,
    ) {
        let read = Subscription::decode(datagram).ok();
        let (key, address) =
            read.as_ref().map_or((&b""[..], &b""[..]), |read| (read.key, read.address));
        let known = RouteKey::parse(key).ok();
        let known = known.filter(|key| self.stories.knows(key) || registry.has_key(key));
        let claim = Claim { reject, unix: now.unix, address, source };
        match known {
            Some(key) => self.of_the_known.add(key.as_str().as_bytes(), key.as_str(), &claim),
            None => self.of_strangers.add(&sender(source.peer), &cut(key), &claim),
        }
    }
}

/// What is remembered of a refused datagram besides its key.
struct Claim<'d> {
    reject: Reject,
    unix: u64,
    address: &'d [u8],
    source: &'d Source,
}

/// What tells senders apart: the address of a machine; all of this machine's are one.
fn sender(peer: Peer) -> [u8; 16] {
    match peer {
        Peer::Unix => [0; 16],
        Peer::Ip(ip) => match ip.ip().to_canonical() {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            // A host has a /64 of its own at least.
            std::net::IpAddr::V6(v6) => {
                let mut octets = v6.octets();
                octets[8..].fill(0);
                octets
            }
        },
    }
}

/// Bytes of a stranger as text of bounded length.
fn cut(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(TRAIL_TEXT_BYTES_MAX)])
}

impl SubscriberHandle {
    /// The story of a key, or of all that are remembered. `None` if the thread has ended or is too
    /// busy to answer in time.
    #[must_use]
    pub fn trail(&self, key: Option<RouteKey>) -> Option<TrailView> {
        let (reply, answer): (SyncSender<TrailView>, _) = mpsc::sync_channel(1);
        self.ask(Ask::Trail(key, reply));
        answer.recv_timeout(Duration::from_millis(VIEW_WAIT_MS_MAX)).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use route_table::TableWriter;
    use subscribe::{KeyFiles, RegistryConfig, announce};

    use super::*;

    struct NoKeys;

    impl KeyFiles for NoKeys {
        fn read(&mut self, _: &str) -> Option<Vec<u8>> {
            None
        }
    }

    struct Thread {
        registry: Registry,
        trail: Trail,
    }

    impl Thread {
        fn new() -> Self {
            let (writer, _) = TableWriter::new();
            Self { registry: Registry::new(RegistryConfig::default(), writer), trail: Trail::new() }
        }

        fn apply(&mut self, unix: u64, from: [u8; 4], key: &str, address: &str) {
            let (key, address) = (key.to_owned(), address.to_owned());
            let fields = announce::AnnounceFields { key, address, ..Default::default() };
            let come = subscribe::Command::Subscribe;
            let datagram = announce::encode(&fields, come, None, None).unwrap();
            let now = Now { mono_ms: unix * 1000, unix };
            let source = Source::of(Peer::Ip(SocketAddr::from((from, 1))));
            let verdict = self.registry.apply(now, &source, &datagram, &mut NoKeys);
            self.trail.note(now, verdict, &source, &datagram, &self.registry);
        }
    }

    fn key(text: &str) -> RouteKey {
        RouteKey::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_key_tells_who_came_and_who_was_refused() {
        let mut thread = Thread::new();
        thread.apply(1, [10, 0, 0, 1], "A.test", "127.0.0.1:1");
        thread.apply(2, [10, 0, 0, 1], "a.test", "127.0.0.1:1");
        for unix in 3..6 {
            thread.apply(unix, [10, 0, 0, 9], "a.test", "8.8.8.8:1");
        }
        thread.apply(7, [10, 0, 0, 9], "b.test", "8.8.8.8:1");
        let now = Now { mono_ms: 100_000, unix: 100 };
        thread.registry.sweep(now);
        while let Some(effect) = thread.registry.poll_effect() {
            thread.trail.note_effect(now, &effect);
        }
        let view = thread.trail.view(Some(&key("a.test")));
        let told: Vec<_> = view.events.iter().map(|(_, e)| (e.unix, e.happened.as_str())).collect();
        assert_eq!(told, [(1, "added"), (100, "lapsed")], "a renewal is no event");
        let [refused] = &view.refused[..] else { panic!("{view:?}") };
        assert_eq!((refused.reject, refused.count), (Reject::AddressRefused, 3));
        assert_eq!((refused.first_unix, refused.last_unix), (3, 5));
        assert_eq!(refused.address, "8.8.8.8:1");
        assert_eq!(thread.trail.view(None).refused.len(), 2);
    }

    #[test]
    fn a_flood_of_made_up_keys_takes_no_memory_and_pushes_nobody_out() {
        let mut thread = Thread::new();
        thread.apply(1, [10, 0, 0, 1], "honest.test", "127.0.0.1:1");
        thread.apply(2, [10, 0, 0, 1], "honest.test", "8.8.8.8:1");
        thread.apply(2, [10, 0, 0, 2], "newcomer.test", "8.8.8.8:1");
        for number in 0..50_000_u64 {
            thread.apply(3 + number, [10, 6, 6, 6], &format!("flood{number}.test"), "8.8.8.8:1");
        }
        let honest = thread.trail.view(Some(&key("honest.test")));
        assert_eq!((honest.events.len(), honest.refused.len()), (1, 1));
        let newcomer = thread.trail.view(Some(&key("newcomer.test")));
        // Unless both senders share a set, which a random seed decides: then it is gone.
        let shares = newcomer.refused.is_empty();
        let all = thread.trail.view(None);
        assert!(all.refused.len() <= REFUSALS_OF_STRANGERS.in_set + 2, "{}", all.refused.len());
        assert!(!shares || all.refused.len() <= REFUSALS_OF_STRANGERS.in_set + 1);
    }
}
