//! What the certificate directory holds: `NAME.crt` with `NAME.key`, perhaps `NAME.ca`.
//!
//! `*.example.com.crt` serves one level below `example.com`. Files that belong to no pair are left
//! alone. The listing is read again only when the directory itself changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::tracked::PairTexts;
use crate::tls::cert_store::{ClientAuth, ServedName};
use crate::tls::limits::{DIRECTORY_NAMES_MAX, SETTLED_AFTER_S};

/// The directory and when it was last listed.
#[derive(Debug)]
pub(super) struct CertDirectory {
    path: PathBuf,
    /// Time stamps of the directory when it was last listed.
    listed_at: Option<(i64, i64)>,
}

/// The pairs of one listing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Complete pairs by name.
    pub(super) pairs: BTreeMap<ServedName, PairTexts>,
    /// Names with a certificate or a key, but not both: a renewal under way, or a mistake.
    pub(super) halves: BTreeSet<ServedName>,
    /// Names with a symbolic link among their files.
    pub(super) linked: BTreeSet<ServedName>,
    /// Names beyond [`DIRECTORY_NAMES_MAX`].
    pub(super) beyond_limit: usize,
}

#[derive(Default)]
struct Files {
    crt: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
}

impl CertDirectory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, listed_at: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lists again next time even if the directory looks the same.
    pub(super) fn forget(&mut self) {
        self.listed_at = None;
    }

    /// The pair of which the file `entry` is a part, if it is whole.
    pub(super) fn pair_beside(&self, entry: &OsStr) -> Option<PairTexts> {
        let file = self.path.join(entry);
        let part = |part: &str| Some(file.with_extension(part)).filter(|path| path.exists());
        Some(texts(&part("crt")?, &part("key")?, part("ca").as_deref()))
    }

    /// The pairs, or `None` if the directory has not changed since the last listing.
    ///
    /// # Errors
    /// If the directory cannot be read; what was listed before stays true for the caller.
    pub(super) fn list(&mut self, now_unix: u64) -> io::Result<Option<Listing>> {
        let facts = fs::metadata(&self.path)?;
        let changed_at = (facts.mtime(), facts.mtime_nsec());
        if self.listed_at == Some(changed_at) {
            return Ok(None);
        }
        let listing = collect(&self.path)?;
        let is_settled = facts.mtime() < now_unix.saturating_sub(SETTLED_AFTER_S).cast_signed();
        self.listed_at = is_settled.then_some(changed_at);
        Ok(Some(listing))
    }
}

fn collect(directory: &Path) -> io::Result<Listing> {
    let mut found = BTreeMap::<ServedName, Files>::new();
    let mut listing = Listing::default();
    for item in fs::read_dir(directory)? {
        let item = item?;
        let path = item.path();
        let Some((name, part)) = split_name(&path) else { continue };
        if found.len() >= DIRECTORY_NAMES_MAX && !found.contains_key(&name) {
            listing.beyond_limit += 1;
            continue;
        }
        if item.file_type()?.is_symlink() {
            listing.linked.insert(name.clone());
        }
        let files = found.entry(name).or_default();
        match part {
            "crt" => files.crt = Some(path),
            "key" => files.key = Some(path),
            _ => files.ca = Some(path),
        }
    }
    for (name, files) in found {
        match files {
            Files { crt: Some(crt), key: Some(key), ca } => {
                listing.pairs.insert(name, texts(&crt, &key, ca.as_deref()));
            }
            Files { crt: None, key: None, .. } => {}
            Files { .. } => drop(listing.halves.insert(name)),
        }
    }
    Ok(listing)
}

fn texts(crt: &Path, key: &Path, ca: Option<&Path>) -> PairTexts {
    PairTexts::files(crt, key, ca.map(|path| (path, ClientAuth::Requested)))
}

/// The name a file belongs to, and which part it is.
pub(super) fn split_name(path: &Path) -> Option<(ServedName, &'static str)> {
    let file = path.file_name()?.to_str()?;
    ["crt", "key", "ca"].into_iter().find_map(|part| {
        let name = file.strip_suffix(part)?.strip_suffix('.')?;
        ServedName::parse(name).map(|name| (name, part))
    })
}
