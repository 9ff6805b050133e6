//! The access log as JSON: what other programs read, whatever was sent, and from a reload on.

use serde_json::Value;

use crate::harness::wait::{SOON, eventually};
use crate::harness::{Client, Origin, Router, get};

const JSON: &str = "access-log-format = \"json\"\n";

/// The lines so far, as soon as there are `count`.
fn lines(router: &Router, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines are written"), SOON, || {
        let lines: Vec<String> = router.access_log().lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn every_line_is_an_object_whatever_was_sent() {
    let origin = Origin::echo();
    let router = Router::setup().config(JSON).route(origin.route("site.test")).start();
    assert_eq!(get(router.http(), "site.test", "/fine?a=%22").status, 200);
    lines(&router, 1);
    let hostile: [&[u8]; 5] = [
        b"GET /a\"b\\c HTTP/1.1\r\nHost: site.test\r\n\r\n",
        b"GET /\",\"status\":1,\"x\":\" HTTP/1.1\r\nHost: site.test\r\n\r\n",
        b"GET /\xff\xfe\xc3 HTTP/1.1\r\nHost: site.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \"}\xf0\x9f\x92\r\n\r\n",
        b"\x16\x03\x01\x00\x00{}\x00\r\n\r\n",
    ];
    for (before, request) in hostile.iter().enumerate() {
        let mut client = Client::connect(router.http());
        client.send(request);
        let _ = client.try_response("GET");
        drop(client);
        lines(&router, before + 2);
    }
    let lines = lines(&router, hostile.len() + 1);
    assert_eq!(lines.len(), hostile.len() + 1, "one line per request: {lines:#?}");
    let said = |line: &String| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let objects: Vec<Value> = lines.iter().map(said).collect();
    for object in &objects {
        assert!(object["status"].as_u64().is_some_and(|status| status >= 200), "{object}");
        assert_eq!(object["term"].as_str().map(str::len), Some(2), "{object}");
        assert!(object.get("x").is_none(), "{object}");
    }
    let fine = &objects[0];
    for (name, value) in [
        ("method", "GET"),
        ("host", "site.test"),
        ("target", "/fine?a=%22"),
        ("proto", "HTTP/1.1"),
        ("key", "site.test"),
        ("node", &origin.address().to_string()),
        ("term", "--"),
    ] {
        assert_eq!(fine[name], value, "{name} of {fine}");
    }
    assert_eq!(fine["tls"], false);
    assert_eq!(fine["status"], 200);
    assert!(fine["out"].as_u64() > Some(0) && fine["us"].as_u64() > Some(0), "{fine}");
}

#[test]
fn a_reload_changes_the_format() {
    let origin = Origin::echo();
    let router = Router::setup().config(JSON).route(origin.route("site.test")).start();
    get(router.http(), "site.test", "/first");
    lines(&router, 1);
    let log = router.reload("");
    assert!(log.contains("access-log-format"), "{log}");
    get(router.http(), "site.test", "/second");
    let lines = lines(&router, 2);
    assert!(lines[0].starts_with("{\"t\":\"") && lines[0].contains("/first"), "{lines:#?}");
    assert!(lines[1].starts_with("t=") && lines[1].contains("target=\"/second\""), "{lines:#?}");
}
