//! The ClientHello (4.1.2): which name a client asks for, and which protocols it offers inside.
//!
//! Stricter than a server that picks what it needs: every vector must fill its place exactly, and what
//! routes must be said once. Where two readers could find two names, the router and the node behind
//! it would serve two sites over one connection. Values that only the node acts on, such as versions,
//! ciphers and key shares, are not judged here.

use crate::{fields::Fields, limits::NAME_BYTES_MAX};

/// Length of the random value.
const RANDOM_BYTES: usize = 32;
/// Longest session id.
const SESSION_ID_BYTES_MAX: usize = 32;
/// Extension `server_name` (RFC 6066 3).
const SERVER_NAME: u16 = 0;
/// Extension `application_layer_protocol_negotiation` (RFC 7301).
const ALPN: u16 = 16;
/// The one kind of server name there is.
const HOST_NAME: u8 = 0;

/// What a ClientHello says about its destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientHello<'a> {
    /// The name the client asks for, as it came: 1 to 255 bytes of printable ASCII without `:`, `[`
    /// and `]`, so neither a port nor an IPv6 literal.
    pub server_name: Option<&'a str>,
    /// The protocols it offers.
    pub protocols: Protocols<'a>,
}

/// The protocols a client offers inside TLS, the one it likes best first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Protocols<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Protocols<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut fields = Fields(self.rest);
        let name = fields.vector8();
        self.rest = fields.0;
        name
    }
}

/// Why bytes are not the ClientHello of a client that can be routed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HelloError {
    /// The first bytes are not those of a TLS record with a handshake in it.
    #[error("the connection does not begin with TLS")]
    NotTls,
    /// A record without a payload, which no handshake may have (5.1).
    #[error("a handshake record is empty")]
    EmptyRecord,
    /// A record longer than any may be.
    #[error("a record of {0} bytes is longer than any may be")]
    LongRecord(u16),
    /// A record of another kind in the middle of the message.
    #[error("a record of type {0} interrupts the message")]
    Interrupted(u8),
    /// The first message is another one.
    #[error("the first message is of type {0} and no ClientHello")]
    NoHello(u8),
    /// The message is longer than anybody needs.
    #[error("the ClientHello is too long")]
    Long,
    /// The record that ends the message does not end with it.
    #[error("bytes follow the ClientHello in its record")]
    Excess,
    /// A length inside the message leads beyond its end, or not to it.
    #[error("a length in the ClientHello is wrong")]
    Length,
    /// The version is not one of TLS.
    #[error("the ClientHello is not of TLS")]
    Version,
    /// An extension that routes is there twice.
    #[error("extension {0} is there twice")]
    Twice(u16),
    /// The server name extension does not hold one host name.
    #[error("the server name is not one host name")]
    ServerName,
    /// The list of protocols is empty or has an empty name.
    #[error("the list of protocols is not one")]
    Protocols,
}

impl HelloError {
    /// Name of the reason in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::Long => "long",
            _ => "malformed",
        }
    }
}

/// Reads the body of the message.
pub(crate) fn parse_body(body: &[u8]) -> Result<ClientHello<'_>, HelloError> {
    let mut fields = Fields(body);
    let version = fields.u16().ok_or(HelloError::Length)?;
    if version >> 8 != 3 {
        return Err(HelloError::Version);
    }
    let extensions = skip_to_extensions(&mut fields).ok_or(HelloError::Length)?;
    let mut hello = ClientHello { server_name: None, protocols: Protocols::default() };
    let Some(mut rest) = extensions else { return Ok(hello) };
    let (mut has_name, mut has_protocols) = (false, false);
    while !rest.is_empty() {
        let kind = rest.u16().ok_or(HelloError::Length)?;
        let value = rest.vector16().ok_or(HelloError::Length)?;
        match kind {
            SERVER_NAME if std::mem::replace(&mut has_name, true) => {
                return Err(HelloError::Twice(kind));
            }
            SERVER_NAME => hello.server_name = Some(server_name(value)?),
            ALPN if std::mem::replace(&mut has_protocols, true) => {
                return Err(HelloError::Twice(kind));
            }
            ALPN => hello.protocols = protocols(value)?,
            _ => {}
        }
    }
    Ok(hello)
}

/// Passes what only the node acts on. `Some(None)`: a client so old that it has no extensions.
#[expect(clippy::option_option, reason = "the outer one is the error of every field before")]
fn skip_to_extensions<'a>(fields: &mut Fields<'a>) -> Option<Option<Fields<'a>>> {
    fields.take(RANDOM_BYTES)?;
    fields.vector8().filter(|id| id.len() <= SESSION_ID_BYTES_MAX)?;
    fields.vector16().filter(|suites| !suites.is_empty() && suites.len() % 2 == 0)?;
    fields.vector8().filter(|methods| !methods.is_empty())?;
    if fields.is_empty() {
        return Some(None);
    }
    let extensions = fields.vector16()?;
    fields.is_empty().then_some(Some(Fields(extensions)))
}

/// The host name of a list with exactly one entry.
fn server_name(value: &[u8]) -> Result<&str, HelloError> {
    let mut outer = Fields(value);
    let mut list = Fields(outer.vector16().ok_or(HelloError::ServerName)?);
    let (kind, name) = (list.u8(), list.vector16().unwrap_or_default());
    if !outer.is_empty() || !list.is_empty() || kind != Some(HOST_NAME) {
        return Err(HelloError::ServerName);
    }
    let legal = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'[' | b']');
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.iter().all(legal) {
        return Err(HelloError::ServerName);
    }
    std::str::from_utf8(name).map_err(|_| HelloError::ServerName)
}

/// A list that is known to be sound to its end.
fn protocols(value: &[u8]) -> Result<Protocols<'_>, HelloError> {
    let mut outer = Fields(value);
    let rest = outer.vector16().ok_or(HelloError::Protocols)?;
    let mut list = Fields(rest);
    while !list.is_empty() {
        list.vector8().filter(|name| !name.is_empty()).ok_or(HelloError::Protocols)?;
    }
    if rest.is_empty() || !outer.is_empty() {
        return Err(HelloError::Protocols);
    }
    Ok(Protocols { rest })
}

#[cfg(test)]
mod tests;
