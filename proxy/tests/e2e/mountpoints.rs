//! Keys with a mountpoint: one host shared by several applications.

use crate::harness::datagram;
use crate::harness::origin::Origin;
use crate::harness::router::Subscribe;
use crate::harness::vassal::vassal;
use crate::harness::{Client, Router, get, require_tool};

#[test]
fn the_longest_mountpoint_serves_and_the_host_takes_the_rest() {
    let (site, shop, cart) = (Origin::echo(), Origin::echo(), Origin::echo());
    let router = Router::setup()
        .route(site.route("h.test"))
        .route(shop.route("h.test/shop"))
        .route(cart.route("h.test/shop/cart"))
        .start();
    for target in ["/", "/shopping", "/shop?x", "/shop/", "/shop/a", "/shop/cart/1", "/%73hop/x"] {
        assert_eq!(get(router.http(), "h.test", target).status, 200, "{target}");
    }
    let targets = |origin: &Origin| -> Vec<String> {
        origin.seen().iter().map(|seen| seen.target().to_owned()).collect()
    };
    assert_eq!(targets(&site), ["/", "/shopping"]);
    assert_eq!(targets(&shop), ["/shop?x", "/shop/", "/shop/a", "/%73hop/x"]);
    assert_eq!(targets(&cart), ["/shop/cart/1"]);
}

/// What a path means to an application decides, not how it is spelled.
#[test]
fn dot_segments_do_not_borrow_a_neighbours_mountpoint() {
    let (a, b) = (Origin::echo(), Origin::echo());
    let router = Router::setup().route(a.route("h.test/a")).route(b.route("h.test/b")).start();
    let mut client = Client::connect(router.http());
    for target in ["/a/../b/x", "/a/%2e%2e/b/x", "/b/x"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h.test\r\n\r\n"));
        assert_eq!(client.response().status, 200);
    }
    assert_eq!((a.seen().len(), b.seen().len()), (0, 3));
}

#[test]
fn a_real_vassal_subscribes_below_a_mountpoint_and_leaves_alone() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let origin = Origin::echo().address().to_string();
    let fields = [("key", "h.test"), ("address", origin.as_str()), ("proto", "http")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    let app = vassal("below")
        .subscribe_to(format!("{}:h.test/app", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("h.test", 1);
    router.wait_for_nodes("h.test/app", 1);
    let answer = get(router.http(), "h.test", "/app/x").json();
    assert_eq!((&answer["node"], &answer["path"]), (&"below".into(), &"/app/x".into()));
    assert_eq!(router.nodes("h.test").len(), 1, "the host's own route is another key");
    app.signal(nix::sys::signal::Signal::SIGINT);
    router.wait_for_nodes("h.test/app", 0);
    assert_eq!(router.nodes("h.test").len(), 1);
}
