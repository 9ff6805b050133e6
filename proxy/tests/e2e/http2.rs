//! HTTP/2 to clients: each stream an exchange, over TLS and with prior knowledge.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::Signal;

use crate::harness::certs;
use crate::harness::h2::{H2Client, collect, request};
use crate::harness::h2_frames::{DATA, Frames, GOAWAY, get as get_frame};
use crate::harness::origin::{After, Origin};
use crate::harness::router::{Setup, Subscribe};
use crate::harness::tools::{curl, run};
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Router, require_tool};

fn setup(origin: &Origin) -> Setup {
    Router::setup().route(origin.route("h2.test")).args(["--http2", "all"])
}

#[test]
fn curl_is_served_over_tls_and_with_prior_knowledge() {
    let curl_path = require_tool!("curl");
    let origin = Origin::echo();
    let router = setup(&origin).https().start();
    let tls = format!("https://h2.test:{}/a?b=1", router.https().port());
    let plain = format!("http://h2.test:{}/a?b=1", router.http().port());
    let resolve =
        [router.https(), router.http()].map(|at| format!("h2.test:{}:127.0.0.1", at.port()));
    for (url, version, knowledge) in [
        (&tls, "2", "--http2"),
        (&plain, "2", "--http2-prior-knowledge"),
        (&tls, "1.1", "--http1.1"),
    ] {
        let arguments = [
            "-k",
            knowledge,
            "--resolve",
            &resolve[0],
            "--resolve",
            &resolve[1],
            "-d",
            "hello",
            "-w",
            "%{http_version}\n%{http_code}",
            url,
        ];
        let answer = curl(&curl_path, &arguments);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body, format!("POST /a?b=1 HTTP/1.1 body=hello{version}"), "{answer:?}");
    }
    assert_eq!(router.metrics().sum("suzerain_http2_streams_total", &[]), 2.0);
    eventually_true("the log names the version", SOON, || {
        let log = router.access_log();
        log.matches("proto=HTTP/2.0").count() == 2 && log.matches("proto=HTTP/1.1").count() == 1
    });
}

#[test]
fn h2load_gets_every_answer_of_a_hundred_streams_at_once() {
    let h2load = require_tool!("h2load");
    let origin = Origin::echo();
    let router = setup(&origin).start();
    let to = format!("--connect-to={}", router.http());
    let url = format!("http://h2.test:{}/", router.http().port());
    let mut command = Command::new(h2load);
    let done = run(command.args(["-n", "3000", "-c", "3", "-m", "100", &to, &url]));
    assert!(done.stdout.contains("3000 succeeded, 0 failed"), "{done:?}");
}

#[test]
fn http2_is_not_offered_where_it_is_off() {
    let curl_path = require_tool!("curl");
    let origin = Origin::echo();
    let router =
        Router::setup().route(origin.route("h2.test")).args(["--http2", "off"]).https().start();
    let url = format!("https://h2.test:{}/", router.https().port());
    let resolve = format!("h2.test:{}:127.0.0.1", router.https().port());
    let answer = curl(&curl_path, &["-k", "--http2", "--resolve", &resolve, &url]);
    assert_eq!(answer.body, "GET / HTTP/1.1 body=");
}

#[test]
fn big_bodies_pass_both_ways_through_small_windows() {
    let origin = Origin::start(|exchange| {
        let body = exchange.read_body()?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        exchange.write(head)?;
        exchange.write(body)?;
        Ok(After::KeepOpen)
    });
    let router = setup(&origin).start();
    let mut client = H2Client::connect(router.http());
    let body: Vec<u8> = (0..6_000_000u32).map(|at| (at / 7) as u8).collect();
    let answer = client.exchange(request("PUT", "h2.test", "/"), &body);
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
    assert_eq!(origin.only_request().fields("transfer-encoding"), ["chunked"]);
}

