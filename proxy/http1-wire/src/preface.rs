//! The PROXY protocol, versions 1 and 2: what a proxy says about a connection before its first byte.
//!
//! Reads the preface and nothing behind it; `announce` writes one. Whether a sender may be believed is its caller's
//! decision. Section numbers are those of HAProxy's `doc/proxy-protocol.txt`. Stricter than it asks:
//! - a version 1 line has one space between its words and no CR or LF but the last two bytes;
//! - a version 2 preface is at most [`PREFACE_V2_BYTES_MAX`] long, and its TLVs must fill it;
//! - no preface at all is an error as soon as the first byte that cannot belong to one is there.

mod announce;
mod crc32c;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

pub use announce::{Announcement, write_preface};

use crate::{
    Parsed,
    limits::{PREFACE_V1_BYTES_MAX, PREFACE_V2_BYTES_MAX},
};

/// First bytes of version 1 (2.1).
const V1_SIGNATURE: &[u8] = b"PROXY ";
/// First bytes of version 2 (2.2).
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version with command, family with transport, length.
const V2_HEAD_BYTES: usize = 16;
/// Two addresses and two ports of IPv4.
const V4_BLOCK_BYTES: usize = 12;
/// Two addresses and two ports of IPv6.
const V6_BLOCK_BYTES: usize = 36;
/// Type and length before the value of a TLV.
const TLV_HEAD_BYTES: usize = 3;
/// PP2_TYPE_CRC32C (2.2.3).
const TLV_CRC32C: u8 = 0x03;

/// A complete preface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preface {
    /// Its length; what follows belongs to the protocol behind it.
    pub bytes: usize,
    /// Whose connection it announces.
    pub ends: PrefaceEnds,
}

/// The two ends of the announced connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PrefaceEnds {
    /// The sender speaks for itself (command LOCAL): the real ends count.
    Local,
    /// The sender does not say, or names something else than TCP: the real ends count.
    Unknown,
    /// The sender passes on a TCP connection.
    Relayed {
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
    },
}

/// Why bytes are no preface.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrefaceError {
    /// The first bytes are those of neither version.
    #[error("the connection does not begin with a PROXY preface")]
    Absent,
    /// Version 1: no CRLF within the longest line there is.
    #[error("the line is longer than {PREFACE_V1_BYTES_MAX} bytes")]
    LongLine,
    /// Version 1: a CR or LF that is not part of the final CRLF.
    #[error("the line does not end in CRLF")]
    LineEnd,
    /// Version 1: neither TCP4, TCP6 nor UNKNOWN.
    #[error("the protocol is none of TCP4, TCP6 and UNKNOWN")]
    Protocol,
    /// Version 1: not four words after the protocol.
    #[error("the line does not hold two addresses and two ports")]
    Words,
    /// Version 1: not an address of the announced family.
    #[error("an address does not belong to the protocol")]
    Address,
    /// Version 1: not a number up to 65535 without leading zeros.
    #[error("a port is not a number from 0 to 65535")]
    Port,
    /// The binary signature is followed by another version than 2.
    #[error("the version is {0} and not 2")]
    Version(u8),
    /// Version 2: neither LOCAL nor PROXY.
    #[error("the command {0} is neither LOCAL nor PROXY")]
    Command(u8),
    /// Version 2: a family and transport nobody may send.
    #[error("the family and transport 0x{0:02x} are not specified")]
    Family(u8),
    /// Version 2: longer than anybody needs.
    #[error("{0} bytes are announced, more than {PREFACE_V2_BYTES_MAX} in all")]
    Long(u16),
    /// Version 2: shorter than the addresses of its family.
    #[error("{0} bytes are announced, fewer than the addresses take")]
    Short(u16),
    /// Version 2: the TLVs do not end where the preface does.
    #[error("a TLV is cut short")]
    Tlv,
    /// Version 2: a checksum that is not four bytes, is there twice or is wrong.
    #[error("the CRC32c does not match")]
    Checksum,
}

impl PrefaceError {
    /// Name of the reason in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Checksum => "checksum",
            _ => "malformed",
        }
    }
}

/// Reads the preface at the start of `bytes`.
///
/// Any split of the input gives the same result: `Partial` is said only of what can still become a
/// preface, and no byte behind it is looked at.
///
/// # Errors
/// [`PrefaceError`], as soon as it is certain.
pub fn parse_preface(bytes: &[u8]) -> Result<Parsed<Preface>, PrefaceError> {
    if begins(bytes, V2_SIGNATURE) {
        parse_v2(bytes)
    } else if begins(bytes, V1_SIGNATURE) {
        parse_v1(bytes)
    } else {
        Err(PrefaceError::Absent)
    }
}

/// Whether `bytes`, as far as they go, are those of `signature`.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let seen = bytes.len().min(signature.len());
    bytes[..seen] == signature[..seen]
}

fn parse_v1(bytes: &[u8]) -> Result<Parsed<Preface>, PrefaceError> {
    let window = &bytes[..bytes.len().min(PREFACE_V1_BYTES_MAX)];
    let Some(end) = window.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        let is_full = window.len() == PREFACE_V1_BYTES_MAX;
        return if is_full { Err(PrefaceError::LongLine) } else { Ok(Parsed::Partial) };
    };
    match window[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if window.len() < PREFACE_V1_BYTES_MAX => return Ok(Parsed::Partial),
        [b'\r'] => return Err(PrefaceError::LongLine),
        _ => return Err(PrefaceError::LineEnd),
    }
    let line = window.get(V1_SIGNATURE.len()..end).ok_or(PrefaceError::Protocol)?;
    Ok(Parsed::Complete(Preface { bytes: end + 2, ends: v1_ends(line)? }))
}

