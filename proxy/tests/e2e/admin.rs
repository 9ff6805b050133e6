//! What operators see: health, readiness, statistics, metrics, explanations, the access log.

use std::time::Duration;

use crate::harness::origin::Refusing;
use crate::harness::router::{BINARY, io_driver, suzerain};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{Client, Origin, Router, get};

#[test]
fn health_and_readiness_answer() {
    let router = Router::with_route("site.test=127.0.0.1:9");
    for target in ["/healthz", "/readyz"] {
        assert_eq!(router.admin(target).status, 200, "{target}");
    }
    assert_eq!(router.admin("/nothing-here").status, 404);
}

#[test]
fn the_admin_socket_works_over_tcp_too() {
    // Not through the harness, whose admin socket is a unix one: the port comes from the log.
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = std::process::Command::new(BINARY);
    command.args(["run", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--workers", "1", "--io", &io_driver()]);
    let process = crate::harness::process::Process::start(
        &mut command,
        folder.path(),
        "router",
        nix::sys::signal::Signal::SIGTERM,
    );
    let address: std::net::SocketAddr = eventually("the address is told", SOON, || {
        let log = process.stderr();
        let line = log.lines().find(|line| line.trim_start().starts_with("admin "))?;
        line.split_whitespace().nth(1)?.parse().ok()
    });
    let host = address.to_string();
    assert_eq!(get(address, &host, "/readyz").status, 200);
    assert_eq!(get(address, &host, "/stats").json()["cheap"], 0);
    // A page in a browser on this machine could ask under a name that resolves to loopback.
    assert_eq!(get(address, "rebound.test", "/stats").status, 403);
}

/// Nobody can meet the certificate that is made for want of another.
#[test]
fn a_router_without_https_lists_no_certificate_of_its_own_making() {
    for (setup, count) in [(Router::setup(), 0), (Router::setup().https(), 1)] {
        let router = setup.start();
        let overview = router.admin("/overview.json").json();
        assert_eq!(overview["certificates"]["total"], count);
        assert_eq!(router.stats()["suzerain"]["certificates_total"], count);
    }
}

#[test]
fn stats_are_a_superset_of_uwsgis() {
    let origin = Origin::echo();
    let router = Router::setup().subscribe(crate::harness::router::Subscribe::Udp).start();
    let address = origin.address().to_string();
    // A quote in an announced text must not break the document, as it does in the original.
    let fields = [
        ("key", "stats.test"),
        ("address", address.as_str()),
        ("proto", "http"),
        ("cores", "4"),
        ("load", "2"),
        ("weight", "3"),
    ];
    let datagram = crate::harness::datagram::plain(0, &fields);
    crate::harness::datagram::send(router.subscribe(), &datagram);
    router.wait_for_nodes("stats.test", 1);
    for _ in 0..3 {
        assert_eq!(get(router.http(), "stats.test", "/").status, 200);
    }
    // An exchange is over a moment after its last byte.
    let stats = eventually("all exchanges are over", SOON, || {
        let stats = router.stats();
        (stats["subscriptions"][0]["nodes"][0]["ref"] == 0).then_some(stats)
    });
    for field in ["version", "cwd"] {
        assert!(stats[field].is_string(), "{field}: {stats:#}");
    }
    for field in ["pid", "uid", "gid", "active_sessions", "cheap"] {
        assert!(stats[field].is_i64(), "{field}: {stats:#}");
    }
    assert_eq!(stats["pid"], router.process.pid());
    let listeners = stats["http"].as_array().expect("the bound addresses");
    let (http, udp) = (router.http().to_string(), router.subscribe().to_string());
    for bound in [&http, &udp] {
        assert!(listeners.iter().any(|address| address == bound), "{bound}: {stats:#}");
    }
    let entry = &stats["subscriptions"][0];
    assert_eq!(entry["key"], "stats.test");
    assert_eq!(entry["hits"], 3);
    for field in ["hash", "sni_enabled"] {
        assert!(entry[field].is_i64(), "{field}: {entry:#}");
    }
    let node = &entry["nodes"][0];
    assert_eq!(node["name"], address);
    for (field, value) in [("requests", 3), ("cores", 4), ("load", 2), ("weight", 3), ("ref", 0)] {
        assert_eq!(node[field], value, "{field}: {node:#}");
    }
    let numbers = [
        "modifier1",
        "modifier2",
        "last_check",
        "pid",
        "uid",
        "gid",
        "last_requests",
        "tx",
        "rx",
        "backup",
        "wrr",
        "failcnt",
        "death_mark",
    ];
    for field in numbers {
        assert!(node[field].is_i64(), "{field}: {node:#}");
    }
    assert!(node["tx"].as_i64() > Some(0) && node["rx"].as_i64() > Some(0), "{node:#}");
}

#[test]
fn metrics_are_well_formed_and_count() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    for _ in 0..5 {
        assert_eq!(get(router.http(), "site.test", "/").status, 200);
    }
    assert_eq!(get(router.http(), "other.test", "/").status, 404);
    // Counters are added to when an exchange is over, a moment after its last byte.
    let metrics = eventually("all six are counted", SOON, || {
        let metrics = router.metrics();
        (metrics.sum("suzerain_request_duration_seconds_count", &[]) == 6.0).then_some(metrics)
    });
    assert_eq!(metrics.sum("suzerain_requests_total", &[]), 6.0);
    assert_eq!(metrics.sum("suzerain_responses_total", &[("class", "2xx")]), 5.0);
    assert_eq!(metrics.sum("suzerain_responses_total", &[("class", "4xx")]), 1.0);
    let unknown = [("reason", "unknown_key")];
    assert_eq!(metrics.sum("suzerain_requests_unrouted_total", &unknown), 1.0);
    assert_eq!(metrics.sum("suzerain_nodes", &[]), 1.0);
    for sample in &metrics.samples {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let name = sample.name.strip_suffix(suffix)?;
            metrics.typed.iter().any(|typed| typed == name).then_some(name)
        });
        let family = family.unwrap_or(&sample.name);
        assert!(metrics.typed.iter().any(|typed| typed == family), "{family} has no TYPE");
        assert!(metrics.helped.iter().any(|helped| helped == family), "{family} has no HELP");
    }
    let mut series: Vec<String> = metrics
        .samples
        .iter()
        .map(|sample| format!("{}{:?}", sample.name, sample.labels))
        .collect();
    let count = series.len();
    series.sort();
    series.dedup();
    assert_eq!(series.len(), count, "a series appears twice");
}

