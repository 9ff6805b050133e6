//! Packets of real programs decode to their recorded pairs and encode to the same bytes again.

use uwsgi_wire::{HEADER_BYTES, Header, Packet, PacketWriter, Pairs, SliceSink, modifier};

const SUBSCRIBE: &[u8] = include_bytes!("../testdata/pypi-2.0.31__st_plain__0.bin");
const UNSUBSCRIBE: &[u8] = include_bytes!("../testdata/pypi-2.0.31__s2_signed_full__1.bin");
const SUBSCRIBE_FULL: &[u8] = include_bytes!("../testdata/master-2.1-dev__s2_full__0.bin");
const FROM_FASTROUTER: &[u8] = include_bytes!("../testdata/pypi-2.0.31__by_http_host.backend.bin");
const WITH_BODY: &[u8] = include_bytes!("../testdata/pypi-2.0.31__post_body_streamed.backend.bin");
const NGINX_GET: &[u8] = include_bytes!("../testdata/nginx_get.bin");
const NGINX_POST: &[u8] = include_bytes!("../testdata/nginx_post.bin");

fn texts(pairs: Pairs<'_>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = pairs.map(|pair| pair.expect("a golden packet is well formed"));
    pairs.map(|pair| (text(pair.key), text(pair.value))).collect()
}

fn value(pairs: &[(String, String)], key: &str) -> Vec<String> {
    pairs.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
}

/// A packet that a body may follow, as a stream sees it.
fn split(bytes: &[u8]) -> (Packet<'_>, &[u8]) {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().expect("a header");
    let end = HEADER_BYTES + usize::from(Header::decode(header).body_bytes);
    let body = &rest[end - HEADER_BYTES..];
    (Packet::whole(&bytes[..end]).expect("a whole packet"), body)
}

#[test]
fn subscription_of_uwsgi_2_0_decodes_to_its_recorded_pairs() {
    let packet = Packet::whole(SUBSCRIBE).unwrap();
    assert_eq!(packet.header.modifier1, modifier::SUBSCRIPTION);
    assert_eq!(packet.header.modifier2, modifier::COMMAND_SUBSCRIBE);
    let expected = [
        ("key", "example.com"),
        ("address", "127.0.0.1:48669"),
        ("modifier1", "0"),
        ("modifier2", "0"),
        ("cores", "2"),
        ("load", "0"),
        ("weight", "0"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(texts(packet.pairs()), expected);
}

#[test]
fn subscription_of_uwsgi_2_1_decodes_in_wire_order() {
    let pairs = texts(Packet::whole(SUBSCRIBE_FULL).unwrap().pairs());
    let keys: Vec<_> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "key",
        "address",
        "modifier1",
        "modifier2",
        "cores",
        "load",
        "weight",
        "backup",
        "vassal",
        "sni_key",
        "sni_crt",
        "sni_ca",
        "proto",
        "algo",
        "inactive",
    ];
    assert_eq!(keys, expected);
    assert_eq!(value(&pairs, "sni_ca"), ["/etc/k.ca"]);
}

#[test]
fn signature_is_the_last_pair_and_its_offset_ends_the_signed_bytes() {
    let packet = Packet::whole(UNSUBSCRIBE).unwrap();
    assert_eq!(packet.header.modifier2, modifier::COMMAND_UNSUBSCRIBE);
    let last = packet.pairs().last().unwrap().unwrap();
    assert_eq!((last.key, last.value.len()), (b"sign".as_slice(), 256));
    assert_eq!(last.offset, packet.body.len() - 256 - 8);
}

#[test]
fn requests_of_fastrouter_and_nginx_decode_with_their_bodies_left_alone() {
    let (packet, body) = split(FROM_FASTROUTER);
    assert_eq!((packet.header.modifier1, body), (5, b"".as_slice()));
    assert_eq!(value(&texts(packet.pairs()), "HTTP_HOST"), ["a.example"]);

    let (packet, body) = split(WITH_BODY);
    assert_eq!(value(&texts(packet.pairs()), "CONTENT_LENGTH"), ["5"]);
    assert_eq!(body, b"hello");

    let (packet, body) = split(NGINX_POST);
    assert_eq!(value(&texts(packet.pairs()), "CONTENT_LENGTH"), ["5"]);
    assert_eq!(body, b"hello");
}

#[test]
fn duplicate_variables_of_nginx_are_both_seen() {
    let (packet, _) = split(NGINX_GET);
    assert_eq!(packet.header.modifier1, modifier::REQUEST);
    assert_eq!(value(&texts(packet.pairs()), "HTTP_X_FOO"), ["1", "2"]);
    assert_eq!(value(&texts(packet.pairs()), "CONTENT_TYPE"), [""]);
}

#[test]
fn every_golden_packet_encodes_to_the_same_bytes() {
    let all =
        [SUBSCRIBE, UNSUBSCRIBE, SUBSCRIBE_FULL, FROM_FASTROUTER, WITH_BODY, NGINX_GET, NGINX_POST];
    for bytes in all {
        let (packet, body) = split(bytes);
        let golden = &bytes[..bytes.len() - body.len()];
        let mut vec = Vec::new();
        let mut memory = [0; 4096];
        let mut slice = SliceSink::new(&mut memory);
        let Header { modifier1, modifier2, .. } = packet.header;
        let mut to_vec = PacketWriter::start(&mut vec, modifier1, modifier2).unwrap();
        let mut to_slice = PacketWriter::start(&mut slice, modifier1, modifier2).unwrap();
        for pair in packet.pairs() {
            let pair = pair.unwrap();
            to_vec.pair(pair.key, pair.value).unwrap();
            to_slice.pair(pair.key, pair.value).unwrap();
        }
        assert_eq!((to_vec.finish(), to_slice.finish()), (golden.len(), golden.len()));
        assert_eq!((vec.as_slice(), slice.as_bytes()), (golden, golden));
    }
}
