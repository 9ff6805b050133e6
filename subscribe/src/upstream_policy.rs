//! Where a subscription may point the router: the guard against requests forged by `address`.
//!
//! A valid signature proves who owns a key, and nothing about the address (subscription spec 11.6).
//! So an address is used only if a rule of the operator allows it, and never if it is one of the
//! router's own listeners, or of a kind no upstream has: unspecified, multicast, broadcast,
//! link-local (where clouds keep their metadata services). Unix paths must be absolute and plain:
//! a relative one would depend on where the router was started, and one with `..`, `.` or `//`
//! could leave its root or go around a denied path. uWSGI accepts relative paths; here such a
//! vassal gives an absolute `socket`. Symbolic links are the shell's matter: nothing is resolved
//! here.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use route_table::Address;

use crate::reject::Reject;

/// The operator's rules for upstream addresses.
#[derive(Clone, Debug)]
pub struct UpstreamPolicy {
    /// An address must match one of these.
    pub allow: Vec<AllowRule>,
    /// Addresses of the router itself: listeners, subscription and admin sockets. A TCP one bound
    /// to loopback or to every address takes its port on loopback; whoever binds every address
    /// adds the machine's other addresses too.
    pub deny: Vec<Address>,
}

/// One kind of address that is allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AllowRule {
    /// TCP to a network, any port.
    Net(IpNet),
    /// Unix sockets at or below a path; `/` for all.
    UnixRoot(Vec<u8>),
    /// Abstract unix sockets, whatever their name.
    Abstract,
}

impl std::str::FromStr for AllowRule {
    type Err = AllowRuleError;

    /// Reads `10.0.0.0/8`, `10.0.0.1`, `/run/apps` or `@`.
    fn from_str(text: &str) -> Result<Self, AllowRuleError> {
        if text == "@" {
            return Ok(Self::Abstract);
        }
        if text.starts_with('/') {
            let root = if text == "/" { text } else { text.trim_end_matches('/') };
            return match is_plain_path(root.as_bytes()) || root == "/" {
                true => Ok(Self::UnixRoot(root.as_bytes().to_vec())),
                false => Err(AllowRuleError),
            };
        }
        let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self::Net).map_err(|_| AllowRuleError)
    }
}

/// A text that is no rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("rule is none of a network (10.0.0.0/8), an absolute path without dots, and @")]
pub struct AllowRuleError;

impl UpstreamPolicy {
    /// Loopback, private networks (RFC 1918, RFC 6598, RFC 4193) and every unix socket.
    #[must_use]
    pub fn default_allow() -> Self {
        let nets = DEFAULT_NETS.iter().map(|net| {
            AllowRule::Net(net.parse().expect("`default_networks_parse` reads each of them"))
        });
        let unix = [AllowRule::UnixRoot(b"/".to_vec()), AllowRule::Abstract];
        Self { allow: nets.chain(unix).collect(), deny: Vec::new() }
    }

    /// Whether the router may connect to `address`.
    ///
    /// # Errors
    /// [`Reject::AddressRefused`].
    pub fn check(&self, address: &Address) -> Result<(), Reject> {
        let possible = match address {
            Address::Tcp(tcp) => is_upstream_ip(tcp.ip().to_canonical()),
            Address::Unix(path) => is_plain_path(path),
            Address::Abstract(_) => true,
            Address::Nowhere => false,
        };
        let allowed = possible
            && self.allow.iter().any(|rule| rule.matches(address))
            && !self.deny.iter().any(|own| is_own(own, address));
        if allowed { Ok(()) } else { Err(Reject::AddressRefused) }
    }

    /// Whether a `modifier1` is one of requests.
    ///
    /// A node that is another tenant's uWSGI would otherwise be told to evaluate the client's text
    /// as code (22), to spool it (17) or to take it for a message (31), or would be managed: uWSGI
    /// gives the numbers from 64 on to RPC, signals, cache and cluster, not to requests. 123 asks for
    /// raw bodies and never travels: packets to such a node say 0.
    ///
    /// # Errors
    /// [`Reject::ModifierRefused`].
    pub fn check_modifier(modifier1: u8) -> Result<(), Reject> {
        match modifier1 {
            123 => Ok(()),
            17 | 22 | 31 | 64.. => Err(Reject::ModifierRefused),
            _ => Ok(()),
        }
    }
}

impl Default for UpstreamPolicy {
    fn default() -> Self {
        Self::default_allow()
    }
}

impl AllowRule {
    fn matches(&self, address: &Address) -> bool {
        match (self, address) {
            (Self::Net(net), Address::Tcp(tcp)) => net.contains(&tcp.ip().to_canonical()),
            (Self::UnixRoot(root), Address::Unix(path)) => match path.strip_prefix(&**root) {
                Some(rest) => root == b"/" || rest.is_empty() || rest.starts_with(b"/"),
                None => false,
            },
            (Self::Abstract, Address::Abstract(_)) => true,
            _ => false,
        }
    }
}

