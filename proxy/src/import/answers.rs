//! The options that take more than copying a word, and what only the whole file shows.

use subscribe::Digest;

use super::{
    rules::{Answer, is_off},
    source::Entry,
    translate::Translation,
};
use crate::config::{Program, catalog::Opt, values};

/// Why cipher lists go nowhere.
pub const CIPHERS: &str = "TLS 1.2 and 1.3 are spoken with forward secrecy only; nothing to choose";
/// The key of nodes that serve every host.
const EVERY_HOST: &str = "all";

/// Seconds, for each of these options.
pub fn seconds(translation: &mut Translation, opts: &[Opt], entry: &Entry) -> Answer {
    if entry.value.parse::<u32>().is_err() {
        return Answer::Lost("no number of seconds".to_owned());
    }
    let value = format!("{}s", entry.value);
    all_of(opts.iter().map(|opt| translation.put(*opt, &value, entry)).collect())
}

/// Lost if one of several is.
fn all_of(answers: Vec<Answer>) -> Answer {
    let lost = answers.into_iter().find(|answer| matches!(answer, Answer::Lost(_)));
    lost.unwrap_or(Answer::Translated)
}

/// An address to bind.
pub fn listen(translation: &mut Translation, opt: Opt, entry: &Entry) -> Answer {
    match translation.address(&entry.value) {
        Ok(address) => translation.put(opt, &address, entry),
        Err(why) => Answer::Lost(why),
    }
}

/// `ADDR,crt,key[,ciphers[,client_ca]]`
pub fn https(translation: &mut Translation, entry: &Entry) -> Answer {
    let parts: Vec<&str> = entry.value.split(',').collect();
    let part = |at: usize| parts.get(at).copied().filter(|part| !part.is_empty());
    tls_listener(translation, entry, part(0), (part(1), part(2), part(4)), part(3))
}

/// `addr=,cert=,key=,ciphers=,clientca=`
pub fn https2(translation: &mut Translation, entry: &Entry) -> Answer {
    let pairs: Vec<_> = entry.value.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let part = |names: &[&str]| {
        let found = pairs.iter().find(|(name, _)| names.contains(&name.trim()));
        found.map(|(_, value)| value.trim())
    };
    let pair = (part(&["cert", "crt"]), part(&["key"]), part(&["clientca", "client_ca"]));
    tls_listener(translation, entry, part(&["addr"]), pair, part(&["ciphers"]))
}

type Pair<'e> = (Option<&'e str>, Option<&'e str>, Option<&'e str>);

fn tls_listener(
    translation: &mut Translation,
    entry: &Entry,
    address: Option<&str>,
    (crt, key, ca): Pair<'_>,
    ciphers: Option<&str>,
) -> Answer {
    let address = match translation.address(address.unwrap_or_default()) {
        Ok(address) => address,
        Err(why) => return Answer::Lost(why),
    };
    let listener = translation.put(Opt::Https, &address, entry);
    let (Some(crt), Some(key)) = (crt, key) else {
        return Answer::Lost("the listener is translated, but it names no certificate".to_owned());
    };
    let mut pair = format!("{},{}", translation.absolute(crt), translation.absolute(key));
    if let Some(ca) = ca {
        // The mark of a mandatory one stands before the path.
        let (mark, path) = ca.strip_prefix('!').map_or(("", ca), |path| ("!", path));
        pair = format!("{pair},{mark}{}", translation.absolute(path));
    }
    match translation.put(Opt::DefaultCert, &pair, entry) {
        Answer::Lost(_) => Answer::Lost(format!(
            "the listener is translated, but there is one default-cert: put {crt} and {key} into \
             cert-dir as NAME.crt and NAME.key, NAME being the host"
        )),
        _ if ciphers.is_some() => Answer::Remark(CIPHERS.to_owned()),
        _ => listener,
    }
}

/// `ADDR[,port]`
pub fn to_https(translation: &mut Translation, entry: &Entry) -> Answer {
    let (address, port) = match entry.value.split_once(',') {
        Some((address, port)) => (address, Some(port)),
        None => (entry.value.as_str(), None),
    };
    let address = match translation.address(address) {
        Ok(address) => address,
        Err(why) => return Answer::Lost(why),
    };
    let status = port.map_or("301".to_owned(), |port| format!("301,port={port}"));
    let listener = translation.put(Opt::Http, &address, entry);
    let redirect = translation.put(Opt::HttpsRedirect, &status, entry);
    match all_of(vec![listener, redirect]) {
        Answer::Translated => Answer::Remark(
            "https-redirect holds for all http listeners, and for hosts that have a key".to_owned(),
        ),
        lost => lost,
    }
}

