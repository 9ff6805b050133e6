//! The bodies of this crate's fuzz targets, and of the replay of their corpora.

use http1_wire::{FieldSlots, Parsed, RequestFraming, Upgrade, parse_request};

use crate::{FloodScore, FrameWalk, HeadBody, RequestParts, write_request};

/// Frames are the same however the bytes are cut, and their score never panics.
pub fn frames(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = walk(&[bytes]);
    let (one, two) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(whole, walk(&[one, two]), "a cut changed the frames");
    let mut score = FloodScore::new(0);
    for (at, frame) in whole.iter().enumerate() {
        let _ = score.note_received(frame, at as u64);
        let _ = score.note_sent(frame, at as u64);
    }
}

fn walk(pieces: &[&[u8]]) -> Vec<crate::FrameHead> {
    let mut walk = FrameWalk::from_client();
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(head) = walk.next(&mut input) {
            found.push(head);
        }
    }
    found
}

/// Whatever fields a codec yields, what is written is at most one head, and it means the same.
///
/// Input: lines of `name value`; the first three are method, authority and path, the fourth says
/// whether a body follows.
pub fn request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\u{1}');
    let [Some(method), Some(authority), Some(path), Some(kind)] =
        [lines.next(), lines.next(), lines.next(), lines.next()]
    else {
        return;
    };
    let parts = RequestParts {
        method,
        authority: (!authority.is_empty()).then_some(authority),
        path,
        protocol: kind.starts_with('w').then_some("websocket"),
        body: if kind.ends_with('b') { HeadBody::Follows } else { HeadBody::None },
        websocket_key: "AAAAAAAAAAAAAAAAAAAAAA==",
    };
    let fields = || {
        let pairs = lines.clone().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, value)| (name, value.as_bytes()))
    };
    let mut out = Vec::new();
    if write_request(&parts, fields, &mut out).is_err() {
        return;
    }
    let mut slots = FieldSlots::new();
    let head = match parse_request(&out, &mut slots) {
        Ok(Parsed::Complete(head)) => head,
        Ok(Parsed::Partial) => panic!("a head was written without an end"),
        Err(_refused) => return,
    };
    assert_eq!(head.head_bytes, out.len(), "one head and nothing behind it");
    match (parts.protocol, parts.body) {
        (Some(_), _) => assert_eq!(head.upgrade, Some(Upgrade::WebSocket)),
        (None, HeadBody::Follows) => assert_ne!(head.framing, RequestFraming::None),
        (None, HeadBody::None) => assert_ne!(head.framing, RequestFraming::Chunked),
    }
    assert!(head.upgrade.is_none() || parts.protocol.is_some());
    assert_eq!(head.target.raw(), path.as_bytes());
}
