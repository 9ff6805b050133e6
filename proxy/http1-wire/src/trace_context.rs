//! Which distributed trace a request belongs to: the fields `traceparent` and `tracestate` of W3C
//! Trace Context, level 1.
//!
//! A `traceparent` that breaks any rule counts as none: a guess would join strangers' traces. With it
//! goes `tracestate`, which means nothing without. What vendors say in a `tracestate` is not read,
//! only bounded.

use std::num::{NonZeroU64, NonZeroU128};

use crate::fields::Fields;
use crate::limits::{TRACESTATE_BYTES_MAX, TRACESTATE_MEMBERS_MAX};

/// Names a trace.
pub type TraceId = NonZeroU128;
/// Names a span within its trace.
pub type SpanId = NonZeroU64;

/// Bytes of a `traceparent` of version 00: `00-` 32 digits `-` 16 digits `-` 2 digits.
pub const TRACEPARENT_BYTES: usize = 55;

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span of whoever sends the request.
    pub span: SpanId,
    /// Whether the sender recorded its span.
    pub sampled: bool,
}

/// What becomes of `tracestate`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TraceState {
    /// It travels on untouched.
    Kept,
    /// It does not: it is too long, or no valid `traceparent` came with it.
    Dropped,
}

/// What the next one is told of the trace, in place of what came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceFields {
    /// Its `traceparent`.
    pub parent: TraceParent,
    /// What becomes of `tracestate`.
    pub state: TraceState,
}

impl TraceParent {
    /// What the fields of a request say.
    pub fn of(fields: Fields<'_, '_>) -> Option<Self> {
        let mut lines = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
        let (_, value) = lines.next()?;
        // Two may contradict each other.
        lines.next().is_none().then(|| Self::parse(value))?
    }

    /// What one value says.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(TRACEPARENT_BYTES)?;
        let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let version = hex(&known[..2])?;
        // A later version may have more to say behind a dash; its begin means the same.
        let ends = more.is_empty() || (version > 0 && more[0] == b'-');
        if !dashes || version == u128::from(VERSION_FORBIDDEN) || !ends {
            return None;
        }
        Some(Self {
            trace: TraceId::new(hex(&known[3..35])?)?,
            span: SpanId::new(u64::try_from(hex(&known[36..52])?).ok()?)?,
            sampled: hex(&known[53..])? & SAMPLED != 0,
        })
    }

    /// The value as version 00 has it; flags it does not know are zero.
    pub fn text(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(self.trace.get(), &mut text[3..35]);
        write_hex(u128::from(self.span.get()), &mut text[36..52]);
        text[TRACEPARENT_BYTES - 1] = if self.sampled { b'1' } else { b'0' };
        text
    }
}

impl TraceState {
    /// What becomes of it in a request whose `traceparent` is valid.
    pub fn of(fields: Fields<'_, '_>) -> Self {
        let lines = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TRACESTATE));
        let (mut bytes, mut members) = (0, 0);
        for (_, value) in lines {
            bytes += value.len();
            members += value.split(|octet| *octet == b',').count();
        }
        let fits = bytes <= TRACESTATE_BYTES_MAX && members <= TRACESTATE_MEMBERS_MAX;
        if fits { Self::Kept } else { Self::Dropped }
    }
}

impl TraceFields {
    /// Whether a field of the request does not travel on for this.
    pub fn replaces(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(TRACEPARENT)
            || (self.state == TraceState::Dropped && name.eq_ignore_ascii_case(TRACESTATE))
    }
}

/// The digits of a trace's name.
pub fn trace_hex(trace: TraceId) -> [u8; 32] {
    let mut digits = [0; 32];
    write_hex(trace.get(), &mut digits);
    digits
}

/// The number, if all are lower-case digits; upper-case ones are not allowed.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn write_hex(number: u128, digits: &mut [u8]) {
    for (at, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * at)) as usize & 0xf];
    }
}

/// The field that names trace and span.
pub(crate) const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// The version no sender may claim.
const VERSION_FORBIDDEN: u8 = 0xff;
const SAMPLED: u128 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FieldSlots, Parsed, RequestHead, parse_request};

    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    const SPAN: u64 = 0xb7ad_6b71_6920_3331;

    fn with<T>(fields: &str, look: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        match parse_request(text.as_bytes(), &mut slots) {
            Ok(Parsed::Complete(head)) => look(&head),
            other => panic!("{fields}: {other:?}"),
        }
    }

    fn parent(sampled: bool) -> Option<TraceParent> {
        let (trace, span) = (TraceId::new(TRACE)?, SpanId::new(SPAN)?);
        Some(TraceParent { trace, span, sampled })
    }

    /// The examples of the recommendation (sections 3.2 and 4.3), and the cases of its test suite
    /// `test_traceparent_*`.
    #[test]
    fn valid_values_are_read() {
        const IDS: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        for (value, sampled) in [
            (format!("00-{IDS}-01"), true),
            (format!("00-{IDS}-00"), false),
            (format!("00-{IDS}-ff"), true),
            (format!("00-{IDS}-02"), false),
            (format!("cc-{IDS}-01"), true),
            (format!("cc-{IDS}-01-what-the-future-will-be-like"), true),
            (format!("fe-{IDS}-01-"), true),
        ] {
            assert_eq!(TraceParent::parse(value.as_bytes()), parent(sampled), "{value}");
        }
    }

    #[test]
    fn everything_else_counts_as_none() {
        for value in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-.0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0G",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ".0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01",
            "00-.af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01, x",
        ] {
            assert_eq!(TraceParent::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_name_in_any_case_stands_once() {
        const VALUE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let of = |fields: &str| with(fields, |head| TraceParent::of(head.fields));
        assert_eq!(of(&format!("TraceParent: {VALUE}\r\n")), parent(true));
        assert_eq!(of(&format!("traceparent:   {VALUE}  \r\n")), parent(true));
        assert_eq!(of(&format!("traceparent: {VALUE}\r\ntraceparent: {VALUE}\r\n")), None);
        assert_eq!(of(&format!("trace-parent: {VALUE}\r\n")), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        for sampled in [false, true] {
            let parent = parent(sampled).unwrap();
            assert_eq!(TraceParent::parse(&parent.text()), Some(parent));
        }
        let text = parent(true).unwrap().text();
        assert_eq!(&text, b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    }

    #[test]
    fn a_state_travels_within_its_bounds() {
        let of = |fields: &str| with(fields, |head| TraceState::of(head.fields));
        let members = |count| vec!["k=v"; count].join(",");
        let long = "v".repeat(TRACESTATE_BYTES_MAX - 2);
        for (fields, state) in [
            (String::new(), TraceState::Kept),
            (format!("tracestate: {}\r\n", members(32)), TraceState::Kept),
            (format!("tracestate: {}\r\n", members(33)), TraceState::Dropped),
            (format!("tracestate: {}\r\n", members(20)).repeat(2), TraceState::Dropped),
            (format!("TraceState: k={long}\r\n"), TraceState::Kept),
            (format!("tracestate: kk={long}\r\n"), TraceState::Dropped),
        ] {
            assert_eq!(of(&fields), state, "{fields}");
        }
    }
}
