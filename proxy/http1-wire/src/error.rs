//! The published table of everything this codec refuses.
//!
//! Documentation and counters are generated from it. A test keeps it in step with the labels and
//! statuses of the error enums beside their producers.

/// One refused input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RejectRow {
    /// Name of the counter's `reason`.
    pub label: &'static str,
    /// Status of the answer when a client sent it. From an upstream, the client gets 502.
    pub status: u16,
    /// Whose messages are checked for it.
    pub refused_in: RefusedIn,
    /// What is refused, for people.
    pub description: &'static str,
}

/// Whose messages a rule is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusedIn {
    /// Requests of clients.
    Request,
    /// Responses of upstreams.
    Response,
    /// Both.
    Both,
}

/// Every refused input, in the order of a message: start line, lines, fields, framing, body.
pub const REJECTS: &[RejectRow] = &[
    request("leading_empty_line", 400, "an empty line before the request line"),
    request("method", 400, "a method that is not a token, such as a TLS hello on a plain port"),
    request("method_too_long", 501, "a method of more than 32 bytes"),
    request("connect", 501, "CONNECT"),
    request(
        "request_line",
        400,
        "a request line other than method, target and version with one space between; HTTP/0.9",
    ),
    request("target_too_long", 414, "a target of more than 16 KiB"),
    request("target_octet", 400, "a target with a fragment or anything but visible ASCII"),
    request(
        "target_form",
        400,
        "a target that is neither a path nor an http or https URL; `*` without OPTIONS; in RTSP \
         neither `*` nor an rtsp or rtsps URL",
    ),
    request(
        "target_authority",
        400,
        "an absolute target with userinfo, no host, or characters no host has",
    ),
    request("path_escape", 400, "a path with a `%` that two hex digits do not follow"),
    request("path_control", 400, "a path with an encoded NUL or other control character"),
    request("version_syntax", 400, "a version that is not HTTP's"),
    request("version_unsupported", 505, "an HTTP version other than 1.0 and 1.1"),
    request(
        "rtsp_line",
        400,
        "with `rtsp`: an RTSP request line other than method, target and version",
    ),
    request("rtsp_version", 505, "with `rtsp`: an RTSP version other than 1.0"),
    request("rtsp_cseq", 400, "with `rtsp`: no CSeq, more than one, or one that is no number"),
    response("status_line", "a malformed status line, a status below 100, or anything before it"),
    response("response_version", "an HTTP version other than 1.0 and 1.1"),
    both("bare_cr_or_lf", 400, "a CR or LF that is not part of a CRLF"),
    both("obs_fold", 400, "a field continued on a second line"),
    both(
        "field_name",
        400,
        "an empty field name, one that is not a token, or a line without a colon",
    ),
    both("space_before_colon", 400, "whitespace between a field name and its colon"),
    both("field_value", 400, "NUL or another control character in a field value (HTAB is allowed)"),
    both("too_many_fields", 431, "more than 128 fields"),
    both("head_too_large", 431, "a head of more than 64 KiB"),
    request("host_missing", 400, "HTTP/1.1 without Host"),
    request("host_repeated", 400, "more than one Host"),
    request("host", 400, "an empty Host, one of more than 255 bytes, or characters no host has"),
    request("host_disagrees", 400, "Host and the authority of an absolute target differ"),
    both("content_length", 400, "a Content-Length that is not a plain decimal number below 2^63"),
    both("content_length_repeated", 400, "more than one Content-Length, even if equal"),
    both("transfer_encoding", 400, "a Transfer-Encoding other than `chunked` alone"),
    both("transfer_encoding_repeated", 400, "more than one Transfer-Encoding"),
    both("transfer_encoding_and_content_length", 400, "Transfer-Encoding beside Content-Length"),
    both("transfer_encoding_in_http10", 400, "Transfer-Encoding in HTTP/1.0"),
    both("connection", 400, "a Connection option that is not a token"),
    both(
        "connection_names_framing",
        400,
        "Connection naming Host, Content-Length or Transfer-Encoding",
    ),
    both("connection_too_many_names", 400, "Connection naming more than 16 fields"),
    request("expectation", 417, "an Expect other than `100-continue`, or more than one"),
    both(
        "chunk_size",
        400,
        "a chunk size that is not 1 to 16 hex digits below 2^63, or with space around it",
    ),
    both(
        "chunk_extension",
        400,
        "a chunk extension with a control character or anything above ASCII",
    ),
    both(
        "chunk_extension_too_long",
        400,
        "a chunk line of more than 256 bytes, or more than 16 KiB of extensions in a body",
    ),
    both("chunk_line_end", 400, "a chunk or trailer line that does not end in CRLF"),
    both("chunk_data_end", 400, "no CRLF where a chunk's size says it ends"),
    both(
        "trailer",
        400,
        "a trailer with a malformed name, `_` in it, a control character, or folded",
    ),
    both("trailer_too_large", 400, "more than 32 trailer fields or 8 KiB of them"),
];

const fn request(label: &'static str, status: u16, description: &'static str) -> RejectRow {
    RejectRow { label, status, refused_in: RefusedIn::Request, description }
}

const fn response(label: &'static str, description: &'static str) -> RejectRow {
    RejectRow { label, status: 502, refused_in: RefusedIn::Response, description }
}

const fn both(label: &'static str, status: u16, description: &'static str) -> RejectRow {
    RejectRow { label, status, refused_in: RefusedIn::Both, description }
}

#[cfg(test)]
mod tests;
