//! The origin that answers with the responses of the corpus, byte for byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::answers::find;
use crate::corpus::responses::{Entry, Then};

/// What every other request gets.
const NEXT: &[u8] = b"HTTP/1.1 200 OK\r\nX-Origin: scripted\r\nContent-Length: 4\r\n\r\nnext";

/// Longest silence on a connection, and longest wait for a step of the test.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a scripted origin speaks; its responses are the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Speaks {
    Http,
    Uwsgi,
}

/// `/r/N` gets the N-th response; anything else gets `next`.
pub struct Scripted {
    address: SocketAddr,
    speaks: Speaks,
    stopping: Arc<AtomicBool>,
    release: Sender<()>,
    released: Receiver<()>,
}

struct Script {
    speaks: Speaks,
    entries: Vec<Entry>,
    released: Mutex<Receiver<()>>,
    wrote: Sender<()>,
}

impl Scripted {
    pub fn start(speaks: Speaks, entries: Vec<Entry>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("bound");
        let stopping = Arc::new(AtomicBool::new(false));
        let (release, on_release) = channel();
        let (wrote, released) = channel();
        let stop = stopping.clone();
        let script = Arc::new(Script { speaks, entries, released: Mutex::new(on_release), wrote });
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let script = script.clone();
                // An error means that the router went away: its business.
                std::thread::spawn(move || serve(stream, &script));
            }
        });
        Self { address, speaks, stopping, release, released }
    }

    /// `--route` argument that sends `key` here.
    pub fn route(&self, key: &str) -> String {
        let proto = if self.speaks == Speaks::Http { "http" } else { "uwsgi" };
        format!("{key}={},proto={proto}", self.address)
    }

    /// Lets the late bytes of the response under way go, and returns when they are sent.
    pub fn send_late_bytes(&self) {
        let _ = self.release.send(());
        self.released.recv_timeout(SILENCE_MAX).expect("the late bytes are sent");
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, script: &Script) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_nodelay(true)?;
    let mut unread = Vec::new();
    while let Some(target) = receive(&mut stream, &mut unread, script.speaks)? {
        let number = target.strip_prefix("/r/").and_then(|digits| digits.parse::<usize>().ok());
        let Some(entry) = number.and_then(|number| script.entries.get(number)) else {
            stream.write_all(NEXT)?;
            continue;
        };
        stream.write_all(&entry.bytes)?;
        match entry.then {
            Then::Close => return Ok(()),
            Then::Stay => {}
            Then::Late(bytes) => {
                let released = script.released.lock().expect("no panic while held");
                let _ = released.recv_timeout(SILENCE_MAX);
                // The router may have closed already, which is as good.
                let _ = stream.write_all(bytes);
                let _ = script.wrote.send(());
            }
        }
    }
    Ok(())
}

/// Target of the next request, none of which has a body; `None` at the end of the connection.
fn receive(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    speaks: Speaks,
) -> io::Result<Option<String>> {
    loop {
        let end = match speaks {
            Speaks::Http => find(unread, b"\r\n\r\n").map(|end| end + 4),
            Speaks::Uwsgi => {
                let size = unread.get(1..3).map(|two| u16::from_le_bytes([two[0], two[1]]));
                size.map(|size| 4 + usize::from(size)).filter(|end| *end <= unread.len())
            }
        };
        if let Some(end) = end {
            let request: Vec<u8> = unread.drain(..end).collect();
            let start = request.iter().position(|octet| *octet == b'/').unwrap_or(0);
            let is_target = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'/';
            let target = request[start..].iter().copied().take_while(is_target).collect();
            return Ok(Some(String::from_utf8(target).map_err(io::Error::other)?));
        }
        let mut chunk = [0; 16 * 1024];
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            count => unread.extend_from_slice(&chunk[..count]),
        }
    }
}
