//! The responses of the corpus, as a client behind the router gets them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::answers::{Answer, take_apart};
use crate::corpus::responses::{Entry, Relayed, Then, all};
use crate::harness::router::Router;
use crate::lane::exchange;
use crate::scripted::{Scripted, Speaks};

/// Longest silence of the router.
const SILENCE_MAX: Duration = Duration::from_secs(8);

/// One response and what the client got.
pub struct Row {
    pub entry: Entry,
    /// From a node that speaks HTTP, and from one that speaks uwsgi.
    pub got: [String; 2],
}

/// The whole outcome.
pub struct Responses {
    pub rows: Vec<Row>,
    /// Every disagreement.
    pub wrong: Vec<String>,
}

impl Responses {
    /// Runs everything, both kinds of origins at once.
    pub fn run() -> Self {
        let entries = all();
        let [http, uwsgi] = std::thread::scope(|scope| {
            let lanes = [Speaks::Http, Speaks::Uwsgi].map(|speaks| {
                let entries = &entries;
                scope.spawn(move || run(speaks, entries))
            });
            lanes.map(|lane| lane.join().expect("a lane does not panic"))
        });
        let (mut rows, mut wrong) = (Vec::new(), Vec::new());
        for (entry, got) in entries.into_iter().zip(http.into_iter().zip(uwsgi)) {
            let cells = [(Speaks::Http, got.0), (Speaks::Uwsgi, got.1)];
            let got = cells.map(|(speaks, got)| {
                got.unwrap_or_else(|why| {
                    wrong.push(format!("{}, {speaks:?}: {why}", entry.name));
                    "DISAGREES".to_owned()
                })
            });
            rows.push(Row { entry, got });
        }
        Self { rows, wrong }
    }
}

/// What a client gets of each response; an error is a disagreement.
fn run(speaks: Speaks, entries: &[Entry]) -> Vec<Result<String, String>> {
    let origin = Scripted::start(speaks, entries.to_vec());
    let router = Router::setup().workers(1).route(origin.route("a.test")).start();
    let entries = entries.iter().enumerate();
    entries.map(|(at, entry)| check(&origin, router.http(), at, entry)).collect()
}

/// Asks for one response, asks for another one on the same connection, then on a new one.
fn check(
    origin: &Scripted,
    router: SocketAddr,
    at: usize,
    entry: &Entry,
) -> Result<String, String> {
    let received = two_requests(origin, router, at, entry).map_err(|error| error.to_string());
    let sentinel = b"GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let after = exchange(router, sentinel).map_err(|error| error.to_string())?;
    match take_apart(&after, &[]) {
        (answers, Ok(())) if matches!(answers.as_slice(), [answer] if is_next(answer)) => {}
        other => return Err(format!("another client got {other:?}; this one {received:?}")),
    }
    let received = received?;
    let (answers, sound) = take_apart(&received, &[entry.method]);
    let wrong = || Err(format!("expected {:?}, got {answers:?}, {sound:?}", entry.relayed));
    match (entry.relayed, answers.as_slice(), &sound) {
        (Relayed::Whole(status, body), [first, next], Ok(()))
            if (first.status, first.body.as_slice()) == (status, body.as_bytes())
                && is_next(next) =>
        {
            Ok(format!("{status}, {} B", body.len()))
        }
        (Relayed::Refused, [first, rest @ ..], Ok(()))
            if first.status == 502 && !first.is_origins && rest.iter().all(is_next) =>
        {
            Ok("502".to_owned())
        }
        (Relayed::Cut, [], Err(why)) if why.contains("cut short") => Ok("cut short".to_owned()),
        _ => wrong(),
    }
}

fn is_next(answer: &Answer) -> bool {
    answer.is_origins && answer.status == 200 && answer.body == b"next"
}

/// All that one client connection received for the entry and a request after it.
fn two_requests(
    origin: &Scripted,
    router: SocketAddr,
    at: usize,
    entry: &Entry,
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(router)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.write_all(
        format!("{} /r/{at} HTTP/1.1\r\nHost: a.test\r\n\r\n", entry.method).as_bytes(),
    )?;
    let mut received = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while !matches!(take_apart(&received, &[entry.method]), (answers, Ok(())) if !answers.is_empty())
    {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        received.extend_from_slice(&chunk[..count]);
    }
    if matches!(entry.then, Then::Late(_)) {
        origin.send_late_bytes();
    }
    // A router that closed already takes nothing more, which is its right.
    let _ = stream.write_all(b"GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let _ = stream.shutdown(Shutdown::Write);
    match stream.read_to_end(&mut received) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(received),
    }
}
