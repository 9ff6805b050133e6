//! Subscription datagrams seen from the wire: built, taken apart, relayed and bent.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Offset of the command byte: 0 subscribes, anything else unsubscribes.
pub const COMMAND_AT: usize = 3;

/// An unsigned datagram with these fields; `command` 0 subscribes.
pub fn plain(command: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut dictionary = Vec::new();
    for (key, value) in fields {
        for string in [key, value] {
            let length = u16::try_from(string.len()).expect("a short string");
            dictionary.extend(length.to_le_bytes());
            dictionary.extend(string.as_bytes());
        }
    }
    let length = u16::try_from(dictionary.len()).expect("a small packet").to_le_bytes();
    let mut datagram = vec![224, length[0], length[1], command];
    datagram.extend(dictionary);
    datagram
}

/// Sends one datagram from a fresh socket.
#[track_caller]
pub fn send(to: SocketAddr, datagram: &[u8]) {
    let from = if to.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(from).expect("bind");
    socket.send_to(datagram, to).expect("send");
}

/// Pairs of a uwsgi dictionary, in order.
///
/// # Panics
/// If it is cut.
#[track_caller]
pub fn decode_dictionary(mut rest: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let string = |rest: &mut &[u8]| {
        let (length, tail) = rest.split_first_chunk().expect("a length");
        let (string, tail) = tail.split_at(usize::from(u16::from_le_bytes(*length)));
        *rest = tail;
        string.to_vec()
    };
    while !rest.is_empty() {
        let key = string(&mut rest);
        pairs.push((key, string(&mut rest)));
    }
    pairs
}

/// A wire-tap: a UDP port that passes datagrams on to the router and keeps a copy.
pub struct Tap {
    address: SocketAddr,
    copies: Arc<Mutex<Vec<Vec<u8>>>>,
    stopping: Arc<AtomicBool>,
}

impl Tap {
    /// Relays to `router`.
    pub fn start(router: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let address = socket.local_addr().expect("bound");
        let copies = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let tap = Self { address, copies: copies.clone(), stopping: stopping.clone() };
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while !stopping.load(Ordering::SeqCst) {
                if let Ok(count) = socket.recv(&mut buffer) {
                    copies.lock().expect("no panic while held").push(buffer[..count].to_vec());
                    let _ = socket.send_to(&buffer[..count], router);
                }
            }
        });
        tap
    }

    /// Where vassals subscribe to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams seen so far.
    pub fn copies(&self) -> Vec<Vec<u8>> {
        self.copies.lock().expect("no panic while held").clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
}
