//! What the options of `suzerain-fastrouter` mean.

use std::path::PathBuf;

use route_table::Address;
use router_core::address::ListenAddr;

use super::catalog::Opt;
use super::{ProxySource, values};

/// Networks of web servers unless others are named: this machine and private ones
/// (RFC 1918, RFC 4193, RFC 3927, RFC 4291 2.5.6).
const PEERS: [&str; 9] = [
    "127.0.0.0/8",
    "::1",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "unix",
];

/// Largest body kept in memory for each request.
const POST_BUFFERING_MAX: u64 = 64 * 1024 * 1024;

/// Where uwsgi packets come from and go to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Packets {
    /// Listeners.
    pub listen: Vec<ListenAddr>,
    /// Who may connect; empty: this machine and private networks.
    pub allow: Vec<ProxySource>,
    /// Directory of sockets by key.
    pub base: Option<PathBuf>,
    /// Path of a socket by key.
    pub pattern: Option<SocketPattern>,
    /// Addresses tried when no node could be connected to, with how they were written.
    pub fallback: Vec<(Address, String)>,
    /// Whether they serve unknown keys too.
    pub fallback_on: FallbackOn,
    /// Bytes of a body received before a node is chosen; `None`: it is passed on as it comes.
    pub post_buffering: Option<u64>,
    /// Where larger bodies wait.
    pub post_buffering_dir: Option<PathBuf>,
    /// What a request that cannot be served gets.
    pub on_failure: OnFailure,
}

/// When the fallback addresses are tried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FallbackOn {
    /// No node of the key could be connected to.
    #[default]
    Unreachable,
    /// Also if nobody has the key.
    NoKey,
}

/// What a request that cannot be served gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnFailure {
    /// An answer with a status.
    #[default]
    Answer,
    /// The end of its connection, as in uWSGI.
    Close,
}

/// A path with a place for the key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SocketPattern {
    /// The text around the keys: one more piece than there are places.
    pieces: Vec<String>,
}

impl SocketPattern {
    /// Reads `/run/%s.sock`; `%%` is a percent sign.
    ///
    /// # Errors
    /// Why it is no pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("not an absolute path".to_owned());
        }
        let mut pieces = vec![String::new()];
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            let piece = match (next, pieces.last_mut()) {
                ('%', Some(piece)) => match rest.next() {
                    Some('%') => (piece, '%'),
                    Some('s') => {
                        pieces.push(String::new());
                        continue;
                    }
                    _ => return Err("% is followed by neither s nor %".to_owned()),
                },
                (_, Some(piece)) => (piece, next),
                (_, None) => continue,
            };
            piece.0.push(piece.1);
        }
        match pieces.len() {
            1 => Err("%s, the place of the key, is missing".to_owned()),
            _ => Ok(Self { pieces }),
        }
    }

    /// The path of `key`, which is the name of a host and so has no slash and is never `..`.
    #[must_use]
    pub fn expand(&self, key: &str) -> String {
        self.pieces.join(key)
    }
}

impl Packets {
    /// Who may connect.
    ///
    /// # Panics
    /// Never: a test reads the defaults.
    #[must_use]
    pub fn peers(&self) -> Vec<ProxySource> {
        if !self.allow.is_empty() {
            return self.allow.clone();
        }
        PEERS.iter().map(|text| values::proxy_source(text).expect("a constant")).collect()
    }

    /// Takes the value of one of these options.
    ///
    /// # Errors
    /// Why the text is no value of the option.
    pub fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        match opt {
            Opt::Uwsgi => self.listen.push(values::listener(text)?),
            Opt::UwsgiAllow => self.allow.push(values::proxy_source(text)?),
            Opt::Base => self.base = Some(values::directory(text)?),
            Opt::Pattern => self.pattern = Some(SocketPattern::parse(text)?),
            Opt::Fallback => {
                let address = Address::parse(text.as_bytes()).map_err(|e| format!("{e}"))?;
                self.fallback.push((address, text.to_owned()));
            }
            Opt::FallbackOnNoKey => {
                let on = values::switch(text)?;
                self.fallback_on = if on { FallbackOn::NoKey } else { FallbackOn::Unreachable };
            }
            Opt::PostBuffering => self.post_buffering = post_buffering(text)?,
            Opt::PostBufferingDir => self.post_buffering_dir = Some(values::directory(text)?),
            Opt::CloseOnFailure => {
                let on = values::switch(text)?;
                self.on_failure = if on { OnFailure::Close } else { OnFailure::Answer };
            }
            _ => return Err("no option of uwsgi packets".to_owned()),
        }
        Ok(())
    }
}

fn post_buffering(text: &str) -> Result<Option<u64>, String> {
    match values::bytes_or_none(text)? {
        Some(bytes) if bytes > POST_BUFFERING_MAX => {
            Err(format!("more than {} MiB", POST_BUFFERING_MAX >> 20))
        }
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_an_absolute_path_with_a_place_for_the_key() {
        let pattern = SocketPattern::parse("/srv/%s/100%%/%s.sock").unwrap();
        assert_eq!(pattern.expand("a.example"), "/srv/a.example/100%/a.example.sock");
        for wrong in ["srv/%s", "/srv/a.sock", "/srv/%d.sock", "/srv/%s%", "%s:3031", ""] {
            assert!(SocketPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn web_servers_are_near_unless_others_are_named() {
        assert_eq!(Packets::default().peers().len(), PEERS.len());
        let mut packets = Packets::default();
        packets.set(Opt::UwsgiAllow, "192.0.2.7").unwrap();
        assert_eq!(packets.peers().len(), 1);
    }
}