/// What stands between signature and CRLF.
fn v1_ends(line: &[u8]) -> Result<PrefaceEnds, PrefaceError> {
    let mut words = line.split(|byte| *byte == b' ');
    let protocol = words.next().unwrap_or_default();
    if protocol == b"UNKNOWN" {
        // "The receiver must ignore anything presented before the CRLF" (2.1).
        return Ok(PrefaceEnds::Unknown);
    }
    if protocol != b"TCP4" && protocol != b"TCP6" {
        return Err(PrefaceError::Protocol);
    }
    let mut word = || words.next().ok_or(PrefaceError::Words);
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (word()?, word()?);
    if words.next().is_some() {
        return Err(PrefaceError::Words);
    }
    let address = |word| v1_address(word, protocol == b"TCP6").ok_or(PrefaceError::Address);
    let (source, destination) = (address(source)?, address(destination)?);
    Ok(PrefaceEnds::Relayed {
        source: SocketAddr::new(source, v1_port(source_port)?),
        destination: SocketAddr::new(destination, v1_port(destination_port)?),
    })
}

/// An address as (2.1) writes it; the parsers of the standard library take no leading zeros in
/// IPv4, no zone and no surrounding blanks.
fn v1_address(word: &[u8], is_v6: bool) -> Option<std::net::IpAddr> {
    let text = std::str::from_utf8(word).ok()?;
    if is_v6 {
        text.parse::<Ipv6Addr>().ok().map(Into::into)
    } else {
        text.parse::<Ipv4Addr>().ok().map(Into::into)
    }
}

fn v1_port(word: &[u8]) -> Result<u16, PrefaceError> {
    let is_canonical = match word {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = std::str::from_utf8(word).ok().filter(|_| is_canonical);
    text.and_then(|text| text.parse().ok()).ok_or(PrefaceError::Port)
}

/// What follows the signature of version 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Block {
    Local,
    Unknown,
    V4,
    V6,
}

fn parse_v2(bytes: &[u8]) -> Result<Parsed<Preface>, PrefaceError> {
    // Each byte is judged when it is there, so that an error never waits for the next one.
    let Some(&command) = bytes.get(12) else { return Ok(Parsed::Partial) };
    let is_local = match (command >> 4, command & 0x0f) {
        (2, 0) => true,
        (2, 1) => false,
        (2, other) => return Err(PrefaceError::Command(other)),
        (other, _) => return Err(PrefaceError::Version(other)),
    };
    let Some(&family) = bytes.get(13) else { return Ok(Parsed::Partial) };
    let block = match family {
        // "Discard the protocol block including the family" (2.2).
        _ if is_local => Block::Local,
        0x11 => Block::V4,
        0x21 => Block::V6,
        // Valid combinations that are not supported fall back to UNSPEC (2.2).
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Block::Unknown,
        other => return Err(PrefaceError::Family(other)),
    };
    let Some(length) = bytes.get(14..V2_HEAD_BYTES) else { return Ok(Parsed::Partial) };
    let length = u16::from_be_bytes([length[0], length[1]]);
    let total = V2_HEAD_BYTES + usize::from(length);
    if total > PREFACE_V2_BYTES_MAX {
        return Err(PrefaceError::Long(length));
    }
    let address_bytes = match block {
        Block::Local | Block::Unknown => 0,
        Block::V4 => V4_BLOCK_BYTES,
        Block::V6 => V6_BLOCK_BYTES,
    };
    if usize::from(length) < address_bytes {
        return Err(PrefaceError::Short(length));
    }
    let Some(preface) = bytes.get(..total) else { return Ok(Parsed::Partial) };
    let ends = match block {
        Block::Local => PrefaceEnds::Local,
        Block::Unknown => PrefaceEnds::Unknown,
        Block::V4 => v2_ends::<4>(preface),
        Block::V6 => v2_ends::<16>(preface),
    };
    if matches!(ends, PrefaceEnds::Relayed { .. }) {
        check_tlvs(preface, V2_HEAD_BYTES + address_bytes)?;
    }
    Ok(Parsed::Complete(Preface { bytes: total, ends }))
}

/// The address block (2.2): source, destination, source port, destination port.
///
/// `preface` is at least as long as the block of its family.
fn v2_ends<const N: usize>(preface: &[u8]) -> PrefaceEnds
where
    [u8; N]: Into<std::net::IpAddr>,
{
    let block = &preface[V2_HEAD_BYTES..];
    let ip = |at: usize| -> std::net::IpAddr {
        let mut octets = [0; N];
        octets.copy_from_slice(&block[at..at + N]);
        octets.into()
    };
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    PrefaceEnds::Relayed {
        source: SocketAddr::new(ip(0), port(2 * N)),
        destination: SocketAddr::new(ip(N), port(2 * N + 2)),
    }
}

/// Walks the TLVs from `start` to the end and verifies the checksum if there is one; all other
/// types are skipped.
fn check_tlvs(preface: &[u8], start: usize) -> Result<(), PrefaceError> {
    let mut at = start;
    let mut checksum = None;
    while at < preface.len() {
        let head = preface.get(at..at + TLV_HEAD_BYTES).ok_or(PrefaceError::Tlv)?;
        let value_at = at + TLV_HEAD_BYTES;
        at = value_at + usize::from(u16::from_be_bytes([head[1], head[2]]));
        let value = preface.get(value_at..at).ok_or(PrefaceError::Tlv)?;
        if head[0] == TLV_CRC32C {
            let stated = value.try_into().map_err(|_| PrefaceError::Checksum)?;
            if checksum.replace((value_at, u32::from_be_bytes(stated))).is_some() {
                return Err(PrefaceError::Checksum);
            }
        }
    }
    match checksum {
        Some((value_at, stated)) if crc32c::of_preface(preface, value_at) != stated => {
            Err(PrefaceError::Checksum)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
