//! SIGHUP: what a changed file changes in a running router, and what it leaves alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::datagram::{plain, send};
use crate::harness::h2::H2Client;
use crate::harness::port::Port;
use crate::harness::raw_node::RawNode;
use crate::harness::router::Subscribe;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{After, Client, Origin, Router, get};

fn post(client: &mut Client, host: &str, bytes: usize) -> u16 {
    let body = "x".repeat(bytes);
    client
        .send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {bytes}\r\n\r\n{body}"));
    client.response().status
}

/// Sends everything back in its own connection.
fn echo_node() -> RawNode {
    RawNode::start(|mut stream| {
        let mut bytes = [0; 64];
        while let Ok(count) = stream.read(&mut bytes) {
            if count == 0 || stream.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    })
}

fn echoes(client: &mut Client, word: &str) -> bool {
    client.try_send(word).is_ok()
        && client.take(word.len()).is_ok_and(|back| back == word.as_bytes())
}

fn listener(router: &Router, scheme: &str) -> Option<SocketAddr> {
    let stats = router.stats();
    let all = stats["suzerain"]["listeners"].as_array()?.clone();
    let found = all.iter().find(|one| one["scheme"] == scheme)?;
    found["address"].as_str()?.parse().ok()
}

/// Goal: rules change for one key and not for another, also for connections that are open.
#[test]
fn rules_of_one_key_change_and_open_connections_follow() {
    let origin = Origin::echo();
    let routes = [origin.route("a.test"), origin.route("b.test")];
    let routes = routes.map(|route| format!("{route:?}")).join(", ");
    let base = format!("http2 = \"all\"\nroute = [{routes}]\n");
    let router = Router::setup().config(format!("{base}body-bytes-max = 9\n")).start();
    let mut open = Client::connect(router.http());
    let mut streams = H2Client::connect(router.http());
    assert_eq!([post(&mut open, "a.test", 9), post(&mut open, "b.test", 9)], [200, 200]);
    assert_eq!(streams.get("a.test", "/").status, 200);

    let log = router.reload(&format!(
        "{base}body-bytes-max = 9\n[key.\"a.test\"]\nbody-bytes-max = 4\nhttps-redirect = \"301\"\n"
    ));
    assert!(log.contains("reloaded: changed the rules of key a.test"), "{log}");
    eventually_true("a stream of an open connection has the new rules", SOON, || {
        streams.get("a.test", "/").status == 301
    });
    assert_eq!(post(&mut open, "b.test", 9), 200, "the other key is as it was");
    assert_eq!(streams.get("b.test", "/").status, 200);
    let log =
        router.reload(&format!("{base}body-bytes-max = 9\n[key.\"a.test\"]\nbody-bytes-max = 4\n"));
    assert!(log.contains("a.test"), "{log}");
    eventually_true("the redirect is gone", SOON, || streams.get("a.test", "/").status == 200);
    assert_eq!(post(&mut open, "a.test", 4), 200, "on the same connection");
    assert_eq!(post(&mut open, "a.test", 5), 413);
}

#[test]
fn a_deadline_of_one_key_changes_and_the_other_keeps_its_own() {
    let origin = Origin::start(|exchange| {
        while exchange.read_some()? > 0 {}
        Ok(After::Close)
    });
    let routes = [origin.route("quick.test"), origin.route("patient.test")];
    let routes = routes.map(|route| format!("{route:?}")).join(", ");
    let base = format!("route = [{routes}]\n[timeouts]\nfirst-byte = \"6s\"\n");
    let router = Router::setup().config(&base).start();
    router.reload(&format!("{base}[key.\"quick.test\".timeouts]\nfirst-byte = \"300ms\"\n"));
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    let mut patient = Client::connect(router.http());
    patient.send("GET / HTTP/1.1\r\nHost: patient.test\r\n\r\n");
    assert_eq!(get(router.http(), "quick.test", "/").status, 504);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(patient.response().status, 504);
    assert!(start.elapsed() >= Duration::from_millis(5500), "{:?}", start.elapsed());
}

/// Goal: a listener is added, another removed, in all workers, and no open connection notices.
#[test]
fn listeners_come_and_go_and_their_connections_stay() {
    let node = echo_node();
    let (old, new) = (Port::reserve(), Port::reserve());
    let route = format!("route = [\"raw.test={},proto=tcp\"]\n", node.address());
    let tcp = |port: &Port| format!("{route}tcp = [\"{}=raw.test\"]\n", port.1);
    let router = Router::setup().config(tcp(&old)).start();
    let mut before: Vec<_> = (0..8).map(|_| Client::connect(old.1)).collect();
    assert!(before.iter_mut().all(|client| echoes(client, "one")));

    let log = router.reload(&tcp(&new));
    assert!(log.contains(&format!("added listener tcp {}", new.1)), "{log}");
    assert!(log.contains(&format!("removed listener tcp {}", old.1)), "{log}");
    eventually_true("the old one is closed", SOON, || TcpStream::connect(old.1).is_err());
    let mut after: Vec<_> = (0..8).map(|_| Client::connect(new.1)).collect();
    assert!(after.iter_mut().all(|client| echoes(client, "two")));
    assert!(before.iter_mut().all(|client| echoes(client, "three")), "they stay");

    router.reload(&tcp(&old));
    eventually_true("it is back", SOON, || TcpStream::connect(old.1).is_ok());
    assert!(echoes(&mut Client::connect(old.1), "four"));
    assert!(before.iter_mut().chain(&mut after).all(|client| echoes(client, "five")));
}

#[test]
fn an_address_that_cannot_be_had_changes_nothing() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let held = other.local_addr().expect("bound").to_string();
    let router = Router::setup().config("via = \"one\"\n").start();
    let log = router.reload(&format!("via = \"two\"\nhttps = [\"127.0.0.1:0\", \"{held}\"]\n"));
    assert!(log.contains("not reloaded") && log.contains(&held), "{log}");
    assert_eq!(listener(&router, "https"), None);
    assert_eq!(router.metrics().sum("suzerain_config_last_reload_successful", &[]), 0.0);
    let log = router.reload("via = \"two\"\nhttps = [\"127.0.0.1:0\"]\n");
    assert!(log.contains("added listener https") && log.contains("changed via"), "{log}");
    let https = listener(&router, "https").expect("it is there");
    assert!(TcpStream::connect(https).is_ok());
    assert_eq!(router.metrics().sum("suzerain_config_last_reload_successful", &[]), 1.0);
}

