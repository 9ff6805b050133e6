//! What a client takes, by the quality values of its `Accept-Encoding` (RFC 9110 section 12.5.3).

use super::Coding;

/// A quality value in thousandths.
type Quality = u16;

/// The codings a request accepts, with their qualities.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Accepted {
    /// In the order of [`Coding::ALL`]; `None`: not named.
    named: [Option<Quality>; Coding::ALL.len()],
    /// `*`, for those not named.
    others: Option<Quality>,
    /// `identity`: no coding at all.
    identity: Option<Quality>,
}

impl Accepted {
    /// Notes one `Accept-Encoding` line. What is malformed in it is left out.
    pub fn note(&mut self, value: &[u8]) {
        for member in value.split(|byte| *byte == b',') {
            let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let Some(name) = parts.next().filter(|name| !name.is_empty()) else { continue };
            let Some(quality) = parts.next().map_or(Some(1000), weight) else { continue };
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            if is("*") {
                self.others = Some(quality);
            } else if is("identity") {
                self.identity = Some(quality);
            } else {
                // x-gzip is gzip (RFC 9110 section 8.4.1.3).
                let named = |coding: &Coding| {
                    is(coding.name()) || (*coding == Coding::Gzip && is("x-gzip"))
                };
                if let Some(at) = Coding::ALL.iter().position(named) {
                    self.named[at] = Some(quality);
                }
            }
        }
    }

    /// Whether the client takes this coding.
    #[must_use]
    pub fn takes(&self, coding: Coding) -> bool {
        self.quality(coding) > 0
    }

    /// The coding of `offered` the client likes best, the first of equals; none if it likes none, or
    /// likes the response better as it is.
    #[must_use]
    pub fn best(&self, offered: &[Coding]) -> Option<Coding> {
        let plain = self.identity.unwrap_or(0);
        let mut best: Option<(Coding, Quality)> = None;
        for coding in offered {
            let quality = self.quality(*coding);
            if quality > 0 && quality >= plain && best.is_none_or(|(_, most)| quality > most) {
                best = Some((*coding, quality));
            }
        }
        best.map(|(coding, _)| coding)
    }

    fn quality(&self, coding: Coding) -> Quality {
        self.named[coding as usize].or(self.others).unwrap_or(0)
    }
}

/// Reads `q=0.5`: at most three digits behind the point.
fn weight(text: &[u8]) -> Option<Quality> {
    let digits = match text {
        [b'q' | b'Q', b'=', digits @ ..] => digits,
        _ => return None,
    };
    let (whole, fraction) = match digits {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (whole, fraction),
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = fraction.iter().chain(b"000").take(3);
    let value = thousandths.fold(0, |sum, digit| sum * 10 + Quality::from(digit - b'0'));
    Some(Quality::from(whole - b'0') * 1000 + value).filter(|quality| *quality <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(accept: &str) -> Option<&'static str> {
        let mut accepted = Accepted::default();
        accept.split('|').for_each(|line| accepted.note(line.as_bytes()));
        accepted.best(&[Coding::Zstd, Coding::Brotli, Coding::Gzip]).map(Coding::name)
    }

    #[test]
    fn the_best_quality_wins_and_among_equals_our_order() {
        for (accept, chosen) in [
            ("gzip", Some("gzip")),
            ("GZIP , deflate", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip;q=1.0, br;q=0.8", Some("gzip")),
            ("gzip;q=0.5, br;q=0.501", Some("br")),
            ("*", Some("zstd")),
            ("*;q=0.1, gzip;q=0.2", Some("gzip")),
            ("zstd;q=0, *", Some("br")),
            ("gzip|br", Some("br")),
            ("identity, gzip", Some("gzip")),
            ("identity;q=0.5, gzip;q=0.4", None),
            ("identity;q=0, gzip;q=0.001", Some("gzip")),
            ("identity", None),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("", None),
        ] {
            assert_eq!(best(accept), chosen, "{accept}");
        }
    }

    #[test]
    fn what_is_malformed_counts_for_nothing() {
        for accept in [
            "gzip;q=2",
            "gzip;q=1.1",
            "gzip;q=-1",
            "gzip;q=0.0001",
            "gzip;q=",
            "gzip;x=1",
            "gzip;q=.5",
            "gz ip",
            "\u{e9}gzip",
            ";;,,;q=1",
        ] {
            assert_eq!(best(accept), None, "{accept}");
        }
    }
}
