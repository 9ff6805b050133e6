//! Body of the fuzz target `uwsgi_request`.

use uwsgi_wire::{HEADER_BYTES, Pair, Pairs};

use crate::{Request, packet_bytes, set_modifiers};

/// Whatever the bytes, what a request names lies within its packet, the key is the one a naive search
/// finds, and the modifiers decide nothing.
///
/// # Panics
/// If it does not.
pub fn request(bytes: &[u8]) {
    let Some(packet) = packet_bytes(bytes).and_then(|length| bytes.get(..length)) else { return };
    let pairs: Result<Vec<_>, _> = Pairs::new(&packet[HEADER_BYTES..]).collect();
    let read = Request::read(packet);
    assert!(pairs.is_ok() || read.is_err(), "a broken dictionary is no request");
    let mut changed = packet.to_vec();
    set_modifiers(&mut changed, 1, 2);
    assert_eq!(Request::read(&changed), read, "modifiers decide nothing");
    let (Ok(request), Ok(pairs)) = (read, pairs) else { return };
    assert_eq!(packet.get(request.key.clone()), naive_key(&pairs), "the key");
    let last = |name: &[u8]| pairs.iter().rfind(|pair| pair.key == name).map(|pair| pair.value);
    for (span, name) in [
        (&request.path, &b"PATH_INFO"[..]),
        (&request.method, b"REQUEST_METHOD"),
        (&request.target, b"REQUEST_URI"),
        (&request.protocol, b"SERVER_PROTOCOL"),
        (&request.client_port, b"REMOTE_PORT"),
    ] {
        assert_eq!(&packet[span.clone()], last(name).unwrap_or_default());
    }
}

fn naive_key<'a>(pairs: &[Pair<'a>]) -> Option<&'a [u8]> {
    let named = |name: &'static [u8]| {
        let fits = |pair: &&Pair<'a>| (1..=255).contains(&pair.value.len());
        pairs.iter().filter(move |pair| pair.key == name).filter(fits).map(|pair| pair.value)
    };
    let by_host = || named(b"HTTP_HOST").next_back();
    let by_name = || named(b"SERVER_NAME").next();
    named(b"UWSGI_FASTROUTER_KEY").next_back().or_else(by_host).or_else(by_name)
}