#[test]
fn a_broken_file_changes_nothing_and_says_where() {
    let origin = Origin::echo();
    let route = format!("route = [\"{}\"]\n", origin.route("a.test"));
    let router = Router::setup().config(&route).start();
    let log = router.reload(&format!("{route}body-byte-max = 4\nbody-bytes-max = \"much\"\n"));
    assert!(log.contains("not reloaded, nothing changed"), "{log}");
    assert!(log.contains("suzerain.toml:2:1: unknown key \"body-byte-max\""), "{log}");
    assert!(log.contains("body-bytes-max") && log.contains("suzerain.toml:3:18"), "{log}");
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_reloads_total", &[("outcome", "refused")]), 1.0);
    assert_eq!(post(&mut Client::connect(router.http()), "a.test", 5000), 200);
    let log = router.reload(&route);
    assert!(log.contains("reloaded: nothing changed"), "{log}");
    assert_eq!(router.metrics().sum("suzerain_reloads_total", &[("outcome", "unchanged")]), 1.0);
}

#[test]
fn without_a_file_the_flags_are_read_again_and_that_is_said() {
    let router = Router::setup().start();
    let log = router.reload_again();
    assert!(log.contains("there is no config file, so only the flags were read again"), "{log}");
    assert!(log.contains("nothing changed"), "{log}");
}

