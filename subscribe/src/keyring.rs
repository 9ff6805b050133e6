//! Public keys by key file, and which routes each of them vouches for.
//!
//! No file is read here: bytes come through [`KeyFiles`]. Parsed keys are kept in a bounded cache
//! of two halves (the younger one filling up pushes the older one out). For every file that a
//! living node was proved by, the print of that key is remembered beyond the cache, so a key that
//! was replaced behind our back is noticed at the next datagram even if nobody told us.
//!
//! The name of a file follows uWSGI (subscription spec 5.2), from the *canonical* key: the part
//! before the first `/`, each byte outside `0-9 A-Z a-z . - _` replaced by `_`, `.pem` added. So a
//! vassal that announces `Shop.Example` is proved by `shop.example.pem`, and no file name holds a
//! path. `h:80` and `h_80` share a file; no public name ends in `_80`, and who holds that file may
//! claim both. There are no fallbacks: no parent domain, no default key.

use std::collections::HashMap;
use std::sync::Arc;

use route_table::RouteKey;

use crate::credentials::Owner;
use crate::reject::Reject;
use crate::verify::{Digest, KeyPrint, PublicKey};

/// The directory of public keys, as the shell sees it.
pub trait KeyFiles {
    /// The bytes of a file of that name (never a path), or nothing if it is not there.
    fn read(&mut self, file_name: &str) -> Option<Vec<u8>>;

    /// Who owns the entries of that name (never a path) in the directories that say whose a key
    /// is. Nobody, where there are none.
    fn owners(&mut self, _entry: &str) -> Vec<Owner> {
        Vec::new()
    }
}

/// The name of the file that proves a key (canonical text, as `RouteKey::as_str` gives it).
#[must_use]
pub fn key_file_name(key: &str) -> String {
    sanitised_host(key) + KEY_FILE_SUFFIX
}

/// The host and port of a key as the name of a file: every byte outside of letters, digits, `.`,
/// `-` and `_` replaced by `_`.
pub(crate) fn sanitised_host(key: &str) -> String {
    let host_port = key.split('/').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let mut name = String::with_capacity(host_port.len() + KEY_FILE_SUFFIX.len());
    name.extend(host_port.bytes().map(|byte| if plain(byte) { char::from(byte) } else { '_' }));
    name
}

/// The public keys of one server.
#[derive(Debug)]
pub struct Keyring {
    digest: Digest,
    young: HashMap<Box<str>, Arc<PublicKey>>,
    old: HashMap<Box<str>, Arc<PublicKey>>,
    half_max: usize,
    vouching: HashMap<Box<str>, Vouching>,
}

/// What a key file stands for while nodes proved by it live.
#[derive(Debug)]
struct Vouching {
    print: KeyPrint,
    routes: Vec<RouteKey>,
}

/// What a proof changed about who vouches for whom.
#[derive(Debug, Eq, PartialEq)]
pub enum Vouched {
    /// The file vouches for the route from now on.
    First,
    /// It did so before.
    Again,
    /// It does so from now on, with another key: the nodes of these routes, which the earlier one
    /// vouched for, must leave.
    Instead {
        /// The route itself may be among them.
        stale: Vec<RouteKey>,
    },
}

impl Keyring {
    /// An empty keyring that keeps up to `cached_keys_max` parsed keys.
    #[must_use]
    pub fn new(digest: Digest, cached_keys_max: usize) -> Self {
        Self {
            digest,
            young: HashMap::new(),
            old: HashMap::new(),
            half_max: cached_keys_max.div_ceil(2).max(1),
            vouching: HashMap::new(),
        }
    }

    /// Reads every file again, for signatures of this digest. What each vouched for is remembered.
    pub fn begin_anew(&mut self, digest: Digest) {
        self.digest = digest;
        self.young.clear();
        self.old.clear();
    }

