//! The upstream's side of a WebSocket: small messages go back as they came.
//!
//! It knows one key, the one of RFC 6455 section 1.3 that the load generator sends, and frames of up to
//! 125 bytes.

/// The answer to that key.
pub const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Whether a complete request asks for a WebSocket.
pub fn is_handshake(request: &[u8]) -> bool {
    let field = b"\r\nupgrade: websocket\r\n";
    // Plain requests are short of it at their first byte, mostly.
    request.windows(field.len()).any(|window| window.eq_ignore_ascii_case(field))
}

/// Takes the complete frames from the start of `received` and answers each; `None` without any.
pub fn echo(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    let mut taken = 0;
    while let Some((frame, payload)) = received.get(taken..).and_then(split_frame) {
        answer.extend_from_slice(&[frame[0], payload.len() as u8]);
        let mask = &frame[2..6];
        answer.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        taken += frame.len();
    }
    received.drain(..taken);
    (!answer.is_empty()).then_some(answer)
}

/// A masked frame and its payload.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(bytes.get(1)? & 0x7f);
    debug_assert!(length <= 125, "the load generator sends small frames");
    let frame = bytes.get(..6 + length)?;
    Some((frame, &frame[6..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_unmasked_once_they_are_complete() {
        let frame = b"\x81\x82\x01\x02\x03\x04\x60\x60";
        for cut in 0..frame.len() {
            let mut received = frame[..cut].to_vec();
            assert_eq!(echo(&mut received), None, "{cut}");
            assert_eq!(received, frame[..cut]);
        }
        let mut received = [&frame[..], &frame[..3]].concat();
        assert_eq!(echo(&mut received).as_deref(), Some(&b"\x81\x02ab"[..]));
        assert_eq!(received, frame[..3]);
    }
}
