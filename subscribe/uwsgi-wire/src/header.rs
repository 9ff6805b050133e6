//! The four bytes before every dictionary, and the split of a packet into header and dictionary.
//!
//! Two readings are offered because two kinds of caller exist: a stream reads four bytes, learns
//! the length and reads on ([`Header::decode`]); a datagram is there as a whole and must be exactly
//! as long as it says ([`Packet::whole`]).

/// Bytes of a uwsgi header.
pub const HEADER_BYTES: usize = 4;

/// Longest dictionary a header can announce, in bytes.
pub const BODY_BYTES_MAX: usize = u16::MAX as usize;

/// The decoded header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// What kind of packet this is; see [`crate::modifier`].
    pub modifier1: u8,
    /// Length of the dictionary that follows, in bytes.
    pub body_bytes: u16,
    /// An argument of `modifier1`: in a subscription the command.
    pub modifier2: u8,
}

impl Header {
    /// Reads a header. Every four bytes are one, so this cannot fail.
    #[must_use]
    pub const fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [modifier1, low, high, modifier2] = *bytes;
        Self { modifier1, body_bytes: u16::from_le_bytes([low, high]), modifier2 }
    }

    /// The four bytes of this header.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER_BYTES] {
        let [low, high] = self.body_bytes.to_le_bytes();
        [self.modifier1, low, high, self.modifier2]
    }
}

/// A complete packet, borrowed: header and the dictionary's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// The decoded header.
    pub header: Header,
    /// The dictionary in wire form, exactly `header.body_bytes` long.
    pub body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads bytes that must be one packet and nothing else, as a datagram is.
    ///
    /// # Errors
    /// [`PacketError::CutHeader`] below four bytes, [`PacketError::LengthMismatch`] if the header
    /// announces more or fewer bytes than follow it.
    pub fn whole(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (header, body) = bytes.split_first_chunk().ok_or(PacketError::CutHeader)?;
        let header = Header::decode(header);
        if usize::from(header.body_bytes) != body.len() {
            let announced = header.body_bytes;
            return Err(PacketError::LengthMismatch { announced, found: body.len() });
        }
        Ok(Self { header, body })
    }

    /// The pairs of the dictionary, in wire order.
    #[must_use]
    pub const fn pairs(&self) -> crate::Pairs<'a> {
        crate::Pairs::new(self.body)
    }
}

/// Why bytes are not one packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PacketError {
    /// Fewer bytes than a header has.
    #[error("packet is shorter than its header")]
    CutHeader,
    /// The announced length is not the real one.
    #[error("header announces a dictionary of {announced} bytes, {found} follow")]
    LengthMismatch {
        /// Dictionary length in the header, in bytes.
        announced: u16,
        /// Bytes after the header.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_encode_and_decode() {
        let header = Header { modifier1: 224, body_bytes: 0x0166, modifier2: 1 };
        assert_eq!(header.encode(), [0xe0, 0x66, 0x01, 0x01]);
        assert_eq!(Header::decode(&header.encode()), header);
    }

    #[test]
    fn packet_must_be_as_long_as_it_says() {
        assert_eq!(Packet::whole(&[224, 0, 0]), Err(PacketError::CutHeader));
        let short = PacketError::LengthMismatch { announced: 2, found: 1 };
        assert_eq!(Packet::whole(&[224, 2, 0, 0, b'x']), Err(short));
        let long = PacketError::LengthMismatch { announced: 0, found: 1 };
        assert_eq!(Packet::whole(&[224, 0, 0, 0, b'x']), Err(long));
        assert_eq!(Packet::whole(&[224, 0, 0, 7]).unwrap().header.modifier2, 7);
    }
}