/// Whether an address of this kind can be an upstream at all.
fn is_upstream_ip(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(ip.is_unspecified() || ip.is_multicast() || link_local)
}

/// Absolute, and no component is empty, `.` or `..`.
fn is_plain_path(path: &[u8]) -> bool {
    path.strip_prefix(b"/").is_some_and(|rest| {
        rest.split(|&byte| byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
    })
}

/// Whether connecting to `address` reaches the router's own `own`.
fn is_own(own: &Address, address: &Address) -> bool {
    match (own, address) {
        (Address::Tcp(own), Address::Tcp(tcp)) => is_own_tcp(*own, *tcp),
        _ => own == address,
    }
}

fn is_own_tcp(own: SocketAddr, tcp: SocketAddr) -> bool {
    let (own_ip, ip) = (own.ip().to_canonical(), tcp.ip().to_canonical());
    let own_is_local = own_ip.is_loopback() || own_ip.is_unspecified();
    let is_local = ip.is_loopback() || ip.is_unspecified();
    own.port() == tcp.port() && (own_ip == ip || own_is_local && is_local)
}

const DEFAULT_NETS: [&str; 7] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &UpstreamPolicy, text: &str) -> bool {
        let address = Address::parse(text.as_bytes()).expect("an address");
        policy.check(&address).is_ok()
    }

    #[test]
    fn default_networks_parse() {
        assert_eq!(UpstreamPolicy::default_allow().allow.len(), DEFAULT_NETS.len() + 2);
    }

    #[test]
    fn by_default_only_near_addresses_are_upstreams() {
        let policy = UpstreamPolicy::default_allow();
        let near = [
            ":3031",
            "127.0.0.1:80",
            "10.1.2.3:80",
            "172.31.0.1:80",
            "192.168.1.1:80",
            "100.64.0.1:80",
            "[::1]:80",
            "[fd00::1]:80",
            "[::ffff:10.0.0.1]:80",
            "/run/a.sock",
            "@name",
        ];
        let far = [
            "8.8.8.8:80",
            "169.254.169.254:80",
            "[fe80::1]:80",
            "0.0.0.0:80",
            "0.1.2.3:80",
            "[::]:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "[ff02::1]:80",
            "172.32.0.1:80",
            "[2001:db8::1]:80",
            "[::ffff:169.254.169.254]:80",
            "[64:ff9b::a00:1]:80",
            "rel.sock",
            "/run/../etc/x",
            "/run/./x",
            "//run/x",
            "/run//x",
            "/run/x/",
        ];
        for text in near {
            assert!(check(&policy, text), "{text}");
        }
        for text in far {
            assert!(!check(&policy, text), "{text}");
        }
    }

    #[test]
    fn the_router_itself_is_never_an_upstream() {
        let mut policy = UpstreamPolicy::default_allow();
        for own in ["127.0.0.1:80", "[fd00::1]:81", "/run/admin.sock", "@admin"] {
            policy.deny.push(Address::parse(own.as_bytes()).expect("an address"));
        }
        policy.deny.push(Address::Tcp("0.0.0.0:82".parse().expect("a socket address")));
        for own in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:82"] {
            assert!(!check(&policy, own), "{own}");
        }
        for own in [":82", "[fd00::1]:81", "/run/admin.sock", "@admin"] {
            assert!(!check(&policy, own), "{own}");
        }
        for other in ["127.0.0.1:83", "10.0.0.1:82", "[fd00::2]:81", "/run/admin.sock2"] {
            assert!(check(&policy, other), "{other}");
        }
    }

    #[test]
    fn rules_of_the_operator_confine_networks_and_roots() {
        let rules = ["203.0.113.0/24", "198.51.100.7", "/run/apps/"].map(str::parse::<AllowRule>);
        let allow = rules.into_iter().map(Result::unwrap).collect();
        let policy = UpstreamPolicy { allow, deny: Vec::new() };
        for text in ["203.0.113.9:1", "198.51.100.7:1", "/run/apps/a.sock"] {
            assert!(check(&policy, text), "{text}");
        }
        for text in ["127.0.0.1:1", "198.51.100.8:1", "/run/apps2/a", "/run/b", "@x"] {
            assert!(!check(&policy, text), "{text}");
        }
        for text in ["", "10.0.0.0/33", "run", "/run/../x", "host"] {
            assert_eq!(text.parse::<AllowRule>(), Err(AllowRuleError), "{text}");
        }
    }

    #[test]
    fn modifiers_that_execute_or_manage_are_refused() {
        for modifier1 in [0, 5, 6, 7, 9, 14, 18, 123] {
            assert_eq!(UpstreamPolicy::check_modifier(modifier1), Ok(()));
        }
        for modifier1 in [17, 22, 31, 109, 111, 122, 124, 173, 224, 255] {
            let refused = Err(Reject::ModifierRefused);
            assert_eq!(UpstreamPolicy::check_modifier(modifier1), refused);
        }
    }
}
