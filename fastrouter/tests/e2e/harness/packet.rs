//! uwsgi packets as a web server sends them, and nodes that record what reaches them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest wait for the other side.
const PATIENCE: Duration = Duration::from_secs(20);

/// A packet of these vars, modifiers 0.
pub fn packet(vars: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0; 4];
    for text in vars.iter().flat_map(|(name, value)| [name, value]) {
        packet.extend_from_slice(&(text.len() as u16).to_le_bytes());
        packet.extend_from_slice(text.as_bytes());
    }
    let bytes = ((packet.len() - 4) as u16).to_le_bytes();
    packet[1..3].copy_from_slice(&bytes);
    packet
}

/// The packet of a GET for a host.
pub fn get_packet(host: &str) -> Vec<u8> {
    let vars = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/x"), ("PATH_INFO", "/x")];
    packet(&[&vars[..], &[("SERVER_PROTOCOL", "HTTP/1.1"), ("HTTP_HOST", host)]].concat())
}

/// The packet of a POST for a host, without its body.
pub fn post_packet(host: &str, length: &str) -> Vec<u8> {
    packet(&[("REQUEST_METHOD", "POST"), ("HTTP_HOST", host), ("CONTENT_LENGTH", length)])
}

/// Connects as a web server.
#[track_caller]
pub fn connect(router: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(router).expect("the router listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Everything until the router closes; a reset counts as the end.
pub fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut room = [0; 16 * 1024];
    loop {
        match stream.read(&mut room) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("the router neither answers nor closes: {error}"),
        }
    }
}

/// Sends these bytes and reads until the end.
#[track_caller]
pub fn ask(router: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(router);
    stream.write_all(bytes).expect("sent");
    rest_of(stream)
}

/// A node that records all it gets on each connection, and answers once it has what it waits for.
pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    stopping: Arc<AtomicBool>,
}

impl Recorder {
    /// Answers `200` with `name`, as soon as the packet and a body as long as CONTENT_LENGTH says are
    /// there.
    pub fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("bound");
        let recorder = Self { address, seen: Arc::default(), stopping: Arc::default() };
        let (seen, stopping) = (recorder.seen.clone(), recorder.stopping.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let seen = seen.clone();
                std::thread::spawn(move || record(stream, name, &seen));
            }
        });
        recorder
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came so far, by connection.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().expect("no panic while held").clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn record(mut stream: TcpStream, name: &str, seen: &Mutex<Vec<Vec<u8>>>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut all = Vec::new();
    let mut room = [0; 16 * 1024];
    while !is_whole(&all) {
        match stream.read(&mut room) {
            Ok(count) if count > 0 => all.extend_from_slice(&room[..count]),
            _ => break,
        }
    }
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    let _ = stream.write_all(reply.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    // What still comes is recorded too: nothing may.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
    while let Ok(count) = stream.read(&mut room) {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&room[..count]);
    }
    seen.lock().expect("no panic while held").push(all);
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some([_, low, high, _]) = bytes.first_chunk() else { return false };
    let packet = 4 + usize::from(u16::from_le_bytes([*low, *high]));
    let text = String::from_utf8_lossy(&bytes[4..]);
    let stated = text
        .split("CONTENT_LENGTH")
        .nth(1)
        .map(|rest| rest.chars().skip(2).take_while(char::is_ascii_digit).collect::<String>());
    let body = stated.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    bytes.len() >= packet + body
}
