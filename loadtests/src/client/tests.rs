//! The generator against a small blocking server that behaves, or does not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::tally::Failure;
use super::{Mark, Pace, Plan, Reuse, Tally, run};

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";

/// A server that writes `answer` in the given pieces, and closes after `requests` of them.
fn server(answer: &'static [u8], pieces: usize, requests: usize) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move |mut stream: TcpStream| {
        let mut buffer = [0; 4096];
        for _ in 0..requests {
            match stream.read(&mut buffer) {
                Ok(length) if length > 0 => {}
                _ => return,
            }
            for piece in answer.chunks(answer.len().div_ceil(pieces)) {
                if stream.write_all(piece).is_err() {
                    return;
                }
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn load(target: SocketAddr, reuse: Reuse, pace: Pace) -> Tally {
    let plan = Plan {
        target,
        request: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        body_bytes: 5,
        moved_bytes: 5,
        connections: 4,
        reuse,
        pace,
        warmup: Duration::from_millis(20),
        window: Duration::from_millis(150),
    };
    let mut marks = Vec::new();
    let tally = run(&plan, &AtomicBool::new(false), |mark| {
        marks.push(mark);
        Ok(())
    });
    assert_eq!(marks, [Mark::Opens, Mark::Closes]);
    tally.unwrap()
}

#[test]
fn answers_in_pieces_count_once_and_without_error() {
    for pieces in [1, 2, 7] {
        let tally = load(server(GOOD, pieces, usize::MAX), Reuse::KeepAlive, Pace::Closed);
        assert!(tally.requests > 0, "{pieces} pieces");
        assert_eq!((tally.errors(), tally.reconnects), (0, 0), "{pieces} pieces");
        assert_eq!(tally.body_bytes, tally.requests * 5);
    }
}

#[test]
fn one_request_per_connection_is_no_reconnect() {
    let tally = load(server(LAST, 1, 1), Reuse::OneRequest, Pace::Closed);
    assert!(tally.requests > 0);
    assert_eq!((tally.errors(), tally.reconnects), (0, 0));
}

#[test]
fn a_closing_answer_on_a_kept_connection_is_followed_by_a_new_one() {
    let tally = load(server(LAST, 1, 1), Reuse::KeepAlive, Pace::Closed);
    assert!(tally.requests > 4);
    assert_eq!(tally.errors(), 0);
}

#[test]
fn an_error_page_or_a_cut_body_never_counts_as_a_request() {
    let gone: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello";
    let cut: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel";
    let long: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!";
    let cases = [(gone, Failure::BadStatus), (cut, Failure::ClosedEarly), (long, Failure::BadBody)];
    for (answer, failure) in cases {
        let tally = load(server(answer, 1, 1), Reuse::KeepAlive, Pace::Closed);
        assert_eq!(tally.requests, 0, "{failure}");
        let kinds: Vec<Failure> = tally.failures().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [failure]);
    }
}

/// Goal: no coordinated omission. A server that stalls must not lower the number of latencies.
#[test]
fn an_open_loop_charges_a_slow_server_for_every_due_request() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while matches!(stream.read(&mut buffer), Ok(length) if length > 0) {
                    thread::sleep(Duration::from_millis(20));
                    let _ = stream.write_all(GOOD);
                }
            });
        }
    });
    // Four connections at 20 ms each serve at most 200 of the 2,000 requests per second.
    let tally = load(address, Reuse::KeepAlive, Pace::Open { rate: 2_000.0 });
    assert!(tally.requests > 0 && tally.requests < 60, "{}", tally.requests);
    // Each was due long before it could be sent.
    assert!(tally.latency_us(0.5) > 40_000.0, "{}", tally.latency_us(0.5));
}
