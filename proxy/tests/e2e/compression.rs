//! Responses compressed on their way: which ones, in which coding, and that what comes out is what the
//! node sent.

use std::io::Read;
use std::sync::mpsc::{Receiver, channel};

use crate::harness::response::Response;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::{After, Client, Origin, Router, get, require_tool, tools};

const ON: &str = "compress = [\"zstd\", \"br\", \"gzip\"]\n";

fn text(bytes: usize) -> String {
    (0..).map(|line| format!("line {line} of some text\n")).take(bytes / 20).collect()
}

/// Answers with these fields and this body, framed by its length.
fn node(fields: &'static str, body: String) -> Origin {
    Origin::start(move |exchange| {
        exchange.read_body()?;
        let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        exchange.write(head)?;
        if !exchange.request.request_line().starts_with("HEAD ") {
            exchange.write(&body)?;
        }
        Ok(After::KeepOpen)
    })
}

fn ask(client: &mut Client, accept: &str) -> Response {
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: {accept}\r\n\r\n"));
    client.response()
}

fn decoder<'b>(coding: &str, coded: &'b [u8]) -> Box<dyn Read + 'b> {
    match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(coded)),
        "br" => Box::new(brotli::Decompressor::new(coded, 4096)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(coded).expect("a decoder")),
        other => panic!("coding {other:?}"),
    }
}

fn decoded(response: &Response) -> String {
    let coding = response.field("content-encoding").expect("a coding");
    let mut plain = String::new();
    decoder(coding, &response.body).read_to_string(&mut plain).expect("sound");
    plain
}

#[test]
fn each_coding_gives_back_what_the_node_sent_on_one_connection() {
    let body = text(300_000);
    let fields = "Content-Type: text/html; charset=utf-8\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n\
                  Vary: Cookie\r\n";
    let origin = node(fields, body.clone());
    let router = Router::setup().route(origin.route("a.test")).config(ON).start();
    let mut client = Client::connect(router.http());
    for (accept, coding) in [
        ("gzip", "gzip"),
        ("br;q=0.9, gzip;q=0.8", "br"),
        ("gzip, br, zstd", "zstd"),
        ("*", "zstd"),
    ] {
        let response = ask(&mut client, accept);
        assert_eq!(response.field("content-encoding"), Some(coding), "{accept}");
        assert!(response.is_chunked() && response.field("content-length").is_none());
        assert_eq!(response.field("etag"), Some("W/\"v1\""));
        assert_eq!(response.field_count("etag"), 1);
        assert_eq!(response.field("accept-ranges"), None);
        assert!(response.head.contains("Vary: Cookie\r\nVary: Accept-Encoding"), "{response:#?}");
        assert!(response.body.len() < body.len() / 4, "{}", response.body.len());
        assert_eq!(decoded(&response), body);
    }
    let plain = ask(&mut client, "identity, gzip;q=0");
    assert_eq!((plain.text(), plain.field("content-encoding")), (body, None));
    assert_eq!(plain.field("etag"), Some("\"v1\""));
    assert!(plain.head.contains("Vary: Accept-Encoding"), "caches must know: {}", plain.head);
    assert_eq!(origin.connections(), 1, "the node's connection is kept");
    let counted =
        |coding| router.metrics().sum("suzerain_responses_compressed_total", &[("coding", coding)]);
    assert_eq!((counted("gzip"), counted("br"), counted("zstd")), (1.0, 1.0, 2.0));
}

