//! Properties of the reader, for the fuzz targets and the replay of their corpora.

use crate::{
    HelloError, HelloReader, Read,
    limits::{NAME_BYTES_MAX, RECEIVED_BYTES_MAX},
};

type Outcome = Result<Option<String>, HelloError>;

/// A ClientHello is read the same however it is cut into segments and into records.
pub fn client_hello(bytes: &[u8]) {
    let whole = outcome(&mut HelloReader::default(), bytes);
    if let Some(Ok(Some(name))) = &whole {
        assert!((1..=NAME_BYTES_MAX).contains(&name.len()) && name.is_ascii());
    }
    let mut bit_by_bit = HelloReader::default();
    let stepwise = (0..=bytes.len()).find_map(|end| outcome(&mut bit_by_bit, &bytes[..end]));
    assert_eq!(stepwise, whole, "one byte after the other");
    let Some(Ok(name)) = whole else { return };
    let message = payload(bytes);
    for each in [1, 3, 100] {
        let again: Vec<u8> = message.chunks(each).flat_map(record).collect();
        let found = outcome(&mut HelloReader::default(), &again);
        let is_too_much = again.len() > RECEIVED_BYTES_MAX;
        assert!(is_too_much || found == Some(Ok(name.clone())), "in records of {each}");
    }
}

fn outcome(reader: &mut HelloReader, received: &[u8]) -> Option<Outcome> {
    match reader.advance(received) {
        Ok(Read::Partial) => None,
        Ok(Read::Complete(hello)) => Some(Ok(hello.server_name.map(str::to_owned))),
        Err(error) => Some(Err(error)),
    }
}

/// The message of sound records.
fn payload(mut bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let Some((&[_, _, _, high, low], rest)) = bytes.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(part) = rest.get(..length) else { break };
        message.extend_from_slice(part);
        bytes = &rest[length..];
        let total = message.first_chunk::<4>().map(|head| u32::from_be_bytes(*head) & 0xff_ffff);
        if total.is_some_and(|total| message.len() >= total as usize + 4) {
            break;
        }
    }
    message
}

fn record(part: &[u8]) -> Vec<u8> {
    [&[22, 3, 3, 0, part.len() as u8][..], part].concat()
}
