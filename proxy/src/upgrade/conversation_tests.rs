//! The conversation of both sides, and of the old one with strangers.

use std::{cell::Cell, net::TcpListener, sync::Arc, thread};

use router_core::estate::{Kind, Owner};

use super::*;
use crate::upgrade::successor::Heir;

/// An old process whose new one is a thread.
struct Old {
    estate: Estate,
    frozen: Cell<bool>,
    thawed: Cell<bool>,
}

impl Old {
    fn new() -> Self {
        Self { estate: Estate::default(), frozen: Cell::new(false), thawed: Cell::new(false) }
    }

    fn converse(&self, new: impl FnOnce(Channel) + Send + 'static) -> Result<String, UpgradeError> {
        self.converse_until(new, &mut || false)
    }

    fn converse_until(
        &self,
        new: impl FnOnce(Channel) + Send + 'static,
        is_ending: &mut dyn FnMut() -> bool,
    ) -> Result<String, UpgradeError> {
        let (channel, far) = Channel::pair().unwrap();
        let other = thread::spawn(move || new(Channel::of(far)));
        let freeze = || {
            self.frozen.set(true);
            let mut memory = Memory::default();
            memory.put("subscriptions", b"all".to_vec());
            Ok(memory)
        };
        let thaw = || self.thawed.set(true);
        let drain = Duration::from_secs(30);
        let offer = Offer { estate: &self.estate, freeze: &freeze, thaw: &thaw, drain };
        let outcome = Conversation { channel, offer: &offer, is_ending }.hold();
        other.join().unwrap();
        outcome
    }
}

fn say(channel: &Channel, message: &FromSuccessor) {
    channel.send(&encode(message), &[]).unwrap();
}

fn hello(protocol: u32) -> FromSuccessor {
    FromSuccessor::Hello { protocol, version: "1.2.3".into() }
}

#[test]
fn everything_is_handed_over_and_the_old_one_stays_frozen() {
    const SOCKETS: usize = DESCRIPTORS_MAX + 3;
    let old = Old::new();
    let given: Vec<_> = (0..SOCKETS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let last = given.last().unwrap().local_addr().unwrap();
    for socket in given {
        let address = router_core::address::ListenAddr::Tcp(socket.local_addr().unwrap());
        old.estate.inherit(socket.into(), Owner::Manager).unwrap();
        old.estate.take(Kind::Stream, &address).unwrap();
    }
    let version = old.converse(move |channel| {
        let (mut heir, estate) = Heir::greet(channel).unwrap();
        let estate = Arc::new(estate);
        let taken =
            estate.take(Kind::Stream, &router_core::address::ListenAddr::Tcp(last)).unwrap();
        assert_eq!(taken.len(), 1);
        assert_eq!(estate.close_unclaimed().len(), SOCKETS - 1);
        assert_eq!(estate.bequeath().unwrap()[0].owner, Owner::Manager);
        let mut memory = heir.prepared().unwrap();
        assert_eq!(memory.take("subscriptions").unwrap(), b"all");
        heir.serving();
    });
    assert_eq!(version.unwrap(), env!("CARGO_PKG_VERSION"));
    assert!(old.frozen.get() && !old.thawed.get());
}

#[test]
fn whatever_fails_before_it_serves_leaves_the_old_one_as_it_was() {
    let old = Old::new();
    let failed = old.converse(|channel| {
        let (mut heir, _estate) = Heir::greet(channel).unwrap();
        heir.prepared().unwrap();
        heir.failed("no descriptors left");
    });
    assert!(matches!(failed, Err(UpgradeError::Failed { why }) if why == "no descriptors left"));
    assert!(old.frozen.get() && old.thawed.get(), "it thaws");

    let old = Old::new();
    let died = old.converse(|channel| {
        let (mut heir, _estate) = Heir::greet(channel).unwrap();
        heir.prepared().unwrap();
    });
    assert!(matches!(died, Err(UpgradeError::Ended { step: Step::Serve, .. })), "{died:?}");
    assert!(old.thawed.get());

    let old = Old::new();
    let died = old.converse(|channel| say(&channel, &hello(PROTOCOL)));
    assert!(matches!(died, Err(UpgradeError::Ended { step: Step::Prepare, .. })), "{died:?}");
    assert!(!old.frozen.get(), "there was no need to");
    let died = old.converse(drop);
    assert!(matches!(died, Err(UpgradeError::Ended { step: Step::Hello, .. })), "{died:?}");
}

#[test]
fn strangers_and_other_versions_get_nothing() {
    let old = Old::new();
    let version = old.converse(|channel| say(&channel, &hello(PROTOCOL + 1)));
    let error = version.unwrap_err();
    assert!(error.to_string().contains("(1.2.3) speaks version 2"), "{error}");
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"{}", b"\"prepared\""] {
        let stranger = old.converse(move |channel| channel.send(bytes, &[]).unwrap());
        assert!(
            matches!(stranger, Err(UpgradeError::Stranger { step: Step::Hello })),
            "{stranger:?}"
        );
    }
    let hasty = old.converse(|channel| {
        say(&channel, &hello(PROTOCOL));
        say(&channel, &FromSuccessor::Serving);
        let _ = channel.receive(Duration::from_secs(5));
    });
    assert!(matches!(hasty, Err(UpgradeError::Stranger { step: Step::Prepare })), "{hasty:?}");
}

#[test]
fn a_process_that_has_to_end_waits_for_nobody() {
    let old = Old::new();
    let mut looks = 0;
    let outcome = old.converse_until(
        |channel| {
            let _ = channel.receive(Duration::from_secs(5));
        },
        &mut || {
            looks += 1;
            looks > 2
        },
    );
    assert!(matches!(outcome, Err(UpgradeError::Interrupted)), "{outcome:?}");
}
