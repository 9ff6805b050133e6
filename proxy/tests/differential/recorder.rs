//! A strict origin that records every request: the judge of what was forwarded.
//!
//! It reads what a forwarder must emit and nothing else. Whatever another recipient could read in
//! another way is a violation, even if the sender was another proxy.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::answers::{dechunk, find};
use crate::text::escaped;

/// Longest silence on a connection.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A complete request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub body: Vec<u8>,
}

/// All that was recorded.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Complete requests that were not taken yet.
    pub seen: Vec<Seen>,
    /// Request lines of all heads, complete or not.
    pub lines: Vec<String>,
    /// Bytes that were no proper request.
    pub violations: Vec<String>,
}

/// The recording origin.
pub struct Recorder {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
    stopping: Arc<AtomicBool>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("bound");
        let record = Arc::new(Mutex::new(Record::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (log, stop) = (record.clone(), stopping.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let log = log.clone();
                // An error means that the sender went away: its business.
                std::thread::spawn(move || serve(stream, &log));
            }
        });
        Self { address, record, stopping }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the complete requests so far.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.record.lock().expect("no panic while held").seen)
    }

    /// All that is recorded as of now.
    pub fn record(&self) -> Record {
        self.record.lock().expect("no panic while held").clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Record>) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_nodelay(true)?;
    let mut unread = Vec::new();
    loop {
        match serve_one(&mut stream, &mut unread, record) {
            Ok(Ok(())) => {}
            Ok(Err(violation)) => {
                let violation = format!("{violation} in {}", escaped(&unread));
                record.lock().expect("no panic while held").violations.push(violation);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads, records and answers one request. The inner error is a violation.
fn serve_one(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    record: &Mutex<Record>,
) -> io::Result<Result<(), String>> {
    let end = loop {
        if let Some(end) = find(unread, b"\r\n\r\n") {
            break end;
        }
        fill(stream, unread)?;
    };
    let head = match Head::read(&unread[..end]) {
        Ok(head) => head,
        Err(violation) => return Ok(Err(violation)),
    };
    let line = format!("{} {}", head.method, head.target);
    record.lock().expect("no panic while held").lines.push(line);
    let body_at = end + 4;
    let body = loop {
        let here = &unread[body_at..];
        let found = match head.framing {
            Framing::Length(length) => here.split_at_checked(length).map(|(body, _)| body.to_vec()),
            Framing::Chunked => match dechunk(here) {
                Ok((body, rest)) => {
                    let taken = here.len() - rest.len();
                    unread.drain(body_at..body_at + taken);
                    break body;
                }
                Err(why) if why == "chunks cut short" => None,
                Err(violation) => return Ok(Err(violation)),
            },
        };
        if let Some(body) = found {
            unread.drain(body_at..body_at + body.len());
            break body;
        }
        fill(stream, unread)?;
    };
    unread.drain(..body_at);
    let is_head = head.method == "HEAD";
    let seen = Seen { method: head.method, target: head.target, body };
    record.lock().expect("no panic while held").seen.push(seen);
    let answer: &[u8] = b"HTTP/1.1 200 OK\r\nX-Origin: recorder\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(&answer[..answer.len() - if is_head { 2 } else { 0 }])?;
    Ok(Ok(()))
}

fn fill(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    let count = stream.read(&mut chunk)?;
    unread.extend_from_slice(&chunk[..count]);
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

enum Framing {
    Length(usize),
    Chunked,
}

struct Head {
    method: String,
    target: String,
    framing: Framing,
}

impl Head {
    /// # Errors
    /// What is not as strict as it must be.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let forbidden = |byte: &u8| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127);
        if bytes.iter().any(forbidden) {
            return Err("a control character".to_owned());
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default();
        let words: Vec<&str> = start.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words.as_slice() else {
            return Err(format!("the request line {start:?}"));
        };
        if !(target.starts_with('/') || *target == "*") || !target.is_ascii() {
            return Err(format!("the target {target:?}"));
        }
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("a field without a colon")?;
            let is_token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
            if name.is_empty() || !name.chars().all(is_token) || line.contains(['\r', '\n']) {
                return Err(format!("the field {line:?}"));
            }
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let values = |wanted: &str| -> Vec<&str> {
            let found = fields.iter().filter(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str()).collect()
        };
        if values("host").len() != 1 {
            return Err(format!("hosts {:?}", values("host")));
        }
        let framing = match (values("content-length").as_slice(), values("transfer-encoding")) {
            ([], codings) if codings.is_empty() => Framing::Length(0),
            ([length], codings) if codings.is_empty() => {
                Framing::Length(length.parse().map_err(|_| format!("the length {length:?}"))?)
            }
            ([], codings) if codings == ["chunked"] => Framing::Chunked,
            (lengths, codings) => return Err(format!("framing {lengths:?} {codings:?}")),
        };
        Ok(Self { method: (*method).to_owned(), target: (*target).to_owned(), framing })
    }
}
