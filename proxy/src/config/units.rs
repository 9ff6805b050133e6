//! Durations and sizes as people write them: `10s`, `500ms`, `64KiB`.
//!
//! A bare number is seconds or bytes. Fractions and signs are refused: a limit should read the
//! same to everybody.

use std::time::Duration;

/// Reads `250ms`, `10s`, `5m`, `1h` or a bare number of seconds.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (count, unit) = split(text)?;
    match unit {
        "ms" => Some(Duration::from_millis(count)),
        "" | "s" => Some(Duration::from_secs(count)),
        "m" | "min" => count.checked_mul(60).map(Duration::from_secs),
        "h" => count.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// Reads `64KiB`, `10MB`, `1GiB` or a bare number of bytes.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let (count, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" | "k" | "K" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" | "M" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" | "G" => 1 << 30,
        "TiB" | "T" => 1 << 40,
        _ => return None,
    };
    count.checked_mul(factor)
}

/// Writes a duration so that [`duration`] reads it back.
#[must_use]
pub fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    Some((count.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit_or_are_seconds() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("17"), Some(Duration::from_secs(17)));
        assert_eq!(duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn what_is_no_duration_or_size_is_refused() {
        for text in ["", "s", "-1s", "1.5s", "1 day", "99999999999999999999s", "0x10"] {
            assert_eq!(duration(text), None, "{text}");
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(bytes("99999999999TiB"), None);
    }

    #[test]
    fn sizes_know_both_kinds_of_kilo() {
        assert_eq!(bytes("64KiB"), Some(65_536));
        assert_eq!(bytes("64kB"), Some(64_000));
        assert_eq!(bytes("1GiB"), Some(1 << 30));
        assert_eq!(bytes("0"), Some(0));
    }
}
