//! Decimal numbers without the formatting machinery.

const DIGITS_MAX: usize = 20;

/// Appends `number`.
pub(crate) fn write(mut number: u64, out: &mut Vec<u8>) {
    let mut text = [0u8; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    loop {
        start -= 1;
        text[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[start..]);
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_written_as_the_formatter_writes_them() {
        for number in [0, 7, 10, 99, 100, 65_535, 9_999_999_999, i64::MAX as u64, u64::MAX] {
            let mut out = b"x".to_vec();
            super::write(number, &mut out);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }
}