/// `NAME=VALUE`
pub fn var(translation: &mut Translation, entry: &Entry) -> Answer {
    match entry.value.contains('=') {
        true => translation.put(Opt::HttpVar, &entry.value, entry),
        false => Answer::Moot("without = it says nothing, in uWSGI neither".to_owned()),
    }
}

/// A node for every host.
pub fn static_node(translation: &mut Translation, entry: &Entry) -> Answer {
    let node = translation.absolute_node(&entry.value);
    let route = translation.put(Opt::Route, &format!("{EVERY_HOST}={node}"), entry);
    let fallback = translation.put(Opt::FallbackKey, EVERY_HOST, entry);
    match all_of(vec![route, fallback]) {
        Answer::Translated => Answer::Translated,
        _ => {
            Answer::Lost("fallback-key is in use already: write route = [\"HOST=NODE\"]".to_owned())
        }
    }
}

/// `use-socket [N]`: the sockets of the application in the same process.
pub fn own_socket_as_node(translation: &mut Translation, entry: &Entry) -> Answer {
    let number = entry.value.parse().unwrap_or(0);
    let Some(socket) = translation.own_sockets.get(number).cloned() else {
        return Answer::Lost(format!("no line before it gives a socket {number}"));
    };
    static_node(translation, &Entry { value: socket.value, ..entry.clone() })
}

/// The socket of an application that shares the file.
pub fn own_socket(translation: &mut Translation, entry: &Entry) -> Answer {
    translation.own_sockets.push(entry.clone());
    Answer::Stays("the socket of an application".to_owned())
}

/// A socket that listeners refer to by number.
pub fn shared_socket(translation: &mut Translation, entry: &Entry) -> Answer {
    translation.shared_sockets.push(entry.value.clone());
    Answer::Moot("listeners are bound before root's powers are given up".to_owned())
}

/// Where relative paths of the lines below start.
pub fn chdir(translation: &mut Translation, entry: &Entry) -> Answer {
    translation.chdir = Some(entry.value.clone());
    Answer::Moot("relative paths below it are written out".to_owned())
}

/// Bare, or with a bound.
pub fn expect(translation: &mut Translation, entry: &Entry) -> Answer {
    match entry.value.as_str() {
        "true" | "1" => Answer::Moot("always on, once a node took the request".to_owned()),
        bytes => translation.put(Opt::ExpectBytesMax, bytes, entry),
    }
}

/// Bare, or with seconds.
pub fn keepalive(translation: &mut Translation, entry: &Entry) -> Answer {
    match entry.value.parse::<u32>() {
        Ok(idle) if idle > 1 => seconds(translation, &[Opt::TimeoutKeepalive], entry),
        _ => Answer::Moot("always on; timeouts.keepalive".to_owned()),
    }
}

/// Chunks as they come, for applications that read them so.
pub fn chunked_input(translation: &mut Translation, entry: &Entry) -> Answer {
    match is_off(&entry.value) {
        true => Answer::Moot("it is off".to_owned()),
        false => translation.put(Opt::UwsgiChunked, "raw", entry),
    }
}

/// A statistics server.
pub fn stats(translation: &mut Translation, entry: &Entry) -> Answer {
    match listen(translation, Opt::Admin, entry) {
        Answer::Translated => Answer::Remark(
            "the document is at /stats, over HTTP, beside /metrics and more".to_owned(),
        ),
        lost => lost,
    }
}

/// `NAME crt,key[,ciphers[,client_ca]]`
pub fn sni(_: &mut Translation, entry: &Entry) -> Answer {
    let (name, files) = entry.value.split_once(' ').unwrap_or((&entry.value, ""));
    let mut files = files.split(',');
    let (crt, key) = (files.next().unwrap_or_default(), files.next().unwrap_or_default());
    Answer::Lost(format!("put {crt} and {key} into cert-dir as {name}.crt and {name}.key"))
}

/// `DIGEST:DIR`
pub fn sign_check(translation: &mut Translation, entry: &Entry) -> Answer {
    let answer = proof(translation, entry);
    translation.lost_proof |= matches!(answer, Answer::Lost(_));
    answer
}