    /// The key in a file, from the cache or through `files`.
    ///
    /// # Errors
    /// [`Reject::NoKeyFile`], [`Reject::UnusableKeyFile`].
    pub fn key(
        &mut self,
        file_name: &str,
        files: &mut dyn KeyFiles,
    ) -> Result<Arc<PublicKey>, Reject> {
        if let Some(key) = self.young.get(file_name) {
            return Ok(Arc::clone(key));
        }
        if let Some((name, key)) = self.old.remove_entry(file_name) {
            self.keep(name, Arc::clone(&key));
            return Ok(key);
        }
        let pem = files.read(file_name).ok_or(Reject::NoKeyFile)?;
        let key = PublicKey::from_pem(self.digest, &pem).map_err(|_| Reject::UnusableKeyFile)?;
        let key = Arc::new(key);
        self.keep(file_name.into(), Arc::clone(&key));
        Ok(key)
    }

    /// A node of `route` was proved by this key.
    pub fn vouch(&mut self, file_name: &str, key: &PublicKey, route: &RouteKey) -> Vouched {
        let print = key.print();
        let Some(vouching) = self.vouching.get_mut(file_name) else {
            let vouching = Vouching { print, routes: vec![route.clone()] };
            self.vouching.insert(file_name.into(), vouching);
            return Vouched::First;
        };
        if vouching.print != print {
            vouching.print = print;
            let stale = std::mem::replace(&mut vouching.routes, vec![route.clone()]);
            return Vouched::Instead { stale };
        }
        if vouching.routes.contains(route) {
            return Vouched::Again;
        }
        vouching.routes.push(route.clone());
        Vouched::First
    }

    /// Which public key vouches for each route, by its print.
    pub fn vouched(&self) -> impl Iterator<Item = (&RouteKey, KeyPrint)> {
        let all = self.vouching.values();
        all.flat_map(|vouching| vouching.routes.iter().map(|route| (route, vouching.print)))
    }

    /// A predecessor saw a node of `route`, which vouched for none yet, proved by the key with this
    /// print. Whether it may be believed; not if the file proved another route by another key.
    pub fn restore(&mut self, route: &RouteKey, print: KeyPrint) -> bool {
        let file_name = key_file_name(route.as_str()).into_boxed_str();
        let vouching = self.vouching.entry(file_name);
        let vouching = vouching.or_insert_with(|| Vouching { print, routes: Vec::new() });
        let is_same = vouching.print == print;
        if is_same {
            vouching.routes.push(route.clone());
        }
        is_same
    }

    /// The last node of `route` left: its key file vouches for it no more.
    pub fn release(&mut self, route: &RouteKey) {
        let file_name = key_file_name(route.as_str());
        let Some(vouching) = self.vouching.get_mut(file_name.as_str()) else { return };
        vouching.routes.retain(|vouched| vouched != route);
        if vouching.routes.is_empty() {
            self.vouching.remove(file_name.as_str());
        }
    }

    /// A key file has these bytes now, or is gone. Returns the routes whose nodes it no longer
    /// vouches for: all of them unless the public key is the same as before.
    ///
    /// A file that cannot be read as a key counts as gone, so write it elsewhere and rename it.
    pub fn file_changed(&mut self, file_name: &str, pem: Option<&[u8]>) -> Vec<RouteKey> {
        self.young.remove(file_name);
        self.old.remove(file_name);
        let key = pem.and_then(|pem| PublicKey::from_pem(self.digest, pem).ok());
        let print = key.as_ref().map(PublicKey::print);
        if let Some(key) = key {
            self.keep(file_name.into(), Arc::new(key));
        }
        match self.vouching.get(file_name) {
            Some(vouching) if Some(vouching.print) == print => Vec::new(),
            Some(_) => self.vouching.remove(file_name).map_or_else(Vec::new, |gone| gone.routes),
            None => Vec::new(),
        }
    }

    /// The files whose change matters: those cached and those that vouch for a node. A name that
    /// is both appears twice.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        let cached = self.young.keys().chain(self.old.keys());
        cached.chain(self.vouching.keys()).map(|name| &**name)
    }

    /// Whether a file is one of [`Keyring::file_names`].
    #[must_use]
    pub fn needs(&self, file_name: &str) -> bool {
        self.vouching.contains_key(file_name)
            || self.young.contains_key(file_name)
            || self.old.contains_key(file_name)
    }

    /// Parsed keys in the cache.
    #[must_use]
    pub fn cached_keys(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn keep(&mut self, name: Box<str>, key: Arc<PublicKey>) {
        if self.young.len() >= self.half_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, key);
    }
}

