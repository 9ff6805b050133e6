//! Whether a connection may ask for a host whose certificate wants something of clients.
//!
//! Two questions, both answered without a lookup while no name asks clients for a certificate: is the
//! connection one for this host, and is the host one for clients of this kind. The second is asked
//! about the *key* that routes the request, so that no other name for it is a way round.

use route_table::RouteKey;
use router_core::metrics::Counter;

use super::judge::Denial;
use crate::{
    context::{ConnFacts, Context},
    tls::cert_store::{CertStore, Guard},
};

/// A host that another certificate than this connection's stands for must be asked over a connection
/// of its own (RFC 9110 section 7.4), else one tenant's client authentication covers another's site. So
/// must one whose demands on clients changed since the handshake.
pub fn check_host(ctx: &Context, conn: &ConnFacts, host: &str) -> Result<(), Denial> {
    let Some(cert) = &conn.cert else { return Ok(()) };
    if ctx.shared.certs.vouches(cert, conn.sni.as_deref(), host) {
        return Ok(());
    }
    ctx.shard.add(Counter::Misdirected, 1);
    let is_own = conn.sni.as_deref() == Some(host);
    // A client comes back over a new connection only if it cannot use this one.
    Err(if is_own { Denial::Outdated } else { Denial::Status(421) })
}

/// Refuses a request for a key that only clients with a certificate may ask for, unless the
/// connection is one that was made for it.
pub fn check_key(ctx: &Context, conn: &ConnFacts, key: &RouteKey) -> Result<(), Denial> {
    if !ctx.shared.certs.is_guarding() || is_admitted(&ctx.shared.certs, conn, key.host()) {
        return Ok(());
    }
    ctx.shard.add(Counter::ClientCertMissing, 1);
    Err(Denial::Status(403))
}

fn is_admitted(certs: &CertStore, conn: &ConnFacts, key_host: &str) -> bool {
    match certs.guard_of(key_host) {
        Guard::Open => true,
        // The handshake insisted on a certificate of these authorities.
        Guard::Required => conn.cert.as_ref().is_some_and(|cert| certs.demands_as(cert, key_host)),
        Guard::Sealed => false,
    }
}
