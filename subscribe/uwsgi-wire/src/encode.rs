//! Writing of one uwsgi packet into memory the caller owns.
//!
//! A pair is written whole or not at all, so after an error the packet is still well formed and
//! the caller may drop the pair or give up. The size is patched in by [`PacketWriter::finish`];
//! a packet that was never finished announces an empty dictionary.

use crate::dict::LENGTH_BYTES;
use crate::header::{BODY_BYTES_MAX, HEADER_BYTES, Header};

/// Memory a packet is appended to.
pub trait PacketSink {
    /// Bytes written so far, the packet's and those before it.
    fn written(&self) -> usize;
    /// Whether `extra` more bytes can be taken.
    fn has_room(&self, extra: usize) -> bool;
    /// Appends bytes. Only called after [`PacketSink::has_room`] allowed them.
    fn append(&mut self, bytes: &[u8]);
    /// Overwrites bytes that were appended before.
    fn patch(&mut self, at: usize, bytes: &[u8]);
}

impl PacketSink for Vec<u8> {
    fn written(&self) -> usize {
        self.len()
    }

    fn has_room(&self, _extra: usize) -> bool {
        true
    }

    // A length of two bytes is then a store and not a copy.
    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        self[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// A sink over a fixed buffer: never allocates, refuses what does not fit.
#[derive(Debug)]
pub struct SliceSink<'b> {
    buffer: &'b mut [u8],
    written: usize,
}

impl<'b> SliceSink<'b> {
    /// Starts at the first byte of `buffer`.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, written: 0 }
    }

    /// What has been written, from the first byte of the buffer on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.written]
    }
}

impl PacketSink for SliceSink<'_> {
    fn written(&self) -> usize {
        self.written
    }

    fn has_room(&self, extra: usize) -> bool {
        self.buffer.len() - self.written >= extra
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.written + bytes.len();
        self.buffer[self.written..end].copy_from_slice(bytes);
        self.written = end;
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.buffer[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The key of a pair as it stands in a packet, its length before it: what is always sent is put together when
/// the program is compiled.
#[derive(Clone, Copy, Debug)]
pub struct WireKey {
    bytes: [u8; LENGTH_BYTES + WIRE_KEY_BYTES_MAX],
    length: usize,
}

impl WireKey {
    /// The key `name`, of 1 to 30 bytes; others do not compile where this is a constant.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        let (from, mut bytes) = (name.as_bytes(), [0; LENGTH_BYTES + WIRE_KEY_BYTES_MAX]);
        assert!(!from.is_empty() && from.len() <= WIRE_KEY_BYTES_MAX, "1 to 30 bytes");
        bytes[0] = from.len() as u8;
        let mut at = 0;
        while at < from.len() {
            bytes[LENGTH_BYTES + at] = from[at];
            at += 1;
        }
        Self { bytes, length: LENGTH_BYTES + from.len() }
    }
}

/// Writes one packet: start, pairs, finish.
#[derive(Debug)]
pub struct PacketWriter<'s, S: PacketSink = Vec<u8>> {
    sink: &'s mut S,
    start: usize,
    modifier1: u8,
    modifier2: u8,
}

impl<'s, S: PacketSink> PacketWriter<'s, S> {
    /// Appends a header to `sink`; what `sink` holds already is left alone.
    ///
    /// # Errors
    /// [`EncodeError::NoRoom`] if the sink cannot take four bytes.
    pub fn start(sink: &'s mut S, modifier1: u8, modifier2: u8) -> Result<Self, EncodeError> {
        if !sink.has_room(HEADER_BYTES) {
            return Err(EncodeError::NoRoom);
        }
        let start = sink.written();
        sink.append(&Header { modifier1, body_bytes: 0, modifier2 }.encode());
        Ok(Self { sink, start, modifier1, modifier2 })
    }

