//! What is decoded and what is refused, item by item.

use super::*;
use uwsgi_wire::PacketWriter;

fn packet(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = PacketWriter::start(&mut bytes, SUBSCRIPTION, 0).expect("a Vec has room");
    for (key, value) in pairs {
        writer.pair(key.as_bytes(), value.as_bytes()).expect("a short pair");
    }
    writer.finish();
    bytes
}

/// A datagram with key, address and these pairs.
fn with(pairs: &[(&str, &str)]) -> Vec<u8> {
    packet(&[&[("key", "h"), ("address", ":1")], pairs].concat())
}

fn refusal(bytes: &[u8]) -> Option<Reject> {
    Subscription::decode(bytes).err()
}

#[test]
fn absent_items_have_their_defaults() {
    let bytes = with(&[]);
    let subscription = Subscription::decode(&bytes).unwrap();
    assert_eq!((subscription.key, subscription.address), (&b"h"[..], &b":1"[..]));
    assert_eq!((subscription.weight, subscription.backup), (1, 0));
    assert_eq!((subscription.modifier1, subscription.modifier2), (0, 0));
    assert_eq!((subscription.proto, subscription.algo), (Proto::Uwsgi, None));
    assert!(subscription.proof.is_none() && subscription.stamp.is_none() && !subscription.clear);
}

#[test]
fn every_item_is_read() {
    let bytes = with(&[
        ("modifier1", "9"),
        ("modifier2", "255"),
        ("cores", "4294967295"),
        ("load", "3"),
        ("weight", "65535"),
        ("backup", "2"),
        ("proto", "https?"),
        ("algo", "wlrc"),
        ("vassal", "v.ini"),
        ("sni_key", "/k"),
        ("sni_crt", "/c"),
        ("sni_ca", "/a"),
        ("notify", "/n"),
        ("clear", "1"),
        ("unix", "18446744073709551615"),
        ("sign", "proof"),
    ]);
    let subscription = Subscription::decode(&bytes).unwrap();
    assert_eq!((subscription.modifier1, subscription.modifier2), (9, 255));
    assert_eq!((subscription.cores, subscription.load), (u32::MAX, 3));
    assert_eq!((subscription.weight, subscription.backup), (65535, 2));
    assert_eq!((subscription.proto, subscription.algo), (Proto::Http, Some(Algorithm::Wlrc)));
    assert_eq!(subscription.vassal, Some("v.ini"));
    assert_eq!(subscription.sni_ca, Some(&b"/a"[..]));
    assert_eq!(subscription.notify, Some(&b"/n"[..]));
    assert!(subscription.clear);
    assert_eq!(subscription.stamp, Some(u64::MAX));
    let proof = subscription.proof.unwrap();
    assert_eq!(proof.signature, b"proof");
    assert_eq!(proof.signed, &bytes[4..bytes.len() - 4 - 4 - 5]);
}

#[test]
fn unknown_items_and_algorithms_are_skipped_and_known_ones_appear_once() {
    let bytes = with(&[("inactive", "1"), ("x", ""), ("x", "y"), ("algo", "magic")]);
    assert_eq!(Subscription::decode(&bytes).unwrap().algo, None);
    assert_eq!(refusal(&with(&[("key", "h")])), Some(Reject::DuplicateItem));
    assert_eq!(refusal(&with(&[("load", "1"), ("load", "1")])), Some(Reject::DuplicateItem));
    assert_eq!(refusal(&with(&[("clear", "0"), ("clear", "0")])), Some(Reject::DuplicateItem));
}

#[test]
fn nothing_follows_the_signature() {
    assert_eq!(refusal(&with(&[("sign", "s"), ("weight", "9")])), Some(Reject::SignNotLast));
    assert_eq!(refusal(&with(&[("sign", "s"), ("unknown", "")])), Some(Reject::SignNotLast));
    assert_eq!(refusal(&with(&[("sign", "s"), ("sign", "s")])), Some(Reject::SignNotLast));
}

