//! The small rules of HTTP, each between every version of client and every protocol of node: answers
//! without a body, interim answers, early ones, and permission to send.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use h2::{RecvStream, server};
use http::{HeaderValue, Request, Response};
use tokio::net::TcpListener as AsyncListener;

use crate::harness::client::find;
use crate::harness::datagram::decode_dictionary;
use crate::harness::h2::{Answer, H2Client, collect, read_all, request, runtime};
use crate::harness::origin::{Blackhole, Refusing};
use crate::harness::wait::SOON;
use crate::harness::{Client, Router};

const PROTOS: [&str; 3] = ["http", "uwsgi", "h2c"];

/// How a node answers what it is asked for; behind that a body, if it reads one first.
struct Says {
    hint: bool,
    status: u16,
    field: Option<(&'static str, &'static str)>,
    body: &'static str,
    /// It answers before it read the body of the request.
    early: bool,
}

fn says(target: &str) -> Says {
    let plain = Says { hint: false, status: 200, field: None, body: "ok", early: false };
    match target {
        "/hint" => Says { hint: true, ..plain },
        "/204" => Says { status: 204, body: "", ..plain },
        "/304" => Says { status: 304, field: Some(("etag", "\"7\"")), body: "", ..plain },
        "/early" => Says { status: 403, body: "no", early: true, ..plain },
        _ => plain,
    }
}

impl Says {
    /// As HTTP/1.1 and uwsgi nodes write it.
    fn text(&self, is_head: bool, came: &[u8]) -> Vec<u8> {
        let mut text = String::new();
        if self.hint {
            text += "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        }
        text += &format!("HTTP/1.1 {} X\r\nConnection: close\r\n", self.status);
        if let Some((name, value)) = self.field {
            text += &format!("{name}: {value}\r\n");
        }
        let body = format!("{}{}", self.body, String::from_utf8_lossy(came));
        if self.status != 204 && self.status != 304 {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        if !is_head && self.status != 204 && self.status != 304 {
            text += &body;
        }
        text.into_bytes()
    }
}

/// A node, and the route that leads to it.
fn node(proto: &str) -> String {
    let address = match proto {
        "h2c" => h2c_node(),
        _ => stream_node(proto == "uwsgi"),
    };
    format!("site.test={address},proto={proto}")
}

fn stream_node(is_uwsgi: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream, is_uwsgi));
        }
    });
    address
}

fn serve(mut stream: TcpStream, is_uwsgi: bool) -> io::Result<()> {
    stream.set_read_timeout(Some(SOON))?;
    let (method, target, length) =
        if is_uwsgi { receive_packet(&mut stream)? } else { receive_head(&mut stream)? };
    let says = says(&target);
    let mut came = vec![0; if says.early { 0 } else { length }];
    stream.read_exact(&mut came)?;
    stream.write_all(&says.text(method == "HEAD", &came))?;
    // Open until the router lets go: a reset could overtake the answer.
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

fn receive_packet(stream: &mut TcpStream) -> io::Result<(String, String, usize)> {
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let mut vars = vec![0; usize::from(u16::from_le_bytes([header[1], header[2]]))];
    stream.read_exact(&mut vars)?;
    let vars = decode_dictionary(&vars);
    let var = |name: &str| {
        let found = vars.iter().find(|(known, _)| known == name.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let length = var("CONTENT_LENGTH").parse().unwrap_or(0);
    Ok((var("REQUEST_METHOD"), var("REQUEST_URI"), length))
}

fn receive_head(stream: &mut TcpStream) -> io::Result<(String, String, usize)> {
    let mut head = Vec::new();
    while find(&head, b"\r\n\r\n").is_none() {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        head.extend(octet);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(!head.contains("\r\nexpect:"), "the router answers it: {head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut words = head.split(' ').map(str::to_owned);
    let (method, target) = (words.next(), words.next());
    let method = method.unwrap_or_default().to_ascii_uppercase();
    Ok((method, target.unwrap_or_default(), length.unwrap_or(0)))
}

fn h2c_node() -> SocketAddr {
    let (told, address) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async move {
            let listener = AsyncListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("bound")).expect("the test waits");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut connection = server::handshake(stream).await?;
                    while let Some(accepted) = connection.accept().await {
                        let (request, respond) = accepted?;
                        tokio::spawn(answer(request, respond));
                    }
                    Ok::<(), h2::Error>(())
                });
            }
        });
    });
    address.recv().expect("the node listens")
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (parts, mut stream) = request.into_parts();
    let says = says(parts.uri.path());
    let came = if says.early { Vec::new() } else { read_all(&mut stream).await? };
    let head = |status: u16| {
        let mut response = Response::new(());
        *response.status_mut() = status.try_into().expect("a status");
        response
    };
    if says.hint {
        let mut hint = head(103);
        hint.headers_mut().insert("link", HeaderValue::from_static("</a.css>"));
        respond.send_informational(hint)?;
    }
    let mut response = head(says.status);
    if let Some((name, value)) = says.field {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let body = [says.body.as_bytes(), &came].concat();
    let bodiless = parts.method == "HEAD" || says.status == 204 || says.status == 304;
    if parts.method == "HEAD" {
        response.headers_mut().insert("content-length", body.len().into());
    }
    let mut out = respond.send_response(response, bodiless)?;
    if !bodiless {
        out.send_data(body.into(), true)?;
    }
    if says.early {
        // The stream stays until the router gives it up.
        let _ = read_all(&mut stream).await;
    }
    Ok(())
}

