//! The body of the fuzz target `uwsgi_packet`, and of the replay of its corpus.
//!
//! It asserts properties of the codec over any bytes and panics where one does not hold; nothing
//! else calls it.

use crate::header::BODY_BYTES_MAX;
use crate::{
    EncodeError, HEADER_BYTES, Header, Packet, PacketError, PacketSink, PacketWriter, SliceSink,
};

type KeyValue<'a> = (&'a [u8], &'a [u8]);

/// Packets survive decoding and encoding, and the writer refuses what would not.
pub fn packet(bytes: &[u8]) {
    decodes_and_encodes_to_the_same_bytes(bytes);
    if let Some(framed) = with_true_length(bytes) {
        decodes_and_encodes_to_the_same_bytes(&framed);
    }
    writer_refuses_or_round_trips(bytes);
}

/// The same bytes under a header that states their length, which chance rarely does.
fn with_true_length(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, body) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let header = Header { body_bytes: u16::try_from(body.len()).ok()?, ..Header::decode(header) };
    Some([&header.encode(), body].concat())
}

fn decodes_and_encodes_to_the_same_bytes(bytes: &[u8]) {
    let packet = match Packet::whole(bytes) {
        Ok(packet) => packet,
        Err(PacketError::CutHeader) => return assert!(bytes.len() < HEADER_BYTES),
        Err(PacketError::LengthMismatch { announced, found }) => {
            assert_ne!(usize::from(announced), found);
            return assert_eq!(found + HEADER_BYTES, bytes.len());
        }
    };
    let mut pairs: Vec<KeyValue<'_>> = Vec::new();
    let mut walk = packet.pairs();
    let mut end = 0;
    let whole = loop {
        match walk.next() {
            Some(Ok(pair)) => {
                assert_eq!(pair.offset, end, "pairs follow each other without a gap");
                end += 4 + pair.key.len() + pair.value.len();
                pairs.push((pair.key, pair.value));
            }
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    assert!(walk.next().is_none(), "nothing follows an end or an error");
    // What stood before an error is itself a packet, so it is written back all the same.
    let mut out = Vec::new();
    write(&mut out, packet.header, &pairs).expect("what was decoded can be encoded");
    assert_eq!(&out[HEADER_BYTES..], &packet.body[..end]);
    if whole {
        assert_eq!(out, bytes);
    }
    fits_exactly(&out, packet.header, &pairs);
}

/// A slice of the packet's size takes it; a byte less refuses the last pair.
fn fits_exactly(packet: &[u8], header: Header, pairs: &[KeyValue<'_>]) {
    let mut memory = vec![0; packet.len()];
    let mut sink = SliceSink::new(&mut memory);
    write(&mut sink, header, pairs).expect("the slice is as long as the packet");
    assert_eq!(sink.as_bytes(), packet);
    memory.pop();
    let short = write(&mut SliceSink::new(&mut memory), header, pairs);
    assert_eq!(short, Err(EncodeError::NoRoom));
}

fn write<S: PacketSink>(
    sink: &mut S,
    header: Header,
    pairs: &[KeyValue<'_>],
) -> Result<(), EncodeError> {
    let mut writer = PacketWriter::start(sink, header.modifier1, header.modifier2)?;
    for (key, value) in pairs {
        writer.pair(key, value)?;
    }
    writer.finish();
    Ok(())
}

/// Reads the bytes as orders: two for the size of the buffer, then three for the lengths of the
/// key and the value of each pair.
fn writer_refuses_or_round_trips(bytes: &[u8]) {
    let Some((room, orders)) = bytes.split_first_chunk::<2>() else { return };
    let room = 2 * usize::from(u16::from_le_bytes(*room));
    let mut memory = vec![0; room];
    let mut sink = SliceSink::new(&mut memory);
    let Ok(mut writer) = PacketWriter::start(&mut sink, 0, 0) else {
        return assert!(room < HEADER_BYTES);
    };
    let mut written = Vec::new();
    let mut body_bytes = 0;
    for order in orders.chunks_exact(3).take(PAIRS_MAX) {
        let (key_bytes, value_bytes) =
            (usize::from(order[0]), usize::from(u16::from_le_bytes([order[1], order[2]])));
        let key = vec![b'k'; key_bytes];
        let value = vec![b'v'; value_bytes];
        let verdict = if value_bytes % 2 == 0 {
            writer.pair(&key, &value)
        } else {
            let (prefix, name) = key.split_at(key_bytes / 3);
            writer.pair_mapped(prefix, name, |byte| byte, &value)
        };
        let after = body_bytes + 4 + key_bytes + value_bytes;
        let due = match () {
            () if key_bytes == 0 => Err(EncodeError::EmptyKey),
            () if after > BODY_BYTES_MAX => Err(EncodeError::BodyTooLong),
            () if after + HEADER_BYTES > room => Err(EncodeError::NoRoom),
            () => Ok(()),
        };
        assert_eq!(verdict, due);
        if due.is_ok() {
            body_bytes = after;
            written.push((key_bytes, value_bytes));
        }
        assert_eq!(writer.body_bytes(), body_bytes, "a refused pair leaves nothing behind");
    }
    assert_eq!(writer.finish(), HEADER_BYTES + body_bytes);
    let packet = Packet::whole(sink.as_bytes()).expect("a finished packet decodes");
    let read = packet.pairs().map(|pair| pair.map(|pair| (pair.key.len(), pair.value.len())));
    assert_eq!(read.collect::<Result<Vec<_>, _>>(), Ok(written));
}

/// Pairs one run writes at most, to keep runs short.
const PAIRS_MAX: usize = 64;
