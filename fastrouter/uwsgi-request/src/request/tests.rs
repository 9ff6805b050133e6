//! The choice of the key, held against packets that real routers and web servers sent.

use super::*;

/// A packet of these vars.
fn packet(vars: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0; HEADER_BYTES];
    for text in vars.iter().flat_map(|(name, value)| [name, value]) {
        packet.extend_from_slice(&(text.len() as u16).to_le_bytes());
        packet.extend_from_slice(text.as_bytes());
    }
    let bytes = ((packet.len() - HEADER_BYTES) as u16).to_le_bytes();
    packet[1..3].copy_from_slice(&bytes);
    packet
}

fn key(vars: &[(&str, &str)]) -> Result<String, RequestError> {
    let packet = packet(vars);
    let request = Request::read(&packet)?;
    Ok(String::from_utf8_lossy(&packet[request.key]).into_owned())
}

#[test]
fn the_key_is_chosen_in_the_order_of_the_original() {
    let long = "h".repeat(256);
    for (vars, chosen) in [
        (vec![("HTTP_HOST", "a"), ("SERVER_NAME", "b")], "a"),
        (vec![("SERVER_NAME", "b"), ("HTTP_HOST", "a")], "a"),
        (vec![("SERVER_NAME", "b"), ("SERVER_NAME", "c")], "b"),
        (vec![("HTTP_HOST", "a"), ("HTTP_HOST", "b")], "b"),
        (vec![("UWSGI_FASTROUTER_KEY", "b"), ("HTTP_HOST", "a")], "b"),
        (vec![("HTTP_HOST", "a"), ("UWSGI_FASTROUTER_KEY", "b"), ("HTTP_HOST", "c")], "b"),
        (vec![("HTTP_HOST", &long), ("SERVER_NAME", "b")], "b"),
        (vec![("HTTP_HOST", ""), ("SERVER_NAME", "b")], "b"),
    ] {
        assert_eq!(key(&vars).as_deref(), Ok(chosen), "{vars:?}");
    }
    for nameless in [vec![], vec![("PATH_INFO", "/")], vec![("HTTP_HOST", long.as_str())]] {
        assert_eq!(key(&nameless), Err(RequestError::Nameless));
    }
}

#[test]
fn every_cut_of_a_packet_is_refused() {
    let whole = packet(&[("HTTP_HOST", "a.example"), ("PATH_INFO", "/x")]);
    assert!(Request::read(&whole).is_ok());
    for end in HEADER_BYTES + 1..whole.len() {
        let cut = Request::read(&whole[..end]);
        let is_whole_pair = end == HEADER_BYTES + 4 + 9 + 9;
        assert_eq!(cut.is_ok(), is_whole_pair, "cut at {end}");
    }
    assert_eq!(Request::read(b"\0\x04\0\0\0\0\0\0"), Err(DictError::EmptyKey.into()));
}

#[test]
fn a_length_is_digits_or_nothing() {
    let stated = |text| {
        Request::read(&packet(&[("HTTP_HOST", "a"), ("CONTENT_LENGTH", text)])).map(|r| r.body)
    };
    assert_eq!(stated(""), Ok(Body::Open));
    assert_eq!(stated("0"), Ok(Body::Stated(0)));
    let of = |method: &str, more: (&str, &str)| {
        let vars = [("HTTP_HOST", "a"), ("REQUEST_METHOD", method), ("CONTENT_LENGTH", ""), more];
        Request::read(&packet(&vars)).map(|request| request.body)
    };
    assert_eq!(of("GET", ("HTTP_UPGRADE", "")), Ok(Body::Stated(0)), "none, and none can come");
    assert_eq!(of("GET", ("HTTP_UPGRADE", "websocket")), Ok(Body::Open));
    assert_eq!(of("GET", ("HTTP_TRANSFER_ENCODING", "chunked")), Ok(Body::Open));
    assert_eq!(of("POST", ("X", "")), Ok(Body::Open));
    assert_eq!(stated("52428800"), Ok(Body::Stated(52_428_800)));
    for wrong in ["-1", "+1", "1 ", "0x10", "1,1", "9999999999999999999"] {
        assert_eq!(stated(wrong), Err(RequestError::Length), "{wrong}");
    }
}

#[test]
fn a_path_with_dot_segments_is_refused() {
    for (path, is_right) in
        [("/a/../b", false), ("/.", false), ("..", false), ("/a/..b/.c", true), ("", true)]
    {
        let read = Request::read(&packet(&[("HTTP_HOST", "a"), ("PATH_INFO", path)]));
        assert_eq!(read.is_ok(), is_right, "{path}");
    }
}

#[test]
fn what_nginx_sends_is_understood() {
    for (name, bytes) in [
        ("get", &include_bytes!("../../testdata/nginx_get.bin")[..]),
        ("post", include_bytes!("../../testdata/nginx_post.bin")),
        ("chunked", include_bytes!("../../testdata/nginx_chunked.bin")),
        ("mod", include_bytes!("../../testdata/nginx_mod.bin")),
        ("stream", include_bytes!("../../testdata/nginx_stream_chunked.bin")),
    ] {
        let length = packet_bytes(bytes).unwrap();
        let mut packet = bytes[..length].to_vec();
        let request = Request::read(&packet).unwrap();
        assert_eq!(&packet[request.key.clone()], b"app.example", "{name}");
        assert_eq!(request.client, Some("127.0.0.1".parse().unwrap()));
        let stated = Body::Stated((bytes.len() - length) as u64);
        assert_eq!(request.body, stated, "{name}");
        set_modifiers(&mut packet, 5, 7);
        assert_eq!((packet[0], packet[3]), (5, 7));
        assert_eq!(packet[1..3], bytes[1..3], "{name}");
        assert_eq!(packet[4..], bytes[4..length], "{name}");
    }
}