fn router(proto: &str) -> Router {
    Router::setup().route(node(proto)).args(["--http2", "all"]).workers(1).start()
}

fn head(method: &str, target: &str, version: &str, more: &str) -> String {
    format!("{method} {target} HTTP/{version}\r\nHost: site.test\r\n{more}\r\n")
}

#[track_caller]
fn finish(client: &H2Client, response: h2::client::ResponseFuture) -> Answer {
    let answer = async { collect(response.await?).await };
    let answer = client.runtime.block_on(async { tokio::time::timeout(SOON, answer).await });
    answer.expect("in time").expect("an answer")
}

#[test]
fn answers_without_a_body_have_none_and_leave_the_connection_usable() {
    for proto in PROTOS {
        let router = router(proto);
        let mut client = Client::connect(router.http());
        let mut streams = H2Client::connect(router.http());
        for status in [204, 304] {
            client.send(head("GET", &format!("/{status}"), "1.1", ""));
            let response = client.response();
            assert_eq!((response.status, response.body.len()), (status, 0), "{proto}");
            assert_eq!(response.field("transfer-encoding"), None, "{proto}: {}", response.head);
            assert!(status == 304 || response.content_length().is_none(), "{}", response.head);
            assert_eq!(response.field("etag"), (status == 304).then_some("\"7\""), "{proto}");
            let answer = streams.get("site.test", &format!("/{status}"));
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{proto}");
        }
        client.send(head("HEAD", "/head", "1.1", ""));
        let response = client.response_to_head();
        assert_eq!((response.status, response.content_length()), (200, Some(2)), "{proto}");
        let answer = streams.exchange(request("HEAD", "site.test", "/head"), b"");
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{proto}");
        assert_eq!(answer.fields["content-length"], "2", "{proto}");
        client.send(head("GET", "/", "1.1", ""));
        assert_eq!(client.response().text(), "ok", "{proto}");
    }
}

#[test]
fn hints_are_passed_on_to_those_who_know_them() {
    for proto in PROTOS {
        let router = router(proto);
        let mut client = Client::connect(router.http());
        client.send(head("GET", "/hint", "1.1", ""));
        let hint = client.response();
        assert_eq!((hint.status, hint.field("link")), (103, Some("</a.css>")), "{proto}");
        assert_eq!(client.response().text(), "ok", "{proto}");
        let mut streams = H2Client::connect(router.http());
        let (mut response, _) = streams.open(request("GET", "site.test", "/hint"), true);
        let hint = std::future::poll_fn(|cx| response.poll_informational(cx));
        let hint = streams.runtime.block_on(hint).expect("a hint").expect("no error");
        assert_eq!(
            (hint.status().as_u16(), &hint.headers()["link"]),
            (103, &"</a.css>".parse().expect("a value"))
        );
        assert_eq!(finish(&streams, response).text(), "ok", "{proto}");
        let mut old = Client::connect(router.http());
        old.send(head("GET", "/hint", "1.0", ""));
        let response = old.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{proto}");
    }
}

