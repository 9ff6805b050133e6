//! An origin that speaks the uwsgi protocol and records every packet, for what real uWSGI hides.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::datagram::decode_dictionary;

/// A request packet and its body.
#[derive(Clone, Debug)]
pub struct Packet {
    pub modifier1: u8,
    pub modifier2: u8,
    /// Variables in wire order.
    pub vars: Vec<(String, String)>,
    /// The same as they were sent.
    pub raw: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Packet {
    /// Value of a variable that must not occur twice.
    #[track_caller]
    pub fn var(&self, name: &str) -> Option<&str> {
        let mut found = self.vars.iter().filter(|(known, _)| known == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} occurs twice: {:#?}", self.vars);
        first.map(|(_, value)| value.as_str())
    }
}

/// A uwsgi origin that answers every request with the same bytes and closes.
pub struct UwsgiOrigin {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Packet>>>,
    stopping: Arc<AtomicBool>,
}

impl UwsgiOrigin {
    /// Answers with `response`.
    pub fn start(response: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("bound");
        let log = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let origin = Self { address, log: log.clone(), stopping: stopping.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let log = log.clone();
                std::thread::spawn(move || serve(stream, response, &log));
            }
        });
        origin
    }

    /// Answers `200` with a short body.
    pub fn ok() -> Self {
        Self::start(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Packets so far.
    pub fn seen(&self) -> Vec<Packet> {
        self.log.lock().expect("no panic while held").clone()
    }

    /// The only packet so far.
    #[track_caller]
    pub fn only_packet(&self) -> Packet {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen[0].clone()
    }
}

impl Drop for UwsgiOrigin {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, response: &[u8], log: &Mutex<Vec<Packet>>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let mut dictionary = vec![0; usize::from(u16::from_le_bytes([header[1], header[2]]))];
    stream.read_exact(&mut dictionary)?;
    let raw = decode_dictionary(&dictionary);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let vars: Vec<_> = raw.iter().map(|(key, value)| (text(key), text(value))).collect();
    let length = vars.iter().find(|(name, _)| name == "CONTENT_LENGTH");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let packet = Packet { modifier1: header[0], modifier2: header[3], vars, raw, body };
    log.lock().expect("no panic while held").push(packet);
    stream.write_all(response)
}