#[test]
fn what_needs_an_upgrade_is_named_and_the_rest_is_applied() {
    let router = Router::setup().config("via = \"old\"\n").start();
    let log =
        router.reload("emperor-socket = \"127.0.0.1:9\"\nvia = \"new\"\nlog-level = \"debug\"\n");
    assert!(log.contains("changed log-level, via"), "{log}");
    assert!(log.contains("emperor-socket needs an upgrade, because"), "{log}");
    let again = router.reload_again();
    assert!(again.contains("emperor-socket needs an upgrade"), "still: {again}");
}

/// Goal: nodes that the operator wrote down come and go; those of others stay, and so do their
/// subscription sockets.
#[test]
fn routes_and_subscription_sockets_change_and_nodes_of_others_stay() {
    let (one, two) = (Origin::echo(), Origin::echo());
    let router = Router::setup()
        .subscribe(Subscribe::Unix)
        .config(format!("route = [\"{}\"]\n", one.route("static.test")))
        .start();
    // The socket of the flag stays in all of this; that of the file is another one.
    let own = two.address().to_string();
    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    let fields = [("key", "sub.test"), ("address", &*own), ("modifier1", "0")];
    socket.send_to(&plain(0, &fields), router.subscribe_text()).expect("it listens");
    router.wait_for_nodes("sub.test", 1);
    assert_eq!(get(router.http(), "static.test", "/").status, 200);

    let log = router.reload(&format!("route = [\"{}\"]\n", two.route("other.test")));
    assert!(log.contains("changed route"), "{log}");
    eventually_true("the new one serves", SOON, || {
        get(router.http(), "other.test", "/").status == 200
    });
    assert_eq!(get(router.http(), "static.test", "/").status, 404);
    assert_eq!(router.nodes("sub.test").len(), 1);
    socket.send_to(&plain(0, &fields), router.subscribe_text()).expect("it still listens");
}

/// Goal: a tenant cannot point a node at a listener that a reload brought.
#[test]
fn a_new_listener_is_no_upstream() {
    let port = Port::reserve();
    let router = Router::setup().subscribe(Subscribe::Udp).config("via = \"a\"\n").start();
    let address = port.1.to_string();
    let claim = plain(0, &[("key", "loop.test"), ("address", &address)]);
    send(router.subscribe(), &claim);
    router.wait_for_nodes("loop.test", 1);
    router.reload(&format!("via = \"a\"\nhttps = [\"{address}\"]\n"));
    router.wait_for_nodes("loop.test", 0);
    let before = router.rejects_total();
    send(router.subscribe(), &claim);
    eventually_true("it is refused", SOON, || router.rejects_total() > before);
    assert!(router.nodes("loop.test").is_empty());
    router.reload("via = \"a\"\n");
    send(router.subscribe(), &claim);
    router.wait_for_nodes("loop.test", 1);
}

/// Threads that write an access log.
fn writers(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a live process");
    let names = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("comm")));
    names.filter(|name| name.as_ref().is_ok_and(|name| name.trim() == "access-log")).count()
}

