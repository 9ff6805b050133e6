//! What one served name is loaded from, and whether that has changed since.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use subscribe::CertText;

use super::confine::{CertRoots, ReadError, read_trusted};
use super::expiry::Told;
use super::pair::{CertError, PairBytes, Part};
use crate::tls::cert_store::{CertEntry, CertSource, ClientAuth};
use crate::tls::limits::{RENEWAL_READ_S, SETTLED_AFTER_S};

/// A name's texts and what became of them.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) source: CertSource,
    pub(super) texts: PairTexts,
    /// What the files looked like when they were last read; `None` before.
    looks: Option<Looks>,
    /// SHA-256 over the texts last read completely, whether they were servable or not.
    content: Option<[u8; 32]>,
    /// When they were last read, Unix time.
    read_unix: u64,
    /// What is being served.
    pub(super) serving: Option<Arc<CertEntry>>,
    /// Since when, Unix time.
    pub(super) since_unix: Option<u64>,
    /// What was said about its end.
    pub(super) told: Told,
    /// The last complaint, so that it is made once and not every second.
    pub(super) complaint: Option<String>,
    /// Scans in a row that did not find the name in the directory.
    pub(super) scans_missing: u32,
}

/// Where the texts are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PairTexts {
    pub(super) crt: CertText,
    pub(super) key: CertText,
    pub(super) ca: Option<CertText>,
    pub(super) client_auth: ClientAuth,
}

impl PairTexts {
    /// Three texts out of a subscription; `!` before the authorities makes them mandatory
    /// (subscription.md, 7).
    pub(super) fn subscribed(key: CertText, crt: CertText, ca: Option<CertText>) -> Self {
        let (ca, client_auth) = match ca {
            None => (None, ClientAuth::Requested),
            Some(CertText::Path(text)) => {
                let (text, auth) = split_mandatory(text);
                (Some(CertText::Path(text)), auth)
            }
            Some(CertText::Pem(text)) => {
                let (text, auth) = split_mandatory(text);
                (Some(CertText::Pem(text)), auth)
            }
        };
        Self { crt, key, ca, client_auth }
    }

    /// Files of the operator.
    pub(super) fn files(crt: &Path, key: &Path, ca: Option<(&Path, ClientAuth)>) -> Self {
        let text = |path: &Path| CertText::Path(path.as_os_str().as_bytes().to_vec());
        let client_auth = ca.map_or(ClientAuth::Requested, |(_, auth)| auth);
        Self { crt: text(crt), key: text(key), ca: ca.map(|(path, _)| text(path)), client_auth }
    }

    /// The paths among them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.each().into_iter().flatten().filter_map(|text| match text {
            CertText::Path(path) => Some(as_path(path)),
            CertText::Pem(_) => None,
        })
    }

    fn each(&self) -> [Option<&CertText>; 3] {
        [Some(&self.crt), Some(&self.key), self.ca.as_ref()]
    }
}

fn split_mandatory(mut text: Vec<u8>) -> (Vec<u8>, ClientAuth) {
    if text.first() != Some(&b'!') {
        return (text, ClientAuth::Requested);
    }
    text.remove(0);
    (text, ClientAuth::Required)
}

/// Which of the files of a pair are there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Presence {
    /// All.
    Whole,
    /// All but the client authorities.
    Unguarded,
    /// The certificate or the key.
    Half,
    /// Neither certificate nor key.
    Gone,
}

/// What a look at the files found.
pub(super) enum Look {
    /// As when they were last read.
    Unchanged,
    /// Other bytes than before.
    Changed(PairBytes),
    /// One of them could not be read.
    Unreadable(CertError),
}

impl Tracked {
    pub(super) fn new(source: CertSource, texts: PairTexts) -> Self {
        Self {
            source,
            texts,
            looks: None,
            content: None,
            read_unix: 0,
            serving: None,
            since_unix: None,
            told: Told::default(),
            complaint: None,
            scans_missing: 0,
        }
    }

    /// Looks at the files, and reads them if a time stamp, a length or an inode says so.
    pub(super) fn look(&mut self, roots: &CertRoots, now_unix: u64) -> Look {
        let looks = Looks::take(&self.texts, self.source, roots);
        if self.looks.as_ref().is_some_and(|last| *last == looks && last.are_settled(now_unix)) {
            return Look::Unchanged;
        }
        let has_moved = self.looks.as_ref() != Some(&looks);
        self.looks = Some(looks);
        self.read_unix = now_unix;
        let pair = match self.read(roots) {
            Ok(pair) => pair,
            // An unreadable file complains when something about it moved, or for the first time.
            Err(_) if !has_moved && self.complaint.is_some() => return Look::Unchanged,
            Err(error) => return Look::Unreadable(error),
        };
        let content = Some(pair_digest(&pair));
        if content == self.content {
            return Look::Unchanged;
        }
        self.content = content;
        Look::Changed(pair)
    }

