//! The ClientHello out of the records it came in, however they and the segments were cut.
//!
//! Bytes that were looked at are not looked at again, so a client that sends one at a time costs no
//! more than one that does not.

use crate::{
    client_hello::{ClientHello, HelloError, parse_body},
    limits::{HELLO_BYTES_MAX, RECEIVED_BYTES_MAX, RECORD_BYTES_MAX},
};

/// Type of a record with a handshake in it (5.1).
const HANDSHAKE: u8 = 22;
/// Type, version and length.
const RECORD_HEAD_BYTES: usize = 5;
/// Type of a ClientHello (4).
const CLIENT_HELLO: u8 = 1;
/// Type and length of a message.
const MESSAGE_HEAD_BYTES: usize = 4;

/// Collects one ClientHello.
#[derive(Clone, Debug, Default)]
pub struct HelloReader {
    /// Bytes received that were looked at.
    read: usize,
    /// Of the record under way: bytes still to come.
    record_left: usize,
    /// The message without the heads of its records.
    message: Vec<u8>,
}

/// How far the message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Read<'a> {
    /// More bytes are needed.
    Partial,
    /// It is complete.
    Complete(ClientHello<'a>),
}

impl HelloReader {
    /// Looks at all that was received so far, from the first byte of the connection on.
    ///
    /// Any split of the input gives the same result, and nothing behind the record that ends the
    /// message is looked at.
    ///
    /// # Errors
    /// [`HelloError`], as soon as the bytes can no longer become a ClientHello.
    pub fn advance(&mut self, received: &[u8]) -> Result<Read<'_>, HelloError> {
        loop {
            let mut rest = received.get(self.read..).unwrap_or_default();
            if self.record_left == 0 {
                let Some(length) = self.record_head(rest)? else { return Ok(Read::Partial) };
                self.read += RECORD_HEAD_BYTES;
                if self.read + length > RECEIVED_BYTES_MAX {
                    return Err(HelloError::Long);
                }
                self.record_left = length;
                rest = rest.get(RECORD_HEAD_BYTES..).unwrap_or_default();
            }
            let here = rest.len().min(self.record_left);
            self.message.extend_from_slice(rest.get(..here).unwrap_or_default());
            self.read += here;
            self.record_left -= here;
            if let Some(length) = self.message_bytes()? {
                // What the record still owes belongs to the message too, or is too much.
                if self.message.len() + self.record_left > length {
                    return Err(HelloError::Excess);
                }
                if self.message.len() == length {
                    let body = self.message.get(MESSAGE_HEAD_BYTES..).unwrap_or_default();
                    return parse_body(body).map(Read::Complete);
                }
            }
            if self.record_left > 0 {
                return Ok(Read::Partial);
            }
        }
    }

    /// The length of the record that begins here; `None`: not all of its head is there.
    fn record_head(&self, rest: &[u8]) -> Result<Option<usize>, HelloError> {
        let is_first = self.read == 0;
        match rest.first() {
            Some(&HANDSHAKE) | None => {}
            Some(_) if is_first => return Err(HelloError::NotTls),
            Some(&kind) => return Err(HelloError::Interrupted(kind)),
        }
        match rest.get(1) {
            Some(3) | None => {}
            Some(_) if is_first => return Err(HelloError::NotTls),
            Some(_) => return Err(HelloError::Version),
        }
        let Some(&[.., high, low]) = rest.first_chunk::<RECORD_HEAD_BYTES>() else {
            return Ok(None);
        };
        let length = u16::from_be_bytes([high, low]);
        match usize::from(length) {
            0 => Err(HelloError::EmptyRecord),
            bytes if bytes > RECORD_BYTES_MAX => Err(HelloError::LongRecord(length)),
            bytes => Ok(Some(bytes)),
        }
    }

    /// The length of the message with its head, if that is there.
    fn message_bytes(&self) -> Result<Option<usize>, HelloError> {
        match self.message.first() {
            Some(&CLIENT_HELLO) | None => {}
            Some(&kind) => return Err(HelloError::NoHello(kind)),
        }
        let Some(&[_, high, middle, low]) = self.message.first_chunk::<MESSAGE_HEAD_BYTES>() else {
            return Ok(None);
        };
        let body = u32::from_be_bytes([0, high, middle, low]) as usize;
        if MESSAGE_HEAD_BYTES + body > HELLO_BYTES_MAX {
            return Err(HelloError::Long);
        }
        Ok(Some(MESSAGE_HEAD_BYTES + body))
    }
}
