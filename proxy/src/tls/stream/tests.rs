//! How plaintext becomes sends.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};

use super::*;

/// A session that shook hands with a client, in memory.
fn established(version: &'static SupportedProtocolVersion) -> (ClientConnection, ServerConnection) {
    let pair = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("a.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(&mut server, &wire).unwrap();
        let mut wire = Vec::new();
        flush_records(&mut server, &mut wire).unwrap();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    (client, server)
}

#[test]
fn a_full_buffer_and_a_short_rest_behind_it_leave_in_one_send() {
    for version in [&TLS12, &TLS13] {
        let (_client, mut server) = established(version);
        for plaintext in [1, BODY_BYTES, BODY_BYTES + 36] {
            let size = room_for(plaintext);
            let mut records = buffer::take(size);
            let room = records.capacity();
            let accepted = encrypt_all(&mut server, &vec![7; plaintext], &mut records).unwrap();
            assert_eq!(accepted, plaintext, "all in one send, {version:?}");
            assert!(records.len() <= records_bytes(plaintext) && records.capacity() == room);
            buffer::give(size, records);
        }
    }
}

#[test]
fn more_than_a_buffer_of_records_is_left_for_the_next_send() {
    let (_client, mut server) = established(&TLS13);
    let mut records = buffer::take(room_for(4 * BODY_BYTES));
    let plaintext = vec![7; 4 * BODY_BYTES];
    assert_eq!(encrypt_all(&mut server, &plaintext, &mut records).unwrap(), BODY_BYTES);
}

#[test]
fn a_small_answer_takes_a_small_buffer() {
    assert_eq!(room_for(500), Use::Head);
    assert_eq!(room_for(HEAD_BYTES), Use::Reply);
    assert_eq!(room_for(REPLY_BYTES), Use::Records);
}