    /// Appends one pair.
    ///
    /// # Errors
    /// [`EncodeError::EmptyKey`], [`EncodeError::BodyTooLong`] if the dictionary would pass 65,535
    /// bytes, [`EncodeError::NoRoom`] if the sink is full. Nothing is written on an error.
    pub fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        self.admit(key.len(), value.len())?;
        self.append_string(key);
        self.append_string(value);
        Ok(())
    }

    /// Appends one pair whose key is known beforehand.
    ///
    /// # Errors
    /// As [`PacketWriter::pair`], but for the empty key.
    pub fn pair_of(&mut self, key: &WireKey, value: &[u8]) -> Result<(), EncodeError> {
        self.admit(key.length - LENGTH_BYTES, value.len())?;
        self.sink.append(&key.bytes[..key.length]);
        self.append_string(value);
        Ok(())
    }

    /// Appends one pair whose key is `prefix` followed by each byte of `name` put through `map`.
    ///
    /// Lets a CGI name (`HTTP_X_FOO` from `x-foo`) be written without a buffer of its own.
    ///
    /// # Errors
    /// As [`PacketWriter::pair`].
    pub fn pair_mapped(
        &mut self,
        prefix: &[u8],
        name: &[u8],
        map: impl Fn(u8) -> u8,
        value: &[u8],
    ) -> Result<(), EncodeError> {
        let key_bytes = prefix.len() + name.len();
        self.admit(key_bytes, value.len())?;
        self.sink.append(&length(key_bytes));
        self.sink.append(prefix);
        // A short stack buffer turns many one-byte appends into few.
        for part in name.chunks(MAPPED_CHUNK_BYTES) {
            let mut mapped = [0; MAPPED_CHUNK_BYTES];
            for (to, from) in mapped.iter_mut().zip(part) {
                *to = map(*from);
            }
            self.sink.append(&mapped[..part.len()]);
        }
        self.append_string(value);
        Ok(())
    }

    /// Bytes of the dictionary so far.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.sink.written() - self.start - HEADER_BYTES
    }

    /// Writes the size into the header and returns the packet's length, header included.
    pub fn finish(self) -> usize {
        let body_bytes = u16::try_from(self.body_bytes()).expect("`admit` bounds the dictionary");
        let header = Header { modifier1: self.modifier1, body_bytes, modifier2: self.modifier2 };
        self.sink.patch(self.start, &header.encode());
        HEADER_BYTES + usize::from(body_bytes)
    }

    fn admit(&self, key_bytes: usize, value_bytes: usize) -> Result<(), EncodeError> {
        if key_bytes == 0 {
            return Err(EncodeError::EmptyKey);
        }
        let pair_bytes = key_bytes.saturating_add(value_bytes).saturating_add(2 * LENGTH_BYTES);
        if pair_bytes > BODY_BYTES_MAX - self.body_bytes() {
            return Err(EncodeError::BodyTooLong);
        }
        if !self.sink.has_room(pair_bytes) {
            return Err(EncodeError::NoRoom);
        }
        Ok(())
    }

    fn append_string(&mut self, string: &[u8]) {
        self.sink.append(&length(string.len()));
        self.sink.append(string);
    }
}

impl PacketWriter<'_, Vec<u8>> {
    /// The dictionary so far, in wire form: what a signature is made over.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.sink[self.start + HEADER_BYTES..]
    }
}

fn length(bytes: usize) -> [u8; LENGTH_BYTES] {
    u16::try_from(bytes).expect("`admit` bounds every string").to_le_bytes()
}

/// Why a packet could not take a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// A pair needs a name.
    #[error("the key of a pair is empty")]
    EmptyKey,
    /// The header's 16 bits cannot announce this dictionary.
    #[error("the dictionary would pass 65535 bytes")]
    BodyTooLong,
    /// The caller's buffer is full.
    #[error("the buffer has no room for the pair")]
    NoRoom,
}

