//! What one value means. Each function takes the text as written and returns the typed value, or
//! why the text is none; what is allowed instead is in the catalogue.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use route_table::{Address, Algorithm, Opening, Proto, RouteKey};
use router_core::access_log::{AccessLogFormat, AccessLogTarget};
use router_core::address::ListenAddr;
use router_core::headroom::MemoryMax;
use router_core::runtime::IoChoice;
use subscribe::{AllowRule, Digest};
use tracing::level_filters::LevelFilter;

use crate::tls::cert_load::DefaultPair;
use crate::tls::cert_store::ClientAuth;
use crate::tls::limits::DEFAULT_PAIRS_MAX;

use super::{Http2, ProxySource, RawListener, SignCheck, StaticRoute, Via, limits, units};

/// Where datagrams are sent. Its socket need not be there yet.
pub fn datagram_target(text: &str) -> Result<ListenAddr, String> {
    let target: ListenAddr = text.parse().map_err(|error| format!("{error}"))?;
    match target.ip() {
        Some(to) if to.port() == 0 => Err("nothing can be sent to port 0".to_owned()),
        Some(to) if to.ip().is_unspecified() => Err("it names no machine".to_owned()),
        _ => Ok(target),
    }
}

/// A listen address; the directory of a socket path must exist.
pub fn listener(text: &str) -> Result<ListenAddr, String> {
    let addr: ListenAddr = text.parse().map_err(|error| format!("{error}"))?;
    if let ListenAddr::Unix(path) = &addr {
        parent_exists(path)?;
        if path.is_dir() {
            return Err("it is a directory".to_owned());
        }
    }
    Ok(addr)
}

/// `ADDR=KEY`, or `ADDR` which is its own key.
pub fn raw_listener(text: &str) -> Result<RawListener, String> {
    let (address, key) = text.split_once('=').unwrap_or((text, text));
    let listen = listener(address)?;
    let names_itself = !text.contains('=');
    if names_itself && listen.ip().is_none_or(|ip| ip.port() == 0 || address.starts_with(':')) {
        return Err("this address is no key: one after = is needed".to_owned());
    }
    let key = self::key(key).map_err(|error| format!("the key: {error}"))?;
    Ok(RawListener { listen, key, names_itself })
}

/// `true` or `false`.
pub fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "neither true nor false".to_owned())
}

/// A digest by the name OpenSSL and uWSGI use, in any case.
pub fn digest(name: &str) -> Result<Digest, String> {
    name.parse().map_err(|_| format!("the digest \"{name}\" is unknown"))
}

/// `DIGEST:DIR`.
pub fn sign_check(text: &str) -> Result<SignCheck, String> {
    let (name, dir) = text.split_once(':').ok_or("there is no : between digest and directory")?;
    Ok(SignCheck { digest: digest(name)?, dir: directory(dir)? })
}

/// A duration within bounds.
pub fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let duration = units::duration(text).ok_or("not a duration")?;
    if duration < min {
        return Err(format!("shorter than {}", units::show(min)));
    }
    if duration > max {
        return Err(format!("longer than {}", units::show(max)));
    }
    Ok(duration)
}

/// A whole number within bounds.
pub fn number(text: &str, min: usize, max: usize) -> Result<usize, String> {
    let number: usize = text.replace('_', "").parse().map_err(|_| "not a whole number")?;
    if number < min {
        return Err(format!("less than {min}"));
    }
    if number > max {
        return Err(format!("more than {max}"));
    }
    Ok(number)
}

/// A number of one byte.
pub fn octet(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| "not a number from 0 to 255".to_owned())
}

/// A size, or `none`.
pub fn bytes_or_none(text: &str) -> Result<Option<u64>, String> {
    match text {
        "none" => Ok(None),
        _ => units::bytes(text).map(Some).ok_or_else(|| "not a size".to_owned()),
    }
}

