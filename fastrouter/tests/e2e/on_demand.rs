//! A vassal that sleeps is woken for a packet, which waits meanwhile.

use crate::harness::Router;
use crate::harness::datagram::{plain, send};
use crate::harness::emperor::Emperor;
use crate::harness::packet::{Recorder, ask, get_packet};
use crate::harness::router::Subscribe;

#[test]
fn a_packet_for_a_sleeping_vassal_waits_until_it_announces() {
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let at = Emperor::path(setup.folder()).display().to_string();
    let router = setup
        .args(["--emperor-socket", &at, "--tolerance-inactive", "10m"])
        .args(["--wake-timeout", "20s"])
        .start();
    let tell = |address: &str| {
        let fields = [("key", "a.example"), ("address", address), ("vassal", "foo.ini")];
        plain(0, &fields)
    };
    send(router.subscribe(), &tell(""));
    router.wait_for_nodes("a.example", 1);
    let node = Recorder::start("awake");
    let (server, awake) = (router.subscribe(), tell(&node.address().to_string()));
    let _emperor = Emperor::start(router.folder(), move |_| send(server, &awake));
    assert!(ask(router.http(), &get_packet("a.example")).ends_with(b"awake"));
    let sent = router.metrics().sum("suzerain_vassal_spawns_total", &[("outcome", "sent")]);
    assert_eq!(sent, 1.0);
    assert!(ask(router.http(), &get_packet("b.example")).starts_with(b"HTTP/1.1 404 "));
}