#[test]
fn an_early_answer_arrives_while_the_client_still_sends() {
    for proto in PROTOS {
        let router = router(proto);
        let mut client = Client::connect(router.http());
        client.send(head("POST", "/early", "1.1", "Content-Length: 50000000\r\n"));
        client.send(vec![b'x'; 1000]);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (403, "no"), "{proto}");
        client.expect_closed();

        let mut streams = H2Client::connect(router.http());
        let mut upload = request("POST", "site.test", "/early");
        upload.headers_mut().insert("content-length", 50_000_000.into());
        let (response, mut stream) = streams.open(upload, false);
        stream.send_data(vec![b'x'; 1000].into(), false).expect("sent");
        let answer = finish(&streams, response);
        assert_eq!((answer.status, answer.text().as_str()), (403, "no"), "{proto}");
        // The router wants no more of it, and says that nothing is wrong (RFC 9113 8.1).
        let reset = std::future::poll_fn(|cx| stream.poll_reset(cx));
        let reset = streams.runtime.block_on(async { tokio::time::timeout(SOON, reset).await });
        assert_eq!(reset.expect("in time").expect("a reset"), h2::Reason::NO_ERROR, "{proto}");
        assert_eq!(streams.get("site.test", "/").text(), "ok", "{proto}");
    }
}

#[test]
fn permission_to_send_is_given_once_the_node_is_there() {
    for proto in PROTOS {
        let router = router(proto);
        let more = "Expect: 100-continue\r\nContent-Length: 4\r\n";
        let mut client = Client::connect(router.http());
        client.send(head("PUT", "/", "1.1", more));
        assert_eq!(client.response().status, 100, "{proto}");
        client.send("body");
        assert_eq!(client.response().text(), "okbody", "{proto}");
        // HTTP/1.0 knows no permissions.
        let mut old = Client::connect(router.http());
        old.send(head("PUT", "/", "1.0", more) + "body");
        let response = old.response();
        assert_eq!((response.status, response.text().as_str()), (200, "okbody"), "{proto}");

        let mut streams = H2Client::connect(router.http());
        let (mut response, mut stream) = streams.open(waiting_put(), false);
        let asked = std::future::poll_fn(|cx| response.poll_informational(cx));
        let asked = streams.runtime.block_on(asked).expect("an answer").expect("no error");
        assert_eq!(asked.status(), 100, "{proto}");
        stream.send_data(Bytes::from_static(b"body"), true).expect("sent");
        assert_eq!(finish(&streams, response).text(), "okbody", "{proto}");
    }
}

fn waiting_put() -> Request<()> {
    let mut put = request("PUT", "site.test", "/");
    put.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
    put.headers_mut().insert("content-length", 4.into());
    put
}

/// Nobody is asked for a body that has nowhere to go.
#[test]
fn no_permission_is_given_for_a_node_that_is_not_there() {
    let (refusing, silent) = (Refusing::start(), Blackhole::start());
    for proto in PROTOS {
        for (address, status) in [(refusing.address(), 503), (silent.address(), 504)] {
            let router = Router::setup()
                .config("[timeouts]\nconnect = \"300ms\"\n")
                .route(format!("site.test={address},proto={proto}"))
                .args(["--http2", "all"])
                .start();
            let mut client = Client::connect(router.http());
            client.send(head("PUT", "/", "1.1", "Expect: 100-continue\r\nContent-Length: 4\r\n"));
            assert_eq!(client.response().status, status, "{proto}");
            let mut streams = H2Client::connect(router.http());
            let (mut response, _stream) = streams.open(waiting_put(), false);
            let asked = std::future::poll_fn(|cx| response.poll_informational(cx));
            let asked = streams.runtime.block_on(async { tokio::time::timeout(SOON, asked).await });
            assert!(asked.expect("in time").is_none(), "{proto}: no interim answer");
            assert_eq!(finish(&streams, response).status, status, "{proto}");
        }
    }
}

#[test]
fn clients_of_http_1_0_are_served_by_every_node() {
    for proto in PROTOS {
        let router = router(proto);
        let mut client = Client::connect(router.http());
        client.send(head("GET", "/", "1.0", ""));
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{proto}");
        assert_eq!(response.field("transfer-encoding"), None, "{proto}");
        client.expect_closed();
    }
}
