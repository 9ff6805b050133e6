//! What is allowed but deserves a word: said once at start and by `check`.

use std::fmt;

use ipnet::IpNet;
use router_core::address::ListenAddr;
use subscribe::Digest;

use super::{ProxySource, Settings};

/// One such thing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Warning {
    /// SHA1 signatures can be forged by somebody with enough money.
    Sha1,
    /// Others can subscribe anything.
    OpenSubscriptions(ListenAddr),
    /// Others can read stats and metrics.
    OpenAdmin(ListenAddr),
    /// Anybody may claim to be anybody.
    OpenProxyProtocol(IpNet),
    /// Anybody may tell of any client.
    OpenTrustedProxy(IpNet),
    /// Anybody may be a web server.
    OpenUwsgi(IpNet),
    /// Every request will be answered with 404.
    NothingToRoute,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha1 => f.write_str(
                "sign-check uses SHA1, which is broken for signatures: move senders to SHA256",
            ),
            Self::OpenSubscriptions(addr) => write!(
                f,
                "unsigned subscriptions are taken on {addr}: whoever reaches it can take over any \
                 site"
            ),
            Self::OpenAdmin(addr) => {
                write!(f, "the admin socket asks for no token and {addr} is not local")
            }
            Self::OpenProxyProtocol(net) => write!(
                f,
                "proxy-protocol believes {net}: whoever connects can claim any client address"
            ),
            Self::OpenTrustedProxy(net) => write!(
                f,
                "trusted-proxy believes {net}: whoever connects can claim any client address"
            ),
            Self::OpenUwsgi(net) => write!(
                f,
                "uwsgi-allow takes packets of {net}: whoever connects can claim any client and user"
            ),
            Self::NothingToRoute => f.write_str(
                "neither subscribe nor route is set: every request will be answered with 404",
            ),
        }
    }
}

/// The warnings `settings` deserve.
pub fn of(settings: &Settings) -> Vec<Warning> {
    let mut warnings = Vec::new();
    match &settings.sign_check {
        Some(check) if check.digest == Digest::Sha1 => warnings.push(Warning::Sha1),
        Some(_) => {}
        None => {
            let open = settings.subscribe.iter().filter(|addr| !addr.is_local());
            warnings.extend(open.cloned().map(Warning::OpenSubscriptions));
        }
    }
    let mut open = settings.admin.iter().filter(|_| !settings.viewers.must_show_tokens());
    if let Some(addr) = open.find(|addr| !addr.is_local()) {
        warnings.push(Warning::OpenAdmin(addr.clone()));
    }
    warnings.extend(everybody(&settings.proxy_protocol).map(Warning::OpenProxyProtocol));
    warnings.extend(everybody(&settings.trusted_proxy).map(Warning::OpenTrustedProxy));
    warnings.extend(everybody(&settings.packets.allow).map(Warning::OpenUwsgi));
    let has_sockets = settings.packets.base.is_some() || settings.packets.pattern.is_some();
    if settings.subscribe.is_empty() && settings.route.is_empty() && !has_sockets {
        warnings.push(Warning::NothingToRoute);
    }
    warnings
}

/// Networks that hold every address.
fn everybody(sources: &[ProxySource]) -> impl Iterator<Item = IpNet> {
    sources.iter().filter_map(|source| match source {
        ProxySource::Net(net) if net.prefix_len() == 0 => Some(*net),
        _ => None,
    })
}
