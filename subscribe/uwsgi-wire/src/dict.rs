//! Decoding of uwsgi dictionaries: the body of every uwsgi packet.
//!
//! A dictionary is a run of `key`/`value` strings, each with a two-byte little-endian length
//! before it. Decoding borrows from the caller's buffer and never allocates. Order and duplicate
//! keys are preserved, because the meaning of a duplicate belongs to the caller. The first
//! malformed pair ends the walk with an error: what was read before it is not a shorter valid
//! dictionary (uWSGI keeps it and goes on, so a cut packet still takes effect there).

/// Bytes a string costs on the wire besides itself.
pub const LENGTH_BYTES: usize = 2;

/// One pair, borrowed from the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pair<'a> {
    /// Name of the pair; at least one byte, compared exactly.
    pub key: &'a [u8],
    /// Value of the pair; may be empty.
    pub value: &'a [u8],
    /// Offset of the pair's first length byte in the dictionary.
    pub offset: usize,
}

/// Walks the pairs of a dictionary in wire order.
///
/// Yields every well-formed pair, then either ends or yields one error and ends.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Pairs<'a> {
    /// Starts at the first byte of a dictionary (that is, behind the packet's header).
    #[must_use]
    pub const fn new(dictionary: &'a [u8]) -> Self {
        Self { rest: dictionary, offset: 0 }
    }

    /// What has not been walked yet, in wire form.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take_pair(&mut self) -> Result<Pair<'a>, DictError> {
        let offset = self.offset;
        let key = self.take_string()?;
        if key.is_empty() {
            return Err(DictError::EmptyKey);
        }
        let value = self.take_string()?;
        Ok(Pair { key, value, offset })
    }

    fn take_string(&mut self) -> Result<&'a [u8], DictError> {
        let (len, rest) = self.rest.split_first_chunk().ok_or(DictError::CutLength)?;
        let len = usize::from(u16::from_le_bytes(*len));
        let (string, rest) = rest.split_at_checked(len).ok_or(DictError::CutString { len })?;
        self.rest = rest;
        self.offset += LENGTH_BYTES + len;
        Ok(string)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, DictError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.take_pair();
        if pair.is_err() {
            self.rest = &[];
        }
        Some(pair)
    }
}

impl std::iter::FusedIterator for Pairs<'_> {}

/// Why a dictionary could not be walked to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DictError {
    /// Fewer than two bytes were left where a length was due.
    #[error("dictionary ends inside a length")]
    CutLength,
    /// A length promised more bytes than the packet holds.
    #[error("dictionary ends inside a string of {len} bytes")]
    CutString {
        /// The promised length, in bytes.
        len: usize,
    },
    /// A pair had no name.
    #[error("dictionary holds a pair with an empty key")]
    EmptyKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    type KeyValue<'a> = (&'a [u8], &'a [u8]);

    fn walk(bytes: &[u8]) -> Result<Vec<KeyValue<'_>>, DictError> {
        Pairs::new(bytes).map(|pair| pair.map(|pair| (pair.key, pair.value))).collect()
    }

    #[test]
    fn order_and_duplicates_are_preserved() {
        let bytes = b"\x01\0b\x01\x001\x01\0a\0\0\x01\0b\x01\x002";
        let pairs: [KeyValue<'_>; 3] = [(b"b", b"1"), (b"a", b""), (b"b", b"2")];
        assert_eq!(walk(bytes).unwrap(), pairs);
        let offsets: Vec<_> = Pairs::new(bytes).map(|pair| pair.unwrap().offset).collect();
        assert_eq!(offsets, [0, 6, 11]);
    }

    #[test]
    fn every_cut_inside_a_pair_is_an_error() {
        let bytes = b"\x03\0key\x05\0value";
        assert!(walk(b"").unwrap().is_empty());
        for end in 1..bytes.len() {
            assert!(walk(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(walk(bytes).unwrap().len(), 1);
    }

    #[test]
    fn an_error_ends_the_walk() {
        let mut pairs = Pairs::new(b"\0\0\x01\0v\x01\0k\x01\0v");
        assert_eq!(pairs.next(), Some(Err(DictError::EmptyKey)));
        assert_eq!(pairs.next(), None);
        assert_eq!(walk(b"\x05"), Err(DictError::CutLength));
        assert_eq!(walk(b"\x05\0ab"), Err(DictError::CutString { len: 5 }));
    }
}
