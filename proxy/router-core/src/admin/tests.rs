//! The admin socket over real sockets: answers, refusals, permissions and limits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;

#[derive(Default)]
struct Fake {
    draining: AtomicBool,
    refusals: Mutex<Vec<Refusal>>,
}

impl AdminSource for Fake {
    fn stats_json(&self, viewer: &Viewer, keys_max: usize) -> String {
        match viewer {
            Viewer::Operator => format!("{{\"keys_max\":{keys_max}}}"),
            Viewer::Tenant(tenant) => tenant.name.clone(),
        }
    }

    fn overview_json(&self, _: &Viewer, question: &OverviewQuestion) -> String {
        format!("{question:?}")
    }

    fn metrics_text(&self, _: &Viewer) -> String {
        "# HELP x y.\n".into()
    }

    fn note_refusal(&self, refusal: Refusal) {
        self.refusals.lock().unwrap().push(refusal);
    }

    fn readiness(&self) -> Readiness {
        if self.draining.load(Relaxed) { Readiness::NotReady("draining") } else { Readiness::Ready }
    }

    fn explain(&self, _: &Viewer, url: &str, format: ExplainFormat) -> Result<String, String> {
        if url == "bad" { Err("no scheme".into()) } else { Ok(format!("{format:?} {url}")) }
    }
}

struct Running {
    handle: Option<AdminHandle>,
    source: Arc<Fake>,
    address: ListenAddr,
}

impl Running {
    fn start(listen: ListenAddr) -> Self {
        let config =
            AdminConfig { listen, host_names: vec!["router7".into()], estate: Arc::default() };
        let server = AdminServer::bind(config).unwrap();
        let address = server.local_addr().clone();
        let source = Arc::new(Fake::default());
        let handle = Some(
            server.spawn(Arc::clone(&source) as Arc<dyn AdminSource>, Access::default()).unwrap(),
        );
        Self { handle, source, address }
    }

    fn on_loopback() -> Self {
        Self::start("127.0.0.1:0".parse().unwrap())
    }

    fn tcp(&self) -> SocketAddr {
        self.address.ip().unwrap()
    }

    fn send(&self, request: &str) -> String {
        exchange(TcpStream::connect(self.tcp()).unwrap(), request)
    }

