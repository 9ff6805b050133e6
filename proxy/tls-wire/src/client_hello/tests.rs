//! Hand-made hellos, and one of a real client.

use super::*;
use crate::{HelloReader, Read, limits::RECEIVED_BYTES_MAX};

/// A ClientHello message with this extension block.
fn message(extensions: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    if let Some(block) = extensions {
        body.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
        body.extend(block);
    }
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], &body].concat()
}

fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

fn name(text: &[u8]) -> Vec<u8> {
    let entry = [&[0], &u16::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat();
    extension(0, &[&u16::try_from(entry.len()).unwrap().to_be_bytes()[..], &entry].concat())
}

/// The message in records of at most this many bytes.
fn records(message: &[u8], each: usize) -> Vec<u8> {
    let one = |part: &[u8]| {
        [&[22, 3, 1], &u16::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat()
    };
    message.chunks(each).flat_map(one).collect()
}

fn read(received: &[u8]) -> Result<Option<String>, HelloError> {
    let mut reader = HelloReader::default();
    match reader.advance(received)? {
        Read::Complete(hello) => Ok(hello.server_name.map(str::to_owned)),
        Read::Partial => panic!("partial"),
    }
}

fn named(text: &[u8]) -> Result<Option<String>, HelloError> {
    read(&records(&message(Some(&name(text))), 16_384))
}

#[test]
fn the_name_is_found_however_the_hello_is_cut() {
    let alpn =
        extension(16, &[0, 12, 2, b'h', b'2', 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1']);
    let message = message(Some(&[extension(0x0a0a, b""), name(b"A.example"), alpn].concat()));
    for each in [1, 2, 5, 40, 16_384] {
        let bytes = records(&message, each);
        let mut reader = HelloReader::default();
        for end in 0..bytes.len() {
            assert_eq!(reader.advance(&bytes[..end]), Ok(Read::Partial), "{each}: {end}");
        }
        let Ok(Read::Complete(hello)) = reader.advance(&bytes) else { panic!("complete") };
        assert_eq!(hello.server_name, Some("A.example"));
        assert_eq!(hello.protocols.collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
    }
}

#[test]
fn the_hello_of_a_real_client_is_read() {
    let bytes = include_bytes!("../../testdata/openssl_tls13.bin");
    assert_eq!(read(bytes), Ok(Some("app.example".to_owned())));
}

#[test]
fn a_client_may_name_nobody() {
    for extensions in [None, Some(&b""[..]), Some(&extension(0x0a0a, b"x"))] {
        assert_eq!(read(&records(&message(extensions), 99)), Ok(None));
    }
}

#[test]
fn what_follows_in_records_of_its_own_is_not_looked_at() {
    let mut bytes = records(&message(Some(&name(b"a"))), 16_384);
    bytes.extend(b"\x17\x03\x03\xff\xff early");
    assert_eq!(read(&bytes), Ok(Some("a".to_owned())));
}

#[test]
fn two_names_are_none() {
    let twice = [name(b"a"), name(b"b")].concat();
    assert_eq!(read(&records(&message(Some(&twice)), 999)), Err(HelloError::Twice(0)));
    let listed = extension(0, &[0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b']);
    assert_eq!(read(&records(&message(Some(&listed)), 999)), Err(HelloError::ServerName));
    let of_other_kind = extension(0, &[0, 4, 1, 0, 1, b'a']);
    assert_eq!(read(&records(&message(Some(&of_other_kind)), 999)), Err(HelloError::ServerName));
}

#[test]
fn names_that_are_none_of_hosts_are_refused() {
    for text in [&b""[..], b"a:443", b"[::1]", b"a b", b"a\0b", b"\xff", &[b'a'; 256]] {
        assert_eq!(named(text), Err(HelloError::ServerName), "{text:?}");
    }
    assert!(named(&[b'a'; 255]).is_ok());
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let good = message(Some(&name(b"a.example")));
    // The length of the extension block, of the session id, of the cipher suites.
    for (at, value) in [(45, 99), (38, 33), (40, 3), (40, 0), (43, 0), (49, 1)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert!(read(&records(&bad, 16_384)).is_err(), "byte {at} is {value}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(read(&records(&longer, 16_384)), Err(HelloError::Excess));
    longer[3] += 1;
    assert_eq!(read(&records(&longer, 16_384)), Err(HelloError::Length));
}

#[test]
fn other_protocols_are_known_by_their_first_bytes() {
    let first = |bytes: &[u8]| HelloReader::default().advance(bytes).map(|_| ());
    for other in [&b"G"[..], b"\x80\x2e\x01\x03\x01", b"SSH-2.0-", b"\x16\x02"] {
        assert_eq!(first(other), Err(HelloError::NotTls));
    }
    assert_eq!(first(b"\x16\x03\x01\x00\x00"), Err(HelloError::EmptyRecord));
    assert_eq!(first(b"\x16\x03\x01\x40\x01"), Err(HelloError::LongRecord(16_385)));
    assert_eq!(first(b"\x16\x03\x01\x00\x01\x02"), Err(HelloError::NoHello(2)));
    let interrupted = [&records(&message(None)[..9], 9)[..], &[20]].concat();
    assert_eq!(first(&interrupted), Err(HelloError::Interrupted(20)));
}

#[test]
fn what_is_held_is_bounded() {
    // A message of 16 KiB beside its head.
    let announced = [22, 3, 1, 0x40, 0, 1, 0, 0x40, 0];
    assert_eq!(HelloReader::default().advance(&announced), Err(HelloError::Long));
    let padded = message(Some(&extension(21, &[0; 12_000])));
    assert!(read(&records(&padded, 16_384)).is_ok());
    let spread = records(&padded, 1);
    assert!(spread.len() > RECEIVED_BYTES_MAX);
    let mut reader = HelloReader::default();
    assert_eq!(reader.advance(&spread), Err(HelloError::Long));
}

#[test]
fn a_bad_list_of_protocols_is_refused() {
    for value in [&[][..], &[0, 0], &[0, 1, 0], &[0, 2, 2, b'h'], &[0, 2, 1, b'h', 0]] {
        let bytes = records(&message(Some(&extension(16, value))), 999);
        assert_eq!(read(&bytes), Err(HelloError::Protocols), "{value:?}");
    }
}