#[test]
fn numbers_are_digits_in_their_range() {
    for (item, value) in [
        ("modifier1", "256"),
        ("modifier2", "-1"),
        ("cores", "4294967296"),
        ("load", "+1"),
        ("load", ""),
        ("load", " 1"),
        ("load", "abc"),
        ("weight", "65536"),
        ("weight", "99999999999999999999999"),
        ("backup", "256"),
        ("unix", "18446744073709551616"),
        ("unix", "1e9"),
        ("clear", "yes"),
    ] {
        assert_eq!(refusal(&with(&[(item, value)])), Some(Reject::BadNumber), "{item}={value}");
    }
    assert_eq!(Subscription::decode(&with(&[("weight", "0")])).unwrap().weight, 1);
}

#[test]
fn key_and_address_must_be_there() {
    assert_eq!(refusal(&packet(&[])), Some(Reject::MissingKey));
    assert_eq!(refusal(&packet(&[("address", ":1")])), Some(Reject::MissingKey));
    assert_eq!(refusal(&packet(&[("key", ""), ("address", ":1")])), Some(Reject::MissingKey));
    assert_eq!(refusal(&packet(&[("key", "h")])), Some(Reject::MissingAddress));
    let nobody = packet(&[("key", "h"), ("address", ""), ("vassal", "")]);
    assert_eq!(refusal(&nobody), Some(Reject::MissingAddress));
}

#[test]
fn a_vassal_stands_in_for_an_address_and_its_name_is_plain() {
    for items in [
        &[("key", "h"), ("address", ""), ("vassal", "v.ini")][..],
        &[("key", "h"), ("vassal", "v.ini")],
    ] {
        let datagram = packet(items);
        let read = Subscription::decode(&datagram).unwrap();
        assert_eq!((read.address, read.vassal), (&b""[..], Some("v.ini")));
    }
    let longest = "v".repeat(VASSAL_BYTES_MAX);
    assert!(Subscription::decode(&with(&[("vassal", &longest)])).is_ok());
    let long = "v".repeat(VASSAL_BYTES_MAX + 1);
    for name in [long.as_str(), "a\0b", "a\nb"] {
        assert_eq!(refusal(&with(&[("vassal", name)])), Some(Reject::BadVassal), "{name:?}");
    }
}

#[test]
fn header_must_be_that_of_a_subscription() {
    let good = with(&[]);
    for (offset, value, reject) in [
        (0, 0, Reject::NotSubscription),
        (0, 225, Reject::NotSubscription),
        (1, good[1] + 1, Reject::BadPacket),
        (1, good[1] - 1, Reject::BadPacket),
        (2, 1, Reject::BadPacket),
        (3, 2, Reject::UnknownCommand),
        (3, 7, Reject::UnknownCommand),
    ] {
        let mut bytes = good.clone();
        bytes[offset] = value;
        assert_eq!(refusal(&bytes), Some(reject), "byte {offset} = {value}");
    }
    let mut unsubscribe = good;
    unsubscribe[3] = 1;
    assert_eq!(Subscription::decode(&unsubscribe).unwrap().command, Command::Unsubscribe);
}

/// uWSGI uses what it decoded before a malformed item; here a cut packet does nothing.
#[test]
fn a_cut_dictionary_is_refused_even_with_a_header_that_fits() {
    let good = with(&[("weight", "5")]);
    for end in 4..good.len() {
        let mut bytes = good[..end].to_vec();
        bytes[1..3].copy_from_slice(&u16::try_from(end - 4).unwrap().to_le_bytes());
        let decoded = Subscription::decode(&bytes);
        assert!(decoded.is_err() || decoded.unwrap().weight == 1, "cut at {end}");
    }
    for end in 0..good.len() {
        assert_eq!(refusal(&good[..end]), Some(Reject::BadPacket), "cut at {end}");
    }
}

#[test]
fn texts_that_no_socket_or_vassal_could_have_are_dropped() {
    let long = "x".repeat(102);
    let bytes = with(&[("notify", &long), ("sni_key", ""), ("vassal", "")]);
    let subscription = Subscription::decode(&bytes).unwrap();
    assert_eq!((subscription.notify, subscription.sni_key), (None, None));
    assert_eq!(subscription.vassal, None);
}
