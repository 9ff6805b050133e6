//! Bodies: as long as they say, in both directions, held back or passed as they come.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use crate::harness::packet::{Recorder, ask, connect, get_packet, packet, post_packet, rest_of};
use crate::harness::{Router, eventually};

fn seen(node: &Recorder, count: usize) -> Vec<Vec<u8>> {
    eventually("the node has seen it", Duration::from_secs(20), || {
        let seen = node.seen();
        (seen.len() >= count).then_some(seen)
    })
}

fn upgrade_packet() -> Vec<u8> {
    let vars = [("REQUEST_METHOD", "GET"), ("HTTP_HOST", "a.example"), ("CONTENT_LENGTH", "")];
    packet(&[&vars[..], &[("HTTP_UPGRADE", "websocket")]].concat())
}

#[test]
fn what_follows_a_stated_body_stays_behind() {
    let node = Recorder::start("A");
    let router = Router::with_route(format!("a.example={}", node.address()));
    let mut sent = post_packet("a.example", "2");
    let whole = sent.len() + 2;
    sent.extend_from_slice(b"okGET /smuggled");
    assert!(ask(router.http(), &sent).ends_with(b"A"));
    assert_eq!(seen(&node, 1)[0], sent[..whole]);
}

#[test]
fn a_client_that_finished_sending_still_gets_its_answer() {
    let node = Recorder::start("A");
    let router = Router::with_route(format!("a.example={}", node.address()));
    let mut stream = connect(router.http());
    stream.write_all(&get_packet("a.example")).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(rest_of(stream).ends_with(b"A"));
}

#[test]
fn a_body_that_breaks_off_is_never_taken_for_whole() {
    let node = Recorder::start("A");
    let router = Router::with_route(format!("a.example={}", node.address()));
    let sent = [post_packet("a.example", "10"), b"half".to_vec()].concat();
    let mut stream = connect(router.http());
    stream.write_all(&sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(stream), b"", "its node closed, and no answer was made up");
    let log = eventually("it is logged", Duration::from_secs(20), || {
        Some(router.access_log()).filter(|log| log.contains("term="))
    });
    assert!(log.contains("term=CQ"), "{log}");
}

#[test]
fn an_answer_before_the_body_is_over_arrives_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let router = Router::with_route(format!("a.example={}", listener.local_addr().unwrap()));
    let node = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 1000];
        stream.read_exact(&mut some[..10]).unwrap();
        let reply = [b"HTTP/1.1 413 Too Large\r\n\r\n".to_vec(), vec![b'x'; 300_000]].concat();
        stream.write_all(&reply).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Closed with the rest of the body unread once the other side has gone.
        while stream.read(&mut some).is_ok_and(|count| count > 0) {}
    });
    let mut stream = connect(router.http());
    let mut writer = stream.try_clone().unwrap();
    let body = std::thread::spawn(move || {
        let _ = writer.write_all(&post_packet("a.example", "100000000"));
        let block = vec![b'b'; 64 * 1024];
        while writer.write_all(&block).is_ok() {}
    });
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    drop(stream);
    assert!(answer.starts_with(b"HTTP/1.1 413"));
    assert_eq!(answer.len(), 26 + 300_000);
    body.join().unwrap();
    node.join().unwrap();
}

#[test]
fn a_stream_without_a_length_passes_both_ways_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let router = Router::with_route(format!("a.example={}", listener.local_addr().unwrap()));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut packet = vec![0; upgrade_packet().len()];
        stream.read_exact(&mut packet).unwrap();
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
        let mut room = [0; 1024];
        while let Ok(count) = stream.read(&mut room) {
            if count == 0 || stream.write_all(&room[..count]).is_err() {
                break;
            }
        }
    });
    let mut stream = connect(router.http());
    stream.write_all(&upgrade_packet()).unwrap();
    let mut head = [0; 36];
    stream.read_exact(&mut head).unwrap();
    for message in [&b"one"[..], b"two", b"three"] {
        stream.write_all(message).unwrap();
        let mut echo = vec![0; message.len()];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(echo, message);
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(stream), b"");
}

#[test]
fn a_held_body_reaches_no_node_before_it_is_whole() {
    let node = Recorder::start("A");
    for length in [1_000, 100_000] {
        let router = Router::setup()
            .workers(1)
            .args(["--post-buffering", "10KB"])
            .route(format!("a.example={}", node.address()))
            .start();
        let body: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let before = node.seen().len();
        let mut stream = connect(router.http());
        stream.write_all(&post_packet("a.example", &length.to_string())).unwrap();
        stream.write_all(&body[..length / 2]).unwrap();
        let connects =
            |router: &Router| router.metrics().sum("suzerain_upstream_connects_total", &[]);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(connects(&router), 0.0, "{length}");
        stream.write_all(&body[length / 2..]).unwrap();
        assert!(rest_of(stream).ends_with(b"A"), "{length}");
        let bytes = &seen(&node, before + 1)[before];
        assert!(bytes.ends_with(&body), "{length}");
        assert_eq!(bytes.len(), post_packet("a.example", &length.to_string()).len() + length);
    }
}

#[test]
fn bodies_above_the_bound_of_their_key_get_413_before_they_come() {
    let node = Recorder::start("A");
    let router = Router::setup()
        .config("[key.\"a.example\"]\nbody-bytes-max = 1000\n")
        .route(format!("a.example={}", node.address()))
        .route(format!("b.example={}", node.address()))
        .start();
    let answer = ask(router.http(), &post_packet("a.example", "1001"));
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
    let fits = [post_packet("b.example", "1001"), vec![b'x'; 1001]].concat();
    assert!(ask(router.http(), &fits).ends_with(b"A"));
    let head = packet(&[
        ("REQUEST_METHOD", "HEAD"),
        ("HTTP_HOST", "a.example"),
        ("CONTENT_LENGTH", "1001"),
    ]);
    assert!(ask(router.http(), &head).ends_with(b"\r\n\r\n"), "no body for HEAD");
}
