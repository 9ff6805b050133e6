//! Making a state file anew, beside the one in force, on a thread of its own.
//!
//! Nobody else opens the new file before it has its name. It holds private keys, so nobody but its
//! owner may read it. What an earlier process left unfinished goes.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use subscribe::state;

use super::header::{HEADER_BYTES, header};

const MODE: u32 = 0o600;
/// How the name of an unfinished file ends.
const UNFINISHED: &str = ".new";

/// What the new file is made of.
#[derive(Debug)]
pub(super) enum Source {
    /// These bytes.
    Journal(Vec<u8>),
    /// So many bytes of a state file, without what no longer holds.
    File(File, u64),
}

/// A new file under way.
#[derive(Debug)]
pub(super) struct Rewrite {
    made: Receiver<io::Result<Made>>,
    /// Changes since it was begun.
    pub(super) tail: Vec<u8>,
}

impl Rewrite {
    /// Begins one on a thread of its own.
    pub(super) fn begin(path: PathBuf, source: Source) -> Self {
        let (reply, made) = mpsc::sync_channel(1);
        let work = move || drop(reply.try_send(make(&path, source)));
        // Without a thread the channel ends, which counts as a failure.
        drop(thread::Builder::new().name("state-file".into()).spawn(work));
        Self { made, tail: Vec::new() }
    }

    /// What was made and its tail, once it is.
    pub(super) fn take_done(rewrite: &mut Option<Self>) -> Option<(io::Result<Made>, Vec<u8>)> {
        let made = match rewrite.as_ref()?.made.try_recv() {
            Ok(made) => made,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("no thread to write it")),
        };
        Some((made, rewrite.take()?.tail))
    }
}

/// A new file that has no name yet that counts.
#[derive(Debug)]
pub(super) struct Made {
    file: File,
    unfinished: PathBuf,
    bytes: u64,
}

impl Made {
    /// Adds the changes of meanwhile and gives it its name. Answers its length too.
    pub(super) fn put_at(mut self, path: &Path, tail: &[u8]) -> io::Result<(File, u64)> {
        let put = self.file.write_all(tail).and_then(|()| fs::rename(&self.unfinished, path));
        if put.is_err() {
            let _ = fs::remove_file(&self.unfinished);
        }
        put.map(|()| (self.file, self.bytes + tail.len() as u64))
    }
}

/// Makes the file, under a name that does not count.
pub(super) fn make(path: &Path, source: Source) -> io::Result<Made> {
    let journal = match source {
        Source::Journal(journal) => journal,
        Source::File(file, bytes) => {
            let bytes = bytes.saturating_sub(HEADER_BYTES as u64);
            let mut journal = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
            file.read_exact_at(&mut journal, HEADER_BYTES as u64)?;
            state::compact(&journal).map_err(io::Error::other)?
        }
    };
    remove_unfinished(path);
    let unfinished = with_suffix(path, &format!(".{}{UNFINISHED}", std::process::id()));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(MODE).open(&unfinished)?;
    let mut made = Made { file, unfinished, bytes: (HEADER_BYTES + journal.len()) as u64 };
    let written = made.file.write_all(&header()).and_then(|()| made.file.write_all(&journal));
    match written {
        Ok(()) => Ok(made),
        Err(error) => {
            let _ = fs::remove_file(&made.unfinished);
            Err(error)
        }
    }
}

/// Removes what is beside the file and was never finished, of whichever process.
fn remove_unfinished(path: &Path) {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let bytes = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let number = bytes
            .and_then(|rest| rest.strip_prefix(b"."))
            .and_then(|rest| rest.strip_suffix(UNFINISHED.as_bytes()));
        if number.is_some_and(|number| number.iter().all(u8::is_ascii_digit)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
