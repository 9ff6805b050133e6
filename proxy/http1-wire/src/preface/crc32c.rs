//! The checksum of a version 2 preface: CRC32c (RFC 4960 appendix B) with its own field as zeros.

/// The Castagnoli polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { (rest >> 1) ^ POLYNOMIAL } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

/// The checksum of `preface`, whose own four bytes lie at `field`.
pub fn of_preface(preface: &[u8], field: usize) -> u32 {
    let (before, rest) = preface.split_at(field);
    let after = &rest[4..];
    !after.iter().fold(before.iter().chain(&[0; 4]).fold(!0, step), step)
}

fn step(state: u32, byte: &u8) -> u32 {
    TABLE[((state ^ u32::from(*byte)) & 0xff) as usize] ^ (state >> 8)
}

#[cfg(test)]
mod tests {
    /// The check value of CRC-32C: "123456789" gives e3069283. Four zeros are appended here, since
    /// the field is part of what is summed.
    #[test]
    fn checksum_is_castagnoli() {
        let state = b"123456789".iter().fold(!0, super::step);
        assert_eq!(!state, 0xe306_9283);
        let with_field = b"123456789\0\0\0\0".iter().fold(!0, super::step);
        assert_eq!(super::of_preface(b"123456789abcd", 9), !with_field);
    }
}
