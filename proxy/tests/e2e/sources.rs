//! Bodies that last as long as their client sends: Icecast behind the router with ffmpeg as its
//! source, raw bodies and chunks for uWSGI applications.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::process::Process;
use crate::harness::router::{Setup, Subscribe};
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{After, Client, Origin, Router, get, require_tool};

fn setup() -> Setup {
    Router::setup().args(["--manage-source"])
}

/// Icecast on a port that was just free.
fn icecast(program: &Path, folder: &Path) -> (Process, String) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let config = format!(
        "<icecast><authentication><source-password>secret</source-password>\
         <admin-user>admin</admin-user><admin-password>secret</admin-password></authentication>\
         <hostname>localhost</hostname><location>here</location><admin>a@localhost</admin>\
         <limits><sources>4</sources></limits>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
         <paths><logdir>/tmp</logdir><webroot>/usr/share/icecast2/web</webroot>\
         <adminroot>/usr/share/icecast2/admin</adminroot></paths>\
         <logging><accesslog>-</accesslog><errorlog>-</errorlog></logging>\
         <security><chroot>0</chroot>\
         <changeowner><user>nobody</user><group>nogroup</group></changeowner></security></icecast>"
    );
    let file = folder.join("icecast.xml");
    std::fs::write(&file, config).expect("write");
    let mut command = Command::new(program);
    command.arg("-c").arg(&file);
    let process = Process::start(&mut command, folder, "icecast", Signal::SIGTERM);
    let address = format!("127.0.0.1:{port}");
    eventually_true("icecast listens", SOON, || std::net::TcpStream::connect(&address).is_ok());
    (process, address)
}

/// How long ffmpeg may take to start, connect and encode the first page on a busy machine.
const ENCODED_WITHIN: Duration = Duration::from_secs(30);

/// A listener hears what ffmpeg sends for as long as it sends, by both methods.
#[test]
fn ffmpeg_streams_to_icecast_and_a_listener_hears_it() {
    let (program, ffmpeg) = (require_tool!("icecast2"), require_tool!("ffmpeg"));
    let setup = setup();
    let (_icecast, address) = icecast(&program, setup.folder());
    let router = setup.route(format!("127.0.0.1={address},proto=http")).start();
    for (legacy, mount, method) in [("1", "old.ogg", "SOURCE"), ("0", "new.ogg", "PUT")] {
        let mut command = Command::new(&ffmpeg);
        command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "anoisesrc", "-c:a", "libvorbis"]);
        command.args(["-content_type", "application/ogg", "-legacy_icecast", legacy, "-f", "ogg"]);
        command.arg(format!("icecast://source:secret@{}/{mount}", router.http()));
        let source = Process::start(&mut command, router.folder(), method, Signal::SIGINT);
        let mut listener = eventually("the mount is there", ENCODED_WITHIN, || {
            let mut client = Client::connect(router.http());
            client.send(format!("GET /{mount} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"));
            client.try_head().is_ok_and(|head| head.status == 200).then_some(client)
        });
        assert_eq!(
            &listener.take(30_000).expect("it streams")[..4],
            b"OggS",
            "{}",
            source.stderr()
        );
        drop(source);
        eventually_true("the source is in the log, with what it sent", SOON, || {
            let log = router.access_log();
            let line = log.lines().find(|line| line.contains(&format!("method={method}")));
            let received = line.and_then(|line| line.split(" in=").nth(1)?.split(' ').next());
            received.is_some_and(|bytes| bytes.parse::<u64>().is_ok_and(|bytes| bytes > 30_000))
        });
    }
}

#[test]
fn a_source_icecast_refuses_is_told_so() {
    let program = require_tool!("icecast2");
    let setup = setup();
    let (_icecast, address) = icecast(&program, setup.folder());
    let router = setup.route(format!("radio.test={address},proto=http")).start();
    let mut client = Client::connect(router.http());
    client.send("SOURCE /x.ogg HTTP/1.0\r\nHost: radio.test\r\nAuthorization: Basic eDp5\r\n\r\n");
    assert_eq!(client.response().status, 401);
}

const SOURCE: &str = "SOURCE /live HTTP/1.0\r\nHost: radio.test\r\nIce-Name: n\r\n\r\n";

/// Until the node agreed, what follows the head may be requests nobody judged.
#[test]
fn the_stream_waits_for_the_node_to_agree() {
    let origin = Origin::start(|exchange| {
        let is_refused = exchange.request.target() != "/live";
        exchange.write(if is_refused {
            &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"[..]
        } else {
            b"HTTP/1.0 200 OK\r\n\r\n"
        })?;
        if is_refused {
            return Ok(After::KeepOpen);
        }
        let stream = exchange.take(9)?;
        exchange.write(stream)?;
        Ok(After::Close)
    });
    let router = setup().route(origin.route("radio.test")).start();
    let mut client = Client::connect(router.http());
    client.send(format!("{SOURCE}123456789"));
    assert_eq!(client.try_head().expect("a head").status, 200);
    assert_eq!(client.read_to_end().expect("an end"), b"123456789");
    let head = origin.only_request();
    assert_eq!((head.fields("connection"), head.fields("ice-name")), (vec!["close"], vec!["n"]));
    let mut client = Client::connect(router.http());
    client.send(SOURCE.replace("/live", "/refused") + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "no");
    client.expect_closed();
    assert_eq!(origin.seen().len(), 2, "an answer with a length is no agreement");
}