const MAPPED_CHUNK_BYTES: usize = 64;
const WIRE_KEY_BYTES_MAX: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Packet, Pairs};

    #[test]
    fn packet_is_appended_behind_what_the_buffer_holds() {
        let mut buffer = b"before".to_vec();
        let mut writer = PacketWriter::start(&mut buffer, 224, 1).unwrap();
        writer.pair(b"key", b"example.com").unwrap();
        writer.pair(b"load", b"").unwrap();
        assert_eq!(writer.body(), b"\x03\0key\x0b\0example.com\x04\0load\0\0");
        assert_eq!(writer.finish(), 30);
        assert_eq!(&buffer[..6], b"before");
        let packet = Packet::whole(&buffer[6..]).unwrap();
        assert_eq!((packet.header.modifier1, packet.header.modifier2), (224, 1));
        let pairs: Vec<_> = packet.pairs().map(|pair| pair.unwrap().value).collect();
        assert_eq!(pairs, [b"example.com".as_slice(), b""]);
    }

    #[test]
    fn dictionary_ends_at_65535_bytes() {
        let mut buffer = Vec::new();
        let mut writer = PacketWriter::start(&mut buffer, 0, 0).unwrap();
        let value = vec![b'x'; BODY_BYTES_MAX - 5];
        writer.pair(b"k", &value).unwrap();
        assert_eq!(writer.pair(b"k", b""), Err(EncodeError::BodyTooLong));
        assert_eq!(writer.finish(), 4 + BODY_BYTES_MAX);
        assert_eq!(Packet::whole(&buffer).unwrap().pairs().count(), 1);

        let mut writer = PacketWriter::start(&mut buffer, 0, 0).unwrap();
        let value = vec![b'x'; BODY_BYTES_MAX];
        assert_eq!(writer.pair(b"k", &value), Err(EncodeError::BodyTooLong));
        assert_eq!(writer.pair(b"", b"v"), Err(EncodeError::EmptyKey));
        assert_eq!(writer.body_bytes(), 0);
    }

    #[test]
    fn full_slice_refuses_the_pair_and_stays_well_formed() {
        let mut memory = [0; 14];
        let mut sink = SliceSink::new(&mut memory);
        let mut writer = PacketWriter::start(&mut sink, 0, 0).unwrap();
        writer.pair(b"a", b"b").unwrap();
        assert_eq!(writer.pair(b"a", b"b"), Err(EncodeError::NoRoom));
        assert_eq!(writer.finish(), 10);
        assert_eq!(sink.as_bytes(), b"\0\x06\0\0\x01\0a\x01\0b");
        let mut tiny = [0; 3];
        let mut sink = SliceSink::new(&mut tiny);
        assert!(matches!(PacketWriter::start(&mut sink, 0, 0), Err(EncodeError::NoRoom)));
    }

    #[test]
    fn key_known_beforehand_is_written_as_any_other() {
        const LONGEST: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_123";
        let (mut buffer, mut known) = (Vec::new(), Vec::new());
        let mut writer = PacketWriter::start(&mut buffer, 0, 0).unwrap();
        let mut other = PacketWriter::start(&mut known, 0, 0).unwrap();
        for (key, name) in [(WireKey::new("K"), "K"), (WireKey::new(LONGEST), LONGEST)] {
            writer.pair(name.as_bytes(), b"value").unwrap();
            other.pair_of(&key, b"value").unwrap();
        }
        let rest = vec![b'x'; BODY_BYTES_MAX];
        assert_eq!(other.pair_of(&WireKey::new("K"), &rest), Err(EncodeError::BodyTooLong));
        assert_eq!(writer.finish(), other.finish());
        assert_eq!(buffer, known);
    }

    #[test]
    fn mapped_key_is_prefix_and_translated_name() {
        let cgi = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() };
        let name = b"x-".repeat(100);
        let mut buffer = Vec::new();
        let mut writer = PacketWriter::start(&mut buffer, 0, 0).unwrap();
        writer.pair_mapped(b"HTTP_", b"x-foo", cgi, b"1").unwrap();
        writer.pair_mapped(b"HTTP_", &name, cgi, b"2").unwrap();
        writer.finish();
        let keys: Vec<_> = Pairs::new(&buffer[4..]).map(|pair| pair.unwrap().key).collect();
        assert_eq!(keys[0], b"HTTP_X_FOO");
        assert_eq!(keys[1], [b"HTTP_".as_slice(), &b"X_".repeat(100)].concat());
    }
}
