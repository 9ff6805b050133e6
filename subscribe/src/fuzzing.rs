//! The bodies of the fuzz targets `subscription_datagram`, `subscription_registry` and
//! `subscription_state`, and of the replay of their corpora.
//!
//! They assert properties over any bytes and panic where one does not hold; nothing else calls
//! them. `datagram` is about one packet alone, `registry` about any run of events, `state` about
//! what a registry may be told of its past.

mod events;
mod model;
mod state;

use uwsgi_wire::modifier::{COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE, SUBSCRIPTION};
use uwsgi_wire::{HEADER_BYTES, Header, Packet, PacketWriter, Pair};

use crate::announce::{AnnounceError, AnnounceFields, encode};
use crate::limits::{DATAGRAM_BYTES_MAX, NOTIFY_BYTES_MAX, VASSAL_BYTES_MAX, WEIGHT_MAX};
use crate::{Reject, Subscription};

pub use events::registry;
pub use state::state;

/// A datagram that decodes keeps every bound, means nothing else when something is added that
/// means nothing, and means the same when it is announced again.
pub fn datagram(bytes: &[u8]) {
    check_datagram(bytes);
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return };
    let Ok(body_bytes) = u16::try_from(body.len()) else { return };
    // The same items under a header that is right, which chance rarely makes.
    let modifier2 = Header::decode(header).modifier2 & 1;
    let header = Header { modifier1: SUBSCRIPTION, body_bytes, modifier2 };
    check_datagram(&[&header.encode(), body].concat());
}

fn check_datagram(bytes: &[u8]) {
    let Ok(read) = Subscription::decode(bytes) else { return };
    let packet = Packet::whole(bytes).expect("what was decoded is a packet");
    let pairs: Vec<Pair<'_>> =
        packet.pairs().collect::<Result<_, _>>().expect("a dictionary is taken whole");
    assert!(matches!(packet.header.modifier2, COMMAND_SUBSCRIBE | COMMAND_UNSUBSCRIBE));
    assert_eq!(packet.header.modifier2, read.command.byte());
    assert!(!read.key.is_empty());
    assert!(!read.address.is_empty() || read.vassal.is_some());
    assert!((1..=WEIGHT_MAX).contains(&read.weight));
    assert!(read.notify.is_none_or(|path| (1..=NOTIFY_BYTES_MAX).contains(&path.len())));
    assert!(read.vassal.is_none_or(|name| (1..=VASSAL_BYTES_MAX).contains(&name.len())));
    if let Some(proof) = read.proof {
        let sign = pairs.last().expect("a proof is an item");
        assert_eq!((sign.key, sign.value), (&b"sign"[..], proof.signature));
        assert_eq!(proof.signed, &packet.body[..sign.offset], "all before `sign` is signed");
    }
    check_additions(&read, packet.header, &pairs);
    check_announced_again(&read);
}

/// An unknown item in front changes nothing; a known one twice, or any after `sign`, is refused.
fn check_additions(read: &Subscription<'_>, header: Header, pairs: &[Pair<'_>]) {
    let unknown: &[(&[u8], &[u8])] = &[(b"x-unknown", b"1")];
    let known = pairs.iter().map(|pair| (pair.key, pair.value));
    let Some(with_unknown) = packet_of(header, unknown.iter().copied().chain(known.clone())) else {
        return;
    };
    let again = Subscription::decode(&with_unknown).expect("an unknown item is skipped");
    assert_eq!(facts(&again), facts(read));
    let key = std::iter::once((&b"key"[..], read.key));
    if let Some(twice) = packet_of(header, known.chain(key)) {
        let due = match read.proof {
            Some(_) => Reject::SignNotLast,
            None => Reject::DuplicateItem,
        };
        assert_eq!(Subscription::decode(&twice).map(|_| ()), Err(due));
    }
}

fn packet_of<'p>(
    header: Header,
    pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = PacketWriter::start(&mut out, header.modifier1, header.modifier2).ok()?;
    for (key, value) in pairs {
        writer.pair(key, value).ok()?;
    }
    writer.finish();
    Some(out)
}

/// What a router reads, a vassal can say: the announcement of the same facts decodes to them.
fn check_announced_again(read: &Subscription<'_>) {
    let Some(fields) = fields(read) else { return };
    let command = read.command;
    let unix = read.stamp.and_then(|stamp| stamp.checked_sub(command.byte().into()));
    let datagram = match encode(&fields, command, unix, None) {
        Ok(datagram) => datagram,
        Err(AnnounceError::TooLong { bytes }) => return assert!(bytes > DATAGRAM_BYTES_MAX),
        Err(AnnounceError::Encode(_)) => return, // a dictionary may be longer than a datagram
        Err(error) => panic!("{error}"),
    };
    let again = Subscription::decode(&datagram).expect("an announcement decodes");
    let stamp = unix.and(read.stamp);
    let same = Subscription { clear: false, stamp, ..read.clone() };
    assert_eq!(facts(&again), facts(&same));
}

/// The facts as a vassal states them; nothing if one is not text.
fn fields(read: &Subscription<'_>) -> Option<AnnounceFields> {
    let text = |value: &[u8]| std::str::from_utf8(value).map(str::to_owned);
    let optional = |value: Option<&[u8]>| value.map(text).transpose();
    Some(AnnounceFields {
        key: text(read.key).ok()?,
        address: text(read.address).ok()?,
        modifier1: read.modifier1,
        modifier2: read.modifier2,
        cores: read.cores,
        load: read.load,
        weight: read.weight,
        backup: read.backup,
        vassal: read.vassal.map(str::to_owned),
        sni_key: optional(read.sni_key).ok()?,
        sni_crt: optional(read.sni_crt).ok()?,
        sni_ca: optional(read.sni_ca).ok()?,
        proto: read.proto,
        algo: read.algo,
        notify: optional(read.notify).ok()?,
    })
}

/// Everything but the proof, for comparison.
fn facts<'a>(read: &Subscription<'a>) -> impl PartialEq + std::fmt::Debug + use<'a> {
    (
        (read.command, read.key, read.address, read.modifier1, read.modifier2),
        (read.cores, read.load, read.weight, read.backup, read.proto, read.algo),
        (read.vassal, read.sni_key, read.sni_crt, read.sni_ca, read.notify),
        (read.clear, read.stamp),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what the fuzzer asserts holds over many runs of chance, without a fuzzer. splitmix64
    /// makes the bytes, so every run is the same.
    #[test]
    fn runs_of_chance_keep_the_registry_equal_to_its_model() {
        let mut state = 1_u64;
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        for _ in 0..600 {
            let mut bytes: Vec<u8> = (0..160).flat_map(|_| next().to_le_bytes()).collect();
            bytes[0] = 0; // unsigned: chance signs nothing
            registry(&bytes);
        }
    }
}
