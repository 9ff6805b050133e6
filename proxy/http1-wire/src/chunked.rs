//! Incremental scanner of chunked bodies: finds where payload is, copies nothing.
//!
//! Called with whatever a read returned; it says how much of it was understood and which part is
//! payload. Extensions are bounded and dropped, trailers parsed strictly and pointed out: which of
//! them may travel on is for `trailers` to say. Cutting the input differently never
//! changes what is payload nor whether it is refused.

use std::ops::Range;

use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, LENGTH_MAX,
    TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
};
use crate::octets::{is_field_value, is_token};
use crate::target::hex;

/// What one call of [`ChunkScanner::next`] understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChunkStep {
    /// Bytes of the input that are dealt with. The next input begins after them.
    pub consumed: usize,
    /// The part of the consumed bytes that is payload; may be empty.
    pub data: Range<usize>,
    /// The part of the consumed bytes that belongs to lines of trailers; may be empty. Put together,
    /// these parts are whole lines once the body has ended.
    pub trailer: Range<usize>,
    /// Whether the body goes on.
    pub state: ChunkState,
}

/// Whether a chunked body goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChunkState {
    /// More is to come: of the input if it was not all consumed, else of the connection.
    More,
    /// The body ended, trailers included. What was not consumed belongs to the next message.
    End,
}

/// Walks one chunked body.
#[derive(Clone, Debug)]
pub struct ChunkScanner {
    at: At,
    /// Payload bytes of this chunk still to come; while its size is read, the size so far.
    left: u64,
    /// Digits of the size read so far.
    digits: usize,
    line_bytes: usize,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    FinalLf,
    End,
}

impl ChunkScanner {
    /// A scanner before the first chunk line.
    pub const fn new() -> Self {
        Self {
            at: At::Size,
            left: 0,
            digits: 0,
            line_bytes: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
        }
    }

    /// Understands the start of `input`: framing, at most one run of payload, framing after it.
    ///
    /// Consumes at least one byte unless `input` is empty or the body has ended. Call it until
    /// the input is consumed or the state is [`ChunkState::End`].
    ///
    /// # Errors
    /// The body is malformed from here on; no byte of this input counts, and every further call
    /// errs or is meaningless.
    pub fn next(&mut self, input: &[u8]) -> Result<ChunkStep, ChunkError> {
        let mut at = 0;
        let (mut data, mut trailer) = (0..0, 0..0);
        while let Some(octet) = input.get(at) {
            match self.at {
                At::End => break,
                At::Data if data.is_empty() => {
                    let here = (input.len() - at) as u64;
                    let take = self.left.min(here);
                    data = at..at + take as usize;
                    at = data.end;
                    self.left -= take;
                    if self.left == 0 {
                        self.at = At::DataCr;
                    }
                }
                At::Data => break,
                _ => {
                    self.step(*octet)?;
                    at += 1;
                    if self.trailer_fields > 0 && !matches!(self.at, At::FinalLf | At::End) {
                        let start = if trailer.is_empty() { at - 1 } else { trailer.start };
                        trailer = start..at;
                    }
                }
            }
        }
        let state = if self.is_at_end() { ChunkState::End } else { ChunkState::More };
        Ok(ChunkStep { consumed: at, data, trailer, state })
    }

    /// Whether the whole body, trailers included, has been seen.
    pub fn is_at_end(&self) -> bool {
        self.at == At::End
    }

    /// One octet of framing.
    fn step(&mut self, octet: u8) -> Result<(), ChunkError> {
        self.at = match self.at {
            At::Size => self.size_octet(octet)?,
            At::Extension => self.extension_octet(octet)?,
            At::SizeLf => {
                expect_octet(octet, b'\n')?;
                (self.digits, self.line_bytes) = (0, 0);
                if self.left == 0 { At::TrailerStart } else { At::Data }
            }
            At::DataCr if octet == b'\r' => At::DataLf,
            At::DataLf if octet == b'\n' => At::Size,
            At::DataCr | At::DataLf => return Err(ChunkError::DataEnd),
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLf | At::FinalLf => {
                self.trailer_octet(octet)?
            }
            At::Data | At::End => unreachable!("payload and what follows the body are not framing"),
        };
        Ok(())
    }

    fn size_octet(&mut self, octet: u8) -> Result<At, ChunkError> {
        if let Some(digit) = hex(octet) {
            if self.digits == CHUNK_SIZE_DIGITS_MAX || self.left > LENGTH_MAX >> 4 {
                return Err(ChunkError::Size);
            }
            self.digits += 1;
            self.line_bytes += 1;
            self.left = self.left << 4 | u64::from(digit);
            return Ok(At::Size);
        }
        match octet {
            b'\r' if self.digits > 0 => Ok(At::SizeLf),
            b';' if self.digits > 0 => {
                self.line_bytes += 1;
                Ok(At::Extension)
            }
            _ => Err(ChunkError::Size),
        }
    }

