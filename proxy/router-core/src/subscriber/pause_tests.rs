//! Frozen threads, thawed ones and their successors, with real sockets on loopback.

use std::thread;
use std::time::Duration;

use subscribe::Reject;
use subscribe::announce::{Command, encode};

use super::tests::{
    bringing, config, eventually, nodes, rig, send_udp, signed, signed_rig, subscribe,
};
use super::*;

const LEASE_MS: u64 = 1000;

#[test]
fn a_thread_that_is_frozen_hears_nothing_and_ends_no_lease_until_it_thaws() {
    let mut config = config(&["127.0.0.1:0"]);
    config.registry.lease_ms = LEASE_MS;
    let rig = rig(config);
    let addr = rig.udp_addr();
    let handle = rig.subscriber.spawn().expect("spawns");
    send_udp(addr, &[subscribe("kept.example", 3000), subscribe("lapses.example", 3000)]);
    assert!(eventually(5000, || nodes(&rig.table, "lapses.example") == 1));
    handle.freeze().expect("freezes");
    send_udp(addr, &[subscribe("kept.example", 3000), subscribe("new.example", 3000)]);
    thread::sleep(Duration::from_millis(2 * LEASE_MS));
    assert_eq!(nodes(&rig.table, "new.example"), 0, "nothing is heard");
    assert_eq!(nodes(&rig.table, "lapses.example"), 1, "nothing ends");
    assert!(handle.view().is_some(), "questions are answered");
    handle.thaw();
    assert!(eventually(2000, || nodes(&rig.table, "new.example") == 1), "what waited is heard");
    assert_eq!(nodes(&rig.table, "kept.example"), 1);
    // The clock stood, so all three leases end within milliseconds of each other if nobody renews.
    let renewed = [subscribe("kept.example", 3000), subscribe("new.example", 3000)];
    assert!(eventually(5000, || {
        send_udp(addr, &renewed);
        nodes(&rig.table, "lapses.example") == 0
    }));
    assert_eq!(rig.counters.lapsed.load(std::sync::atomic::Ordering::Relaxed), 1);
    handle.join();
}

#[test]
fn a_successor_serves_at_once_what_was_handed_over_and_forgets_no_stamp() {
    let (dir, signer, rig) = signed_rig("signed.example");
    let datagram = signed("signed.example", &signer);
    let addr = rig.udp_addr();
    let handle = rig.subscriber.spawn().expect("spawns");
    send_udp(addr, std::slice::from_ref(&datagram));
    assert!(eventually(5000, || nodes(&rig.table, "signed.example") == 1));
    let state = handle.freeze().expect("freezes");
    handle.join();

    let mut config = config(&["127.0.0.1:0"]);
    config.sign_dir = Some(dir.path().to_path_buf());
    config.registry.sign = Some(subscribe::Digest::Sha256);
    config.handed_over = Some(state);
    let successor = super::tests::rig(config);
    assert_eq!(nodes(&successor.table, "signed.example"), 1, "before it heard anything");
    let addr = successor.udp_addr();
    let (table, counters) = (successor.table.clone(), successor.counters.clone());
    let handle = successor.subscriber.spawn().expect("spawns");
    send_udp(addr, &[datagram]);
    assert!(eventually(5000, || counters.rejected(Reject::Replayed) == 1), "its stamp was used");
    // The predecessor watched this file; so does the successor, who never read it.
    let file = dir.path().join(subscribe::key_file_name("signed.example"));
    std::fs::remove_file(file).expect("removes");
    assert!(eventually(2500, || nodes(&table, "signed.example") == 0));
    handle.join();
}

#[test]
fn a_successor_asks_for_the_certificates_that_were_brought() {
    let mut rig = rig(config(&["127.0.0.1:0"]));
    let (fields, load) = bringing("tls.example", "tls.example");
    let datagram = encode(&fields, Command::Subscribe, None, None).expect("encodes");
    send_udp(rig.udp_addr(), &[datagram]);
    rig.turn();
    let handle = rig.subscriber.spawn().expect("spawns");
    let mut config = config(&[]);
    config.handed_over = Some(handle.freeze().expect("freezes"));
    let successor = super::tests::rig(config);
    assert_eq!(successor.certs.try_recv(), Ok(load));
}

#[test]
fn what_nobody_exported_ends_the_start() {
    let mut config = config(&[]);
    config.handed_over = Some(b"something else".to_vec());
    let (writer, _table) = TableWriter::new();
    let error = Subscriber::bind(config, writer, Arc::default(), mpsc::channel().0).err();
    assert!(matches!(error, Some(SubscriberError::HandedOver(_))), "{error:?}");
}
