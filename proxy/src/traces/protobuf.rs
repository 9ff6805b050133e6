//! The protobuf wire format, as far as OTLP needs it: fields appended to a buffer.
//!
//! Numbers and texts of a span are written straight into the chunk that leaves, so no message is ever
//! built in memory and no generated code is needed for the five messages there are.

/// Appends a number as a varint field.
pub fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field << 3));
    varint(out, value);
}

/// Appends a `fixed64` field.
pub fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field << 3 | 1));
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `fixed32` field.
pub fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    varint(out, u64::from(field << 3 | 5));
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends bytes, or a text, as a field.
pub fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    begin_bytes(out, field, value.len());
    out.extend_from_slice(value);
}

/// Appends what stands before `length` bytes of a field.
pub fn begin_bytes(out: &mut Vec<u8>, field: u32, length: usize) {
    varint(out, u64::from(field << 3 | 2));
    varint(out, length as u64);
}

/// Appends a field that is a message, which `write` appends.
pub fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, u64::from(field << 3 | 2));
    let start = out.len();
    write(out);
    // Its length is known only now, and stands before it.
    let length = out.len() - start;
    let digits = varint_bytes(length as u64);
    out.resize(start + digits + length, 0);
    out.copy_within(start..start + length, start + digits);
    let mut prefix = [0; VARINT_BYTES_MAX];
    put_varint(&mut prefix, length as u64);
    out[start..start + digits].copy_from_slice(&prefix[..digits]);
}

/// Bytes of a field of `length` bytes with what stands before them.
pub fn field_bytes(field: u32, length: usize) -> usize {
    varint_bytes(u64::from(field << 3)) + varint_bytes(length as u64) + length
}

fn varint(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; VARINT_BYTES_MAX];
    let used = put_varint(&mut digits, value);
    out.extend_from_slice(&digits[..used]);
}

fn put_varint(digits: &mut [u8; VARINT_BYTES_MAX], mut value: u64) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        digits[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    digits[at] = value as u8;
    at + 1
}

/// Seven bits go in each byte.
fn varint_bytes(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()).div_ceil(7).max(1) as usize
}

const VARINT_BYTES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = b"before".to_vec();
        write(&mut out);
        out.split_off(6)
    }

    /// The examples of the encoding's specification (protobuf.dev/programming-guides/encoding).
    #[test]
    fn fields_are_written_as_the_specification_shows() {
        assert_eq!(written(|out| number(out, 1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(written(|out| bytes(out, 2, b"testing")), b"\x12\x07testing");
        let nested = written(|out| message(out, 3, |out| number(out, 1, 150)));
        assert_eq!(nested, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(written(|out| fixed32(out, 1, 1)), [0x0d, 1, 0, 0, 0]);
        assert_eq!(written(|out| fixed64(out, 1, 1)), [0x09, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_long_message_is_moved_behind_its_length() {
        for length in [0, 127, 128, 16_383, 16_384] {
            let text = vec![b'x'; length];
            let nested = written(|out| message(out, 16, |out| out.extend_from_slice(&text)));
            let flat = written(|out| bytes(out, 16, &text));
            assert!(nested == flat, "{length}");
            assert_eq!(flat.len(), field_bytes(16, length));
        }
        let largest = written(|out| varint(out, u64::MAX));
        assert_eq!((largest.len(), varint_bytes(u64::MAX)), (10, 10));
    }
}