#[test]
fn the_chosen_driver_is_published() {
    let router = Router::with_route("site.test=127.0.0.1:9");
    let metrics = router.metrics();
    let of_driver = metrics.non_zero("suzerain_io_driver_info");
    let [sample] = of_driver[..] else { panic!("one driver: {of_driver:?}") };
    let (_, driver) = &sample.labels[0];
    match io_driver().as_str() {
        "uring" => assert!(driver.starts_with("uring"), "{driver}"),
        "epoll" => assert_eq!(driver, "epoll"),
        _ => assert!(!driver.is_empty()),
    }
}

#[test]
fn explain_says_key_node_and_why_not() {
    let origin = Origin::echo();
    let router = Router::setup().https().route(origin.route("site.test")).start();
    let admin = router.admin_path().display().to_string();
    let explain = |url: &str| suzerain(router.folder(), &["explain", "--admin", &admin, url]);
    let known = explain("http://SITE.test/cart?x=1");
    assert_eq!(known.code, Some(0), "{known:?}");
    let address = origin.address().to_string();
    for part in ["site.test", address.as_str()] {
        assert!(known.stdout.contains(part), "{part} not in {}", known.stdout);
    }
    let secure = explain("https://site.test/");
    assert!(secure.stdout.to_lowercase().contains("certificate"), "{secure:?}");
    let unknown = explain("http://other.test/");
    assert!(unknown.stdout.contains("other.test") && unknown.stdout.contains("404"), "{unknown:?}");
    let bad = explain("not a url");
    assert_eq!(bad.code, Some(64), "{bad:?}");
    assert!(origin.seen().is_empty(), "explaining sends no request");
}

/// The access log lines so far, as soon as there are `count`.
fn log_lines(router: &Router, count: usize) -> Vec<String> {
    eventually("the lines are written", Duration::from_secs(5), || {
        let lines: Vec<String> = router.access_log().lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn the_access_log_tells_who_ended_each_exchange() {
    let origin = Origin::start(|exchange| {
        if exchange.request.target() == "/cut" {
            exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
            return Ok(crate::harness::After::Close);
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(crate::harness::After::KeepOpen)
    });
    let refusing = Refusing::start();
    let router = Router::setup()
        .route(origin.route("site.test"))
        .route(format!("dead.test={},proto=http", refusing.address()))
        .start();
    let cases = [
        ("GET /fine HTTP/1.1\r\nHost: site.test\r\n\r\n", 200, "--"),
        ("GET /cut HTTP/1.1\r\nHost: site.test\r\n\r\n", 200, "UD"),
        ("GET / HTTP/1.1\r\nHost: dead.test\r\n\r\n", 503, "UC"),
        ("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", 404, "R"),
        ("GET / HTTP/1.1\r\nBad Field: 1\r\n\r\n", 400, "CH"),
    ];
    for (number, (request, status, letters)) in cases.into_iter().enumerate() {
        let mut client = Client::connect(router.http());
        client.send(request);
        let _ = client.try_response("GET");
        drop(client);
        let lines = log_lines(&router, number + 1);
        assert_eq!(lines.len(), number + 1, "one line per request: {lines:#?}");
        let line = &lines[number];
        let field = |name: &str| {
            let start = line.find(&format!(" {name}=")).map(|at| at + name.len() + 2);
            start.and_then(|at| line[at..].split(' ').next()).unwrap_or_default().to_owned()
        };
        let logged: u16 = field("status").parse().unwrap_or(0);
        let expected_status = logged == status || (status == 503 && logged == 502);
        assert!(expected_status, "{request:?}: {line}");
        assert!(field("term").starts_with(letters), "{request:?}: {line}");
        assert_eq!(field("term").len(), 2, "{line}");
    }
}

#[test]
fn no_request_can_forge_a_log_line() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("GET /a\"b%0d%0aterm=-- HTTP/1.1\r\nHost: site.test\r\n\r\n");
    let _ = client.try_response("GET");
    let lines = log_lines(&router, 1);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0].matches("term=").count(), 2, "{lines:#?}");
    assert!(!lines[0].contains("/a\"b"), "the quote is escaped: {lines:#?}");
}
