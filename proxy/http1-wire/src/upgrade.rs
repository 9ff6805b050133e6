//! What a client asks to turn its connection into.
//!
//! An intent is only reported; nothing is tunnelled before the upstream answered 101. Anything
//! but a WebSocket handshake over a bodiless GET is `Other`, which is never forwarded: `h2c` in
//! particular would give a raw tunnel past every rule of this crate.

use crate::framing::RequestFraming;
use crate::request::Method;

/// A protocol change asked for with `Upgrade` and confirmed by the `upgrade` connection option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upgrade<'b> {
    /// `Upgrade: websocket` (RFC 6455 4.1) on a GET without a body.
    WebSocket,
    /// Anything else, as the client wrote it.
    Other(&'b [u8]),
}

impl<'b> Upgrade<'b> {
    pub(crate) fn intent(value: &'b [u8], method: Method<'_>, framing: RequestFraming) -> Self {
        let websocket = value.eq_ignore_ascii_case(b"websocket")
            && method == Method::Get
            && framing == RequestFraming::None;
        if websocket { Self::WebSocket } else { Self::Other(value) }
    }
}