#[test]
fn what_cannot_or_should_not_be_compressed_is_left_alone() {
    for (fields, bytes) in [
        ("Content-Type: image/png\r\n", 5000),
        ("", 5000),
        ("Content-Type: text/html\r\n", 900),
        ("Content-Type: text/event-stream\r\n", 5000),
        ("Content-Type: text/html\r\nContent-Encoding: x-own\r\n", 5000),
        ("Content-Type: text/html\r\nCache-Control: public, No-Transform\r\n", 5000),
        ("Content-Type: text/html\r\nContent-Range: bytes 0-4999/5000\r\n", 5000),
        ("Content-Type: text/html\r\nRepr-Digest: sha-256=:x:\r\n", 5000),
        ("Content-Type: text/html\r\nContent-Type: text/plain\r\n", 5000),
    ] {
        let body = text(bytes);
        let origin = node(fields, body.clone());
        let router = Router::setup().route(origin.route("a.test")).config(ON).workers(1).start();
        let response = ask(&mut Client::connect(router.http()), "gzip, br, zstd");
        assert_eq!(response.text(), body, "{fields}");
        assert_eq!(response.content_length(), Some(body.len()), "{fields}");
        assert_eq!(response.field("vary"), None, "{fields}");
    }
}

#[test]
fn a_head_request_and_a_key_that_is_off_are_left_alone() {
    let origin = node("Content-Type: text/html\r\n", text(5000));
    let router = Router::setup()
        .route(origin.route("a.test"))
        .route(origin.route("off.test"))
        .config("compress = \"gzip\"\n[key.\"off.test\"]\ncompress = \"off\"\n")
        .start();
    let mut client = Client::connect(router.http());
    client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
    let head = client.response_to_head();
    assert_eq!((head.field("content-encoding"), head.content_length().is_some()), (None, true));
    assert!(ask(&mut client, "gzip").field("content-encoding").is_some());
    client.send("GET / HTTP/1.1\r\nHost: off.test\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!(client.response().field("content-encoding"), None);
}

#[test]
fn an_old_client_gets_it_until_the_connection_ends() {
    let body = text(40_000);
    let origin = node("Content-Type: text/css\r\n", body.clone());
    let router = Router::setup().route(origin.route("a.test")).config(ON).start();
    let mut client = Client::connect(router.http());
    client.send(
        "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.field("connection"), Some("close"));
    assert!(!response.is_chunked() && response.content_length().is_none());
    assert_eq!(decoded(&response), body);
}

/// Goal: nobody waits for the next event. Method: the node sends one event at a time, each only after
/// the client has decoded the one before.
#[test]
fn events_reach_the_client_one_by_one() {
    for coding in ["gzip", "br", "zstd"] {
        let (go, wait) = channel();
        let wait: std::sync::Mutex<Receiver<()>> = wait.into();
        let origin = Origin::start(move |exchange| {
            exchange.write(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                 Transfer-Encoding: chunked\r\n\r\n",
            )?;
            for _ in 0..3 {
                exchange.write("c\r\ndata: tick\n\n\r\n")?;
                let _ = wait.lock().expect("no panic while held").recv();
            }
            exchange.write("0\r\n\r\n")?;
            Ok(After::Close)
        });
        let router = Router::setup()
            .route(origin.route("a.test"))
            .config(format!("compress = \"{coding}\"\ncompress-types = \"text/event-stream\"\n"))
            .start();
        let mut client = Client::connect(router.http());
        client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: {coding}\r\n\r\n"));
        let head = client.try_head().expect("a head");
        assert_eq!(head.field("content-encoding"), Some(coding));
        let mut coded = Vec::new();
        for event in 1..=3 {
            while plain_so_far(coding, &coded) != "data: tick\n\n".repeat(event) {
                coded.extend(one_chunk(&mut client));
            }
            go.send(()).expect("the node waits");
        }
    }
}

fn plain_so_far(coding: &str, coded: &[u8]) -> String {
    let (mut plain, mut byte) = (String::new(), [0]);
    if coded.is_empty() {
        return plain;
    }
    let mut decoder = decoder(coding, coded);
    while decoder.read(&mut byte).is_ok_and(|count| count == 1) {
        plain.push(char::from(byte[0]));
    }
    plain
}

fn one_chunk(client: &mut Client) -> Vec<u8> {
    let line = client.take(10).expect("a size of eight digits");
    let digits = std::str::from_utf8(&line[..8]).expect("digits");
    let size = usize::from_str_radix(digits, 16).expect("a size");
    let mut chunk = client.take(size + 2).expect("a chunk");
    chunk.truncate(size);
    chunk
}

/// Every framing of a node, and a body larger than any buffer.
#[test]
fn large_bodies_of_any_framing_come_out_whole() {
    let body = text(4_000_000);
    for framing in ["length", "chunked", "close"] {
        let sent = body.clone();
        let origin = Origin::start(move |exchange| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            match framing {
                "length" => {
                    exchange.write(format!("{head}Content-Length: {}\r\n\r\n", sent.len()))?;
                    exchange.write(&sent)?;
                }
                "chunked" => {
                    exchange.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n"))?;
                    for piece in sent.as_bytes().chunks(70_001) {
                        exchange.write(format!("{:x}\r\n", piece.len()))?;
                        exchange.write(piece)?;
                        exchange.write("\r\n")?;
                    }
                    exchange.write("0\r\n\r\n")?;
                }
                _ => {
                    exchange.write(format!("{head}\r\n"))?;
                    exchange.write(&sent)?;
                }
            }
            Ok(After::Close)
        });
        let router = Router::setup().route(origin.route("a.test")).config(ON).start();
        for coding in ["gzip", "br", "zstd"] {
            let response = ask(&mut Client::connect(router.http()), coding);
            assert_eq!(response.field("content-encoding"), Some(coding), "{framing}");
            assert!(decoded(&response) == body, "{framing} {coding}");
        }
    }
}

#[test]
fn a_body_that_ends_early_is_not_passed_off_as_whole() {
    let origin = Origin::raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9000\r\n\r\nonly this",
    );
    let router = Router::setup().route(origin.route("a.test")).config(ON).start();
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
    assert!(client.try_response("GET").is_err(), "the last chunk must be missing");
}

