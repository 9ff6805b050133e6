//! An emperor that takes commands as uWSGI 2.1's does; the installed uWSGI has no command socket.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::datagram::decode_dictionary;

/// Takes commands until it is dropped, and with it what they started.
pub struct Emperor {
    commands: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Emperor {
    /// Where an emperor in this folder listens.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("emperor.sock")
    }

    /// Listens in `folder`. `spawn` starts the vassal of the name; what it returns is kept.
    pub fn start<V: Send + 'static>(
        folder: &Path,
        mut spawn: impl FnMut(&str) -> V + Send + 'static,
    ) -> Self {
        let path = Self::path(folder);
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(path).expect("bind");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let (commands, stopping) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
        let (seen, ends): (_, Arc<AtomicBool>) = (commands.clone(), Arc::clone(&stopping));
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut vassals) = ([0; 4096], Vec::new());
            while !ends.load(Ordering::SeqCst) {
                let count = match socket.recv(&mut buffer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => panic!("{error}"),
                };
                let vassal = vassal_of(&buffer[..count]);
                seen.lock().expect("no panic while held").push(vassal.clone());
                vassals.push(spawn(&vassal));
            }
        });
        Self { commands, stopping, thread: Some(thread) }
    }

    /// Vassals asked for so far.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().expect("no panic while held").clone()
    }
}

/// The vassal a packet asks for.
fn vassal_of(packet: &[u8]) -> String {
    let (header, dictionary) = packet.split_at(4);
    let length = u16::from_le_bytes([header[1], header[2]]);
    assert_eq!((header[0], header[3]), (0, 0), "modifiers");
    assert_eq!(usize::from(length), dictionary.len(), "the packet is whole");
    let pairs = decode_dictionary(dictionary);
    let [(cmd, spawn), (name, vassal)] = &pairs[..] else { panic!("{pairs:?}") };
    assert_eq!((&cmd[..], &spawn[..], &name[..]), (&b"cmd"[..], &b"spawn"[..], &b"vassal"[..]));
    String::from_utf8(vassal.clone()).expect("a name")
}

impl Drop for Emperor {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the emperor's thread panicked");
        }
    }
}
