//! The keys of connections that are passed on: by the name in the first message of TLS, or by the
//! listener.

use std::sync::Arc;

use route_table::{CanonicalHost, HostBuf, Route, Speech, Table, Tried, canonical_host};
use router_core::metrics::Counter;

use super::Errand;
use crate::{
    context::{ConnFacts, Context, Relay},
    http::judge::fallback,
};

/// The port clients of HTTPS do not name.
const HTTPS_PORT: &str = "443";

impl Errand for Relay {
    fn speech(&self) -> Speech {
        match self {
            Self::Tls => Speech::Tls,
            Self::Tcp(_) => Speech::Tcp,
        }
    }

    fn route(
        &self,
        ctx: &Context,
        conn: &ConnFacts,
        table: &Table,
        tried: &Tried,
    ) -> Option<Arc<Route>> {
        match self {
            Self::Tcp(number) => table.get(ctx.shared.tcp_keys.get(number)?.as_str()).cloned(),
            Self::Tls => {
                let mut buf = HostBuf::new();
                let named = match conn.sni.as_deref() {
                    // A name that cannot be a key is nobody's, also where there is a fallback.
                    Some(name) => Some(wanted_host(name, &conn.local_port, &mut buf)?),
                    None => None,
                };
                named
                    .and_then(|host| table.lookup(&host, ctx.shared.dotsplit))
                    .or_else(|| fallback(ctx, table, tried))
                    .cloned()
            }
        }
    }

    fn unknown(&self, conn: &ConnFacts) -> Counter {
        match self {
            Self::Tls if conn.sni.is_none() => Counter::HelloNameless,
            _ => Counter::UnknownKey,
        }
    }
}

/// The host a client of HTTPS will name inside: with the port, unless it is the usual one. So the same
/// keys serve a name here and where TLS ends at the router.
fn wanted_host<'b>(name: &str, port: &str, buf: &'b mut HostBuf) -> Option<CanonicalHost<'b>> {
    if port.is_empty() || port == HTTPS_PORT {
        return canonical_host(name.as_bytes(), buf).ok();
    }
    let with_port = format!("{name}:{port}");
    let longest = canonical_host(with_port.as_bytes(), &mut HostBuf::new()).is_ok();
    let text = if longest { &with_port } else { name };
    canonical_host(text.as_bytes(), buf).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, port: &str) -> Option<String> {
        let mut buf = HostBuf::new();
        wanted_host(name, port, &mut buf).map(|host| host.host_port().to_owned())
    }

    #[test]
    fn a_name_is_looked_up_as_the_host_of_its_requests_would_be() {
        assert_eq!(wanted("A.example.", "443").as_deref(), Some("a.example"));
        assert_eq!(wanted("a.example", "8443").as_deref(), Some("a.example:8443"));
        assert_eq!(wanted("a.example", "").as_deref(), Some("a.example"));
        assert_eq!(wanted("a..example", "8443"), None);
        let long = "a".repeat(255);
        assert_eq!(wanted(&long, "8443"), Some(long));
    }
}
