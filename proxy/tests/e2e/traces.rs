//! Traces: what nodes are told, what a collector is told, and what happens when it is away.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::collector::{Collector, Span};
use crate::harness::h2::{H2Client, request};
use crate::harness::origin::{Refusing, Seen};
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Client, Origin, Router, get, require_tool, router::Subscribe};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";

/// Somewhere nobody listens.
const NOWHERE: [&str; 2] = ["--otlp", "http://127.0.0.1:9"];

fn ask(router: &Router, host: &str, fields: &str) -> u16 {
    let mut client = Client::connect(router.http());
    client.send(format!("GET /shop?secret=1 HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
    client.response().status
}

/// Trace, span and flags of a `traceparent`.
#[track_caller]
fn parts(traceparent: &str) -> [&str; 3] {
    match traceparent.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, span, flags] if trace.len() == 32 && span.len() == 16 => [trace, span, flags],
        _ => panic!("{traceparent}"),
    }
}

/// One request to a node of HTTP and one to a node of uwsgi, read by OpenTelemetry's own decoder.
#[test]
fn spans_say_what_was_served_and_by_whom() {
    let Some(collector) = Collector::start() else { return };
    let (http, uwsgi) = (Origin::echo(), UwsgiOrigin::ok());
    let router = Router::setup()
        .route(http.route("http.test"))
        .route(format!("uwsgi.test={}", uwsgi.address()))
        .args(["--otlp", &collector.url()])
        .start();
    assert_eq!(ask(&router, "http.test", ""), 200);
    let spans = collector.wait_for(2);
    let told = http.only_request();
    let [trace, span, flags] = parts(told.fields("traceparent")[0]);
    assert_eq!(flags, "01");
    let (served, asked) = (&spans[0], &spans[1]);
    assert_eq!((served.text("trace"), asked.text("trace")), (trace, trace));
    assert_eq!((served.text("parent"), asked.text("parent")), ("", served.text("span")));
    assert_eq!(asked.text("span"), span, "the node is told the span of its request");
    assert_eq!((served.text("name"), asked.text("name")), ("GET http.test", "GET"));
    assert_eq!(
        (served.text("status"), asked.text("status")),
        ("STATUS_CODE_UNSET", "STATUS_CODE_UNSET")
    );
    assert_eq!((served.text("kind"), served.text("scope")), ("SPAN_KIND_SERVER", "suzerain"));
    assert!(asked.is_client());
    assert_eq!(served.0["resource"]["service.name"], "suzerain");
    let time = |span: &Span, name| span.0[name].as_u64().expect("a time");
    assert!(
        time(served, "start") <= time(asked, "start") && time(asked, "start") < time(asked, "end")
    );
    assert!(time(asked, "end") <= time(served, "end"));
    served.assert(&[
        ("http.request.method", json!("GET")),
        ("url.scheme", json!("http")),
        ("url.path", json!("/shop")),
        ("server.address", json!("http.test")),
        ("client.address", json!("127.0.0.1")),
        ("network.peer.address", json!("127.0.0.1")),
        ("network.protocol.version", json!("1.1")),
        ("http.response.status_code", json!(200)),
        ("suzerain.key", json!("http.test")),
        ("suzerain.termination", json!("--")),
        ("error.type", json!(null)),
        ("url.query", json!(null)),
    ]);
    asked.assert(&[
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(http.address().port())),
        ("network.protocol.version", json!("1.1")),
        ("http.response.status_code", json!(200)),
        ("suzerain.node", json!(http.address().to_string())),
    ]);
    let first_byte = asked.attribute("suzerain.first_byte_us").as_u64().expect("a time");
    assert!(first_byte > 0 && first_byte * 1000 <= time(asked, "end") - time(asked, "start"));

    assert_eq!(ask(&router, "uwsgi.test", ""), 200);
    let spans = collector.wait_for(4);
    let packet = uwsgi.only_packet();
    let [trace, span, _] = parts(packet.var("HTTP_TRACEPARENT").expect("a var"));
    assert_eq!((spans[3].text("trace"), spans[3].text("span")), (trace, span));
    spans[3].assert(&[("network.protocol.name", json!("uwsgi"))]);
    let log = eventually("both are logged", SOON, || {
        let log = router.access_log();
        (log.lines().count() == 2).then_some(log)
    });
    assert!(log.lines().last().expect("two").ends_with(&format!(" trace={trace}")), "{log}");
    let counted =
        |outcome| router.metrics().sum("suzerain_trace_exports_total", &[("outcome", outcome)]);
    eventually_true("all are exported", SOON, || counted("exported") == 4.0);
    assert_eq!(counted("refused") + counted("lost"), 0.0);
}