/// `auto`, `off` or a size.
pub fn memory_max(text: &str) -> Result<MemoryMax, String> {
    match text {
        "auto" => Ok(MemoryMax::Auto),
        "off" => Ok(MemoryMax::Off),
        _ => match units::bytes(text) {
            None => Err("not a size".to_owned()),
            Some(bytes) if bytes < limits::MEMORY_MAX_LEAST => {
                Err(format!("less than {} MiB", limits::MEMORY_MAX_LEAST >> 20))
            }
            Some(bytes) => Ok(MemoryMax::Bytes(bytes)),
        },
    }
}

/// `tls`, `all` or `off`.
pub fn http2(text: &str) -> Result<Http2, String> {
    match text {
        "tls" => Ok(Http2::Tls),
        "all" => Ok(Http2::All),
        "off" => Ok(Http2::Off),
        _ => Err("none of them".to_owned()),
    }
}

/// `auto`, `uring` or `epoll`.
pub fn io_choice(text: &str) -> Result<IoChoice, String> {
    match text {
        "auto" => Ok(IoChoice::Auto),
        "uring" => Ok(IoChoice::Uring),
        "epoll" => Ok(IoChoice::Epoll),
        _ => Err("no such interface".to_owned()),
    }
}

/// A level of `tracing`.
pub fn log_level(text: &str) -> Result<LevelFilter, String> {
    match text {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err("no such level".to_owned()),
    }
}

/// How lines of the access log are written.
pub fn access_log_format(text: &str) -> Result<AccessLogFormat, String> {
    match text {
        "logfmt" => Ok(AccessLogFormat::Logfmt),
        "json" => Ok(AccessLogFormat::Json),
        _ => Err("no such format".to_owned()),
    }
}

/// `off`, `-` or a file in an existing directory.
pub fn access_log(text: &str) -> Result<AccessLogTarget, String> {
    match text {
        "off" => Ok(AccessLogTarget::Off),
        "-" => Ok(AccessLogTarget::Stdout),
        _ => log_file(text).map(AccessLogTarget::File),
    }
}

/// A file in an existing directory.
pub fn log_file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path is empty".to_owned());
    }
    let path = PathBuf::from(text);
    parent_exists(&path)?;
    if path.is_dir() {
        return Err("it is a directory".to_owned());
    }
    Ok(path)
}

/// An existing directory that can be listed.
pub fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path of the directory is empty".to_owned());
    }
    let path = PathBuf::from(text);
    match std::fs::read_dir(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(format!("{text}: {error}")),
    }
}

/// `CRT,KEY`, both readable files.
pub fn push_default_pair(pairs: &mut Vec<DefaultPair>, text: &str) -> Result<(), String> {
    if pairs.len() >= DEFAULT_PAIRS_MAX {
        return Err(format!("there are {DEFAULT_PAIRS_MAX} already"));
    }
    pairs.push(default_pair(text)?);
    Ok(())
}

fn default_pair(text: &str) -> Result<DefaultPair, String> {
    let mut parts = text.splitn(3, ',');
    let crt = readable(parts.next().unwrap_or_default())?;
    let key = readable(parts.next().ok_or("there is no , between chain and key")?)?;
    let ca = parts.next().map(|ca| match ca.strip_prefix('!') {
        Some(path) => readable(path).map(|path| (path, ClientAuth::Required)),
        None => readable(ca).map(|path| (path, ClientAuth::Requested)),
    });
    Ok(DefaultPair { crt, key, ca: ca.transpose()? })
}

fn readable(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(facts) if facts.is_file() => Ok(path),
        Ok(_) => Err(format!("{text}: not a file")),
        Err(error) => Err(format!("{text}: {error}")),
    }
}

