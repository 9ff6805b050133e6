//! What the certificate directory holds: `NAME.crt` with `NAME.key`, perhaps `NAME.ca`.
//!
//! A name may have a pair for each kind of key, `NAME.rsa.crt` and `NAME.ecdsa.crt`. `*.example.com.crt` serves one level below `example.com`. Files that belong to no pair are left
//! alone. The listing is read again only when the directory itself changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::pair::Part;
use super::tracked::PairTexts;
use crate::tls::cert_store::{ClientAuth, Seat, ServedName};
use crate::tls::limits::{DIRECTORY_NAMES_MAX, SETTLED_AFTER_S, WATCHED_LISTING_S};

/// The directory and when it was last listed.
#[derive(Debug)]
pub(super) struct CertDirectory {
    path: PathBuf,
    /// Time stamps of the directory when it was last listed.
    listed_at: Option<(i64, i64)>,
    /// When that was, Unix time.
    listed_unix: u64,
    /// Whether somebody needs a listing.
    is_wanted: bool,
}

/// The pairs of one listing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Complete pairs by name and seat.
    pub(super) pairs: BTreeMap<(ServedName, Seat), PairTexts>,
    /// Those with a certificate or a key, but not both: a renewal under way, or a mistake.
    pub(super) halves: BTreeSet<(ServedName, Seat)>,
    /// Names with a symbolic link among their files.
    pub(super) linked: BTreeSet<ServedName>,
    /// Pairs beyond [`DIRECTORY_NAMES_MAX`].
    pub(super) beyond_limit: usize,
}

/// What a file's name says.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct FileName {
    pub(super) name: ServedName,
    seat: Seat,
    part: Part,
}

#[derive(Default)]
struct Files {
    crt: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl CertDirectory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, listed_at: None, listed_unix: 0, is_wanted: true }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lists again next time even if the directory looks the same.
    pub(super) fn forget(&mut self) {
        self.listed_at = None;
        self.is_wanted = true;
    }

    /// Whether a directory whose changes are told one by one is to be listed all the same: reading the
    /// names of 100,000 certificates again for each of them would delay them all.
    pub(super) fn is_due(&self, now_unix: u64) -> bool {
        self.is_wanted || now_unix.abs_diff(self.listed_unix) >= WATCHED_LISTING_S
    }

    /// The pairs that the file `entry` may be a part of, those that are whole.
    pub(super) fn pairs_beside(&self, entry: &OsStr) -> Vec<(ServedName, Seat, PairTexts)> {
        let Some(file) = split_name(Path::new(entry)) else { return Vec::new() };
        let stem = self.path.join(entry).with_extension("");
        let stem = stem.to_string_lossy();
        let stem = stem.strip_suffix(file.seat.suffix()).unwrap_or(&stem);
        let at = |suffix: &str, part: &str| {
            Some(PathBuf::from(format!("{stem}{suffix}.{part}"))).filter(|path| path.exists())
        };
        let ca = at("", "ca");
        let whole = |seat: Seat| {
            let (crt, key) = (at(seat.suffix(), "crt")?, at(seat.suffix(), "key")?);
            Some((file.name.clone(), seat, texts(&crt, &key, ca.as_deref())))
        };
        Seat::ALL.into_iter().filter_map(whole).collect()
    }

    /// The pairs, or `None` if the directory has not changed since the last listing.
    ///
    /// # Errors
    /// If the directory cannot be read; what was listed before stays true for the caller.
    pub(super) fn list(&mut self, now_unix: u64) -> io::Result<Option<Listing>> {
        let facts = fs::metadata(&self.path)?;
        (self.is_wanted, self.listed_unix) = (false, now_unix);
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
    let mut found = BTreeMap::<(ServedName, Seat), Files>::new();
    let mut authorities = BTreeMap::<ServedName, PathBuf>::new();
    let mut listing = Listing::default();
    for item in fs::read_dir(directory)? {
        let item = item?;
        let path = item.path();
        let Some(FileName { name, seat, part }) = split_name(&path) else { continue };
        let place = (name, seat);
        if found.len() >= DIRECTORY_NAMES_MAX && !found.contains_key(&place) {
            listing.beyond_limit += 1;
            continue;
        }
        if item.file_type()?.is_symlink() {
            listing.linked.insert(place.0.clone());
        }
        match part {
            Part::Crt => found.entry(place).or_default().crt = Some(path),
            Part::Key => found.entry(place).or_default().key = Some(path),
            Part::Ca => drop(authorities.insert(place.0, path)),
        }
    }
    for (place, files) in found {
        if let Files { crt: Some(crt), key: Some(key) } = files {
            let ca = authorities.get(&place.0).map(PathBuf::as_path);
            listing.pairs.insert(place, texts(&crt, &key, ca));
        } else {
            listing.halves.insert(place);
        }
    }
    Ok(listing)
}

fn texts(crt: &Path, key: &Path, ca: Option<&Path>) -> PairTexts {
    PairTexts::files(crt, key, ca.map(|path| (path, ClientAuth::Requested)))
}

/// The name a file belongs to, for which of its pairs, and which part of that it is. Authorities are
/// those of all pairs of a name.
pub(super) fn split_name(path: &Path) -> Option<FileName> {
    let file = path.file_name()?.to_str()?;
    let (stem, extension) = file.rsplit_once('.')?;
    let part = match extension {
        "crt" => Part::Crt,
        "key" => Part::Key,
        "ca" => Part::Ca,
        _ => return None,
    };
    let kinds = [Seat::RSA, Seat::ECDSA].into_iter().filter(|_| part != Part::Ca);
    let of_kind = |seat: Seat| Some((stem.strip_suffix(seat.suffix())?, seat));
    let (name, seat) = kinds.filter_map(of_kind).next().unwrap_or((stem, Seat::PLAIN));
    ServedName::parse(name).map(|name| FileName { name, seat, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_whose_it_is_and_for_which_pair() {
        let split = |file: &str| {
            let FileName { name, seat, part } = split_name(Path::new(file))?;
            Some((name.to_string(), seat, part))
        };
        let is = |name: &str, seat, part| Some((name.to_owned(), seat, part));
        assert_eq!(split("a.test.crt"), is("a.test", Seat::PLAIN, Part::Crt));
        assert_eq!(split("A.test.rsa.crt"), is("a.test", Seat::RSA, Part::Crt));
        assert_eq!(split("*.a.test.ecdsa.key"), is("*.a.test", Seat::ECDSA, Part::Key));
        assert_eq!(split("a.test.ca"), is("a.test", Seat::PLAIN, Part::Ca));
        for file in ["a.test", "crt", ".crt", ".rsa.crt", "..data", "a.test.pem", "a.test.crt.new"]
        {
            assert_eq!(split(file), None, "{file}");
        }
    }
}
