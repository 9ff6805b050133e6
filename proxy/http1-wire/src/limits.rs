//! Every bound of the HTTP/1 codec, with the relations between them checked at compile time.

/// Longest head, start line and final empty line included; a longer one gets 431.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most field lines in a head; more get 431. Also the width of the masks in `fields.rs`.
pub const FIELDS_MAX: usize = 128;
/// Longest request target; a longer one gets 414. RFC 9112 3 asks for at least 8000; the bound
/// leaves room for the target to appear thrice in a uwsgi packet of 64 KiB.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;
/// Longest method; a longer one gets 501, as RFC 9112 3 says of methods nobody implements.
pub const METHOD_BYTES_MAX: usize = 32;
/// Longest Host value or authority, port included: the longest routing key.
pub const HOST_BYTES_MAX: usize = 255;
/// Most names one message may nominate in `Connection`; bounds the names × fields comparison.
pub const CONNECTION_NAMES_MAX: usize = 16;
/// Largest `Content-Length` and largest chunk: what a signed 64-bit offset can count.
pub const LENGTH_MAX: u64 = i64::MAX as u64;

/// Most hex digits of a chunk size, leading zeros included.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 16;
/// Longest chunk line (size and extensions), without its CRLF.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Extension bytes one body may carry in all its chunk lines together.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// Most trailer fields of a chunked body.
pub const TRAILER_FIELDS_MAX: usize = 32;
/// Longest trailer section, CRLFs included.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Most digits of an RTSP `CSeq`: those of a 32-bit number.
pub const RTSP_CSEQ_DIGITS_MAX: usize = 10;

/// Longest `tracestate` that is passed on, all its lines together; 512 bytes at least are asked for
/// (W3C Trace Context, 3.3.1.5).
pub const TRACESTATE_BYTES_MAX: usize = 1024;
/// Most members of a `tracestate` that is passed on, as W3C Trace Context bounds them (3.3.1.1).
pub const TRACESTATE_MEMBERS_MAX: usize = 32;

/// Longest PROXY version 1 line, CRLF included (its specification, 2.1).
pub const PREFACE_V1_BYTES_MAX: usize = 107;
/// Longest PROXY version 2 preface. Addresses take 52 bytes; the rest is room for TLVs, of which
/// only client certificates are long.
pub const PREFACE_V2_BYTES_MAX: usize = 4096;

const _: () = {
    assert!(FIELDS_MAX <= u128::BITS as usize); // one bit per field
    assert!(METHOD_BYTES_MAX + TARGET_BYTES_MAX < HEAD_BYTES_MAX);
    assert!(3 * TARGET_BYTES_MAX < u16::MAX as usize); // REQUEST_URI, PATH_INFO, QUERY_STRING
    assert!(HOST_BYTES_MAX < TARGET_BYTES_MAX); // an absolute-form target holds an authority
    assert!(CHUNK_SIZE_DIGITS_MAX < CHUNK_LINE_BYTES_MAX);
    assert!(CHUNK_LINE_BYTES_MAX < CHUNK_EXTENSION_BYTES_MAX);
    assert!(PREFACE_V1_BYTES_MAX < PREFACE_V2_BYTES_MAX);
    assert!(PREFACE_V2_BYTES_MAX <= 16 + u16::MAX as usize); // what its length can say
};
