//! The audit log: every change of a running router, who asked for it and what became of it.
//!
//! The latest entries are kept in memory, where `ctl audit` reads them; with `audit-log` each is also a
//! line of JSON in a file that is only ever appended to. Changes come from people and are rare, so
//! whoever makes one writes the line; no worker ever does. Attempts that were not permitted have a
//! ring of their own and go to the file within a budget: whoever may only read can push out no
//! entry of an operator and fill no disk.

use std::{
    collections::VecDeque,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use router_core::subscriber::line_budget::{Line, LineBudget};
use serde::Serialize;

use super::Outcome;

/// Changes kept in memory.
const CHANGES_MAX: usize = 1000;
/// Attempts that were not permitted, kept in memory.
const DENIED_MAX: usize = 100;
/// Bytes of one text of an entry; what is longer is cut.
const TEXT_BYTES_MAX: usize = 1024;
/// Lines of attempts that were not permitted: at once, and refilled per second.
const DENIED_LINES_BURST: u32 = 20;
const DENIED_LINES_PER_S: u32 = 1;

/// Who asked for a change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum By {
    /// Whoever sent a signal; the kernel does not tell a process who that was.
    Signal {
        /// Its name.
        signal: &'static str,
    },
    /// A client of the control socket.
    Ctl {
        /// Its user.
        uid: u32,
        /// Its process.
        pid: i32,
    },
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal { signal } => write!(f, "signal {signal}"),
            Self::Ctl { uid, pid } => write!(f, "uid {uid}, pid {pid}"),
        }
    }
}

/// How a change ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It was made.
    Done,
    /// It could not be made.
    Failed,
    /// Whoever asked may not.
    Denied,
}

impl Ended {
    /// The word of tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }
}

/// One change, or the attempt of one.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When it ended, in milliseconds of Unix time.
    pub unix_ms: u64,
    /// Who asked.
    #[serde(flatten)]
    pub by: By,
    /// What for.
    pub change: String,
    /// The key it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Made or not.
    pub ended: Ended,
    /// What was said about it.
    pub outcome: String,
}

/// Where changes are recorded; all clones are one log.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Mutex<Log>>);

impl Default for Audit {
    /// A log in memory.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Log {
            changes: VecDeque::new(),
            denied: VecDeque::new(),
            denied_lines: LineBudget::new(DENIED_LINES_BURST, DENIED_LINES_PER_S),
            began: Instant::now(),
            file: None,
            is_failing: false,
        })))
    }
}

#[derive(Debug)]
struct Log {
    changes: VecDeque<Entry>,
    denied: VecDeque<Entry>,
    denied_lines: LineBudget,
    began: Instant,
    file: Option<(PathBuf, File)>,
    /// The file could not be written, and that was said.
    is_failing: bool,
}

impl Audit {
    /// Writes a line for every entry to this file too, from now on.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        let file = append_to(path)?;
        self.lock().file = Some((path.to_owned(), file));
        Ok(())
    }

    /// Records what became of a change.
    pub fn record(&self, by: By, change: &str, key: Option<&str>, outcome: &Outcome) {
        let (ended, said) = match outcome {
            Ok(said) => (Ended::Done, said),
            Err(why) => (Ended::Failed, why),
        };
        self.add(by, change, key, ended, said);
    }

    /// Records that somebody may not.
    pub fn deny(&self, by: By, change: &str, key: Option<&str>) {
        self.add(by, change, key, Ended::Denied, "not an operator");
    }

    /// The latest entries that are about `key`, or all; the newest last.
    #[must_use]
    pub fn entries(&self, key: Option<&str>) -> Vec<Entry> {
        let log = self.lock();
        let is_about = |entry: &&Entry| key.is_none() || entry.key.as_deref() == key;
        let mut all: Vec<_> =
            log.changes.iter().chain(&log.denied).filter(is_about).cloned().collect();
        all.sort_by_key(|entry| entry.unix_ms);
        all
    }

    /// Opens the file again by its name, after somebody renamed it. The old one stays in use if that
    /// fails.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn reopen(&self) -> Result<(), String> {
        let mut log = self.lock();
        let Some((path, file)) = &mut log.file else { return Ok(()) };
        *file = append_to(path).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, by: By, change: &str, key: Option<&str>, ended: Ended, outcome: &str) {
        let entry = Entry {
            unix_ms: unix_ms(),
            by,
            change: cut(change),
            key: key.map(cut),
            ended,
            outcome: cut(outcome),
        };
        let mut log = self.lock();
        log.write(&entry);
        let (ring, most) = match ended {
            Ended::Denied => (&mut log.denied, DENIED_MAX),
            Ended::Done | Ended::Failed => (&mut log.changes, CHANGES_MAX),
        };
        if ring.len() == most {
            ring.pop_front();
        }
        ring.push_back(entry);
    }
}