const KEY_FILE_SUFFIX: &str = ".pem";

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_A: &[u8] = include_bytes!("../tests/testdata/keys/rsa2048_a.pub.pem");
    const RSA_B: &[u8] = include_bytes!("../tests/testdata/keys/rsa2048_b.pub.pem");

    /// Every file holds the same bytes; counts the reads.
    struct Files(Option<&'static [u8]>, usize);

    impl KeyFiles for Files {
        fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
            self.1 += 1;
            self.0.map(<[u8]>::to_vec)
        }
    }

    fn route(key: &str) -> RouteKey {
        RouteKey::parse(key.as_bytes()).expect("a key")
    }

    #[test]
    fn file_names_follow_uwsgi_and_hold_no_path() {
        assert_eq!(key_file_name("signed.example.com"), "signed.example.com.pem");
        assert_eq!(key_file_name("example.com:8080"), "example.com_8080.pem");
        assert_eq!(key_file_name("example.com:8080/mount/x"), "example.com_8080.pem");
        assert_eq!(key_file_name("[::1]:80"), "___1__80.pem");
        assert_eq!(key_file_name("../pub/x"), "...pem");
        assert!(!key_file_name("..\\x\0é").contains(['/', '\\', '\0']));
    }

    #[test]
    fn a_key_is_read_once_and_the_cache_is_bounded() {
        let mut files = Files(Some(RSA_A), 0);
        let mut keyring = Keyring::new(Digest::Sha256, 4);
        for round in 0..3 {
            keyring.key("a.pem", &mut files).unwrap();
            assert_eq!(files.1, 1, "round {round}");
        }
        for name in 0..100 {
            keyring.key(&format!("{name}.pem"), &mut files).unwrap();
            keyring.key("a.pem", &mut files).unwrap();
            assert!(keyring.cached_keys() <= 4);
        }
        assert_eq!(files.1, 101, "a key in use stays cached");
    }

    #[test]
    fn a_missing_or_broken_file_is_told_apart_and_not_remembered() {
        let mut keyring = Keyring::new(Digest::Sha256, 4);
        let missing = keyring.key("a.pem", &mut Files(None, 0)).unwrap_err();
        assert_eq!(missing, Reject::NoKeyFile);
        let broken = keyring.key("a.pem", &mut Files(Some(b"x"), 0)).unwrap_err();
        assert_eq!(broken, Reject::UnusableKeyFile);
        assert!(keyring.key("a.pem", &mut Files(Some(RSA_A), 0)).is_ok());
    }

    #[test]
    fn another_public_key_ends_what_the_file_vouched_for() {
        let mut keyring = Keyring::new(Digest::Sha256, 4);
        let key = keyring.key("h.pem", &mut Files(Some(RSA_A), 0)).unwrap();
        assert_eq!(keyring.vouch("h.pem", &key, &route("h")), Vouched::First);
        assert_eq!(keyring.vouch("h.pem", &key, &route("h/mount")), Vouched::First);
        assert_eq!(keyring.vouch("h.pem", &key, &route("h")), Vouched::Again);
        assert!(keyring.file_changed("h.pem", Some(RSA_A)).is_empty(), "same key, touched file");
        assert_eq!(keyring.file_changed("h.pem", Some(RSA_B)).len(), 2);
        assert!(keyring.file_changed("h.pem", None).is_empty(), "nothing left to end");
    }

    #[test]
    fn a_key_replaced_without_notice_is_noticed_at_the_next_proof() {
        let mut keyring = Keyring::new(Digest::Sha256, 4);
        let before = keyring.key("h.pem", &mut Files(Some(RSA_A), 0)).unwrap();
        keyring.vouch("h.pem", &before, &route("h"));
        let after = PublicKey::from_pem(Digest::Sha256, RSA_B).unwrap();
        let stale = vec![route("h")];
        let vouched = keyring.vouch("h.pem", &after, &route("h/mount"));
        assert_eq!(vouched, Vouched::Instead { stale });
        keyring.release(&route("h/mount"));
        assert_eq!(keyring.file_names().collect::<Vec<_>>(), ["h.pem"], "cached only");
    }
}
