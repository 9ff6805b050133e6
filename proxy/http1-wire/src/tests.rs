//! Shared test tools, and the properties no single module can state.

/// A small seeded generator (xorshift64*): tests are replayable and need no crate.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub(crate) fn octet(&mut self) -> u8 {
        self.below(256) as u8
    }

    /// An octet that framing or a head is made of, or one that breaks it.
    pub(crate) fn framing_octet(&mut self) -> u8 {
        const OCTETS: &[u8] = b"\r\n\0\t :;,_0189afAF/?#%-.\x7f\xff";
        OCTETS[self.below(OCTETS.len())]
    }
}

/// The bytes of a testdata line, where `\r`, `\n`, `\t`, `\\` and `\xNN` are escapes.
pub(crate) fn unescape_line(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = line.chars();
    while let Some(letter) = chars.next() {
        match letter {
            '\\' => match chars.next().expect("an escape has a letter") {
                'r' => bytes.push(b'\r'),
                'n' => bytes.push(b'\n'),
                't' => bytes.push(b'\t'),
                '\\' => bytes.push(b'\\'),
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
                }
                other => panic!("unknown escape \\{other}"),
            },
            _ => bytes.push(u8::try_from(letter).expect("testdata is ASCII")),
        }
    }
    bytes
}