    fn extension_octet(&mut self, octet: u8) -> Result<At, ChunkError> {
        match octet {
            b'\r' => Ok(At::SizeLf),
            b'\t' | b' '..=b'~' => {
                self.line_bytes += 1;
                self.extension_bytes += 1;
                let long = self.line_bytes > CHUNK_LINE_BYTES_MAX
                    || self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX;
                if long { Err(ChunkError::ExtensionTooLong) } else { Ok(At::Extension) }
            }
            b'\n' => Err(ChunkError::LineEnd),
            _ => Err(ChunkError::Extension),
        }
    }

    fn trailer_octet(&mut self, octet: u8) -> Result<At, ChunkError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ChunkError::TrailerTooLarge);
        }
        match (self.at, octet) {
            (At::TrailerStart, b'\r') => Ok(At::FinalLf),
            (At::FinalLf, b'\n') => Ok(At::End),
            (At::TrailerLf, b'\n') => Ok(At::TrailerStart),
            (At::FinalLf | At::TrailerLf, _) => Err(ChunkError::LineEnd),
            (At::TrailerStart, _) if is_trailer_name(octet) => {
                self.trailer_fields += 1;
                if self.trailer_fields > TRAILER_FIELDS_MAX {
                    return Err(ChunkError::TrailerTooLarge);
                }
                Ok(At::TrailerName)
            }
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerName, _) if is_trailer_name(octet) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if is_field_value(octet) => Ok(At::TrailerValue),
            (_, b'\n') => Err(ChunkError::LineEnd),
            _ => Err(ChunkError::Trailer),
        }
    }
}

impl Default for ChunkScanner {
    fn default() -> Self {
        Self::new()
    }
}

fn expect_octet(octet: u8, due: u8) -> Result<(), ChunkError> {
    if octet == due { Ok(()) } else { Err(ChunkError::LineEnd) }
}

const fn is_trailer_name(octet: u8) -> bool {
    is_token(octet) && octet != b'_'
}

/// Appends the line before a chunk of `bytes` payload bytes, which must not be 0.
pub fn write_chunk_size_line(bytes: u64, out: &mut Vec<u8>) {
    debug_assert!(bytes > 0, "a chunk of no bytes ends the body");
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = [0u8; CHUNK_SIZE_DIGITS_MAX];
    let mut start = line.len();
    let mut rest = bytes;
    loop {
        start -= 1;
        line[start] = DIGITS[(rest & 15) as usize];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&line[start..]);
    out.extend_from_slice(b"\r\n");
}

/// What follows the payload of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The last chunk and the empty trailer section: the end of a body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Why a chunked body was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChunkError {
    /// Not 1 to `CHUNK_SIZE_DIGITS_MAX` hex digits up to `LENGTH_MAX`, or space around them.
    #[error("a chunk size is malformed")]
    Size,
    /// A control or an octet above ASCII in a chunk extension.
    #[error("a chunk extension is malformed")]
    Extension,
    /// Extensions above `CHUNK_LINE_BYTES_MAX` or, together, `CHUNK_EXTENSION_BYTES_MAX`.
    #[error("chunk extensions are too long")]
    ExtensionTooLong,
    /// A chunk line or trailer line that does not end in CRLF.
    #[error("a line of the chunked coding does not end in CRLF")]
    LineEnd,
    /// No CRLF where the size said that the payload ends.
    #[error("a chunk does not end where its size says")]
    DataEnd,
    /// A trailer field with a malformed name, `_` in it, a control in its value, or folded.
    #[error("a trailer field is malformed")]
    Trailer,
    /// More than `TRAILER_FIELDS_MAX` fields or `TRAILER_BYTES_MAX` bytes.
    #[error("the trailer section is too large")]
    TrailerTooLarge,
}

impl ChunkError {
    /// Answer given to a client that sent it, if none was given yet; from an upstream it is a 502.
    pub const fn status(self) -> u16 {
        400
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Size => "chunk_size",
            Self::Extension => "chunk_extension",
            Self::ExtensionTooLong => "chunk_extension_too_long",
            Self::LineEnd => "chunk_line_end",
            Self::DataEnd => "chunk_data_end",
            Self::Trailer => "trailer",
            Self::TrailerTooLarge => "trailer_too_large",
        }
    }
}

#[cfg(test)]
mod tests;
