//! One upstream with a router of its own, through which the whole corpus goes, one entry at a time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::answers::{Answer, take_apart};
use crate::corpus::Entry;
use crate::harness::router::Router;
use crate::harness::wait::{SOON, eventually};
use crate::peers::{Kind, Upstream};
use crate::recorder::Seen;
use crate::verdict::Verdict;

/// Longest silence of the router. Nothing in the corpus waits for one of its deadlines.
const SILENCE_MAX: Duration = Duration::from_secs(8);

/// Stands for the host in the corpus.
const HOST_MARK: &[u8] = b"$H";

/// What one entry came to at one upstream.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Complete requests seen behind the upstream.
    pub seen: Vec<Seen>,
    /// What the client got.
    pub answers: Vec<Answer>,
    /// What was wrong with that or with the connection.
    pub trouble: Option<String>,
}

/// What the whole corpus came to at one upstream.
pub struct Outcome {
    pub kind: Kind,
    /// One for each entry.
    pub observed: Vec<Observed>,
    /// Request lines the upstream logged, sorted.
    pub lines: Option<Vec<String>>,
    pub violations: Vec<String>,
}

/// Runs all entries against one upstream.
pub fn run(kind: Kind, program: &Path, entries: &[Entry]) -> Outcome {
    let upstream = Upstream::start(kind, program);
    let host = format!("{}.test", kind.name());
    let router = Router::setup().workers(1).route(upstream.route(&host)).start();
    let address = router.http();
    eventually("the upstream answers", SOON, || {
        let received = exchange(address, &request(&host, "/ready")).ok()?;
        let (answers, _) = take_apart(&received, &[]);
        answers.first().is_some_and(|answer| answer.is_origins).then_some(())
    });
    upstream.take();
    let observed = entries.iter().enumerate();
    let observed = observed.map(|(at, entry)| observe(&upstream, address, &host, at, entry));
    let observed: Vec<_> = observed.collect();
    let expected = expected_lines(entries);
    // An upstream may write its log after it answered.
    let start = Instant::now();
    let lines = loop {
        let lines = upstream.lines().map(|mut lines| {
            lines.retain(|line| line != "GET /ready");
            lines.sort();
            lines
        });
        let enough = lines.as_ref().is_none_or(|lines| lines.len() >= expected);
        if enough || start.elapsed() > SOON {
            break lines;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Outcome { kind, observed, lines, violations: upstream.violations() }
}

/// How many request lines an upstream must have met: those of the entries and their sentinels.
fn expected_lines(entries: &[Entry]) -> usize {
    let lines = |verdict: Verdict| {
        let probe = usize::from(verdict.is_open());
        verdict.forwarded + probe + usize::from(verdict.leaves_a_torso()) + 1
    };
    entries.iter().map(|entry| lines(entry.verdict)).sum()
}

/// Sends one entry and sees what comes of it.
///
/// A sentinel on a new client connection follows: it uses the same upstream connections, so bytes
/// left over there would spoil it, and it is recorded after everything that it follows.
fn observe(
    upstream: &Upstream,
    address: SocketAddr,
    host: &str,
    at: usize,
    entry: &Entry,
) -> Observed {
    let mut bytes = fill_in(&entry.bytes, host);
    let verdict = entry.verdict_for(upstream.kind);
    if !verdict.is_unfinished() {
        bytes.extend(fill_in(PROBE, host));
    }
    let method = if entry.bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    let mut observed = Observed::default();
    match exchange(address, &bytes) {
        Ok(received) => {
            let (answers, sound) = take_apart(&received, &[method]);
            observed.answers = answers;
            observed.trouble = sound.err();
        }
        Err(error) => observed.trouble = Some(error.to_string()),
    }
    let target = format!("/sentinel-{at}");
    let sentinel = exchange(address, &request(host, &target)).map_err(|error| error.to_string());
    let sentinel = sentinel.and_then(|received| {
        let (answers, sound) = take_apart(&received, &[]);
        sound.map(|()| answers)
    });
    let alive = matches!(&sentinel, Ok(answers)
        if matches!(answers.as_slice(), [Answer { status: 200, is_origins: true, .. }]));
    observed.seen = upstream.take();
    let last = observed.seen.pop();
    if !alive || last.as_ref().is_none_or(|last| last.target != target || !last.body.is_empty()) {
        let trouble = format!("the sentinel got {sentinel:?} and was seen as {last:?}");
        observed.trouble =
            Some(observed.trouble.map_or(trouble.clone(), |first| first + "; " + &trouble));
    }
    observed
}

/// A request pipelined behind each entry: whether it is answered shows where the entry ended.
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: $H\r\n\r\n";

fn request(host: &str, target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// `bytes` with the host in its places.
fn fill_in(bytes: &[u8], host: &str) -> Vec<u8> {
    let mut filled = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = crate::answers::find(rest, HOST_MARK) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(host.as_bytes());
        rest = &rest[at + HOST_MARK.len()..];
    }
    filled.extend_from_slice(rest);
    filled
}

/// Sends these bytes, then nothing more, and receives until the router closes.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    // A refusal may come, with the close, before the last byte left.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(received),
    }
}
