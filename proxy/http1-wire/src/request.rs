//! Request heads over a borrowed buffer: parsed in place, decided once, never repaired.
//!
//! Called for every exchange by the HTTP/1 session. A head that is complete costs one pass of
//! httparse, one of our line check and one over its fields; nothing is allocated.

mod diagnose;

use crate::connection::{ConnectionError, ConnectionOptions, options};
use crate::fields::{Dropped, FieldSlots, Fields, RequestField};
use crate::framing::{Framing, FramingError, FramingFields, RequestFraming};
use crate::head::{HeadError, check_partial, scan};
use crate::limits::{HEAD_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::octets::is_token;
use crate::target::{Target, TargetError, is_authority};
use crate::upgrade::Upgrade;
use crate::{Parsed, Version};

/// A request method; case matters (RFC 9110 9.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Method<'b> {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Trace,
    Patch,
    /// Any other token of at most `METHOD_BYTES_MAX` bytes, except CONNECT, which is refused.
    Other(&'b str),
}

impl<'b> Method<'b> {
    fn of(name: &'b str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Other(name),
        }
    }

    /// The method as sent.
    pub const fn as_str(self) -> &'b str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other(name) => name,
        }
    }
}

/// The head of a request that kept every rule.
#[derive(Clone, Debug)]
pub struct RequestHead<'s, 'b> {
    /// What is asked.
    pub method: Method<'b>,
    /// Of which resource.
    pub target: Target<'b>,
    /// In which version.
    pub version: Version,
    /// All field lines, also those that do not travel on.
    pub fields: Fields<'s, 'b>,
    /// Length of the head; the body begins here.
    pub head_bytes: usize,
    /// Authority the request is for, as sent: absolute-form and `Host` agree where both are
    /// there. Octets are checked, syntax is not. Empty only in HTTP/1.0 without either.
    pub host: &'b [u8],
    /// Where the body ends.
    pub framing: RequestFraming,
    /// Whether the client wants to keep the connection.
    pub keep_alive: bool,
    /// The client waits for 100 before it sends the body. Never in HTTP/1.0 or without a body.
    pub expect_continue: bool,
    /// The client takes trailers behind a chunked response (`TE: trailers`). Never in HTTP/1.0.
    pub takes_trailers: bool,
    /// A protocol change asked for. Never in HTTP/1.0.
    pub upgrade: Option<Upgrade<'b>>,
    pub(crate) dropped: Dropped,
}

impl<'s, 'b> RequestHead<'s, 'b> {
    /// The fields that travel on, in wire order.
    ///
    /// Left out: the hop-by-hop fields and those `Connection` nominates; names with `_`; `Proxy`;
    /// `Proxy-Authorization` (addressed to a proxy, not to a tenant's application);
    /// `X-Forwarded-*`, `Forwarded` and `X-Real-IP`, which only we may state; `Trailer` and `TE`,
    /// which are for this hop; Host, `Via`, Expect and the framing fields, which the caller writes
    /// anew.
    pub fn forwarded_fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'s, 'b> {
        self.dropped.kept(self.fields)
    }
}

/// Parses the head at the start of `buf`, which may end anywhere.
///
/// `Partial` costs a pass over all of `buf`, so a caller that got it once should wait with
/// [`crate::head_end`] for the rest; whoever calls again for each byte spends at most
/// `HEAD_BYTES_MAX` per call. What is provably malformed is refused without waiting for the end.
///
/// # Errors
/// The first rule broken, in an order that is not promised.
pub fn parse_request<'s, 'b>(
    buf: &'b [u8],
    slots: &'s mut FieldSlots<'b>,
) -> Result<Parsed<RequestHead<'s, 'b>>, RequestError> {
    match buf.first() {
        None => return Ok(Parsed::Partial),
        Some(b'\r' | b'\n') => return Err(RequestError::LeadingEmptyLine),
        Some(first) if !is_token(*first) => return Err(RequestError::Method),
        Some(_) => {}
    }
    let mut raw = httparse::Request::new(&mut []);
    match raw.parse_with_uninit_headers(buf, &mut slots.slots) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            interpret(&buf[..head_bytes], raw).map(Parsed::Complete)
        }
        Ok(httparse::Status::Partial) => refuse_early(buf).map(|()| Parsed::Partial),
        Err(error) => Err(diagnose::diagnose(buf, error)),
    }
}

