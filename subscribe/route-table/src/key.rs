//! The name a request is routed by, and the only canonicaliser of host names.
//!
//! A Host field, an SNI name and a subscription's key all pass through [`canonical_host`], so two
//! spellings of one name can never reach two tenants. Canonical means: ASCII lower case, one
//! trailing dot of the host removed, IPv6 literals in the form of RFC 5952, a port kept as given
//! (also `:80`). Refused rather than repaired: bytes outside `a-z 0-9 - . _`, empty labels (so
//! also a leading dot, but for keys, where it marks a wildcard), an empty port, a port with sign
//! or leading zero, IPv6 zones, percent-encoding, and anything beyond [`KEY_BYTES_MAX`].

use std::borrow::Borrow;
use std::fmt::{self, Write};
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::limits::KEY_BYTES_MAX;

/// What a host byte becomes: its lower case, or 0 for a byte no host has.
static HOST_BYTES: [u8; 256] = host_bytes();

/// The canonical name of a route: `host`, `host:port`, `.suffix`, each perhaps with `/mount`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RouteKey {
    text: Arc<str>,
}

impl RouteKey {
    /// Reads the key of a subscription or of the configuration.
    ///
    /// Beyond what a Host may be, a key may begin with one dot (it then serves the sub-domains,
    /// under dotsplit) and may end in a mountpoint: `/segment` once or more, case kept.
    ///
    /// # Errors
    /// [`KeyError`], as for a Host; [`KeyError::BadMount`] for an empty or dot segment or a byte
    /// that no path segment has.
    pub fn parse(raw: &[u8]) -> Result<Self, KeyError> {
        let slash = raw.iter().position(|&byte| byte == b'/').unwrap_or(raw.len());
        let (host, mount) = raw.split_at(slash);
        check_mount(mount)?;
        let (dot, host) = match host.strip_prefix(b".") {
            Some(rest) => (".", rest),
            None => ("", host),
        };
        if !dot.is_empty() && host.starts_with(b"[") {
            return Err(KeyError::BadByte { byte: b'[' });
        }
        let mut buf = HostBuf::new();
        let host = canonical_host(host, &mut buf)?.host_port();
        let bytes = dot.len() + host.len() + mount.len();
        if bytes > KEY_BYTES_MAX {
            return Err(KeyError::Long { bytes });
        }
        let mut text = String::with_capacity(bytes);
        text.push_str(dot);
        text.push_str(host);
        text.push_str(std::str::from_utf8(mount).map_err(|_| KeyError::BadMount)?);
        Ok(Self { text: text.into() })
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone: without port and mountpoint, brackets of an IPv6 literal kept.
    pub fn host(&self) -> &str {
        split_port(self.host_port()).0
    }

    /// The port, if the key names one.
    pub fn port(&self) -> Option<u16> {
        split_port(self.host_port()).1
    }

    /// The mountpoint with its leading slash, or nothing.
    pub fn mount(&self) -> &str {
        self.text.split_at(self.host_port().len()).1
    }

    /// Whether the key serves sub-domains: it begins with a dot.
    pub fn is_suffix(&self) -> bool {
        self.text.starts_with('.')
    }

    fn host_port(&self) -> &str {
        self.text.split_once('/').map_or(&*self.text, |(host_port, _)| host_port)
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Borrow<str> for RouteKey {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl From<CanonicalHost<'_>> for RouteKey {
    fn from(host: CanonicalHost<'_>) -> Self {
        Self { text: host.host_port.into() }
    }
}

/// Room for one canonical host, on the stack of whoever asks.
#[derive(Clone, Debug)]
pub struct HostBuf {
    bytes: [u8; KEY_BYTES_MAX + 1],
}

impl HostBuf {
    /// An empty buffer.
    pub fn new() -> Self {
        Self { bytes: [0; KEY_BYTES_MAX + 1] }
    }
}

impl Default for HostBuf {
    fn default() -> Self {
        Self::new()
    }
}

/// A Host in canonical form, borrowed from a [`HostBuf`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CanonicalHost<'b> {
    host_port: &'b str,
    host_bytes: usize,
    port: Option<u16>,
}

impl<'b> CanonicalHost<'b> {
    /// The host without its port; an IPv6 literal keeps its brackets.
    pub fn host(&self) -> &'b str {
        self.host_port.split_at(self.host_bytes).0
    }

    /// The port, if one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port as they stand in a key.
    pub fn host_port(&self) -> &'b str {
        self.host_port
    }
}

