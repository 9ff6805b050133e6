//! The thread that asks an emperor for vassals, and how workers reach it.
//!
//! Workers leave the key and go on; the thread decides what is sent, so that all workers together
//! send one command per vassal, and it alone waits for the emperor's socket. The command is what
//! uWSGI 2.1 takes at `emperor-command-socket`: a packet with both modifiers 0 and the pairs `cmd` and
//! `vassal`. There is no answer: a vassal that came announces itself.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use route_table::{Route, Speech, TableHandle};
use router_core::{
    address::ListenAddr,
    deadline,
    metrics::{Collector, Page, catalog},
};
use tracing::{info, warn};
use uwsgi_wire::PacketWriter;

use super::agenda::{Agenda, Step, Unsent, has_joined};

/// Keys that wait for the thread; who finds no room reminds it a second later.
const ASKED_MAX: usize = 1024;
/// How long the emperor may take to make room for a command.
const SEND_MAX: Duration = Duration::from_millis(200);
/// Distance between two looks at who came.
const SWEEP: Duration = Duration::from_millis(100);
/// How long an emperor that cannot be reached, or has no room, is left alone.
const AWAY_MS: u64 = 1_000;

/// The workers' way to the thread.
#[derive(Debug)]
pub struct Emperor {
    asks: SyncSender<Ask>,
    standing: Arc<Standing>,
}

