//! Rules of one key about fields and vars: redirects to HTTPS, HSTS, vars of the operator,
//! modifiers, and what a client that waits is told.

use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::{Client, Origin, Router, get, require_tool, tools};

#[test]
fn plain_http_of_one_key_is_sent_to_https_and_of_others_is_not() {
    let origin = Origin::echo();
    let router = Router::setup()
        .https()
        .route(origin.route("a.test"))
        .route(origin.route("b.test"))
        .route(origin.route("plain.test"))
        .config(
            "[key.\"a.test\"]\nhttps-redirect = \"308\"\n\
             [key.\"b.test\"]\nhttps-redirect = \"301,port=8443\"\n",
        )
        .start();
    for (host, target, status, location) in [
        ("a.test", "/p/../q?x=1&y=%0d%0a", 308, "https://a.test/p/../q?x=1&y=%0d%0a"),
        ("A.Test:8080", "/", 308, "https://a.test/"),
        ("a.test", "//evil.test/x", 308, "https://a.test//evil.test/x"),
        ("a.test", "http://a.test?q", 308, "https://a.test/?q"),
        ("b.test", "/", 301, "https://b.test:8443/"),
    ] {
        let response = get(router.http(), host, target);
        assert_eq!((response.status, response.field("location")), (status, Some(location)));
    }
    assert_eq!(get(router.http(), "plain.test", "/").status, 200);
    assert_eq!(get(router.http(), "unknown.test", "/").status, 404);
    let mut client = Client::connect(router.http());
    client.send("GET http://evil.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.response().status, 400, "a target and a Host that disagree");
    let mut client = Client::connect(router.http());
    client
        .send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
    assert_eq!(client.response_to_head().status, 308);
    assert_eq!(client.response().status, 200, "the connection goes on");
    let clean = [("side", "nobody"), ("phase", "done")];
    let ends = router.metrics().sum("suzerain_exchange_ends_total", &clean);
    assert!(ends >= 6.0, "redirects are no failures: {ends}");
    assert_eq!(origin.seen().len(), 2, "no redirected request reached a node");
}

/// With curl over TLS: a redirect would be a loop there, and HSTS is said there alone.
#[test]
fn hsts_is_said_over_https_only_and_replaces_the_nodes() {
    let curl = require_tool!("curl");
    let origin = Origin::raw(
        b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 2\r\n\r\nok",
    );
    let router = Router::setup()
        .https()
        .route(origin.route("a.test"))
        .route(origin.route("b.test"))
        .config(
            "[key.\"a.test\"]\nhsts = \"8760h,subdomains\"\n\
             [key.\"b.test\"]\nhttps-redirect = \"308\"\n",
        )
        .start();
    let mine = "max-age=31536000; includesubdomains";
    let over_tls = |version: &str, host: &str| {
        let port = router.https().port();
        let url = format!("https://{host}:{port}/");
        let resolve = format!("{host}:{port}:127.0.0.1");
        let arguments = ["-k", version, "-D", "-", "--resolve", &resolve, &url];
        tools::curl(&curl, &arguments).body.to_ascii_lowercase()
    };
    for version in ["--http1.1", "--http2"] {
        let answer = over_tls(version, "a.test");
        assert!(answer.contains(&format!("strict-transport-security: {mine}\r\n")), "{answer}");
        assert_eq!(answer.matches("transport-security").count(), 1, "{answer}");
        let answer = over_tls(version, "b.test");
        assert!(answer.contains(" 200 ") && answer.contains("max-age=1\r\n"), "{answer}");
    }
    let plain = get(router.http(), "a.test", "/");
    assert_eq!(plain.field("strict-transport-security"), Some("max-age=1"));
}

/// Behind a proxy that ends TLS the router itself sees plain HTTP.
#[test]
fn a_trusted_proxy_says_whether_the_client_is_on_https() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("a.test"))
        .args(["--trusted-proxy", "127.0.0.1", "--https-redirect", "308", "--hsts", "60s"])
        .start();
    let ask = |proto: &str| {
        let mut client = Client::connect(router.http());
        client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{proto}\r\n"));
        client.response()
    };
    let answer = ask("X-Forwarded-Proto: https\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("strict-transport-security"), Some("max-age=60"));
    for proto in ["", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: https, http\r\n"] {
        assert_eq!(ask(proto).status, 308, "{proto}");
    }
}

#[test]
fn vars_modifiers_and_the_server_name_are_the_operators_by_key() {
    let node = UwsgiOrigin::ok();
    let router = Router::setup()
        .route(format!("a.test={}", node.address()))
        .route(format!("b.test={}", node.address()))
        .config(
            "http-var = [\"APP_ENV=production\", \"TIER=1\"]\n\
             [key.\"a.test\"]\nhttp-var = [\"APP_ENV=a=b c\"]\nhttp-modifier1 = 30\n\
             http-modifier2 = 7\nserver-name-as-http-host = true\n",
        )
        .start();
    get(router.http(), "A.test:81", "/");
    get(router.http(), "b.test", "/");
    let [a, b] = &*node.seen() else { panic!("two packets") };
    assert_eq!((a.modifier1, a.modifier2), (30, 7));
    assert_eq!(a.var("SERVER_NAME"), Some("a.test"));
    assert_eq!((a.var("APP_ENV"), a.var("TIER")), (Some("a=b c"), None));
    assert_eq!(a.vars.last().map(|(name, _)| &**name), Some("APP_ENV"), "behind all others");
    assert_eq!((b.modifier1, b.modifier2), (0, 0));
    assert_eq!((b.var("APP_ENV"), b.var("TIER")), (Some("production"), Some("1")));
    assert_ne!(b.var("SERVER_NAME"), Some("b.test"));
}

#[test]
fn a_body_that_waits_for_its_permission_may_be_refused_by_its_size() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("a.test"))
        .config("[key.\"a.test\"]\nexpect-bytes-max = 4\n")
        .start();
    let ask = |expect: &str, bytes: usize| {
        let mut client = Client::connect(router.http());
        client.send(format!(
            "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {bytes}\r\n{expect}\r\n"
        ));
        client
    };
    let mut refused = ask("Expect: 100-continue\r\n", 5);
    assert_eq!(refused.response().status, 413);
    assert_eq!(origin.connections(), 0, "no node was asked");
    let mut told = ask("Expect: 100-continue\r\n", 4);
    assert_eq!(told.try_head().expect("an interim head").status, 100);
    told.send("body");
    assert_eq!(told.response().text(), "PUT / HTTP/1.1 body=body");
    let mut unasked = ask("", 5);
    unasked.send("bodyy");
    assert_eq!(unasked.response().status, 200);
}