    /// The texts are elsewhere now. What is being served stays until they prove good.
    pub(super) fn retarget(&mut self, texts: PairTexts) {
        self.texts = texts;
        self.complaint = None;
        self.forget_looks();
    }

    /// Which of its files are there.
    pub(super) fn presence(&self) -> Presence {
        let is_there = |text: &CertText| match text {
            CertText::Path(path) => as_path(path).exists(),
            CertText::Pem(_) => true,
        };
        let is_unguarded = self.texts.ca.as_ref().is_some_and(|ca| !is_there(ca));
        match (is_there(&self.texts.crt), is_there(&self.texts.key)) {
            (true, true) if is_unguarded => Presence::Unguarded,
            (true, true) => Presence::Whole,
            (false, false) => Presence::Gone,
            _ => Presence::Half,
        }
    }

    /// Reads the texts at the next look, whatever the files look like, and compares what they say.
    pub(super) fn read_again(&mut self) {
        self.looks = None;
    }

    /// [`Self::read_again`] if that was not done for a while. Texts that came with the subscription are
    /// as they came.
    pub(super) fn read_if_due(&mut self, now_unix: u64) {
        let has_files = self.texts.paths().next().is_some();
        if has_files && now_unix.abs_diff(self.read_unix) >= RENEWAL_READ_S {
            self.read_again();
        }
    }

    /// Reads and judges the texts at the next look, whatever the files look like.
    pub(super) fn forget_looks(&mut self) {
        self.looks = None;
        self.content = None;
    }

    fn read(&self, roots: &CertRoots) -> Result<PairBytes, CertError> {
        let read = |text: &CertText, part| {
            let bytes = match text {
                CertText::Pem(bytes) => Ok(bytes.clone()),
                CertText::Path(path) if self.source == CertSource::Subscription => {
                    roots.read(as_path(path))
                }
                CertText::Path(path) => read_trusted(as_path(path)),
            };
            bytes.map_err(|cause| CertError::Read { part, cause })
        };
        let crt = read(&self.texts.crt, Part::Crt)?;
        let key = read(&self.texts.key, Part::Key)?;
        let ca = self.texts.ca.as_ref().map(|text| read(text, Part::Ca)).transpose()?;
        let ca = ca.map(|bytes| {
            // A file of authorities can say itself that they are mandatory.
            let (bytes, in_file) = split_mandatory(bytes);
            let either = [in_file, self.texts.client_auth].contains(&ClientAuth::Required);
            (bytes, if either { ClientAuth::Required } else { ClientAuth::Requested })
        });
        Ok(PairBytes { crt, key, ca })
    }
}

/// Whether the error says that a subscription pointed outside the roots.
pub(super) fn is_outside(error: &CertError) -> bool {
    matches!(error, CertError::Read { cause: ReadError::Outside, .. })
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn pair_digest(pair: &PairBytes) -> [u8; 32] {
    let (ca, auth) = pair
        .ca
        .as_ref()
        .map_or((&[][..], &b""[..]), |(bytes, auth)| (bytes, auth.label().as_bytes()));
    let mut context = Context::new(&SHA256);
    for text in [&pair.crt[..], &pair.key, ca, auth] {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The outside of up to three files.
#[derive(Debug, Eq, PartialEq)]
struct Looks([Option<FileLook>; 3]);

#[derive(Debug, Eq, PartialEq)]
struct FileLook {
    device: u64,
    inode: u64,
    len: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Looks {
    fn take(texts: &PairTexts, source: CertSource, roots: &CertRoots) -> Self {
        Self(texts.each().map(|text| match text {
            Some(CertText::Path(path)) => {
                let path = as_path(path);
                let may_look = source != CertSource::Subscription || roots.admits(path);
                may_look.then(|| fs::metadata(path).ok()).flatten().map(FileLook::from)
            }
            Some(CertText::Pem(_)) | None => None,
        }))
    }

    /// Whether every change is old enough for the next one to leave another time stamp.
    fn are_settled(&self, now_unix: u64) -> bool {
        let newest_ns = self.0.iter().flatten().map(|look| look.changed_ns).max();
        let horizon_ns = (i128::from(now_unix) - i128::from(SETTLED_AFTER_S)) * 1_000_000_000;
        newest_ns.is_none_or(|changed_ns| changed_ns < horizon_ns)
    }
}

impl From<Metadata> for FileLook {
    fn from(facts: Metadata) -> Self {
        let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            len: facts.len(),
            modified_ns: ns(facts.mtime(), facts.mtime_nsec()),
            changed_ns: ns(facts.ctime(), facts.ctime_nsec()),
        }
    }
}
