//! The directories that say whose a key is: public keys by file name, and owners of entries.
//!
//! Both are the operator's and trusted; names are not, they come from subscription keys. A name that
//! is a path is never looked up. Owners are asked each time, so a change of owner counts at once; a
//! symbolic link stands for what it points to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use subscribe::{KeyFiles, Owner};

use super::key_watch::SignDirectory;

/// Everything the registry asks the file system.
#[derive(Debug)]
pub(super) struct KeyDirectories {
    pub(super) keys: SignDirectory,
    pub(super) owners: OwnerDirectories,
}

/// `--credentials-check`.
#[derive(Debug)]
pub(super) struct OwnerDirectories(pub(super) Vec<PathBuf>);

impl KeyFiles for KeyDirectories {
    fn read(&mut self, file_name: &str) -> Option<Vec<u8>> {
        self.keys.read(file_name)
    }

    fn owners(&mut self, entry: &str) -> Vec<Owner> {
        if !is_entry_name(entry) {
            return Vec::new();
        }
        let found = self.owners.0.iter().filter_map(|dir| fs::metadata(dir.join(entry)).ok());
        found.map(|found| Owner { uid: found.uid(), gid: found.gid() }).collect()
    }
}

/// Whether a text names something inside of a directory and nothing else.
pub(super) fn is_entry_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_those_of_entries_and_never_of_paths() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("a.example"), "").expect("writes");
        let facts = fs::metadata(dir.path()).expect("it is there");
        let me = Owner { uid: facts.uid(), gid: facts.gid() };
        let other = dir.path().join("missing");
        let mut directories = KeyDirectories {
            keys: SignDirectory::open(None).expect("none"),
            owners: OwnerDirectories(vec![other, dir.path().to_owned()]),
        };
        assert_eq!(directories.owners("a.example"), [me]);
        for name in ["", ".", "..", "/", "../a.example", "a.example/", "b.example", "a\0"] {
            assert_eq!(directories.owners(name), [], "{name:?}");
        }
    }
}