/// The rules of W3C Trace Context, towards nodes of both kinds.
#[test]
fn a_valid_traceparent_goes_on_and_anything_else_begins_a_trace() {
    let (http, uwsgi) = (Origin::echo(), UwsgiOrigin::ok());
    let router = Router::setup()
        .route(http.route("http.test"))
        .route(format!("uwsgi.test={}", uwsgi.address()))
        .args(NOWHERE)
        .start();
    let long = format!("a={}", "x".repeat(1100));
    let cases: [(String, bool, Option<&str>, Option<&str>); 7] = [
        (format!("00-{TRACE}-{SENDER}-01"), true, Some("a=1,b=2"), Some("a=1,b=2")),
        (format!("00-{TRACE}-{SENDER}-00"), true, None, None),
        (format!("cc-{TRACE}-{SENDER}-01-later"), true, Some("a=1"), Some("a=1")),
        (format!("00-{TRACE}-{SENDER}-01"), true, Some(&long), None),
        (format!("ff-{TRACE}-{SENDER}-01"), false, Some("a=1"), None),
        (format!("00-{}-{SENDER}-01", TRACE.to_uppercase()), false, Some("a=1"), None),
        (
            format!("00-{TRACE}-{SENDER}-01\r\ntraceparent: 00-{TRACE}-{SENDER}-01"),
            false,
            None,
            None,
        ),
    ];
    for (count, (parent, goes_on, state, kept)) in cases.iter().enumerate() {
        let state = state.map(|state| format!("tracestate: {state}\r\n")).unwrap_or_default();
        for host in ["http.test", "uwsgi.test"] {
            assert_eq!(ask(&router, host, &format!("TraceParent: {parent}\r\n{state}")), 200);
        }
        let (seen, packets) = (http.seen(), uwsgi.seen());
        let (seen, packet) = (&seen[count], &packets[count]);
        let told = seen.fields("traceparent");
        assert_eq!(told.len(), 1, "{seen:?}");
        for told in [told[0], packet.var("HTTP_TRACEPARENT").expect("a var")] {
            let [trace, span, flags] = parts(told);
            assert_eq!(trace == TRACE, *goes_on, "{parent} gave {told}");
            assert_ne!(span, SENDER);
            assert_eq!(flags == "00", parent.ends_with("-00"), "{parent} gave {told}");
        }
        assert_eq!(seen.fields("tracestate").first().copied(), *kept, "{parent}");
        assert_eq!(packet.var("HTTP_TRACESTATE"), *kept, "{parent}");
    }
}

#[test]
fn without_the_option_a_traceparent_travels_like_any_other_field() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("http.test"));
    assert_eq!(ask(&router, "http.test", "Traceparent: whatever\r\ntracestate: a\r\n"), 200);
    let seen = origin.only_request();
    assert_eq!(
        (seen.fields("traceparent"), seen.fields("tracestate")),
        (vec!["whatever"], vec!["a"])
    );
    let log = eventually("it is logged", SOON, || {
        let log = router.access_log();
        (!log.is_empty()).then_some(log)
    });
    assert!(!log.contains(" trace="), "{log}");
}

/// Over HTTP/2, to an application on a real uWSGI.
#[test]
fn a_real_application_reads_its_trace() {
    let uwsgi = require_tool!("uwsgi");
    let Some(collector) = Collector::start() else { return };
    let router = Router::setup()
        .subscribe(Subscribe::Udp)
        .args(["--otlp", &collector.url(), "--http2", "all"])
        .start();
    let at = router.subscribe_text();
    let _vassal = vassal("one")
        .subscribe2(format!("server={at},key=app.test"))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("app.test", 1);
    let mut client = H2Client::connect(router.http());
    let mut asked = request("GET", "app.test", "/");
    let parent = format!("00-{TRACE}-{SENDER}-01");
    asked.headers_mut().insert("traceparent", parent.parse().expect("a value"));
    asked.headers_mut().insert("tracestate", "a=1".parse().expect("a value"));
    let answer: serde_json::Value =
        serde_json::from_str(&client.exchange(asked, b"").text()).expect("JSON");
    let spans = collector.wait_for(2);
    let told = format!("00-{TRACE}-{}-01", spans[1].text("span"));
    assert_eq!(answer["trace"], json!([told, "a=1"]));
    assert_eq!((spans[0].text("trace"), spans[0].text("parent")), (TRACE, SENDER));
    assert_eq!(
        (spans[0].0["flags"].as_u64(), spans[1].0["flags"].as_u64()),
        (Some(0x301), Some(0x101))
    );
    spans[0].assert(&[("network.protocol.version", json!("2"))]);
}

