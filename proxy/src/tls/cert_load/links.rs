//! Where a path leads: the entries of directories that, when they change, make it lead elsewhere.
//!
//! A path of certbot goes over a link in `live/` to a file in `archive/`; one of Kubernetes over a link
//! to a file behind another link, `..data`, and only that one is ever replaced. So a file is watched by
//! every link on its way and by its own entry.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::tls::limits::LINKS_FOLLOWED_MAX;

/// An entry of a directory.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Entry {
    /// Free of links when it was looked at.
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

/// The entries that decide what `path` is, as of now, from `base` on, which has no links itself.
///
/// Stops where `may_enter` says so, and where there is nothing: the entry that is missing is the last.
pub(super) fn entries(base: &Path, path: &Path, may_enter: impl Fn(&Path) -> bool) -> Vec<Entry> {
    let mut at = base.to_path_buf();
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    let mut found = Vec::new();
    push_front(&mut ahead, &mut at, path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == OsStr::new("..") {
            at.pop();
            continue;
        }
        if !may_enter(&at) {
            break;
        }
        let here = at.join(&name);
        match fs::read_link(&here) {
            Ok(target) => {
                found.push(Entry { directory: at.clone(), name });
                links += 1;
                if links > LINKS_FOLLOWED_MAX {
                    break;
                }
                push_front(&mut ahead, &mut at, &target);
            }
            // Not a link.
            Err(error) if error.kind() == ErrorKind::InvalidInput && !ahead.is_empty() => at = here,
            Err(_) => {
                found.push(Entry { directory: at, name });
                break;
            }
        }
    }
    found
}

/// Puts the parts of `path` before those ahead; an absolute one begins at the root again.
fn push_front(ahead: &mut VecDeque<OsString>, at: &mut PathBuf, path: &Path) {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::Prefix(_) | Component::CurDir => None,
    });
    for part in parts.rev() {
        ahead.push_front(part);
    }
    if path.is_absolute() {
        *at = PathBuf::from("/");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let found = entries(Path::new("/"), path, |_| true);
        let base = path.ancestors().find(|dir| dir.join("base").exists()).expect("a base");
        let base = fs::canonicalize(base).expect("it exists");
        let text = |entry: &Entry| {
            let here = entry.directory.join(&entry.name);
            here.strip_prefix(&base).map(|rest| rest.display().to_string()).ok()
        };
        found.iter().filter_map(text).collect()
    }

    #[test]
    fn every_link_on_the_way_counts_and_so_does_what_is_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("base"), "").expect("writes");
        // Kubernetes.
        for folder in ["mount", "mount/..one", "live", "archive"] {
            fs::create_dir(at(folder)).expect("makes");
        }
        symlink("..one", at("mount/..data")).expect("links");
        symlink("..data/tls.crt", at("mount/tls.crt")).expect("links");
        let expected = ["mount/tls.crt", "mount/..data", "mount/..one/tls.crt"];
        assert_eq!(names(&at("mount/tls.crt")), expected);
        // certbot; first dangling, then not.
        symlink("../archive/one.pem", at("live/cert.pem")).expect("links");
        for _ in 0..2 {
            assert_eq!(names(&at("live/cert.pem")), ["live/cert.pem", "archive/one.pem"]);
            fs::write(at("archive/one.pem"), "").expect("writes");
        }
        assert_eq!(names(&at("none/deep/x")), ["none"], "the first that is missing");
        symlink("round", at("round")).expect("links");
        let found = entries(Path::new("/"), &at("round"), |_| true);
        assert!(found.len() <= LINKS_FOLLOWED_MAX + 2, "{found:?}");
        let inside = fs::canonicalize(dir.path()).expect("it exists");
        symlink("/proc/self/environ", at("out")).expect("links");
        let found = entries(&inside, Path::new("out"), |at| at.starts_with(&inside));
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
