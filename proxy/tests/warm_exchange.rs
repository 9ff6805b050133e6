//! A warm plain exchange allocates nothing: the router in this process, an allocator that counts.
//!
//! A program of its own, because an allocator counts for a whole process.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use proxy::config::{Settings, StaticRoute};
use proxy::{HttpFront, startup};
use route_table::{Address, Opening, Proto, RouteKey};
use router_core::address::ListenAddr;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET /shop HTTP/1.1\r\nHost: site.test\r\nAccept: */*\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const WARM_UP: usize = 200;
const COUNTED: usize = 5_000;
/// What the ticks of the worker and the other threads of the router may need meanwhile.
const ALLOCATIONS_MAX: usize = COUNTED / 50;

/// Answers every request of one connection; once it runs it allocates nothing itself.
fn serve(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("the router connects");
    stream.set_nodelay(true).expect("an option");
    let mut buffer = [0; 2048];
    let mut filled = 0;
    while let Ok(received) = stream.read(&mut buffer[filled..]) {
        filled += received;
        if received == 0 {
            return;
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            stream.write_all(ANSWER).expect("the router reads");
        }
    }
}

fn ask(client: &mut TcpStream) {
    client.write_all(REQUEST).expect("the router reads");
    let mut buffer = [0; 2048];
    let mut filled = 0;
    while !buffer[..filled].ends_with(b"\r\n\r\nhello") {
        let received = client.read(&mut buffer[filled..]).expect("the router answers");
        assert!(received > 0, "the connection stays");
        filled += received;
    }
}

fn loopback() -> ListenAddr {
    ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

#[test]
fn a_warm_plain_exchange_allocates_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let node = listener.local_addr().expect("an address");
    std::thread::spawn(move || serve(&listener));
    let settings = Settings {
        http: vec![loopback()],
        workers: 1,
        route: vec![StaticRoute {
            key: RouteKey::parse(b"site.test").expect("a key"),
            address: Address::Tcp(node),
            announced: node.to_string(),
            proto: Proto::Http,
            opening: Opening::Plain,
            weight: 1,
        }],
        ..Settings::default()
    };
    let origin = (Default::default(), &mut Default::default());
    let router = startup::start(settings, None, HttpFront, origin.0, origin.1).expect("it starts");
    let address = router.ready.http[0].ip().expect("a TCP address");
    let mut client = TcpStream::connect(address).expect("it listens");
    client.set_nodelay(true).expect("an option");
    (0..WARM_UP).for_each(|_| ask(&mut client));
    let region = Region::new(ALLOCATOR);
    (0..COUNTED).for_each(|_| ask(&mut client));
    let counted = region.change();
    println!("{COUNTED} exchanges: {counted:?}");
    let allocations = counted.allocations + counted.reallocations;
    assert!(allocations <= ALLOCATIONS_MAX, "{counted:?}");
}
