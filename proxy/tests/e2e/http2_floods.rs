//! Floods of HTTP/2: the connection that brings one is ended and counted, memory stays bounded, and
//! nobody else notices.

use std::time::Duration;

use crate::harness::Router;
use crate::harness::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frames, GOAWAY, HEADERS, PING,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, get,
};
use crate::harness::origin::{After, Origin};
use crate::harness::wait::{SOON, eventually_true};

/// Growth of the router's memory that no flood may cause.
const GROWTH_KIB_MAX: u64 = 40 * 1024;

fn router(origin: &Origin) -> Router {
    Router::setup().route(origin.route("h2.test")).args(["--http2", "all"]).workers(1).start()
}

/// Sends `octets` again and again until the router has had enough; returns the code it ended with.
#[track_caller]
fn flood(
    router: &Router,
    begin: impl FnOnce(&mut Frames),
    mut octets: impl FnMut(u32) -> Vec<u8>,
) -> Option<u32> {
    let before = router.process.resident_kib();
    let mut witness = Frames::connect(router.http(), &[]);
    let mut attacker = Frames::connect(router.http(), &[]);
    begin(&mut attacker);
    let sent = (0..200_000).find(|round| attacker.send(&octets(*round)).is_err());
    // Whether the close or the last send came first is chance; the goodbye was sent before.
    let goaway = attacker.next_of(GOAWAY);
    assert!(sent.is_some() || goaway.is_some(), "the connection was never ended");
    witness.send(&get(1, "h2.test", "/witness")).expect("others are not touched");
    assert!(witness.next_of(DATA).is_some(), "others are served");
    let after = router.process.resident_kib();
    assert!(after < before + GROWTH_KIB_MAX, "memory grew from {before} to {after} KiB");
    goaway.and_then(|frame| frame.code())
}

#[track_caller]
fn assert_counted(router: &Router, kind: &str) {
    eventually_true(&format!("the flood is counted as {kind}"), SOON, || {
        router.metrics().sum("suzerain_http2_floods_total", &[("kind", kind)]) == 1.0
    });
}

fn assert_calmed(code: Option<u32>) {
    assert!(code.is_none_or(|code| code == ENHANCE_YOUR_CALM), "ended with {code:?}");
}

#[test]
fn rapid_reset_ends_its_connection() {
    let origin = Origin::echo();
    let router = router(&origin);
    let code = flood(
        &router,
        |_| {},
        |round| {
            let stream = 2 * round + 1;
            let reset = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
            [get(stream, "h2.test", "/reset"), reset].concat()
        },
    );
    assert_calmed(code);
    // The codec has a bound of its own on streams that are reset before anybody took them; which of the two is
    // met first depends on how many frames come at once.
    eventually_true("the flood is counted", SOON, || {
        let count = |kind| router.metrics().sum("suzerain_http2_floods_total", &[("kind", kind)]);
        count("reset") + count("codec") == 1.0
    });
    assert!(origin.seen().len() < 300, "the node was asked {} times", origin.seen().len());
}

#[test]
fn a_header_block_without_end_ends_its_connection() {
    let origin = Origin::echo();
    let router = router(&origin);
    let begin = |attacker: &mut Frames| {
        attacker.send(&frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET")]))).expect("sent");
    };
    let code = flood(&router, begin, |_| frame(CONTINUATION, 0, 1, &block(&[("x", "y")])));
    assert_calmed(code);
    assert_counted(&router, "continuation");
}

#[test]
fn settings_and_pings_without_end_end_their_connection() {
    let origin = Origin::echo();
    for (kind, name) in [(SETTINGS, "settings"), (PING, "ping")] {
        let router = router(&origin);
        let payload: &[u8] = if kind == PING { b"8 octets" } else { b"" };
        let code = flood(&router, |_| {}, |_| frame(kind, 0, 0, payload));
        assert_calmed(code);
        assert_counted(&router, name);
    }
}

#[test]
fn frames_that_do_nothing_end_their_connection() {
    let origin = Origin::echo();
    let post =
        [(":method", "POST"), (":scheme", "http"), (":authority", "h2.test"), (":path", "/")];
    for (kind, name) in [(PRIORITY, "idle_frames"), (0x77, "idle_frames"), (DATA, "empty_data")] {
        let router = router(&origin);
        let begin = |attacker: &mut Frames| {
            attacker.send(&frame(HEADERS, END_HEADERS, 1, &block(&post))).expect("sent");
        };
        let payload: &[u8] = if kind == PRIORITY { &[0, 0, 0, 3, 1] } else { b"" };
        let stream = if kind == PRIORITY { 5 } else { 1 };
        let code = flood(&router, begin, |_| frame(kind, 0, stream, payload));
        assert_calmed(code);
        assert_counted(&router, name);
    }
}

/// Streams that the router has to reset, as in MadeYouReset: a window raised above its bound.
#[test]
fn making_us_reset_streams_ends_the_connection() {
    let origin = Origin::start(|exchange| {
        exchange.read_body()?;
        std::thread::sleep(Duration::from_millis(300));
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = router(&origin);
    let code = flood(
        &router,
        |_| {},
        |round| {
            let stream = 2 * round + 1;
            [
                get(stream, "h2.test", "/made"),
                frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]),
            ]
            .concat()
        },
    );
    assert_calmed(code);
    let floods = |kind| router.metrics().sum("suzerain_http2_floods_total", &[("kind", kind)]);
    eventually_true("it is counted", SOON, || {
        floods("made_you_reset") + floods("codec") + floods("reset") == 1.0
    });
    assert!(origin.seen().len() < 1_100, "the node was asked {} times", origin.seen().len());
}

#[test]
fn updates_of_windows_that_need_none_end_the_connection() {
    let origin = Origin::echo();
    let router = router(&origin);
    let code = flood(&router, |_| {}, |_| frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()));
    assert_calmed(code);
    assert_counted(&router, "window_update");
}

