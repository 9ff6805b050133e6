//! Clients are led back to the node that served them, and to another when that one is gone.

use crate::harness::response::Response;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::{After, Client, Origin, Router};

const SECRET: &str = "a secret that only this test knows";

/// An origin that says its name, or closes without a word when asked to.
fn named(name: &'static str) -> Origin {
    Origin::start(move |exchange| {
        if exchange.request.target() == "/die" {
            return Ok(After::Close);
        }
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"))?;
        Ok(After::KeepOpen)
    })
}

fn router(routes: &[String]) -> Router {
    let setup = Router::setup();
    let secret = setup.folder().join("sticky.key");
    std::fs::write(&secret, SECRET).expect("a file");
    let text = format!(
        "sticky-secret = \"{}\"\neject-failures = 1\neject-time = \"1h\"\neject-time-max = \"1h\"\n\
         [key.\"site.test\"]\nsticky = \"srv\"\n",
        secret.display()
    );
    routes.iter().fold(setup, |setup, route| setup.route(route)).config(text).start()
}

fn ask(router: &Router, target: &str, cookie: Option<&str>) -> Response {
    let mut client = Client::connect(router.http());
    let cookie = cookie.map(|it| format!("Cookie: other=1; {it}\r\n")).unwrap_or_default();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n{cookie}\r\n"));
    client.response()
}

/// The cookie a response sets, as a client would send it back.
fn set(response: &Response) -> Option<String> {
    let line = response.head.lines().find_map(|line| line.strip_prefix("Set-Cookie: srv="))?;
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{line}");
    Some(format!("srv={}", line.split(';').next().unwrap_or_default()))
}

#[test]
fn a_client_stays_with_its_node_through_a_restart_and_moves_when_it_fails() {
    let (a, b) = (named("A"), named("B"));
    let routes = [a.route("site.test"), b.route("site.test")];
    let first_router = router(&routes);
    let first = ask(&first_router, "/", None);
    let cookie = set(&first).expect("a cookie");
    assert!(!cookie.contains(&a.address().port().to_string()), "{cookie}");
    for _ in 0..6 {
        let again = ask(&first_router, "/", Some(&cookie));
        assert_eq!((again.text(), set(&again)), (first.text(), None));
    }
    drop(first_router);
    let second_router = router(&routes);
    for _ in 0..4 {
        assert_eq!(ask(&second_router, "/", Some(&cookie)).text(), first.text());
    }
    // Its node fails and is out: another serves, and the cookie says so from then on.
    ask(&second_router, "/die", Some(&cookie));
    let moved = ask(&second_router, "/", Some(&cookie));
    assert_ne!(moved.text(), first.text());
    let next = set(&moved).expect("another cookie");
    assert_ne!(next, cookie);
    assert_eq!(ask(&second_router, "/", Some(&next)).text(), moved.text());
}

#[test]
fn a_made_up_cookie_is_replaced() {
    let origin = named("A");
    let router = router(&[origin.route("site.test")]);
    for made_up in ["srv=000000000000000000000000", "srv=127.0.0.1", "srv=\"\"", "srv="] {
        assert!(set(&ask(&router, "/", Some(made_up))).is_some(), "{made_up}");
    }
}

#[test]
fn a_uwsgi_node_keeps_its_clients_too() {
    let (a, b) = (UwsgiOrigin::ok(), UwsgiOrigin::ok());
    let router =
        router(&[format!("site.test={}", a.address()), format!("site.test={}", b.address())]);
    let cookie = set(&ask(&router, "/", None)).expect("a cookie");
    for _ in 0..5 {
        assert_eq!(set(&ask(&router, "/", Some(&cookie))), None);
    }
    let (seen_a, seen_b) = (a.seen().len(), b.seen().len());
    assert!((seen_a, seen_b) == (6, 0) || (seen_a, seen_b) == (0, 6), "{seen_a} and {seen_b}");
}
