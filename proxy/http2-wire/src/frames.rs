//! Walks the frame heads of one direction of a connection, however the bytes are cut.
//!
//! Looks at nothing but the nine octets before each payload (RFC 9113 4.1) and copies none of the
//! payload. Whether a frame is legal is the codec's business.

/// Octets a client sends before its first frame (RFC 9113 3.4).
const CLIENT_PREFACE_BYTES: u32 = 24;
/// Octets of a frame head.
const HEAD_BYTES: usize = 9;

/// What a frame is (RFC 9113 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum FrameKind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// A kind the RFC does not define, which recipients ignore.
    Unknown,
}

impl FrameKind {
    const fn of(octet: u8) -> Self {
        match octet {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameHead {
    /// Octets of the payload.
    pub length: u32,
    /// What it is.
    pub kind: FrameKind,
    /// Its flags, as sent.
    pub flags: u8,
    /// The stream it belongs to; 0 is the connection.
    pub stream: u32,
}

impl FrameHead {
    /// Whether the stream ends with this frame (HEADERS and DATA).
    pub const fn ends_stream(&self) -> bool {
        self.flags & 0x1 != 0
    }

    /// Whether this only acknowledges (SETTINGS and PING).
    pub const fn is_ack(&self) -> bool {
        self.flags & 0x1 != 0
    }

    fn of(octets: &[u8; HEAD_BYTES]) -> Self {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = *octets;
        Self {
            length: u32::from_be_bytes([0, l1, l2, l3]),
            kind: FrameKind::of(kind),
            flags,
            stream: u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]),
        }
    }
}

/// Where in one direction of a connection the walk is.
#[derive(Clone, Debug)]
pub struct FrameWalk {
    head: [u8; HEAD_BYTES],
    have: usize,
    /// Octets to pass over before the next head.
    skip: u32,
}

impl FrameWalk {
    /// The direction from a client, which begins with the preface.
    pub const fn from_client() -> Self {
        Self { head: [0; HEAD_BYTES], have: 0, skip: CLIENT_PREFACE_BYTES }
    }

    /// The direction from a server.
    pub const fn from_server() -> Self {
        Self { head: [0; HEAD_BYTES], have: 0, skip: 0 }
    }

    /// The next frame whose head is complete with `input`, of which what was walked is taken away.
    /// `None`: all of `input` was walked.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<FrameHead> {
        let skipped = input.len().min(self.skip as usize);
        *input = &input[skipped..];
        self.skip -= skipped as u32;
        let taken = input.len().min(HEAD_BYTES - self.have);
        let (octets, rest) = input.split_at(taken);
        self.head[self.have..self.have + taken].copy_from_slice(octets);
        self.have += taken;
        *input = rest;
        if self.have < HEAD_BYTES {
            return None;
        }
        let head = FrameHead::of(&self.head);
        self.have = 0;
        self.skip = head.length;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    #[test]
    fn frames_are_found_wherever_the_bytes_are_cut() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&[0, 0, 3, 0, 1, 0x80, 0, 0, 5, 9, 9, 9]);
        bytes.extend_from_slice(&[0, 0, 4, 3, 0, 0, 0, 0, 7, 0, 0, 0, 8]);
        let walk = |pieces: &[&[u8]]| {
            let mut walk = FrameWalk::from_client();
            let mut found = Vec::new();
            for piece in pieces {
                let mut input = *piece;
                while let Some(head) = walk.next(&mut input) {
                    found.push((head.kind, head.length, head.stream));
                }
            }
            found
        };
        let whole = walk(&[&bytes]);
        let expected =
            [(FrameKind::Settings, 0, 0), (FrameKind::Data, 3, 5), (FrameKind::RstStream, 4, 7)];
        assert_eq!(whole, expected);
        for cut in 0..bytes.len() {
            assert_eq!(walk(&[&bytes[..cut], &bytes[cut..]]), expected, "cut at {cut}");
        }
    }
}
