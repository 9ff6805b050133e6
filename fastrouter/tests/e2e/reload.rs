//! SIGHUP: the rules of packets and their listeners change as those of the other router do.

use std::net::TcpStream;

use crate::harness::Router;
use crate::harness::packet::{Recorder, ask, get_packet};
use crate::harness::port::Port;
use crate::harness::wait::{SOON, eventually_true};

#[test]
fn fallbacks_and_routes_change_in_a_running_router() {
    let nodes = ["one", "two", "spare"].map(Recorder::start);
    let routes = |key: &str, at: usize| format!("route = [\"{key}={}\"]\n", nodes[at].address());
    let spare = format!("fallback = [\"{}\"]\nfallback-on-no-key = true\n", nodes[2].address());
    let router = Router::setup().config(routes("a.example", 0)).start();
    let answer = |key: &str| ask(router.http(), &get_packet(key));
    assert!(answer("a.example").ends_with(b"one"));
    assert!(!answer("b.example").ends_with(b"spare"));

    let log = router.reload(&format!("{}{spare}", routes("a.example", 1)));
    assert!(log.contains("reloaded: changed") && log.contains("fallback"), "{log}");
    eventually_true("the other node serves", SOON, || answer("a.example").ends_with(b"two"));
    assert!(answer("b.example").ends_with(b"spare"), "rules of packets come with the generation");

    let log = router.reload("fallback = 7\n");
    assert!(log.contains("not reloaded, nothing changed"), "{log}");
    assert!(answer("a.example").ends_with(b"two") && answer("b.example").ends_with(b"spare"));
}

#[test]
fn it_is_the_other_routers_option_that_is_refused() {
    let port = Port::reserve();
    let router = Router::setup().config("dotsplit = true\n").start();
    let log = router.reload(&format!("http = [\"{}\"]\n", port.1));
    assert!(log.contains("not reloaded, nothing changed"), "{log}");
    assert!(TcpStream::connect(port.1).is_err());
}
