//! The bodies of the fuzz targets `table_lookup` and `address`, and of the replay of their corpora.
//!
//! They assert properties of the crate over any bytes and panic where one does not hold; nothing
//! else calls them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits::{ADDRESS_BYTES_MAX, DOTSPLIT_LOOKUPS_MAX, UNIX_NAME_BYTES_MAX};
use crate::{
    Address, Algorithm, CanonicalHost, Dotsplit, HostBuf, KEY_BYTES_MAX, Route, RouteKey,
    TableWriter, canonical_host,
};

/// The last line is the host of a request, the lines before it are keys: every spelling of a name
/// has one canonical form, and all of them reach the route a naive lookup finds.
pub fn lookup(bytes: &[u8]) {
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let host = lines.pop().unwrap_or_default();
    let mut keys = BTreeSet::new();
    let (mut writer, table) = TableWriter::new();
    for line in lines.into_iter().take(KEYS_MAX) {
        let Ok(key) = RouteKey::parse(line) else { continue };
        check_key(&key);
        writer.stage_put(Arc::new(Route::new(key.clone(), Vec::new(), Algorithm::Wrr)));
        keys.insert(key.as_str().to_owned());
    }
    writer.publish();
    let table = table.snapshot();
    assert_eq!(table.len(), keys.len());
    let mut buf = HostBuf::new();
    let Ok(host_read) = canonical_host(host, &mut buf) else {
        return;
    };
    check_host(host, host_read);
    for spelling in spellings(host, host_read) {
        let mut buf = HostBuf::new();
        let same = canonical_host(&spelling, &mut buf).expect("another spelling of a legal host");
        assert_eq!(same, host_read);
        for dotsplit in [Dotsplit::Off, Dotsplit::On] {
            let found = table.lookup(&same, dotsplit).map(|route| route.key().as_str());
            assert_eq!(found, naive_lookup(&keys, host_read, dotsplit));
        }
    }
}

fn check_key(key: &RouteKey) {
    let text = key.as_str();
    assert!(!text.is_empty() && text.len() <= KEY_BYTES_MAX);
    assert_eq!(RouteKey::parse(text.as_bytes()).as_ref(), Ok(key), "canonical text is a fixpoint");
    let port = key.port().map(|port| format!(":{port}")).unwrap_or_default();
    assert_eq!(format!("{}{port}{}", key.host(), key.mount()), text);
    assert!(!key.host().bytes().any(|byte| byte.is_ascii_uppercase()));
    assert_eq!(key.is_suffix(), text.starts_with('.'));
    let climbs = |segment| matches!(segment, "." | "..");
    assert!(!key.mount().split('/').any(climbs), "a mountpoint climbs nowhere");
}

fn check_host(raw: &[u8], host: CanonicalHost<'_>) {
    let text = host.host_port();
    assert!(!host.host().is_empty() && text.len() <= KEY_BYTES_MAX);
    let port = host.port().map(|port| format!(":{port}")).unwrap_or_default();
    assert_eq!(format!("{}{port}", host.host()), text);
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    assert!(text.bytes().all(legal));
    assert!(!host.host().ends_with('.') && !host.host().starts_with('.'));
    // A subscription's key and a request's host meet in the same text.
    assert_eq!(RouteKey::parse(raw), Ok(RouteKey::from(host)));
    check_key(&RouteKey::from(host));
}

/// Other ways to write a host: in capitals, in its canonical form, and with a dot at the end.
fn spellings(raw: &[u8], host: CanonicalHost<'_>) -> Vec<Vec<u8>> {
    let canonical = host.host_port().as_bytes();
    let mut all = vec![raw.to_vec(), raw.to_ascii_uppercase(), canonical.to_vec()];
    if !host.host().starts_with('[') && canonical.len() < KEY_BYTES_MAX {
        let (name, port) = canonical.split_at(host.host().len());
        all.push([name, b".", port].concat());
    }
    all
}

/// The order of `Table::lookup`, over a set of strings.
fn naive_lookup<'k>(
    keys: &'k BTreeSet<String>,
    host: CanonicalHost<'_>,
    dotsplit: Dotsplit,
) -> Option<&'k str> {
    let mut names = vec![host.host_port().to_owned(), host.host().to_owned()];
    if dotsplit == Dotsplit::On && !host.host().starts_with('[') {
        let labels: Vec<&str> = host.host().split('.').collect();
        let suffixes = (1..labels.len()).map(|from| format!(".{}", labels[from..].join(".")));
        names.extend(suffixes.take(DOTSPLIT_LOOKUPS_MAX - 1));
    }
    names.iter().find_map(|name| keys.get(name)).map(String::as_str)
}

/// An address is displayed as a text that reads as the same address.
pub fn address(bytes: &[u8]) {
    let Ok(address) = Address::parse(bytes) else {
        return;
    };
    assert!(bytes.len() <= ADDRESS_BYTES_MAX);
    let text = address.to_string();
    assert_eq!(Address::parse(text.as_bytes()).as_ref(), Ok(&address));
    assert!(!text.chars().any(char::is_control), "an address can be logged");
    match &address {
        Address::Nowhere => panic!("no text means nowhere"),
        Address::Tcp(tcp) => assert_ne!(tcp.port(), 0),
        Address::Unix(name) | Address::Abstract(name) => {
            assert!(!name.is_empty() && name.len() <= UNIX_NAME_BYTES_MAX);
        }
    }
}

/// Keys of one table, to keep runs short.
const KEYS_MAX: usize = 32;