/// A node that refuses, then one that answers; and requests that reach none.
#[test]
fn every_attempt_and_every_refusal_has_its_span() {
    let Some(collector) = Collector::start() else { return };
    let (refusing, origin) = (Refusing::start(), Origin::echo());
    let router = Router::setup()
        .workers(1)
        .route(format!("two.test={},proto=http", refusing.address()))
        .route(origin.route("two.test"))
        .route(format!("none.test={},proto=http", refusing.address()))
        .args(["--otlp", &collector.url()])
        .start();
    // Whichever is chosen first, one of two requests meets the one that refuses.
    assert_eq!((ask(&router, "two.test", ""), ask(&router, "two.test", "")), (200, 200));
    assert_eq!(ask(&router, "unknown.test", ""), 404);
    assert_eq!(ask(&router, "none.test", ""), 503);
    let spans = collector.wait_for(8);
    let failed =
        spans.iter().find(|span| span.is_client() && span.text("status") != "STATUS_CODE_UNSET");
    let failed = failed.expect("an attempt that failed");
    failed.assert(&[
        ("suzerain.node", json!(refusing.address().to_string())),
        ("error.type", json!("UC")),
        ("http.response.status_code", json!(null)),
    ]);
    let second = spans.iter().find(|span| !span.attribute("http.request.resend_count").is_null());
    let second = second.expect("a second attempt");
    assert_eq!(
        (second.text("parent"), second.text("trace")),
        (failed.text("parent"), failed.text("trace"))
    );
    assert_ne!(second.text("span"), failed.text("span"));
    let told = |seen: &Seen| parts(seen.fields("traceparent")[0])[1] == second.text("span");
    assert_eq!(origin.seen().iter().filter(|seen| told(seen)).count(), 1);
    let of_status = |status: u16| {
        let served = spans.iter().filter(|span| !span.is_client());
        served
            .clone()
            .find(|span| span.attribute("http.response.status_code") == status)
            .expect("a span")
    };
    assert_eq!(of_status(404).text("name"), "GET", "no name of a client's choice");
    assert_eq!(of_status(404).text("status"), "STATUS_CODE_UNSET");
    of_status(503).assert(&[("error.type", json!("503")), ("suzerain.termination", json!("UC"))]);
    assert_eq!(of_status(503).text("status"), "STATUS_CODE_ERROR");
}

#[test]
fn clients_have_only_so_many_requests_recorded() {
    let origin = Origin::echo();
    let flags_of = |arguments: &[&str]| {
        let before = origin.seen().len();
        let router = Router::setup()
            .workers(1)
            .route(origin.route("http.test"))
            .args(NOWHERE)
            .args(["--trace-sample", "0"])
            .args(arguments)
            .start();
        for _ in 0..20 {
            ask(&router, "http.test", &format!("traceparent: 00-{TRACE}-{SENDER}-01\r\n"));
        }
        let seen = origin.seen();
        let recorded =
            seen[before..].iter().filter(|seen| parts(seen.fields("traceparent")[0])[2] == "01");
        recorded.count()
    };
    // Two a second, for as long as that took.
    let recorded = flags_of(&["--trace-client-rate", "2"]);
    assert!((2..16).contains(&recorded), "{recorded}");
    assert_eq!(flags_of(&["--trace-client-rate", "0", "--trusted-proxy", "127.0.0.0/8"]), 20);
    assert_eq!(flags_of(&["--trace-client-rate", "0"]), 0);
}

#[test]
fn a_collector_that_is_away_is_told_of_once_and_disturbs_nobody() {
    let origin = Origin::echo();
    let refusing = Refusing::start();
    let mut router = Router::setup()
        .route(origin.route("http.test"))
        .args(["--otlp", &format!("http://{}", refusing.address())])
        .start();
    let failures =
        |router: &Router| router.metrics().sum("suzerain_trace_export_failures_total", &[]);
    eventually_true("two exports failed", SOON, || {
        assert_eq!(get(router.http(), "http.test", "/").status, 200);
        failures(&router) >= 2.0
    });
    assert!(router.metrics().sum("suzerain_trace_spans_total", &[]) >= 2.0);
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.status_within(SOON).success());
    let log = router.process.stderr();
    assert_eq!(log.matches("spans cannot be exported to http://").count(), 1, "{log}");
    assert_eq!(log.matches("spans could not be exported").count(), 1, "{log}");
}

#[test]
fn what_was_recorded_last_is_exported_before_the_end() {
    let Some(collector) = Collector::start() else { return };
    let origin = Origin::echo();
    let mut router =
        Router::setup().route(origin.route("http.test")).args(["--otlp", &collector.url()]).start();
    assert_eq!(ask(&router, "http.test", ""), 200);
    router.process.signal(Signal::SIGQUIT);
    assert!(router.process.status_within(SOON).success());
    assert_eq!(collector.spans().len(), 2);
}