impl Log {
    fn write(&mut self, entry: &Entry) {
        if entry.ended == Ended::Denied {
            let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            if self.denied_lines.take(now_ms) == Line::Withhold {
                return;
            }
        }
        let Some((path, file)) = &mut self.file else { return };
        let Ok(mut line) = serde_json::to_string(entry) else { return };
        line.push('\n');
        // One write, so that a reader never sees half a line.
        let written = file.write_all(line.as_bytes());
        if let Err(why) = &written
            && !self.is_failing
        {
            tracing::error!(path = %path.display(), %why, "the audit log cannot be written");
        }
        self.is_failing = written.is_err();
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)
}

/// Not for everybody: it says who does what on this machine.
const FILE_MODE: u32 = 0o640;

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default().to_owned()
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: By = By::Ctl { uid: 0, pid: 7 };

    #[test]
    fn the_file_has_a_line_per_change_and_follows_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::default();
        audit.write_to(&path).unwrap();
        audit.record(ROOT, "drain", Some("a.test"), &Ok("drained".to_owned()));
        let moved = folder.path().join("audit.log.1");
        std::fs::rename(&path, &moved).unwrap();
        audit.reopen().unwrap();
        let signal = By::Signal { signal: "SIGHUP" };
        audit.record(signal, "reload", None, &Err("line 3\nis wrong".to_owned()));
        let read = |path| std::fs::read_to_string(path).unwrap();
        let line: serde_json::Value = serde_json::from_str(&read(&moved)).unwrap();
        assert_eq!(
            (&line["by"], &line["uid"], &line["ended"]),
            (&"ctl".into(), &0.into(), &"done".into())
        );
        assert_eq!(read(&path).lines().count(), 1, "a line break in a text is none in the file");
        assert_eq!(audit.entries(None).len(), 2);
        assert_eq!(audit.entries(Some("a.test")).len(), 1);
    }

    #[test]
    fn who_may_not_pushes_no_change_out_and_fills_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::default();
        audit.write_to(&path).unwrap();
        audit.record(ROOT, "stop", None, &Ok("stopping".to_owned()));
        for _ in 0..10_000 {
            audit.deny(By::Ctl { uid: 1000, pid: 1 }, &"x".repeat(5000), None);
        }
        let entries = audit.entries(None);
        assert_eq!(entries.len(), 1 + DENIED_MAX);
        assert!(entries.iter().any(|entry| entry.change == "stop"));
        assert!(entries.iter().all(|entry| entry.change.len() <= TEXT_BYTES_MAX));
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 1 + 2 * DENIED_LINES_BURST as usize, "{lines} lines");
    }

    #[test]
    fn memory_is_bounded_for_operators_too() {
        let audit = Audit::default();
        for number in 0..CHANGES_MAX + 5 {
            audit.record(ROOT, &number.to_string(), None, &Ok(String::new()));
        }
        let entries = audit.entries(None);
        assert_eq!(entries.len(), CHANGES_MAX);
        assert_eq!(entries[0].change, "5");
    }
}