#[test]
fn a_stated_length_reaches_the_node_as_one() {
    let origin = Origin::echo();
    let router = setup(&origin).start();
    let mut client = H2Client::connect(router.http());
    let mut post = request("POST", "h2.test", "/");
    post.headers_mut().insert("content-length", 5.into());
    assert_eq!(client.exchange(post, b"hello").text(), "POST / HTTP/1.1 body=hello");
    let seen = origin.only_request();
    assert_eq!(seen.fields("content-length"), ["5"]);
    assert_eq!(seen.fields("x-forwarded-proto"), ["http"]);
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    let origin = Origin::start(|exchange| {
        exchange.write(match exchange.request.target() {
            "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        })?;
        Ok(After::KeepOpen)
    });
    let router = setup(&origin).start();
    let mut client = H2Client::connect(router.http());
    for (method, path, status) in [("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/", 200)] {
        let answer = client.exchange(request(method, "h2.test", path), b"");
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        let length = answer.fields.get("content-length").map(|value| value.as_bytes().to_vec());
        assert_eq!(length, (method == "HEAD").then(|| b"7".to_vec()));
    }
}

#[test]
fn bodies_without_a_length_end_with_the_stream() {
    let origin = Origin::start(|exchange| {
        let chunked = exchange.request.target() == "/chunked";
        let (head, body): (&str, &str) = if chunked {
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            )
        } else {
            ("HTTP/1.0 200 OK\r\n\r\n", "abcde")
        };
        exchange.write(head)?;
        exchange.write(body)?;
        Ok(if chunked { After::KeepOpen } else { After::Close })
    });
    let router = setup(&origin).start();
    let mut client = H2Client::connect(router.http());
    for path in ["/chunked", "/until-close"] {
        let answer = client.get("h2.test", path);
        assert_eq!(answer.text(), "abcde", "{path}");
        assert!(!answer.fields.contains_key("transfer-encoding"));
    }
}

#[test]
fn a_uwsgi_application_is_served_and_gets_a_body_of_unstated_length_whole() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Udp).args(["--http2", "all"]).start();
    let _vassal = vassal("node")
        .subscribe_to(format!("{}:h2app.test", router.subscribe_text()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("h2app.test", 1);
    let mut client = H2Client::connect(router.http());
    let body = vec![b'x'; 70_000];
    let answer = client.exchange(request("POST", "h2app.test", "/up?x=1"), &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(seen["body_len"], 70_000, "{seen}");
}

#[test]
fn refusals_are_answers_of_their_stream_only() {
    let origin = Origin::echo();
    let router = setup(&origin).args(["--body-bytes-max", "10B"]).start();
    let mut client = H2Client::connect(router.http());
    assert_eq!(client.get("nobody.test", "/").status, 404);
    assert_eq!(client.exchange(request("POST", "h2.test", "/"), &[b'x'; 11]).status, 413);
    let mut many = request("GET", "h2.test", "/");
    for index in 0..101 {
        many.headers_mut().append("x-many", index.into());
    }
    assert_eq!(client.exchange(many, b"").status, 431);
    assert_eq!(client.get("h2.test", "/still").text(), "GET /still HTTP/1.1 body=");
}

#[test]
fn a_connection_is_not_reused_for_a_host_of_another_certificate() {
    let curl_path = require_tool!("curl");
    let origin = Origin::echo();
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["one.test", "two.test"] {
        certs::leaf(folder.path(), name).install(folder.path(), name);
    }
    let router = Router::setup()
        .route(origin.route("one.test"))
        .route(origin.route("two.test"))
        .args(["--cert-dir", &folder.path().display().to_string()])
        .https()
        .start();
    let url = format!("https://one.test:{}/", router.https().port());
    let resolve = format!("one.test:{}:127.0.0.1", router.https().port());
    let host = format!("Host: two.test:{}", router.https().port());
    let answer = curl(&curl_path, &["-k", "--http2", "--resolve", &resolve, "-H", &host, &url]);
    assert_eq!(answer.status, 421, "{answer:?}");
}

#[test]
fn a_stream_its_client_gives_up_ends_at_the_node_too() {
    let (told, closed) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::start(move |exchange| {
        if exchange.request.target() == "/slow" {
            // Nothing is answered: what ends this read is the router's close.
            let ended = exchange.read_some();
            let _ = told.lock().expect("no panic").send(matches!(ended, Ok(0) | Err(_)));
            return Ok(After::Close);
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = setup(&origin).start();
    let mut client = H2Client::connect(router.http());
    let (response, mut stream) = client.open(request("GET", "h2.test", "/slow"), true);
    eventually_true("the node was asked", SOON, || {
        client.turn();
        origin.seen().len() == 1
    });
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    assert_eq!(client.get("h2.test", "/other").text(), "ok");
    assert_eq!(closed.recv_timeout(SOON), Ok(true));
    eventually_true("it is logged as the client's doing", SOON, || {
        router.access_log().contains("term=CW")
    });
}

#[test]
fn a_stream_nobody_reads_does_not_hold_up_the_others() {
    let origin = Origin::start(|exchange| {
        let bytes: usize = exchange.request.target()[1..].parse().unwrap_or(0);
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n"))?;
        exchange.write(vec![b'z'; bytes])?;
        Ok(After::KeepOpen)
    });
    let router = setup(&origin).start();
    let mut client = H2Client::connect(router.http());
    // The connection's window of 1 MiB stays open for others: this stream takes a tenth of it.
    let (stalled, _stream) = client.open(request("GET", "h2.test", "/100000"), true);
    let response = client.runtime.block_on(stalled).expect("a head");
    for _ in 0..50 {
        assert_eq!(client.get("h2.test", "/10000").body.len(), 10_000);
    }
    let answer = client.runtime.block_on(collect(response)).expect("the rest");
    assert_eq!(answer.body.len(), 100_000);
}

#[test]
fn a_body_that_pauses_too_long_is_answered_and_others_go_on() {
    let origin = Origin::echo();
    let router = setup(&origin).config("[timeouts]\nbody-idle = \"300ms\"\n").start();
    let mut client = H2Client::connect(router.http());
    let (response, mut stream) = client.open(request("POST", "h2.test", "/pause"), false);
    stream.send_data(Bytes::from_static(b"some"), false).expect("sent");
    let answer = client.runtime.block_on(async { collect(response.await?).await });
    assert_eq!(answer.expect("an answer").status, 408);
    assert_eq!(client.get("h2.test", "/next").status, 200);
}

#[test]
fn early_hints_are_passed_on() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")?;
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = setup(&origin).start();
    let mut client = H2Client::connect(router.http());
    let (mut response, _) = client.open(request("GET", "h2.test", "/"), true);
    let hint = client.runtime.block_on(std::future::poll_fn(|cx| response.poll_informational(cx)));
    let hint = hint.expect("a hint").expect("no error");
    assert_eq!(
        (hint.status().as_u16(), hint.headers()["link"].as_bytes()),
        (103, &b"</a.css>"[..])
    );
    let answer = client.runtime.block_on(async { collect(response.await?).await });
    assert_eq!(answer.expect("an answer").text(), "ok");
}

#[test]
fn a_drain_says_goaway_and_finishes_what_is_open() {
    let origin = Origin::start(|exchange| {
        if exchange.request.target() == "/slow" {
            std::thread::sleep(Duration::from_millis(700));
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = setup(&origin).start();
    let mut busy = Frames::connect(router.http(), &[]);
    let mut idle = Frames::connect(router.http(), &[]);
    busy.send(&get_frame(1, "h2.test", "/slow")).expect("sent");
    idle.send(&get_frame(1, "h2.test", "/")).expect("sent");
    assert_eq!(idle.next_of(DATA).expect("an answer").payload, b"ok");
    eventually_true("the node was asked", SOON, || origin.seen().len() == 2);
    router.process.signal(Signal::SIGQUIT);
    let goaway = idle.next_of(GOAWAY).expect("a goodbye");
    assert_eq!(goaway.code(), Some(0));
    while idle.next().is_some() {}
    assert_eq!(busy.next_of(GOAWAY).and_then(|frame| frame.code()), Some(0));
    assert_eq!(busy.next_of(DATA).expect("the answer").payload, b"ok");
}

#[test]
fn the_rules_of_a_key_hold_for_streams_too() {
    let curl_path = require_tool!("curl");
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\n")?;
        exchange.write("Content-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = setup(&origin)
        .https()
        .config("[key.\"h2.test\"]\nhsts = \"24h\"\nhttps-redirect = \"308\"\n")
        .start();
    let url = format!("https://h2.test:{}/", router.https().port());
    let resolve = format!("h2.test:{}:127.0.0.1", router.https().port());
    let answer = curl(&curl_path, &["-k", "--http2", "-D", "-", "--resolve", &resolve, &url]);
    assert!(answer.body.starts_with("HTTP/2 200"), "{answer:?}");
    let told: Vec<_> = answer.body.lines().filter(|line| line.contains("transport")).collect();
    assert_eq!(told, ["strict-transport-security: max-age=86400"]);
    let mut client = H2Client::connect(router.http());
    let answer = client.get("h2.test", "/a?b");
    assert_eq!(answer.status, 308);
    assert_eq!(answer.fields["location"], "https://h2.test/a?b");
}
