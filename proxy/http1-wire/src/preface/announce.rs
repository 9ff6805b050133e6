//! Writing a preface of version 2, for nodes that want to know whose connection they got.
//!
//! The mirror image of the parser above: what is written here reads as what it was made of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{PrefaceEnds, TLV_CRC32C, TLV_HEAD_BYTES, V2_HEAD_BYTES, V2_SIGNATURE, crc32c};

/// PP2_TYPE_ALPN (2.2.1).
const TLV_ALPN: u8 = 0x01;
/// PP2_TYPE_AUTHORITY (2.2.2).
const TLV_AUTHORITY: u8 = 0x02;
/// Longest value of a TLV that is written; a longer one is left out. Names of hosts and protocols
/// have at most 255 bytes.
const VALUE_BYTES_MAX: usize = 255;
/// Bytes of a CRC32c.
const CHECKSUM_BYTES: usize = 4;

/// What is told of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announcement<'a> {
    /// Whose connection it is.
    pub ends: PrefaceEnds,
    /// The protocol the client agreed to in TLS; empty: none.
    pub alpn: &'a [u8],
    /// The name the client asked for in TLS; empty: none.
    pub authority: &'a [u8],
}

impl Announcement<'_> {
    /// The sender speaks for itself, as in a health check.
    pub const LOCAL: Self = Self { ends: PrefaceEnds::Local, alpn: b"", authority: b"" };
}

/// Appends the preface, with a CRC32c unless its sender speaks for itself.
pub fn write_preface(announcement: &Announcement<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(V2_SIGNATURE);
    let (command, block) = match announcement.ends {
        PrefaceEnds::Local => (0x20, Block::None),
        PrefaceEnds::Unknown => (0x21, Block::None),
        PrefaceEnds::Relayed { source, destination } => (0x21, Block::of(source, destination)),
    };
    let family = match block {
        Block::None => 0x00,
        Block::V4(..) => 0x11,
        Block::V6(..) => 0x21,
    };
    out.extend_from_slice(&[command, family, 0, 0]);
    match block {
        Block::None => {}
        Block::V4(source, destination) => {
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        Block::V6(source, destination) => {
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
    }
    if let PrefaceEnds::Relayed { source, destination } = announcement.ends {
        out.extend_from_slice(&source.port().to_be_bytes());
        out.extend_from_slice(&destination.port().to_be_bytes());
    }
    if announcement.ends == PrefaceEnds::Local {
        return;
    }
    write_tlv(TLV_ALPN, announcement.alpn, out);
    write_tlv(TLV_AUTHORITY, announcement.authority, out);
    write_tlv(TLV_CRC32C, &[0; CHECKSUM_BYTES], out);
    let preface = &mut out[start..];
    // Below 1 KiB by the bounds of its parts.
    let length = (preface.len() - V2_HEAD_BYTES) as u16;
    preface[14..V2_HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    let field = preface.len() - CHECKSUM_BYTES;
    let checksum = crc32c::of_preface(preface, field);
    preface[field..].copy_from_slice(&checksum.to_be_bytes());
}

fn write_tlv(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return;
    }
    let [high, low] = (value.len() as u16).to_be_bytes();
    out.extend_from_slice(&[kind, high, low]);
    out.extend_from_slice(value);
}

/// Two addresses of one family.
enum Block {
    None,
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Block {
    /// Of two families IPv6 takes both.
    fn of(source: SocketAddr, destination: SocketAddr) -> Self {
        match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Self::V4(source, destination),
            (source, destination) => Self::V6(as_v6(source), as_v6(destination)),
        }
    }
}

fn as_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

const _: () = {
    let tlvs = 2 * (TLV_HEAD_BYTES + VALUE_BYTES_MAX) + TLV_HEAD_BYTES + CHECKSUM_BYTES;
    let longest = V2_HEAD_BYTES + super::V6_BLOCK_BYTES + tlvs;
    assert!(longest <= crate::limits::PREFACE_V2_BYTES_MAX); // so that a router behind us takes it
    assert!(longest <= u16::MAX as usize);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parsed, Preface, parse_preface};

    fn written(announcement: &Announcement<'_>) -> Vec<u8> {
        let mut out = b"kept".to_vec();
        write_preface(announcement, &mut out);
        out.split_off(4)
    }

    fn relayed(source: &str, destination: &str) -> PrefaceEnds {
        let [source, destination] = [source, destination].map(|text| text.parse().unwrap());
        PrefaceEnds::Relayed { source, destination }
    }

    fn read(bytes: &[u8]) -> Preface {
        match parse_preface(bytes) {
            Ok(Parsed::Complete(preface)) => preface,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_reads_as_what_it_was_made_of() {
        let longest = [b'a'; VALUE_BYTES_MAX];
        for ends in [
            PrefaceEnds::Local,
            PrefaceEnds::Unknown,
            relayed("203.0.113.7:51234", "192.0.2.1:443"),
            relayed("[2001:db8::7]:51234", "[2001:db8::1]:443"),
        ] {
            for (alpn, authority) in [
                (&b""[..], &b""[..]),
                (b"h2", b"site.test"),
                (b"", b"site.test"),
                (b"h2", &longest),
            ] {
                let bytes = written(&Announcement { ends, alpn, authority });
                assert_eq!(read(&bytes), Preface { bytes: bytes.len(), ends });
            }
        }
    }

    /// Bytes as of section 2.2, the checksum by an independent implementation (bit by bit, in Python).
    #[test]
    fn a_preface_is_laid_out_as_specified() {
        let ends = relayed("203.0.113.7:51234", "192.0.2.1:443");
        let bytes = written(&Announcement { ends, alpn: b"h2", authority: b"site.test" });
        let (before, checksum) = bytes.split_at(bytes.len() - 4);
        let expected = [
            &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x24"[..],
            &[203, 0, 113, 7, 192, 0, 2, 1, 0xc8, 0x22, 0x01, 0xbb],
            b"\x01\0\x02h2",
            b"\x02\0\x09site.test",
            b"\x03\0\x04",
        ];
        assert_eq!(before, expected.concat());
        assert_eq!(checksum, 0xbf51_bfd6_u32.to_be_bytes());
    }

    #[test]
    fn a_bit_that_turns_on_the_way_is_noticed() {
        let ends = relayed("203.0.113.7:51234", "192.0.2.1:443");
        let sound = written(&Announcement { ends, alpn: b"h2", authority: b"site.test" });
        for at in V2_HEAD_BYTES..V2_HEAD_BYTES + 12 {
            let mut turned = sound.clone();
            turned[at] ^= 0x10;
            assert_eq!(parse_preface(&turned).unwrap_err().label(), "checksum");
        }
    }

    #[test]
    fn ends_of_two_families_are_both_told_in_ipv6() {
        let bytes = written(&Announcement {
            ends: relayed("203.0.113.7:51234", "[2001:db8::1]:443"),
            alpn: b"",
            authority: b"",
        });
        assert_eq!(read(&bytes).ends, relayed("[::ffff:203.0.113.7]:51234", "[2001:db8::1]:443"));
    }

    #[test]
    fn a_sender_that_speaks_for_itself_says_nothing_else() {
        let bytes = written(&Announcement { authority: b"site.test", ..Announcement::LOCAL });
        assert_eq!(bytes, b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0");
    }

    #[test]
    fn a_value_too_long_for_a_name_is_left_out() {
        let ends = PrefaceEnds::Unknown;
        let long = written(&Announcement { ends, alpn: b"", authority: &[b'a'; 256] });
        assert_eq!(long, written(&Announcement { ends, alpn: b"", authority: b"" }));
    }
}