    fn get(&self, target: &str) -> (u16, String) {
        let answer = self.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.take().unwrap().stop();
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_route_answers() {
    let admin = Running::on_loopback();
    assert_eq!(admin.get("/healthz"), (200, "ok\n".into()));
    assert_eq!(admin.get("/readyz"), (200, "ready\n".into()));
    assert_eq!(admin.get("/metrics"), (200, "# HELP x y.\n".into()));
    assert_eq!(admin.get("/stats").1, format!("{{\"keys_max\":{}}}", limits::STATS_KEYS_DEFAULT));
    assert_eq!(admin.get("/stats?keys=5").1, "{\"keys_max\":5}");
    assert_eq!(admin.get("/stats?keys=x").0, 400);
    assert!(admin.get("/").1.contains("/metrics"));
    assert_eq!(admin.get("/nothing").0, 404);
}

#[test]
fn an_overview_is_bounded_whatever_is_asked() {
    let admin = Running::on_loopback();
    let expected = OverviewQuestion {
        search: "Shop".into(),
        sort: KeySort::InFlight,
        order: KeyOrder::Reverse,
        offset: limits::OVERVIEW_OFFSET_MAX,
        keys: limits::OVERVIEW_KEYS_MAX,
    };
    let asked =
        "/overview.json?search=%20Shop&sort=in-flight&order=reverse&offset=999999&keys=9999";
    assert_eq!(admin.get(asked), (200, format!("{expected:?}")));
    let long = format!("/overview.json?search={}", "x".repeat(256));
    for target in ["/overview.json?sort=size", "/overview.json?keys=-1", long.as_str()] {
        assert_eq!(admin.get(target), (400, overview::USAGE.into()), "{target}");
    }
}

#[test]
fn a_browser_is_shown_a_page_and_curl_the_index() {
    let admin = Running::on_loopback();
    let asked = |target: &str, accept: &str| {
        admin.send(&format!("GET {target} HTTP/1.1\r\nHost: [::1]\r\nAccept: {accept}\r\n\r\n"))
    };
    assert!(asked("/", "*/*").contains("content-type: text/plain"));
    for target in ["/", "/dashboard"] {
        let page = asked(target, "text/html,*/*;q=0.8");
        assert!(page.contains("content-type: text/html"), "{page}");
        assert!(page.contains("content-security-policy: default-src 'none'; "), "{page}");
    }
}

#[test]
fn draining_router_is_alive_but_not_ready() {
    let admin = Running::on_loopback();
    admin.source.draining.store(true, Relaxed);
    assert_eq!(admin.get("/readyz"), (503, "not ready: draining\n".into()));
    assert_eq!(admin.get("/healthz").0, 200);
}

#[test]
fn explain_decodes_its_url_and_says_what_is_wrong_with_it() {
    let admin = Running::on_loopback();
    let (status, body) = admin.get("/explain?url=http%3A%2F%2Fa.b%2Fx%3Fy%3D1%26z&format=text");
    assert_eq!((status, body.as_str()), (200, "Text http://a.b/x?y=1&z"));
    assert_eq!(admin.get("/explain?url=http://a/").1, "Json http://a/");
    assert_eq!(admin.get("/explain?url=bad"), (400, "no scheme\n".into()));
    for target in ["/explain", "/explain?url=a&format=xml"] {
        let (status, body) = admin.get(target);
        assert_eq!(status, 400);
        assert!(body.starts_with("usage: "), "{body}");
    }
}

#[test]
fn nothing_but_get_and_head_is_answered() {
    let admin = Running::on_loopback();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{method} /stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = admin.send(&request);
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.ends_with("only GET and HEAD are answered here\n"), "{answer}");
    }
    let head = admin.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn rebound_name_is_refused_over_tcp() {
    let admin = Running::on_loopback();
    let evil = admin.send("GET /stats HTTP/1.1\r\nHost: evil.example:9090\r\n\r\n");
    assert!(evil.starts_with("HTTP/1.1 403 "), "{evil}");
    let missing = admin.send("GET /nothing HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert!(missing.starts_with("HTTP/1.1 403 "), "{missing}");
    assert_eq!(*admin.source.refusals.lock().unwrap(), [Refusal::Host; 2], "counted");
    let known = admin.send("GET /healthz HTTP/1.1\r\nHost: router7:9090\r\n\r\n");
    assert!(known.starts_with("HTTP/1.1 200 "), "{known}");
}

#[test]
fn http_1_0_without_a_host_is_answered_and_closed() {
    let admin = Running::on_loopback();
    let answer = admin.send("GET /healthz HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
}

#[test]
fn oversized_head_is_refused() {
    let admin = Running::on_loopback();
    let long = "x".repeat(limits::HEAD_BYTES_MAX);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: {long}\r\n\r\n");
    let answer = admin.send(&request);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[test]
fn unix_socket_is_private_answers_any_host_and_goes_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let admin = Running::start(ListenAddr::Unix(path.clone()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = exchange(
        UnixStream::connect(&path).unwrap(),
        "GET /healthz HTTP/1.1\r\nHost: whatever.example\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(admin);
    assert!(!path.exists());
}

#[test]
fn dead_socket_file_is_replaced_but_a_live_one_and_a_file_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let admin = Running::start(ListenAddr::Unix(path.clone()));

    let again =
        AdminConfig { listen: ListenAddr::Unix(path), host_names: vec![], estate: Arc::default() };
    assert!(matches!(AdminServer::bind(again), Err(AdminError::Bind { .. })));
    drop(admin);

    let file = dir.path().join("precious");
    std::fs::write(&file, "text").unwrap();
    let over = AdminConfig {
        listen: ListenAddr::Unix(file.clone()),
        host_names: vec![],
        estate: Arc::default(),
    };
    assert!(matches!(AdminServer::bind(over), Err(AdminError::Bind { .. })));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "text");
}

#[test]
fn stop_does_not_wait_for_a_client_that_says_nothing() {
    let admin = Running::on_loopback();
    let _silent = TcpStream::connect(admin.tcp()).unwrap();
    let begun = std::time::Instant::now();
    drop(admin);
    assert!(begun.elapsed() < limits::HEAD_TIMEOUT);
}

#[test]
fn tokens_decide_who_is_answered_and_may_change_meanwhile() {
    let admin = Running::on_loopback();
    let ask = |target: &str, authorization: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n");
        let answer = admin.send(&request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].to_owned(), head.to_owned(), body.to_owned())
    };
    assert_eq!(ask("/stats", "").0, "200", "nobody has a token");
    assert_eq!(ask("/stats", "Authorization: Bearer guess\r\n").0, "401");
    let digest = access::TokenDigest::of;
    let tenant = access::Tenant {
        name: "shop".into(),
        tokens: vec![digest(b"of shop")],
        ..Default::default()
    };
    let strictness = access::Strictness::Required;
    let tokens = Access::new(strictness, &[digest(b"of operator")], vec![tenant]);
    admin.handle.as_ref().unwrap().admit_by(tokens);
    for target in ["/stats", "/overview.json", "/metrics", "/explain?url=http://a/"] {
        for authorization in ["", "Authorization: Bearer of nobody\r\n", "Authorization: x\r\n"] {
            let (status, head, body) = ask(target, authorization);
            assert_eq!(status, "401", "{target}");
            assert!(head.contains("www-authenticate: Bearer realm="), "{head}");
            assert_eq!(body, "a token is wanted: Authorization: Bearer TOKEN\n");
        }
        assert_eq!(ask(target, "Authorization: Bearer of operator\r\n").0, "200", "{target}");
    }
    assert_eq!(ask("/stats", "Authorization: Bearer of shop\r\n").2, "shop");
    for target in ["/", "/dashboard", "/healthz", "/readyz"] {
        assert_eq!(ask(target, "").0, "200", "{target}");
    }
}
