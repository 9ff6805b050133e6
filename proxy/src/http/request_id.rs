//! The name of one request, the same for its node, every retry and the access log: 128 random bits as
//! `X-Request-ID`, or what a trusted proxy called it.

use std::{cell::RefCell, num::NonZeroU64};

use http1_wire::RequestHead;

use crate::context::{ConnFacts, Trust};

/// Longest name of a trusted proxy that is kept.
const KEPT_BYTES_MAX: usize = 128;
/// Random bytes fetched at once.
const STOCK_BYTES: usize = 1024;
const ID_BYTES: usize = 16;

/// Whether requests are named.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RequestIds {
    /// The client's field travels on like any other.
    #[default]
    Off,
    /// Each gets a name.
    On,
}

/// A name we made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestId {
    // So that its absence takes no room in every exchange.
    high: NonZeroU64,
    low: u64,
}

/// Its digits.
pub type Hex = [u8; 2 * ID_BYTES];

impl RequestId {
    /// A new one; none if the system has no randomness to give.
    pub fn random() -> Option<Self> {
        let bits = random_bits()?;
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        // One in 2^64 is not worth a loop.
        Some(Self { high: NonZeroU64::new(high).unwrap_or(NonZeroU64::MIN), low })
    }

    /// As it is sent.
    pub fn hex(self) -> Hex {
        let bits = u128::from(self.high.get()) << 64 | u128::from(self.low);
        let mut hex = [0; 2 * ID_BYTES];
        for (at, digit) in hex.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(bits >> (124 - 4 * at)) as usize & 0xf];
        }
        hex
    }
}

/// Bits nobody can guess; none if the system has no randomness to give.
pub fn random_bits() -> Option<u128> {
    thread_local! {
        static STOCK: RefCell<(usize, [u8; STOCK_BYTES])> =
            const { RefCell::new((STOCK_BYTES, [0; STOCK_BYTES])) };
    }
    STOCK.with_borrow_mut(|(used, stock)| {
        if stock.len() - *used < ID_BYTES {
            aws_lc_rs::rand::fill(stock).ok()?;
            *used = 0;
        }
        let bits = stock[*used..].first_chunk()?;
        *used += ID_BYTES;
        Some(u128::from_ne_bytes(*bits))
    })
}

/// The name a trusted proxy gave, if it is fit to be passed on and logged.
pub fn kept<'b>(conn: &ConnFacts, head: &RequestHead<'_, 'b>) -> Option<&'b [u8]> {
    if conn.trust != Trust::Proxy {
        return None;
    }
    let fits = |id: &&[u8]| {
        (1..=KEPT_BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
    };
    head.fields.first("x-request-id").filter(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_one_name() {
        let mut seen = std::collections::HashSet::new();
        // More than one stock of random bytes.
        for _ in 0..STOCK_BYTES {
            let hex = RequestId::random().unwrap().hex();
            assert!(
                hex.iter().all(|digit| digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase())
            );
            assert!(seen.insert(hex));
        }
    }

    #[test]
    fn a_name_is_written_in_full() {
        let id = RequestId { high: NonZeroU64::new(1).unwrap(), low: 0xa0 };
        assert_eq!(&id.hex(), b"000000000000000100000000000000a0");
        assert_eq!(size_of::<Option<RequestId>>(), ID_BYTES);
    }
}
