//! Where packets go: mountpoints, sockets by name, fallbacks, peers, failures.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::harness::datagram::{plain, send};
use crate::harness::packet::{Recorder, ask, get_packet, packet};
use crate::harness::port::Port;
use crate::harness::router::Subscribe;
use crate::harness::{Router, eventually};

/// A node on a unix socket that answers one request after the other with `name`.
fn unix_node(path: &Path, name: &'static str) {
    let listener = UnixListener::bind(path).expect("a socket");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut header = [0; 4];
            let _ = stream.read_exact(&mut header);
            let modifiers = format!("{}/{}", header[0], header[3]);
            let _ =
                stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{name} {modifiers}").as_bytes());
        }
    });
}

fn status(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned()
}

#[test]
fn the_longest_mountpoint_of_the_path_wins() {
    let nodes = ["root", "shop", "cart"].map(Recorder::start);
    let keys = ["a.example", "a.example/shop", "a.example/shop/cart"];
    let routes = keys.iter().zip(&nodes).map(|(key, node)| format!("{key}={}", node.address()));
    let router = routes.fold(Router::setup(), |setup, route| setup.route(route)).start();
    for (path, name) in [
        ("/", "root"),
        ("/shop", "shop"),
        ("/shop/", "shop"),
        ("/shop/cart/1", "cart"),
        ("/shop/cart", "cart"),
        ("/shopping", "root"),
        ("", "root"),
    ] {
        let sent = packet(&[("PATH_INFO", path), ("HTTP_HOST", "a.example")]);
        assert!(ask(router.http(), &sent).ends_with(name.as_bytes()), "{path}");
    }
    let named = packet(&[("UWSGI_FASTROUTER_KEY", "a.example/shop"), ("HTTP_HOST", "b.example")]);
    assert!(ask(router.http(), &named).ends_with(b"shop"), "named by the web server");
}

#[test]
fn hosts_are_served_by_the_sockets_of_their_names_and_nothing_outside() {
    let router = {
        let setup = Router::setup();
        let base = setup.folder().join("base");
        std::fs::create_dir(&base).unwrap();
        unix_node(&base.join("a.example"), "base");
        unix_node(&setup.folder().join("b.example.sock"), "pattern");
        unix_node(&setup.folder().join("outside"), "outside");
        let pattern = setup.folder().join("%s.sock").display().to_string();
        let base = base.display().to_string();
        setup.args(["--base", &base, "--pattern", &pattern]).start()
    };
    let mut sent = get_packet("A.example");
    (sent[0], sent[3]) = (7, 9);
    assert!(ask(router.http(), &sent).ends_with(b"base 0/0"), "modifiers are none of the client's");
    assert!(ask(router.http(), &get_packet("b.example")).ends_with(b"pattern 0/0"));
    for outside in ["../outside", "..", ".", "a.example/../../outside", "/outside", "c.example"] {
        let answer = ask(router.http(), &get_packet(outside));
        assert_eq!(status(&answer), "404", "{outside}");
    }
}

#[test]
fn a_dead_node_is_replaced_by_the_fallback_with_its_modifiers() {
    let spare = Recorder::start("B");
    let spare_at = spare.address().to_string();
    // Nobody listens there, and nobody else gets these ports meanwhile.
    let refusing = [(); 3].map(|()| Port::reserve());
    let [first, dead, routed] = refusing.each_ref().map(|port| port.1.to_string());
    let router = Router::setup()
        .args(["--fallback", &first, "--fallback", &spare_at])
        .subscribe(Subscribe::Udp)
        .start();
    let fields = [("key", "a.example"), ("address", &dead), ("modifier1", "5")];
    send(router.subscribe(), &plain(0, &fields));
    router.wait_for_nodes("a.example", 1);
    assert!(ask(router.http(), &get_packet("a.example")).ends_with(b"B"));
    let seen = eventually("the spare has seen it", Duration::from_secs(20), || spare.seen().pop());
    assert_eq!((seen[0], seen[3]), (5, 0));
    assert_eq!(status(&ask(router.http(), &get_packet("zzz"))), "404", "not for unknown keys");
    let router = Router::setup()
        .args(["--fallback", &spare_at, "--fallback-on-no-key"])
        .route(format!("a.example={routed}"))
        .start();
    assert!(ask(router.http(), &get_packet("zzz")).ends_with(b"B"));
}

#[test]
fn the_fallback_key_serves_hosts_that_nobody_has() {
    let node = Recorder::start("A");
    let router = Router::setup()
        .args(["--fallback-key", "a.example"])
        .route(format!("a.example={}", node.address()))
        .start();
    assert!(ask(router.http(), &get_packet("zzz")).ends_with(b"A"));
}

#[test]
fn failures_are_answered_with_their_status_or_closed_if_so_asked() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = Port::reserve();
    let (silent_at, hanging_at) = (silent.local_addr().unwrap(), hanging.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in silent.incoming() {
            drop(stream)
        }
    });
    for (closes, statuses) in [(false, ["404", "502", "502", "504"]), (true, ["", "", "", ""])] {
        let setup = Router::setup()
            .config("timeouts = { first-byte = \"300ms\" }")
            .route(format!("refuses.example={}", refusing.1))
            .route(format!("closes.example={silent_at}"))
            .route(format!("hangs.example={hanging_at}"));
        let setup = if closes { setup.args(["--close-on-failure"]) } else { setup };
        let router = setup.start();
        for (host, expected) in ["unknown", "refuses", "closes", "hangs"].iter().zip(statuses) {
            let answer = ask(router.http(), &get_packet(&format!("{host}.example")));
            assert_eq!(status(&answer), expected, "{host}, closes: {closes}");
        }
        let log = eventually("all are logged", Duration::from_secs(20), || {
            Some(router.access_log()).filter(|log| log.lines().count() == 4)
        });
        for letters in ["RH", "UC", "UW", "uW"] {
            assert!(log.contains(&format!("term={letters}")), "{letters} in {log}");
        }
    }
}

#[test]
fn only_named_peers_are_served() {
    let node = Recorder::start("A");
    let router = Router::setup()
        .workers(1)
        .args(["--uwsgi-allow", "192.0.2.0/24"])
        .route(format!("a.example={}", node.address()))
        .start();
    assert_eq!(ask(router.http(), &get_packet("a.example")), b"");
    let labels = [("reason", "peer")];
    assert_eq!(router.metrics().sum("suzerain_uwsgi_rejects_total", &labels), 1.0);
    assert!(node.seen().is_empty());
}

#[test]
fn clients_of_the_web_server_are_told_apart_by_what_it_says() {
    let node = Recorder::start("A");
    let router = Router::setup()
        .workers(1)
        .args(["--client-rate-limit", "1/m"])
        .route(format!("a.example={}", node.address()))
        .start();
    let from = |client| {
        let vars = [("HTTP_HOST", "a.example"), ("REMOTE_ADDR", client), ("REMOTE_PORT", "7")];
        status(&ask(router.http(), &packet(&vars)))
    };
    assert_eq!([from("192.0.2.1"), from("192.0.2.2")], ["200", "200"]);
    let mut again = String::new();
    eventually("the burst is used up", Duration::from_secs(20), || {
        again = from("192.0.2.1");
        (again == "429").then_some(())
    });
    assert_eq!(from("192.0.2.3"), "200");
    eventually("the log names the client", Duration::from_secs(20), || {
        router.access_log().contains("client=192.0.2.1:7 ").then_some(())
    });
}