/// A few octets that decode to a header list of any size: a table entry, named again and again.
#[test]
fn a_header_list_that_unpacks_to_too_much_is_refused() {
    let origin = Origin::echo();
    let router = router(&origin);
    let before = router.process.resident_kib();
    let mut client = Frames::connect(router.http(), &[]);
    let head = [(":method", "GET"), (":scheme", "http"), (":authority", "h2.test"), (":path", "/")];
    let mut bomb = block(&head);
    // One field of 3,000 octets into the table, then its index, one octet each.
    bomb.extend_from_slice(&[0x40, 1, b'x', 127, 0xb9, 0x16]);
    bomb.extend_from_slice(&[b'y'; 3000]);
    bomb.extend_from_slice(&[0x80 | 62; 60]);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).expect("sent");
    let answer = client.next_of(HEADERS).expect("an answer");
    assert!(String::from_utf8_lossy(&answer.payload).contains("431") || answer.payload.len() < 8);
    client.send(&get(3, "h2.test", "/after")).expect("the connection stays");
    assert!(client.next_of(DATA).is_some());
    eventually_true("it is counted", SOON, || {
        router.metrics().sum("suzerain_http2_refusals_total", &[("reason", "header_list")]) == 1.0
    });
    assert!(origin.seen().len() == 1, "the node saw only the second request");
    // Many times as much is not even answered.
    let mut attacker = Frames::connect(router.http(), &[]);
    bomb.extend_from_slice(&[0x80 | 62; 10_000]);
    attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).expect("sent");
    assert!(attacker.next_of(GOAWAY).is_some());
    let after = router.process.resident_kib();
    assert!(after < before + GROWTH_KIB_MAX, "memory grew from {before} to {after} KiB");
}

/// A client asks for much and takes nothing: its windows stay at zero.
#[test]
fn a_client_that_never_opens_its_windows_costs_little_and_is_ended() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n")?;
        let piece = vec![b'z'; 100_000];
        for _ in 0..200 {
            exchange.write(&piece)?;
        }
        Ok(After::Close)
    });
    let router = Router::setup()
        .route(origin.route("h2.test"))
        .args(["--http2", "all"])
        .config("[timeouts]\nwrite-stall = \"1s\"\n")
        .workers(1)
        .start();
    let before = router.process.resident_kib();
    let mut client = Frames::connect(router.http(), &[(4, 0)]);
    for round in 0..100 {
        client.send(&get(2 * round + 1, "h2.test", "/big")).expect("sent");
    }
    let resets = std::iter::from_fn(|| client.next_of(RST_STREAM)).take(100).count();
    assert_eq!(resets, 100, "every stalled stream is ended");
    let after = router.process.resident_kib();
    assert!(after < before + GROWTH_KIB_MAX, "memory grew from {before} to {after} KiB");
    eventually_true("they are the client's doing", SOON, || {
        router.metrics().sum("suzerain_exchange_ends_total", &[("side", "client_deadline")])
            == 100.0
    });
}

#[test]
fn more_streams_than_allowed_are_refused_one_by_one() {
    let origin = Origin::start(|exchange| {
        std::thread::sleep(Duration::from_millis(300));
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = router(&origin);
    let mut client = Frames::connect(router.http(), &[]);
    for round in 0..140 {
        client.send(&get(2 * round + 1, "h2.test", "/")).expect("sent");
    }
    let mut refused = 0;
    let mut answered = 0;
    while answered + refused < 140 {
        let frame = client.next().expect("the connection stays");
        // REFUSED_STREAM: safe to try again (RFC 9113 8.7).
        refused += u32::from(frame.kind == RST_STREAM && frame.code() == Some(7));
        answered += u32::from(frame.kind == DATA);
    }
    assert_eq!((answered, refused), (128, 12));
}