/// Brings the value of a Host field, an authority or an SNI name into canonical form.
///
/// Allocates nothing. Surrounding blanks are the caller's to remove: they are refused here.
///
/// # Errors
/// [`KeyError`] names the first thing that is wrong.
pub fn canonical_host<'b>(raw: &[u8], buf: &'b mut HostBuf) -> Result<CanonicalHost<'b>, KeyError> {
    if raw.len() > KEY_BYTES_MAX {
        return Err(KeyError::Long { bytes: raw.len() });
    }
    let (host_bytes, rest) = match raw {
        [] => return Err(KeyError::Empty),
        [b'[', ..] => write_literal(raw, buf)?,
        _ => write_name(raw, buf)?,
    };
    let (port, port_bytes) = read_port(rest)?;
    let end = host_bytes + port_bytes;
    if end > KEY_BYTES_MAX {
        return Err(KeyError::Long { bytes: end });
    }
    buf.bytes[host_bytes..end].copy_from_slice(rest);
    let host_port = std::str::from_utf8(&buf.bytes[..end]).map_err(|_| KeyError::BadPort)?;
    Ok(CanonicalHost { host_port, host_bytes, port })
}

/// Writes a name without its trailing dot; returns its length and what follows it.
fn write_name<'r>(raw: &'r [u8], buf: &mut HostBuf) -> Result<(usize, &'r [u8]), KeyError> {
    let mut written = 0;
    let mut before = b'.';
    for (slot, &byte) in buf.bytes.iter_mut().zip(raw) {
        let lower = HOST_BYTES[usize::from(byte)];
        if lower == 0 {
            if byte == b':' {
                break;
            }
            return Err(KeyError::BadByte { byte });
        }
        if lower == b'.' && before == b'.' {
            return Err(KeyError::EmptyLabel);
        }
        *slot = lower;
        before = lower;
        written += 1;
    }
    let rest = raw.get(written..).unwrap_or_default();
    match written {
        0 => Err(KeyError::Empty),
        _ if before == b'.' => Ok((written - 1, rest)),
        _ => Ok((written, rest)),
    }
}

/// Writes an IPv6 literal in the form of RFC 5952; returns its length and what follows it.
fn write_literal<'r>(raw: &'r [u8], buf: &mut HostBuf) -> Result<(usize, &'r [u8]), KeyError> {
    let close = raw.iter().position(|&byte| byte == b']').ok_or(KeyError::BadLiteral)?;
    let inside = raw.get(1..close).ok_or(KeyError::BadLiteral)?;
    let inside = std::str::from_utf8(inside).map_err(|_| KeyError::BadLiteral)?;
    let address: Ipv6Addr = inside.parse().map_err(|_| KeyError::BadLiteral)?;
    let mut cursor = Cursor { bytes: &mut buf.bytes, written: 0 };
    write!(cursor, "[{address}]").map_err(|_| KeyError::BadLiteral)?;
    Ok((cursor.written, raw.get(close + 1..).unwrap_or_default()))
}

/// Reads `:port` or nothing; returns the port and the bytes it takes with its colon.
fn read_port(rest: &[u8]) -> Result<(Option<u16>, usize), KeyError> {
    let Some((&colon, digits)) = rest.split_first() else {
        return Ok((None, 0));
    };
    if colon != b':' || digits.first().is_none_or(|&first| first == b'0') || digits.len() > 5 {
        return Err(KeyError::BadPort);
    }
    let mut port = 0_u32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(KeyError::BadPort);
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    match u16::try_from(port) {
        Ok(port) => Ok((Some(port), rest.len())),
        Err(_) => Err(KeyError::BadPort),
    }
}

/// A mountpoint is empty or `/segment` once or more.
fn check_mount(mount: &[u8]) -> Result<(), KeyError> {
    let Some(segments) = mount.strip_prefix(b"/") else {
        return Ok(());
    };
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(byte);
    for segment in segments.split(|&byte| byte == b'/') {
        if matches!(segment, b"" | b"." | b"..") || !segment.iter().all(legal) {
            return Err(KeyError::BadMount);
        }
    }
    Ok(())
}

/// Splits canonical text into host and port.
fn split_port(host_port: &str) -> (&str, Option<u16>) {
    match host_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (host_port, None),
    }
}

const fn host_bytes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// Formats into a byte slice.
struct Cursor<'b> {
    bytes: &'b mut [u8],
    written: usize,
}

impl Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.written + text.len();
        self.bytes.get_mut(self.written..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.written = end;
        Ok(())
    }
}

/// Why bytes are not a host or key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Longer than [`KEY_BYTES_MAX`].
    #[error("name of {bytes} bytes is longer than {KEY_BYTES_MAX}")]
    Long {
        /// How long it was.
        bytes: usize,
    },
    /// No host at all, perhaps only a port.
    #[error("name is empty")]
    Empty,
    /// A byte that no host name has.
    #[error("byte 0x{byte:02x} cannot stand in a host name")]
    BadByte {
        /// The byte.
        byte: u8,
    },
    /// Two dots in a row, or a dot at the start.
    #[error("host name has an empty label")]
    EmptyLabel,
    /// Brackets that do not hold an IPv6 address.
    #[error("brackets do not hold an ipv6 address")]
    BadLiteral,
    /// What follows the host is not `:` and a number from 1 to 65535.
    #[error("port is not a number from 1 to 65535")]
    BadPort,
    /// The mountpoint has an empty or dot segment, or a byte no segment has.
    #[error("mountpoint is not a plain path")]
    BadMount,
}

#[cfg(test)]
mod tests;