fn interpret<'s, 'b>(
    head: &'b [u8],
    raw: httparse::Request<'s, 'b>,
) -> Result<RequestHead<'s, 'b>, RequestError> {
    if head.len() > HEAD_BYTES_MAX {
        return Err(HeadError::HeadTooLarge.into());
    }
    let scan = scan(head);
    if scan.bare_line_break {
        return Err(HeadError::BareLineBreak.into());
    }
    let (Some(method), Some(path), Some(minor)) = (raw.method, raw.path, raw.version) else {
        return Err(RequestError::RequestLine);
    };
    let method = accept_method(method)?;
    let target = Target::parse(path.as_bytes(), method)?;
    let version = if minor == 1 { Version::Http11 } else { Version::Http10 };
    let fields = Fields { lines: raw.headers };
    let mut seen = Seen::of(fields)?;
    if scan.underscore {
        seen.dropped.drop_underscored(fields);
    }
    seen.dropped.drop_nominated(fields, seen.connection);

    let host = agree_on_host(version, &target, seen.host)?;
    let framing = match seen.framing.decide(version)? {
        None => RequestFraming::None,
        Some(Framing::Length(length)) => RequestFraming::Length(length),
        Some(Framing::Chunked) => RequestFraming::Chunked,
    };
    let body_follows = !matches!(framing, RequestFraming::None | RequestFraming::Length(0));
    let expect_continue = match seen.expect {
        // RFC 9110 10.1.1: ignored in HTTP/1.0
        None => false,
        Some(_) if version == Version::Http10 => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => body_follows,
        Some(_) => return Err(RequestError::Expectation),
    };
    let upgrade = seen.upgrade.filter(|_| version == Version::Http11 && seen.connection.upgrade);
    // Looked for only where `Connection` says that there is one.
    let takes_trailers = version == Version::Http11 && seen.connection.te && te_trailers(fields);
    Ok(RequestHead {
        method,
        target,
        version,
        fields,
        head_bytes: head.len(),
        host,
        framing,
        keep_alive: seen.connection.keep_alive(version),
        expect_continue,
        takes_trailers,
        upgrade: upgrade.map(|value| Upgrade::intent(value, method, framing)),
        dropped: seen.dropped,
    })
}

/// Whether a `TE` field names trailers.
fn te_trailers(fields: Fields<'_, '_>) -> bool {
    let te = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("te"));
    te.flat_map(|(_, value)| options(value)).any(|option| option.eq_ignore_ascii_case(b"trailers"))
}

/// What one walk over the fields found.
#[derive(Default)]
struct Seen<'b> {
    host: Option<&'b [u8]>,
    framing: FramingFields,
    connection: ConnectionOptions,
    expect: Option<&'b [u8]>,
    upgrade: Option<&'b [u8]>,
    dropped: Dropped,
}

impl<'b> Seen<'b> {
    #[inline]
    fn of(fields: Fields<'_, 'b>) -> Result<Self, RequestError> {
        let mut seen = Self::default();
        for (index, (name, value)) in fields.iter().enumerate() {
            match RequestField::of(name) {
                RequestField::EndToEnd => continue,
                RequestField::Host => {
                    if seen.host.replace(value).is_some() {
                        return Err(RequestError::HostRepeated);
                    }
                }
                RequestField::ContentLength => seen.framing.note_length(value)?,
                RequestField::TransferEncoding => seen.framing.note_coding(value)?,
                RequestField::Connection => seen.connection.note(value)?,
                RequestField::Expect => {
                    if seen.expect.replace(value).is_some() {
                        return Err(RequestError::Expectation);
                    }
                }
                RequestField::Upgrade => {
                    // A second field makes a list of it, which is no WebSocket handshake.
                    let first = seen.upgrade.is_none();
                    seen.upgrade = Some(if first { value } else { b"" });
                }
                RequestField::Withheld => {}
            }
            seen.dropped.drop_line(index);
        }
        Ok(seen)
    }
}

fn accept_method(name: &str) -> Result<Method<'_>, RequestError> {
    if name == "CONNECT" {
        return Err(RequestError::Connect);
    }
    if name.len() > METHOD_BYTES_MAX {
        return Err(RequestError::MethodTooLong);
    }
    Ok(Method::of(name))
}