/// A network, a single IP, a path that sockets may lie under, or `@` for abstract sockets.
pub fn allow_rule(text: &str) -> Result<AllowRule, String> {
    let rule: AllowRule =
        text.parse().map_err(|_| "neither a network nor a plain path".to_owned())?;
    match &rule {
        AllowRule::Net(net) if net.trunc() != *net => {
            Err(format!("bits are set beyond the prefix; did you mean {}?", net.trunc()))
        }
        _ => Ok(rule),
    }
}

/// A network, a single IP, or `unix`.
pub fn proxy_source(text: &str) -> Result<ProxySource, String> {
    if text == "unix" {
        return Ok(ProxySource::Unix);
    }
    let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net: IpNet = net.map_err(|_| "neither a network nor an IP address nor unix".to_owned())?;
    match net.trunc() == net {
        true => Ok(ProxySource::Net(net)),
        false => Err(format!("bits are set beyond the prefix; did you mean {}?", net.trunc())),
    }
}

/// A key that requests can be routed by.
pub fn key(text: &str) -> Result<RouteKey, String> {
    RouteKey::parse(text.as_bytes()).map_err(|error| format!("{error}"))
}

/// An algorithm by its name on the wire.
pub fn algorithm(text: &str) -> Result<Algorithm, String> {
    text.parse().map_err(|_| "no such algorithm".to_owned())
}

/// `off`, or a name that can stand in a field.
pub fn via(text: &str) -> Result<Via, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match text {
        "off" => Ok(Via::Off),
        _ if !(1..=limits::VIA_BYTES_MAX).contains(&text.len()) => {
            Err(format!("not 1 to {} bytes long", limits::VIA_BYTES_MAX))
        }
        _ if !text.bytes().all(legal) => Err("not made of letters, digits, dots, - and _".into()),
        _ => Ok(Via::Named(text.to_owned())),
    }
}

/// `off` or `v2`.
pub fn opening(text: &str) -> Result<Opening, String> {
    match text {
        "off" => Ok(Opening::Plain),
        "v2" => Ok(Opening::ProxyV2),
        _ => Err(format!("\"{text}\" is neither off nor v2")),
    }
}

/// `KEY=ADDR[,proto=http][,weight=N][,send-proxy=v2]`.
pub fn static_route(text: &str) -> Result<StaticRoute, String> {
    let (key, rest) = text.split_once('=').ok_or("there is no = between key and address")?;
    let key = RouteKey::parse(key.as_bytes()).map_err(|error| format!("the key: {error}"))?;
    let mut parts = rest.split(',');
    let announced = parts.next().unwrap_or_default().to_owned();
    let address = Address::parse(announced.as_bytes())
        .map_err(|error| format!("the address \"{announced}\": {error}"))?;
    let (proto, opening) = (Proto::Uwsgi, Opening::Plain);
    let mut route = StaticRoute { key, address, announced, proto, opening, weight: 1 };
    for part in parts {
        match part.split_once('=') {
            Some(("proto", "http")) => route.proto = Proto::Http,
            Some(("proto", "h2c")) => route.proto = Proto::H2c,
            Some(("proto", "tls")) => route.proto = Proto::Tls,
            Some(("proto", "tcp")) => route.proto = Proto::Tcp,
            Some(("proto", "uwsgi")) => route.proto = Proto::Uwsgi,
            Some(("proto", other)) => return Err(format!("the protocol \"{other}\" is unknown")),
            Some(("send-proxy", text)) => route.opening = self::opening(text)?,
            Some(("weight", text)) => {
                let max = limits::WEIGHT_MAX;
                route.weight = match text.parse() {
                    Ok(weight) if (1..=max).contains(&weight) => weight,
                    _ => return Err(format!("the weight \"{text}\" is not 1 to {max}")),
                };
            }
            _ => return Err(format!("\"{part}\" is none of proto=, weight= and send-proxy=")),
        }
    }
    Ok(route)
}

fn parent_exists(path: &Path) -> Result<(), String> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if parent.is_dir() {
        Ok(())
    } else {
        Err(format!("the directory {} does not exist", parent.display()))
    }
}