/// uWSGI's own way: the application says so in its response.
#[test]
fn a_uwsgi_node_asks_for_gzip_and_its_field_is_taken_out() {
    let node = UwsgiOrigin::start(
        b"HTTP/1.1 200 OK\r\nContent-Type: image/x-own\r\nuWSGI-Encoding: gzip\r\n\r\nshort",
    );
    let route = |key: &str| format!("{key}={}", node.address());
    let router = Router::setup()
        .route(route("a.test"))
        .route(route("off.test"))
        .config("[key.\"a.test\"]\nhttp-auto-gzip = true\n")
        .start();
    let mut client = Client::connect(router.http());
    let coded = ask(&mut client, "deflate, gzip");
    assert_eq!((coded.field("content-encoding"), decoded(&coded)), (Some("gzip"), "short".into()));
    assert_eq!(coded.field("uwsgi-encoding"), None);
    let plain = ask(&mut client, "br");
    assert_eq!((plain.text(), plain.field("uwsgi-encoding")), ("short".into(), None));
    let off = get(router.http(), "off.test", "/");
    assert_eq!((off.text(), off.field("uwsgi-encoding")), ("short".into(), Some("gzip")));
}

/// A client that is not ours: curl asks for what it knows and checks what it decodes.
#[test]
fn curl_decodes_what_it_asked_for_over_tls() {
    let curl = require_tool!("curl");
    let body = text(100_000);
    let origin = node("Content-Type: text/plain\r\n", body.clone());
    let router = Router::setup().https().route(origin.route("a.test")).config(ON).start();
    let port = router.https().port();
    let resolve = format!("a.test:{port}:127.0.0.1");
    let url = format!("https://a.test:{port}/");
    for (version, coding) in
        [("--http1.1", "gzip"), ("--http1.1", "br"), ("--http2", "gzip"), ("--http2", "br")]
    {
        let accept = format!("Accept-Encoding: {coding}");
        let asked = ["-k", version, "--compressed", "-H", &accept, "--resolve", &resolve, &url];
        let answer = tools::curl(&curl, &asked);
        assert_eq!((answer.status, answer.exit), (200, 0), "{}", answer.stderr);
        assert!(answer.body == body, "{version} {coding}");
    }
    let counted =
        |coding| router.metrics().sum("suzerain_responses_compressed_total", &[("coding", coding)]);
    assert_eq!((counted("gzip"), counted("br")), (2.0, 2.0));
}