/// The one authority the request is for.
fn agree_on_host<'b>(
    version: Version,
    target: &Target<'b>,
    host: Option<&'b [u8]>,
) -> Result<&'b [u8], RequestError> {
    match (host, target.authority()) {
        (Some(host), _) if !is_authority(host) => Err(RequestError::HostMalformed),
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
            Err(RequestError::HostDisagrees)
        }
        (Some(host), _) => Ok(host),
        (None, _) if version == Version::Http11 => Err(RequestError::HostMissing),
        (None, authority) => Ok(authority.unwrap_or_default()),
    }
}

/// Refuses an incomplete head that no further byte can mend.
fn refuse_early(buf: &[u8]) -> Result<(), RequestError> {
    check_partial(buf)?;
    let method_bytes = buf.iter().take(METHOD_BYTES_MAX + 1).position(|octet| *octet == b' ');
    match method_bytes {
        None if buf.len() > METHOD_BYTES_MAX => Err(RequestError::MethodTooLong),
        None => Ok(()),
        Some(bytes) if &buf[..bytes] == b"CONNECT" => Err(RequestError::Connect),
        Some(bytes) => {
            let target = &buf[bytes + 1..];
            let first = target.iter().take(TARGET_BYTES_MAX + 1).position(|octet| *octet == b' ');
            match first {
                None if target.len() > TARGET_BYTES_MAX => Err(TargetError::TooLong.into()),
                _ => Ok(()),
            }
        }
    }
}

/// Why a request was refused. The connection cannot be used further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// An empty line before the request line; RFC 9112 2.2 only says SHOULD ignore.
    #[error("an empty line stands before the request line")]
    LeadingEmptyLine,
    /// The first bytes are no method: a TLS hello on a plain port, for instance.
    #[error("the method is not a token")]
    Method,
    /// Longer than `METHOD_BYTES_MAX`.
    #[error("the method is too long")]
    MethodTooLong,
    /// CONNECT, which would be a tunnel past every rule.
    #[error("CONNECT is not supported")]
    Connect,
    /// Not `method SP target SP version`; also HTTP/0.9.
    #[error("the request line is malformed")]
    RequestLine,
    /// The target broke a rule.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The third word is no HTTP version.
    #[error("the version is malformed")]
    VersionSyntax,
    /// An HTTP version other than 1.0 and 1.1.
    #[error("the HTTP version is not supported")]
    VersionUnsupported,
    /// A line or field broke a rule, or there is too much of it.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// HTTP/1.1 without Host.
    #[error("Host is missing")]
    HostMissing,
    /// More than one Host.
    #[error("Host is repeated")]
    HostRepeated,
    /// An empty Host, or octets in it that no host has.
    #[error("Host is malformed")]
    HostMalformed,
    /// Host and the target's authority differ.
    #[error("Host disagrees with the request target")]
    HostDisagrees,
    /// The end of the body is in doubt.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// `Connection` broke a rule.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// `Expect` asks for something else than 100-continue.
    #[error("the expectation is not supported")]
    Expectation,
}

impl RequestError {
    /// Status of the answer: 400, 414, 417, 431, 501 or 505.
    pub const fn status(self) -> u16 {
        match self {
            Self::MethodTooLong | Self::Connect => 501,
            Self::VersionUnsupported => 505,
            Self::Expectation => 417,
            Self::Target(error) => error.status(),
            Self::Head(error) => error.status(),
            Self::Framing(error) => error.status(),
            Self::Connection(error) => error.status(),
            _ => 400,
        }
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::LeadingEmptyLine => "leading_empty_line",
            Self::Method => "method",
            Self::MethodTooLong => "method_too_long",
            Self::Connect => "connect",
            Self::RequestLine => "request_line",
            Self::Target(error) => error.label(),
            Self::VersionSyntax => "version_syntax",
            Self::VersionUnsupported => "version_unsupported",
            Self::Head(error) => error.label(),
            Self::HostMissing => "host_missing",
            Self::HostRepeated => "host_repeated",
            Self::HostMalformed => "host",
            Self::HostDisagrees => "host_disagrees",
            Self::Framing(error) => error.label(),
            Self::Connection(error) => error.label(),
            Self::Expectation => "expectation",
        }
    }
}

#[cfg(test)]
mod tests;
