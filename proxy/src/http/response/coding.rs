//! Whether a response is compressed for its client, and how its fields change then.

use http1_wire::{ResponseFraming, ResponseHead};

use super::edit::Edit;
use crate::{
    compress::{Coding, Encoder},
    policy::{AutoGzip, Compression},
};

/// What the client takes, as far as the rules of the key have a use for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// The coding of those offered the client likes best.
    pub best: Option<Coding>,
    /// It takes gzip, should a node ask for that.
    pub gzip: bool,
}

/// The field by which a node asks (spec http-router.md 5.4).
const ASKED_BY_NODE: &str = "uwsgi-encoding";
/// What a digest of the body is told in; it would be wrong afterwards.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Decides about one response, edits its fields, and begins the coding.
pub fn begin<'a>(
    rules: &Compression,
    wanted: Wanted,
    head: &ResponseHead<'_, 'a>,
    scratch: &'a mut Vec<u8>,
    edit: &mut Edit<'a>,
) -> Option<Box<Encoder>> {
    if !rules.is_on() {
        return None;
    }
    let node_asks = rules.auto_gzip == AutoGzip::On && asks(head);
    if rules.auto_gzip == AutoGzip::On {
        edit.drop_field(ASKED_BY_NODE);
    }
    if !is_plain(head) || !(node_asks || is_listed(rules, head)) {
        return None;
    }
    // Caches must tell clients apart, also where this one gets it plain.
    if !has_member(head, "vary", |member| member == b"*" || eq(member, b"accept-encoding")) {
        edit.add("Vary", b"Accept-Encoding");
    }
    let coding = if node_asks { wanted.gzip.then_some(Coding::Gzip) } else { wanted.best }?;
    let encoder = Encoder::begin(coding)?;
    edit.add("Content-Encoding", coding.name().as_bytes());
    // Ranges count the bytes of the plain body.
    edit.drop_field("accept-ranges");
    if let Some(tag) = head.fields.first("etag").filter(|tag| tag.starts_with(b"\"")) {
        // Not the same bytes any more, but the same content (RFC 9110 section 8.8.3.3).
        scratch.extend_from_slice(b"W/");
        scratch.extend_from_slice(tag);
        edit.drop_field("etag");
        edit.add("ETag", scratch);
    }
    Some(Box::new(encoder))
}

fn asks(head: &ResponseHead<'_, '_>) -> bool {
    head.fields.first(ASKED_BY_NODE).is_some_and(|value| eq(value, b"gzip"))
}

/// A whole body without any coding that nobody forbade to change (RFC 9110 section 7.7).
fn is_plain(head: &ResponseHead<'_, '_>) -> bool {
    let mut names = head.fields.iter().map(|(name, _)| name);
    head.framing != ResponseFraming::None
        && !matches!(head.status, 204 | 206 | 304)
        && !names.any(|name| {
            let same = |other: &&str| name.eq_ignore_ascii_case(other);
            same(&"content-encoding") || same(&"content-range") || DIGESTS.iter().any(same)
        })
        && !has_member(head, "cache-control", |member| eq(member, b"no-transform"))
}

fn is_listed(rules: &Compression, head: &ResponseHead<'_, '_>) -> bool {
    let long_enough = match head.framing {
        ResponseFraming::Length(bytes) => bytes >= rules.bytes_min,
        _ => true,
    };
    let mut types =
        head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let first = types.next();
    !rules.codings.is_empty()
        && long_enough
        && types.next().is_none()
        && first.is_some_and(|(_, value)| rules.has_type(value))
}

fn has_member(
    head: &ResponseHead<'_, '_>,
    name: &str,
    is_it: impl Fn(&[u8]) -> bool + Copy,
) -> bool {
    let lines = head.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    lines
        .flat_map(|(_, value)| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(is_it)
}

fn eq(left: &[u8], right: &[u8]) -> bool {
    left.eq_ignore_ascii_case(right)
}