fn proof(translation: &mut Translation, entry: &Entry) -> Answer {
    let Some((digest, folder)) = entry.value.split_once(':') else {
        return Answer::Lost("no DIGEST:DIR".to_owned());
    };
    let value = format!("{digest}:{}", translation.absolute(folder));
    match values::digest(digest) {
        Err(why) => Answer::Lost(format!("{why}; let vassals sign with SHA256")),
        Ok(Digest::Sha1) => match translation.put(Opt::SignCheck, &value, entry) {
            Answer::Translated => {
                Answer::Remark("SHA1 is broken for signatures: move vassals to SHA256".to_owned())
            }
            lost => lost,
        },
        Ok(_) => translation.put(Opt::SignCheck, &value, entry),
    }
}

/// The balancing of keys that do not say how.
pub fn algorithm(translation: &mut Translation, entry: &Entry) -> Answer {
    match values::algorithm(&entry.value) {
        Ok(_) => translation.put(Opt::Algorithm, &entry.value, entry),
        Err(why) => Answer::Lost(why),
    }
}

/// The user to become.
pub fn user(translation: &mut Translation, entry: &Entry) -> Answer {
    match entry.value.as_str() {
        "root" | "0" => Answer::Moot("root's powers are not given up".to_owned()),
        user => translation.put(Opt::User, user, entry),
    }
}

/// The first group of that user.
pub fn group(translation: &mut Translation, entry: &Entry) -> Answer {
    match entry.value.as_str() {
        "root" | "0" => Answer::Moot("root's powers are not given up".to_owned()),
        group => translation.put(Opt::Group, group, entry),
    }
}

/// A listener whose address is its key, as the vassals of a rawrouter announce it.
pub fn raw(translation: &mut Translation, entry: &Entry) -> Answer {
    match translation.address(&entry.value) {
        Ok(address) if address.starts_with([':', '/']) => Answer::Lost(format!(
            "name the key that its vassals announce: tcp = [\"{address}=KEY\"]"
        )),
        Ok(address) => translation.put(Opt::Tcp, &address, entry),
        Err(why) => Answer::Lost(why),
    }
}

/// What no line shows alone. `last` is the number of the last one.
pub fn conclude(translation: &mut Translation, last: usize) {
    let result = &translation.result;
    let is_open = result.values(Opt::SignCheck).is_empty();
    let subscribes = !result.values(Opt::Subscribe).is_empty();
    let listens = !result.values(Opt::Http).is_empty() || !result.values(Opt::Https).is_empty();
    let mappers = [Opt::Route, Opt::Base, Opt::Pattern, Opt::Fallback, Opt::Tcp];
    let is_mapped = subscribes || mappers.iter().any(|opt| !result.values(*opt).is_empty());
    let is_reachable = result.values(Opt::Subscribe).iter().any(|text| is_reachable(text));
    // Proof that was asked for and cannot be had must not become none: `check` refuses that.
    if is_open && is_reachable && !translation.lost_proof {
        translation.result.put(Opt::AllowUnsigned, "true", None);
        translation.result.remark(
            Opt::AllowUnsigned,
            "As with uWSGI, whoever reaches the subscription socket can take over any site.",
        );
        translation.tell(
            last,
            "subscriptions are not signed and come from other machines: better add sign-check and \
             remove allow-unsigned (SUBSCRIBING.md)",
        );
    }
    if is_open && let Some(line) = translation.result.remove(Opt::Resubscribe) {
        let why = "it passes on signed subscriptions, and there is no sign-check; let vassals \
             subscribe to every router";
        translation.miss(line, "resubscribe", why);
    }
    if translation.result.values(Opt::User).is_empty()
        && let Some(line) = translation.result.remove(Opt::Group)
    {
        translation.miss(line, "gid", "there is no uid: name a user too");
    }
    if listens && !is_mapped && translation.program == Program::Suzerain {
        to_own_application(translation, last);
    }
}

/// A router without any mapper forwards to the first socket of its own process.
fn to_own_application(translation: &mut Translation, last: usize) {
    let Some(socket) = translation.own_sockets.first().cloned() else {
        let why = "the router forwarded to the application in its own process: give that a socket \
             (socket = 127.0.0.1:3031), take http out of its file, and write \
             route = [\"all=127.0.0.1:3031\"] and fallback-key = \"all\"";
        return translation.miss(last, "http", why);
    };
    let node = translation.absolute_node(&socket.value);
    translation.result.put(Opt::Route, &format!("{EVERY_HOST}={node}"), Some(&socket));
    translation.result.put(Opt::FallbackKey, EVERY_HOST, Some(&socket));
    translation.tell(
        socket.line,
        "requests go to this socket of the application; take http out of its file",
    );
}

/// Whether other machines may reach a subscription socket.
fn is_reachable(address: &str) -> bool {
    address.parse().is_ok_and(|address: router_core::address::ListenAddr| !address.is_local())
}