#[test]
fn a_put_is_asked_to_go_on_by_the_node_itself() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        let stream = exchange.take(6)?;
        exchange.write([b"HTTP/1.1 201 Created\r\n\r\n", &stream[..]].concat())?;
        Ok(After::Close)
    });
    let router = setup().route(origin.route("radio.test")).start();
    let mut client = Client::connect(router.http());
    client.send("PUT /live HTTP/1.1\r\nHost: radio.test\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.try_head().expect("a head").status, 100);
    client.send("stream");
    assert_eq!(client.response().text(), "stream");
    assert_eq!(origin.only_request().fields("expect"), ["100-continue"]);
}

#[test]
fn without_the_option_a_source_is_a_request_without_a_body() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("radio.test"));
    let mut client = Client::connect(router.http());
    client.send(SOURCE);
    assert_eq!(client.response().text(), "SOURCE /live HTTP/1.1 body=");
    let mut client = Client::connect(router.http());
    client.send("PUT /x HTTP/1.1\r\nHost: radio.test\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.response().text(), "PUT /x HTTP/1.1 body=");
}

const RAW_APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/raw_app.py");
const CHUNKED_APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/chunked_app.py");

#[track_caller]
fn expect_echo(client: &mut Client) {
    assert_eq!(client.try_head().expect("a head").status, 200);
    for piece in ["OggS", "\r\nGET / HTTP/1.1\r\n\r\n"] {
        client.send(piece);
        assert_eq!(client.take(piece.len()).expect("an echo"), piece.as_bytes());
    }
    client.half_close();
    assert_eq!(client.read_to_end().expect("the application ends too"), b"");
}

#[test]
fn a_uwsgi_app_gets_a_source_as_it_comes() {
    let uwsgi = require_tool!("uwsgi");
    let router = setup().subscribe(Subscribe::Udp).start();
    let _vassal = vassal("radio")
        .args(["--wsgi-file", RAW_APP])
        .subscribe_to(format!("{}:radio.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("radio.test", 1);
    let mut client = Client::connect(router.http());
    client.send(SOURCE);
    expect_echo(&mut client);
    let mut client = Client::connect(router.http());
    client.send("PUT /live HTTP/1.1\r\nHost: radio.test\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.try_head().expect("a head").status, 100);
    // An HTTP/1.1 client would get chunks; what matters is that bytes come back at once.
    assert_eq!(client.try_head().expect("a head").status, 200);
    client.send("OggS");
    assert_eq!(client.take(14).expect("one chunk"), b"00000004\r\nOggS");
}

/// Modifier 123 asks for raw bodies without any option, as in uWSGI; packets say 0.
#[test]
fn a_node_of_modifier_123_gets_raw_bodies() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let _vassal = vassal("raw")
        .args(["--wsgi-file", RAW_APP])
        .subscribe2(format!("server={},key=radio.test,modifier1=123", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("radio.test", 1);
    let mut client = Client::connect(router.http());
    client.send("POST /any HTTP/1.0\r\nHost: radio.test\r\n\r\n");
    expect_echo(&mut client);
}

/// 5 MiB are more than the router holds for applications that cannot read chunks.
#[test]
fn a_uwsgi_app_reads_chunks_as_they_come_where_it_can() {
    let uwsgi = require_tool!("uwsgi");
    let config = "[key.\"chunks.test\"]\nuwsgi-chunked = \"raw\"\n";
    let router = Router::setup().config(config).subscribe(Subscribe::Udp).start();
    let _chunked = vassal("chunks")
        .args(["--wsgi-file", CHUNKED_APP, "--chunked-input-limit", "10000000"])
        .subscribe_to(format!("{}:chunks.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    let _plain = vassal("plain")
        .subscribe_to(format!("{}:plain.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("chunks.test", 1);
    router.wait_for_nodes("plain.test", 1);
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: chunks.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..80 {
        client.send("10000;ext=\"is dropped\"\r\n");
        client.send(vec![b'z'; 0x10000]);
        client.send("\r\n");
    }
    client.send("0\r\nTrailer-Is: dropped\r\n\r\n");
    assert_eq!(client.response().text(), format!("chunked {}", 80 * 0x10000));
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(client.response().status, 200, "another key's chunks are still held");
    assert_eq!(get(router.http(), "plain.test", "/").status, 200);
}
