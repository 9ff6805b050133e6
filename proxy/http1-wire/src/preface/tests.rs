//! Prefaces as HAProxy and curl send them, and what is none.

use super::*;

const V4: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\r\n";

fn complete(bytes: &[u8]) -> Preface {
    match parse_preface(bytes) {
        Ok(Parsed::Complete(preface)) => preface,
        other => panic!("{:?} gives {other:?}", String::from_utf8_lossy(bytes)),
    }
}

fn error(bytes: &[u8]) -> PrefaceError {
    match parse_preface(bytes) {
        Err(error) => error,
        Ok(other) => panic!("{:?} gives {other:?}", String::from_utf8_lossy(bytes)),
    }
}

fn relayed(source: &str, destination: &str) -> PrefaceEnds {
    PrefaceEnds::Relayed {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// A version 2 preface from its command, family and block.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family][..], &length, block].concat()
}

/// 203.0.113.7:51234 to 192.0.2.1:443.
const V4_BLOCK: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0xc8, 0x22, 0x01, 0xbb];

/// [2001:db8::7]:51234 to [2001:db8::1]:443.
fn v6_block() -> Vec<u8> {
    let ip = |last| {
        "2001:db8::".parse::<Ipv6Addr>().map(|ip| {
            let mut octets = ip.octets();
            octets[15] = last;
            octets
        })
    };
    [&ip(7).unwrap()[..], &ip(1).unwrap(), &[0xc8, 0x22, 0x01, 0xbb]].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// HAProxy 2.6.12, `send-proxy-v2 proxy-v2-options crc32c,ssl,cert-cn,unique-id`, captured: the
/// checksum, an empty unique id and "no TLS". Over IPv4 and over IPv6.
const HAPROXY_V4: &str = "0d0a0d0a000d0a515549540a2111001e7f0000017f00000196eca557\
    03000438bde2580500002000050000000000";
const HAPROXY_V6: &str = "0d0a0d0a000d0a515549540a21210036\
    0000000000000000000000000000000100000000000000000000000000000001ac1a92a5\
    03000419ddb5dd0500002000050000000000";
/// Its health check: LOCAL, nothing else. Captured.
const HAPROXY_CHECK: &str = "0d0a0d0a000d0a515549540a20000000";

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Complete prefaces and what they say.
fn right() -> Vec<(Vec<u8>, PrefaceEnds)> {
    let v4 = relayed("203.0.113.7:51234", "192.0.2.1:443");
    let v6 = relayed("[2001:db8::7]:51234", "[2001:db8::1]:443");
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let all_v6 = relayed(&format!("[{longest}]:65535"), &format!("[{longest}]:65535"));
    vec![
        (V4.to_vec(), v4),
        // curl 7.88.1 --haproxy-protocol, captured; HAProxy's `send-proxy` has the same form.
        (
            b"PROXY TCP4 127.0.0.1 127.0.0.1 38520 8080\r\n".to_vec(),
            relayed("127.0.0.1:38520", "127.0.0.1:8080"),
        ),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n".to_vec(), v6),
        (b"PROXY TCP6 2001:DB8:0:0:0:0:0:7 2001:0db8::1 51234 443\r\n".to_vec(), v6),
        (
            b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n".to_vec(),
            relayed("0.0.0.0:0", "255.255.255.255:65535"),
        ),
        (format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").into_bytes(), all_v6),
        (b"PROXY UNKNOWN\r\n".to_vec(), PrefaceEnds::Unknown),
        (
            format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n").into_bytes(),
            PrefaceEnds::Unknown,
        ),
        (b"PROXY UNKNOWN \xff\0 whatever\r\n".to_vec(), PrefaceEnds::Unknown),
        (v2(0x21, 0x11, &V4_BLOCK), v4),
        (v2(0x21, 0x21, &v6_block()), v6),
        (hex(HAPROXY_V4), relayed("127.0.0.1:38636", "127.0.0.1:42327")),
        (hex(HAPROXY_V6), relayed("[::1]:44058", "[::1]:37541")),
        (hex(HAPROXY_CHECK), PrefaceEnds::Local),
        (v2(0x21, 0x21, &[v6_block(), tlv(0x02, b"site.test")].concat()), v6),
        (v2(0x20, 0x11, &V4_BLOCK), PrefaceEnds::Local),
        (v2(0x20, 0xff, b"ignored"), PrefaceEnds::Local),
        (v2(0x21, 0x00, b"ignored"), PrefaceEnds::Unknown),
        (v2(0x21, 0x12, &V4_BLOCK), PrefaceEnds::Unknown),
        (v2(0x21, 0x31, &[b'/'; 216]), PrefaceEnds::Unknown),
        (v2(0x20, 0x00, &[0; PREFACE_V2_BYTES_MAX - V2_HEAD_BYTES]), PrefaceEnds::Local),
    ]
}

/// Bytes that can become no preface, and why.
fn wrong() -> Vec<(Vec<u8>, PrefaceError)> {
    use PrefaceError as Wrong;
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    let long = [V2_SIGNATURE, &[0x21, 0x11, 0xff, 0xff][..]].concat();
    let mut altered = hex(HAPROXY_V4);
    altered[V2_HEAD_BYTES] ^= 1;
    let twice = tlv(TLV_CRC32C, &[0; 4]).repeat(2);
    let with = |tlvs: &[u8]| v2(0x21, 0x11, &[&V4_BLOCK[..], tlvs].concat());
    vec![
        (b"GET / HTTP/1.1\r\n".to_vec(), Wrong::Absent),
        (b"\x16\x03\x01".to_vec(), Wrong::Absent),
        (b"POST / HTTP/1.1\r\n".to_vec(), Wrong::Absent),
        (b"proxy TCP4 ".to_vec(), Wrong::Absent),
        (b" PROXY TCP4 ".to_vec(), Wrong::Absent),
        (b"PROXY\r\n".to_vec(), Wrong::Absent),
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Wrong::Absent),
        ([&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(), Wrong::LongLine),
        ([&b"PROXY UNKNOWN "[..], &[b'x'; 92], b"\r\n"].concat(), Wrong::LongLine),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n".to_vec(), Wrong::LineEnd),
        (b"PROXY TCP4 1.2.3.4\r1.2.3.4 1 2\r\n".to_vec(), Wrong::LineEnd),
        (b"PROXY UNKNOWN a\nb\r\n".to_vec(), Wrong::LineEnd),
        (line(""), Wrong::Protocol),
        (line("TCP"), Wrong::Protocol),
        (line("UDP4 1.2.3.4 1.2.3.4 1 2"), Wrong::Protocol),
        (line("UNKNOWNX"), Wrong::Protocol),
        (line("tcp4 1.2.3.4 1.2.3.4 1 2"), Wrong::Protocol),
        (line(" TCP4 1.2.3.4 1.2.3.4 1 2"), Wrong::Protocol),
        (line("TCP4"), Wrong::Words),
        (line("TCP4 1.2.3.4 1.2.3.4 1"), Wrong::Words),
        (line("TCP4 1.2.3.4 1.2.3.4 1 2 3"), Wrong::Words),
        (line("TCP4 1.2.3.4 1.2.3.4 1 2 "), Wrong::Words),
        (line("TCP4  1.2.3.4 1.2.3.4 1 2"), Wrong::Words),
        (line("TCP4  1.2.3.4 1.2.3.4 1"), Wrong::Address),
        (line("TCP4 1.2.3.04 1.2.3.4 1 2"), Wrong::Address),
        (line("TCP4 1.2.3 1.2.3.4 1 2"), Wrong::Address),
        (line("TCP4 ::1 ::1 1 2"), Wrong::Address),
        (line("TCP6 1.2.3.4 1.2.3.4 1 2"), Wrong::Address),
        (line("TCP6 ::1 [::1] 1 2"), Wrong::Address),
        (line("TCP6 fe80::1%lo ::1 1 2"), Wrong::Address),
        (line("TCP4 1.2.3.\u{664} 1.2.3.4 1 2"), Wrong::Address),
        (line("TCP4 1.2.3.4 1.2.3.4 01 2"), Wrong::Port),
        (line("TCP4 1.2.3.4 1.2.3.4 1 65536"), Wrong::Port),
        (line("TCP4 1.2.3.4 1.2.3.4 +1 2"), Wrong::Port),
        (line("TCP4 1.2.3.4 1.2.3.4 -1 2"), Wrong::Port),
        (line("TCP4 1.2.3.4 1.2.3.4 00 2"), Wrong::Port),
        (line("TCP4 1.2.3.4 1.2.3.4 1 99999999999"), Wrong::Port),
        (v2(0x11, 0x11, &V4_BLOCK), Wrong::Version(1)),
        (v2(0x31, 0x11, &V4_BLOCK), Wrong::Version(3)),
        (v2(0x22, 0x11, &V4_BLOCK), Wrong::Command(2)),
        (v2(0x2f, 0x11, &V4_BLOCK), Wrong::Command(15)),
        (v2(0x21, 0x01, &V4_BLOCK), Wrong::Family(0x01)),
        (v2(0x21, 0x41, &V4_BLOCK), Wrong::Family(0x41)),
        (v2(0x21, 0x13, &V4_BLOCK), Wrong::Family(0x13)),
        (v2(0x21, 0x11, &V4_BLOCK[..11]), Wrong::Short(11)),
        (v2(0x21, 0x21, &v6_block()[..35]), Wrong::Short(35)),
        (long, Wrong::Long(u16::MAX)),
        (v2(0x20, 0, &[0; PREFACE_V2_BYTES_MAX - V2_HEAD_BYTES + 1]), Wrong::Long(4081)),
        (with(&[0]), Wrong::Tlv),
        (with(&[4, 0, 2, 0]), Wrong::Tlv),
        (with(&[4, 0, 0, 4]), Wrong::Tlv),
        (with(&tlv(TLV_CRC32C, &[0; 3])), Wrong::Checksum),
        (with(&tlv(TLV_CRC32C, &[0; 4])), Wrong::Checksum),
        (with(&twice), Wrong::Checksum),
        (altered, Wrong::Checksum),
    ]
}

#[test]
fn prefaces_say_whose_connection_it_is() {
    for (bytes, ends) in right() {
        assert_eq!(complete(&bytes), Preface { bytes: bytes.len(), ends });
    }
}

#[test]
fn what_is_no_preface_is_refused_by_name() {
    for (bytes, reason) in wrong() {
        assert_eq!(error(&bytes), reason, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn the_longest_line_is_taken_and_no_longer_one() {
    let line = |bytes: usize| [&b"PROXY UNKNOWN "[..], &vec![b'x'; bytes - 16], b"\r\n"].concat();
    assert_eq!(complete(&line(PREFACE_V1_BYTES_MAX)).bytes, PREFACE_V1_BYTES_MAX);
    assert_eq!(error(&line(PREFACE_V1_BYTES_MAX + 1)), PrefaceError::LongLine);
}

/// Every prefix of the input is unfinished or has the verdict of the whole, never another.
#[test]
fn any_split_gives_the_same_result() {
    for (bytes, ends) in right() {
        for split in 0..bytes.len() {
            assert!(matches!(parse_preface(&bytes[..split]), Ok(Parsed::Partial)), "{split}");
        }
        assert_eq!(complete(&bytes).ends, ends);
    }
    for (bytes, reason) in wrong() {
        for split in 0..bytes.len() {
            match parse_preface(&bytes[..split]) {
                Ok(Parsed::Partial) => {}
                Err(early) => assert_eq!(early, reason, "{split} of {bytes:?}"),
                Ok(other) => panic!("{split} of {bytes:?} gives {other:?}"),
            }
        }
    }
}

#[test]
fn bytes_behind_a_preface_are_not_looked_at() {
    for (mut bytes, ends) in right() {
        let length = bytes.len();
        for behind in [&b"GET / HTTP/1.1\r\n\r\n"[..], V4, V2_SIGNATURE, &[0xff; 300]] {
            bytes.truncate(length);
            bytes.extend_from_slice(behind);
            assert_eq!(complete(&bytes), Preface { bytes: length, ends });
        }
    }
}

/// A wrong first byte must not wait for a second one: the client of a closed port would hang.
#[test]
fn absence_is_told_by_the_first_byte_that_cannot_belong() {
    for byte in 0..=u8::MAX {
        let is_possible = byte == b'P' || byte == b'\r';
        assert_eq!(parse_preface(&[byte]).is_ok(), is_possible, "{byte}");
    }
    assert!(parse_preface(b"").is_ok());
    assert_eq!(error(b"PO"), PrefaceError::Absent);
}

/// No input panics and none is read past the bounds: walks all single-byte changes of the vectors.
#[test]
fn changed_bytes_are_judged_without_panic() {
    for (bytes, _) in
        right().into_iter().chain(wrong().into_iter().map(|(bytes, _)| (bytes, PrefaceEnds::Local)))
    {
        for at in 0..bytes.len().min(128) {
            let mut changed = bytes.clone();
            for value in [0, 1, b' ', b'\r', b'\n', 0x7f, 0x80, 0xff] {
                changed[at] = value;
                if let Ok(Parsed::Complete(preface)) = parse_preface(&changed) {
                    assert!(preface.bytes <= changed.len());
                }
            }
        }
    }
}

#[test]
fn reasons_have_few_labels() {
    for (_, reason) in wrong() {
        assert!(["absent", "malformed", "checksum"].contains(&reason.label()));
    }
}
