//! Twenty reloads under load: what is open stays open, and nothing fails.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;

use super::websocket::{echo_server, exchange, open};
use crate::harness::port::Port;
use crate::harness::wait::SOON;
use crate::harness::{After, Client, Origin, Router};

const RELOADS: usize = 20;
const PIECES: usize = 60;

/// Goal: a WebSocket, a slow download and keep-alive clients of untouched keys go through twenty reloads that
/// each change rules, routes and a listener.
#[test]
fn what_is_open_survives_twenty_reloads_under_load() {
    let slow = Origin::start(|exchange| {
        exchange.read_body()?;
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECES * 100))?;
        for _ in 0..PIECES {
            exchange.write([b'x'; 100])?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(After::KeepOpen)
    });
    let quick = Origin::echo();
    let ports = [Port::reserve(), Port::reserve()];
    let routes = [
        format!("ws.test={},proto=http", echo_server()),
        slow.route("slow.test"),
        quick.route("quick.test"),
    ];
    let config = |round: usize| {
        let mut all = routes.to_vec();
        all.push(quick.route(&format!("round{round}.test")));
        let all = all.iter().map(|route| format!("{route:?}")).collect::<Vec<_>>().join(", ");
        format!(
            "route = [{all}]\ntcp = [\"{}=quick.test\"]\n[key.\"other.test\"]\nbody-bytes-max = {}\n",
            ports[round % 2].1,
            round + 1
        )
    };
    let router = Router::setup().config(config(0)).start();
    let stream = TcpStream::connect(router.http()).expect("the router listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    let mut socket = open(stream, "ws", "ws.test");
    let mut download = Client::connect(router.http());
    download.send("GET /big HTTP/1.1\r\nHost: slow.test\r\n\r\n");

    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, asked, http) = (stop.clone(), asked.clone(), router.http());
            thread::spawn(move || {
                let mut client = Client::connect(http);
                while !stop.load(Ordering::Relaxed) {
                    client.send("GET / HTTP/1.1\r\nHost: quick.test\r\n\r\n");
                    assert_eq!(client.response().status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=RELOADS {
        let log = router.reload(&config(round));
        assert!(log.contains("added listener tcp") && log.contains("other.test"), "{log}");
        exchange(&mut socket, Message::text(format!("after reload {round}")));
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("no request failed"));
    assert!(asked.load(Ordering::Relaxed) > RELOADS);
    let response = download.response();
    assert_eq!((response.status, response.body.len()), (200, PIECES * 100));
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_reloads_total", &[("outcome", "applied")]), RELOADS as f64);
}