/// Goal: what a process holds on to besides listeners can be another one: its access log, its admin
/// socket, its plain listener, its subscription sockets. Method: all of it is in the file alone.
#[test]
fn log_admin_and_subscription_sockets_follow_the_file() {
    let (one, two) = (Port::reserve(), Port::reserve());
    let origin = Origin::echo();
    let setup = Router::setup().file_alone();
    let folder = setup.folder().to_owned();
    let file = |http: &Port, log: &str, admin: &str, sub: &str| {
        let at = |name: &str| folder.join(name).display().to_string();
        format!(
            "http = [\"{}\"]\naccess-log = \"{}\"\nadmin = \"{}\"\nsubscribe = [\"{}\", \"{}\"]\nroute = [\"{}\"]\n",
            http.1,
            at(log),
            at(admin),
            at("kept.sub"),
            at(sub),
            origin.route("a.test")
        )
    };
    let router = setup.config(file(&one, "one.log", "admin.sock", "one.sub")).start();
    let sender = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    let announce = |key: &str, socket: &str| {
        let address = origin.address().to_string();
        let datagram = plain(0, &[("key", key), ("address", &address)]);
        sender.send_to(&datagram, folder.join(socket))
    };
    announce("kept.test", "kept.sub").expect("it listens");
    announce("one.test", "one.sub").expect("it listens");
    router.wait_for_nodes("kept.test", 1);
    router.wait_for_nodes("one.test", 1);
    // It asks nothing and so stays with what held when it came.
    let _silent = Client::connect(one.1);
    let mut open = Client::connect(one.1);
    open.send("GET /first HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(open.response().status, 200);

    let log = router.reload(&file(&two, "two.log", "admin.sock", "two.sub"));
    assert!(log.contains("added listener http") && log.contains("access-log"), "{log}");
    open.send("GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(open.response().status, 200, "its listener is gone and it is not");
    assert_eq!(get(two.1, "a.test", "/third").status, 200);
    assert!(TcpStream::connect(one.1).is_err());
    let lines = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    eventually_true("lines are where they belong", SOON, || {
        lines("one.log").contains("/first")
            && lines("two.log").contains("/second")
            && lines("two.log").contains("/third")
    });
    assert!(!lines("one.log").contains("/second"));
    eventually_true("nobody writes to the old log any more", SOON, || {
        writers(router.process.pid()) == 1
    });
    assert_eq!(router.nodes("one.test").len(), 1, "it stays for its lease");
    announce("kept.test", "kept.sub").expect("it still listens");
    announce("two.test", "two.sub").expect("it listens now");
    router.wait_for_nodes("two.test", 1);
    eventually_true("the old socket is gone", SOON, || !folder.join("one.sub").exists());

    std::fs::write(folder.join("suzerain.toml"), file(&two, "two.log", "other.sock", "two.sub"))
        .expect("write");
    router.process.signal(nix::sys::signal::Signal::SIGHUP);
    let answers = |name: &str| {
        let answer = crate::harness::router::try_admin(&folder.join(name), "/readyz");
        answer.is_ok_and(|answer| answer.status == 200)
    };
    eventually_true("the admin socket moved", SOON, || answers("other.sock"));
    eventually_true("and is nowhere else", SOON, || !answers("admin.sock"));
}

/// Goal: another directory of certificates and another default pair are served, a pair that cannot be
/// changes nothing, and open connections stay.
#[test]
fn certificates_come_from_where_the_file_says_now() {
    use crate::harness::certs;
    let _openssl = crate::harness::require_tool!("openssl");
    let setup = Router::setup().https();
    let dir = |name: &str| {
        let dir = setup.folder().join(name);
        std::fs::create_dir(&dir).expect("a directory");
        dir
    };
    let (first, second) = (dir("first"), dir("second"));
    let leaf = |name: &str| certs::leaf(setup.folder(), name);
    leaf("a.test").install(&first, "a.test");
    leaf("b.test").install(&second, "b.test");
    let of = |dir: &std::path::Path| format!("cert-dir = \"{}\"\n", certs::utf8(dir));
    let served = |router: &Router, name: &str| {
        let stats = router.stats();
        let all = stats["suzerain"]["certificates"].as_array().cloned().unwrap_or_default();
        all.iter().any(|cert| cert["name"] == name)
    };
    let (at_first, at_second) = (of(&first), of(&second));
    let router = setup.config(&at_first).start();
    assert!(served(&router, "a.test") && !served(&router, "b.test"));
    // The key is that of another certificate.
    let pair = [first.join("a.test.crt"), second.join("b.test.key")];
    let pair = pair.map(|path| certs::utf8(&path).to_owned()).join(",");
    let log = router.reload(&format!("{at_second}via = \"x\"\ndefault-cert = \"{pair}\"\n"));
    assert!(log.contains("not reloaded") && log.contains("a.test.crt"), "{log}");
    assert!(served(&router, "a.test") && !served(&router, "b.test"));
    let log = router.reload(&at_second);
    assert!(log.contains("changed cert-dir"), "{log}");
    assert!(served(&router, "b.test"));
    eventually_true("what is not in the new directory goes", SOON, || !served(&router, "a.test"));
}