/// How it went so far.
#[derive(Debug, Default)]
pub struct Standing {
    away_until_ms: AtomicU64,
    sent: AtomicU64,
    busy: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
struct Ask {
    seen: Arc<Route>,
    speech: Speech,
    failed: Arc<AtomicBool>,
}

/// What became of a word to the thread.
#[derive(Debug)]
pub struct Asked(Arc<AtomicBool>);

impl Asked {
    /// Whether the emperor could not be told.
    pub fn failed(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Emperor {
    /// Starts the thread; it ends with the last worker.
    ///
    /// # Errors
    /// The socket or the thread cannot be made.
    pub fn start(at: &ListenAddr, table: TableHandle, standing: Arc<Standing>) -> io::Result<Self> {
        let socket = CommandSocket::open(at)?;
        let (asks, asked) = sync_channel(ASKED_MAX);
        let (agenda, busy_until_ms) = (Agenda::default(), 0);
        let desk = Desk { socket, table, standing: standing.clone(), agenda, busy_until_ms };
        std::thread::Builder::new().name("emperor".to_owned()).spawn(move || desk.run(&asked))?;
        Ok(Self { asks, standing })
    }

    /// Says that somebody waits for a vassal of this route, as it was `seen`. `None` if the thread is
    /// too far behind.
    pub fn ask(&self, seen: &Arc<Route>, speech: Speech) -> Option<Asked> {
        let failed = Arc::new(AtomicBool::new(false));
        let ask = Ask { seen: seen.clone(), speech, failed: failed.clone() };
        self.asks.try_send(ask).ok()?;
        Some(Asked(failed))
    }

    /// Whether it could not be reached a moment ago.
    pub fn is_away(&self, now_ms: u64) -> bool {
        now_ms < self.standing.away_until_ms.load(Relaxed)
    }
}

impl Collector for Standing {
    fn collect(&self, page: &mut Page) {
        page.sample(&catalog::VASSAL_SPAWNS, &["sent"], self.sent.load(Relaxed));
        page.sample(&catalog::VASSAL_SPAWNS, &["busy"], self.busy.load(Relaxed));
        page.sample(&catalog::VASSAL_SPAWNS, &["failed"], self.failed.load(Relaxed));
    }
}

/// The thread's own.
struct Desk {
    socket: CommandSocket,
    table: TableHandle,
    standing: Arc<Standing>,
    agenda: Agenda,
    /// Before this time nothing is sent: the emperor had no room.
    busy_until_ms: u64,
}

impl Desk {
    fn run(mut self, asked: &Receiver<Ask>) {
        let mut swept_ms = 0;
        loop {
            let ask = if self.agenda.is_empty() {
                asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                asked.recv_timeout(SWEEP)
            };
            let now_ms = deadline::process_ms();
            if now_ms >= swept_ms + SWEEP.as_millis() as u64 {
                swept_ms = now_ms;
                self.agenda.sweep(&self.table.snapshot(), now_ms);
            }
            match ask {
                Ok(ask) => self.serve(&ask, now_ms),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn serve(&mut self, ask: &Ask, now_ms: u64) {
        if now_ms < self.busy_until_ms {
            // Who waits reminds us.
            return;
        }
        let table = self.table.snapshot();
        let Some(route) = table.get(ask.seen.key().as_str()) else { return };
        if has_joined(route, &ask.seen) {
            // It came while the word was on its way.
            return;
        }
        let vassal = match self.agenda.step(route, ask.speech, now_ms) {
            Step::Spawn(vassal) => vassal,
            Step::Wait => return,
            Step::Away => return ask.failed.store(true, Relaxed),
        };
        match self.socket.spawn(&vassal) {
            Ok(()) => {
                self.standing.sent.fetch_add(1, Relaxed);
                self.standing.away_until_ms.store(0, Relaxed);
                info!(
                    key = ask.seen.key().as_str(),
                    vassal = &*vassal,
                    "asked the emperor to spawn"
                );
            }
            // One that is slow is there; who waits goes on waiting.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let now_ms = deadline::process_ms();
                self.agenda.note_unsent(&vassal, Unsent::Busy, now_ms);
                self.standing.busy.fetch_add(1, Relaxed);
                self.busy_until_ms = now_ms + AWAY_MS;
            }
            Err(error) => {
                self.agenda.note_unsent(&vassal, Unsent::Away, now_ms);
                ask.failed.store(true, Relaxed);
                self.standing.failed.fetch_add(1, Relaxed);
                let until_ms = deadline::process_ms() + AWAY_MS;
                if self.standing.away_until_ms.swap(until_ms, Relaxed) == 0 {
                    warn!(vassal = &*vassal, %error, "the emperor cannot be told");
                }
            }
        }
    }
}

/// Not connected: an emperor that was away is reached again as soon as it is back.
#[derive(Debug)]
enum CommandSocket {
    Udp(UdpSocket, SocketAddr),
    Unix(UnixDatagram, PathBuf),
}

impl CommandSocket {
    fn open(at: &ListenAddr) -> io::Result<Self> {
        match at {
            ListenAddr::Tcp(to) => {
                let socket = match to {
                    SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
                    SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
                };
                socket.set_write_timeout(Some(SEND_MAX))?;
                Ok(Self::Udp(socket, *to))
            }
            ListenAddr::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(SEND_MAX))?;
                Ok(Self::Unix(socket, path.clone()))
            }
        }
    }

    fn spawn(&self, vassal: &str) -> io::Result<()> {
        let command = spawn_command(vassal).map_err(io::Error::other)?;
        match self {
            Self::Udp(socket, to) => socket.send_to(&command, to),
            Self::Unix(socket, path) => socket.send_to(&command, path),
        }
        .map(drop)
    }
}

/// The bytes uWSGI's fastrouter sends to its emperor.
fn spawn_command(vassal: &str) -> Result<Vec<u8>, uwsgi_wire::EncodeError> {
    let mut command = Vec::with_capacity(32 + vassal.len());
    let mut packet = PacketWriter::start(&mut command, 0, 0)?;
    packet.pair(b"cmd", b"spawn")?;
    packet.pair(b"vassal", vassal.as_bytes())?;
    packet.finish();
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written down from the description of the protocol: modifiers 0 and 0, then the pairs.
    #[test]
    fn the_command_is_a_packet_of_two_pairs() {
        let expected = b"\x00\x1d\x00\x00\x03\x00cmd\x05\x00spawn\x06\x00vassal\x07\x00foo.ini";
        assert_eq!(spawn_command("foo.ini").expect("a short name"), expected);
    }
}
