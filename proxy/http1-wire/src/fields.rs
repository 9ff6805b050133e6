//! Field lines of a head: storage on the caller's stack, lookup, and which of them travel on.
//!
//! Every field is classified once, while the head is parsed; what is dropped is remembered as one
//! bit per field. Rewriting an HTTP head and building uwsgi vars walk the same
//! `forwarded_fields()`, so there is one rule and not two.

use std::mem::MaybeUninit;

use crate::connection::{ConnectionOptions, options};
use crate::limits::FIELDS_MAX;

/// Uninitialised storage for the fields of one head, on the stack of the caller.
///
/// Borrowing nothing until a head is parsed into it, it costs nothing to make: make one per head.
pub struct FieldSlots<'b> {
    pub(crate) slots: [MaybeUninit<httparse::Header<'b>>; FIELDS_MAX],
}

impl FieldSlots<'_> {
    /// Storage for `FIELDS_MAX` fields; nothing is zeroed.
    #[inline]
    pub const fn new() -> Self {
        Self { slots: [const { MaybeUninit::uninit() }; FIELDS_MAX] }
    }
}

impl Default for FieldSlots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// All field lines of a head in wire order; names as sent, values without surrounding whitespace.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'s, 'b> {
    pub(crate) lines: &'s [httparse::Header<'b>],
}

impl<'s, 'b> Fields<'s, 'b> {
    /// Names and values in wire order, hop-by-hop fields included.
    pub fn iter(self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'s, 'b> {
        self.lines.iter().map(|line| (line.name, line.value))
    }

    /// Value of the first field called `name`, in any case.
    pub fn first(self, name: &str) -> Option<&'b [u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// How many lines there are.
    pub const fn len(self) -> usize {
        self.lines.len()
    }

    /// Whether the head has no field at all.
    pub const fn is_empty(self) -> bool {
        self.lines.is_empty()
    }
}

/// The fields of one head that do not travel on: bit *n* stands for line *n*.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dropped(u128);

impl Dropped {
    #[inline]
    pub(crate) fn drop_line(&mut self, index: usize) {
        debug_assert!(index < FIELDS_MAX);
        self.0 |= 1 << index;
    }

    /// Drops every field `Connection` nominates. Rare, and bounded by `CONNECTION_NAMES_MAX`.
    pub(crate) fn drop_nominated(&mut self, fields: Fields<'_, '_>, seen: ConnectionOptions) {
        if seen.names == 0 {
            return;
        }
        let connection = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
        for option in connection.flat_map(|(_, value)| options(value)) {
            for (index, line) in fields.lines.iter().enumerate() {
                if line.name.as_bytes().eq_ignore_ascii_case(option) {
                    self.drop_line(index);
                }
            }
        }
    }

    /// Drops every field with `_` in its name: CGI folds `-` and `_` together, so such a name can
    /// pass for a field a proxy set.
    pub(crate) fn drop_underscored(&mut self, fields: Fields<'_, '_>) {
        for (index, line) in fields.lines.iter().enumerate() {
            if line.name.as_bytes().contains(&b'_') {
                self.drop_line(index);
            }
        }
    }

    #[inline]
    pub(crate) fn kept<'s, 'b>(
        self,
        fields: Fields<'s, 'b>,
    ) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'s, 'b> {
        let mut mask = self.0;
        fields.lines.iter().filter_map(move |line| {
            let dropped = mask & 1 != 0;
            mask >>= 1;
            (!dropped).then_some((line.name, line.value))
        })
    }
}

/// What a request field means to a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RequestField {
    /// Travels on unchanged.
    EndToEnd,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Expect,
    Upgrade,
    /// Dropped: meant for this hop, or a claim about the client that only we may make.
    Withheld,
}

impl RequestField {
    /// Classifies by length and first letter before comparing, as most names are none of these.
    #[inline]
    pub(crate) fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let Some(first) = name.first() else { return Self::EndToEnd };
        let (expected, kind): (&[u8], Self) = match (name.len(), first | 0x20) {
            (4, b'h') => (b"host", Self::Host),
            (14, b'c') => (b"content-length", Self::ContentLength),
            (17, b't') => (b"transfer-encoding", Self::TransferEncoding),
            (10, b'c') => (b"connection", Self::Connection),
            (6, b'e') => (b"expect", Self::Expect),
            (7, b'u') => (b"upgrade", Self::Upgrade),
            (2, b't') => (b"te", Self::Withheld),
            (7, b't') => (b"trailer", Self::Withheld),
            (10, b'k') => (b"keep-alive", Self::Withheld),
            (16, b'p') => (b"proxy-connection", Self::Withheld),
            (19, b'p') => (b"proxy-authorization", Self::Withheld),
            (14, b'h') => (b"http2-settings", Self::Withheld),
            (5, b'p') => (b"proxy", Self::Withheld),
            (9, b'f') => (b"forwarded", Self::Withheld),
            (3, b'v') => (b"via", Self::Withheld),
            (9, b'x') => (b"x-real-ip", Self::Withheld),
            (11, b'c') => (b"client-cert", Self::Withheld),
            (17, b'c') => (b"client-cert-chain", Self::Withheld),
            (12.., b'x') => {
                let begins = |claim: &[u8]| {
                    name.get(..claim.len()).is_some_and(|name| name.eq_ignore_ascii_case(claim))
                };
                let claim = begins(b"x-forwarded-") || begins(b"x-client-cert");
                return if claim { Self::Withheld } else { Self::EndToEnd };
            }
            _ => return Self::EndToEnd,
        };
        if name.eq_ignore_ascii_case(expected) { kind } else { Self::EndToEnd }
    }
}

/// Whether a request field called `name` may travel to an upstream unchanged.
///
/// The rule of `RequestHead::forwarded_fields` for a single name, for callers whose fields do not
/// come from an HTTP/1 head. Names nominated by `Connection` are not known here.
pub fn is_forwardable(name: &str) -> bool {
    RequestField::of(name) == RequestField::EndToEnd && !name.as_bytes().contains(&b'_')
}

/// What a response field means to a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ResponseField {
    /// Travels on unchanged.
    EndToEnd,
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    /// Dropped: meant for this hop.
    Withheld,
}

impl ResponseField {
    #[inline]
    pub(crate) fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let Some(first) = name.first() else { return Self::EndToEnd };
        let (expected, kind): (&[u8], Self) = match (name.len(), first | 0x20) {
            (14, b'c') => (b"content-length", Self::ContentLength),
            (17, b't') => (b"transfer-encoding", Self::TransferEncoding),
            (10, b'c') => (b"connection", Self::Connection),
            (7, b'u') => (b"upgrade", Self::Upgrade),
            (2, b't') => (b"te", Self::Withheld),
            (7, b't') => (b"trailer", Self::Withheld),
            (10, b'k') => (b"keep-alive", Self::Withheld),
            (16, b'p') => (b"proxy-connection", Self::Withheld),
            (18, b'p') => (b"proxy-authenticate", Self::Withheld),
            _ => return Self::EndToEnd,
        };
        if name.eq_ignore_ascii_case(expected) { kind } else { Self::EndToEnd }
    }
}
