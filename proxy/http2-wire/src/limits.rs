//! Every bound on HTTP/2, with the relations between them checked at compile time.

/// Streams a client may have open at once (RFC 9113 5.1.2); further ones are refused.
pub const STREAMS_MAX: u32 = 128;
/// Largest header list, counted as RFC 9113 6.5.2 does: 32 bytes for each field beside its text.
pub const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Most fields of a request, pseudo-header fields and cookie crumbs not counted.
pub const FIELDS_MAX: usize = 100;
/// What RFC 9113 6.5.2 adds to each field.
pub const FIELD_OVERHEAD_BYTES: usize = 32;
/// Most `CONTINUATION` frames of one header block. Frames hold 16 KiB, so an honest block of
/// `HEADER_LIST_BYTES_MAX` needs four. The codec allows no more either.
pub const CONTINUATIONS_MAX: u32 = 5;

/// Score at which a connection is ended.
pub const SCORE_MAX: u32 = 2_000;
/// Score forgiven per second.
pub const SCORE_FORGIVEN_PER_S: u32 = 1_000;
/// A stream the client reset: 100 each second for ever, or 200 at once.
pub const COST_RESET: u32 = 10;
/// A stream we had to reset for the client's fault, as MadeYouReset provokes (CVE-2025-8671).
pub const COST_OWN_RESET: u32 = 10;
/// A SETTINGS frame, which must be acknowledged.
pub const COST_SETTINGS: u32 = 50;
/// A PING frame, which must be answered.
pub const COST_PING: u32 = 10;
/// A DATA frame without data that does not end its stream. The codec itself allows 100 at once.
pub const COST_EMPTY_DATA: u32 = 25;
/// A frame that moves nothing: PRIORITY, or of a kind nobody knows.
pub const COST_IDLE_FRAME: u32 = 5;
/// A WINDOW_UPDATE frame; what we send is credited with [`CREDIT_DATA_SENT`].
pub const COST_WINDOW_UPDATE: u32 = 1;
/// Credit for a DATA frame we sent: it earns an update of the stream's and the connection's window.
pub const CREDIT_DATA_SENT: u32 = 2;
/// Credit for a response that was sent to its end: a client that also reads may cancel now and then.
pub const CREDIT_ANSWERED: u32 = 10;

const _: () = {
    assert!(FIELDS_MAX <= http1_wire::limits::FIELDS_MAX);
    // An honest client sends its SETTINGS, a few pings and a burst of cancelled requests.
    assert!(COST_SETTINGS + 10 * COST_PING + STREAMS_MAX * COST_RESET <= SCORE_MAX);
    assert!(CONTINUATIONS_MAX as usize * 16 * 1024 >= HEADER_LIST_BYTES_MAX as usize);
};
