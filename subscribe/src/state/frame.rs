//! The frames of a state: a length, a checksum, and so many bytes.
//!
//! The checksum finds damage, it proves nothing: a state is believed because of where it comes from.

use super::StateError;

/// Longest frame. The longest record is that of a certificate, which came in one datagram.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Length and checksum.
pub const HEADER_BYTES: usize = 8;

const _: () = assert!(crate::limits::DATAGRAM_BYTES_MAX * 2 < FRAME_BYTES_MAX);

/// Appends one frame.
pub fn push(out: &mut Vec<u8>, body: &[u8]) {
    debug_assert!(body.len() <= FRAME_BYTES_MAX, "records are short");
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    out.extend_from_slice(body);
}

/// Takes the next frame off the front; nothing at the end.
///
/// # Errors
/// [`StateError::Cut`] if the bytes end inside of it, [`StateError::Long`],
/// [`StateError::Damaged`]. Nothing is taken then.
pub fn take<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, StateError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (header, after) = rest.split_first_chunk::<HEADER_BYTES>().ok_or(StateError::Cut)?;
    let [a, b, c, d, crc @ ..] = *header;
    let bytes = u32::from_le_bytes([a, b, c, d]) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(StateError::Long { bytes });
    }
    let (body, after) = after.split_at_checked(bytes).ok_or(StateError::Cut)?;
    if crc32fast::hash(body) != u32::from_le_bytes(crc) {
        return Err(StateError::Damaged);
    }
    *rest = after;
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_every_cut_and_every_flipped_bit_is_found() {
        let mut bytes = Vec::new();
        push(&mut bytes, b"");
        push(&mut bytes, b"record");
        let read = |mut rest: &[u8]| {
            let mut bodies = Vec::new();
            while let Some(body) = take(&mut rest)? {
                bodies.push(body.to_vec());
            }
            Ok::<_, StateError>(bodies)
        };
        assert_eq!(read(&bytes), Ok(vec![b"".to_vec(), b"record".to_vec()]));
        for end in (1..bytes.len()).filter(|&end| end != HEADER_BYTES) {
            assert_eq!(read(&bytes[..end]), Err(StateError::Cut), "{end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed).is_err(), "bit {bit}");
        }
    }
}
