//! The steps from an accepted socket to a session, and no more state than the step at hand needs.
//!
//! What a step needs is boxed and gone when the next one begins: a connection outlives its opening by
//! far, and there are many.

use std::{pin::Pin, rc::Rc, sync::atomic::Ordering};

use router_core::{
    buffer::{self, Use},
    clients::{ClientId, ClientSlot},
    deadline::Half,
    io::Accepted,
    metrics::Counter,
    worker::Admitted,
};
use rustls::HandshakeKind;

use crate::{
    client::{ClientReader, ClientWriter},
    config::Http2,
    context::{ConnFacts, Context, Dialect, Role, Scheme, Trust},
    http::session::Session,
    http2,
    introduction::Introduction,
    policy::streams::Switch,
    preface::{self, Received},
    relay,
    tls::{
        accept::{ALPN_HTTP2, Agreed, handshake},
        cert_store::CertId,
        client_cert::ClientCert,
        stream::wrap,
    },
};

/// What a client with prior knowledge of HTTP/2 begins with (RFC 9113 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How a connection goes on.
pub enum Served {
    /// It speaks HTTP/1.
    Session(Box<Session>),
    /// By a future that serves it to its end.
    Whole(Pin<Box<dyn Future<Output = ()>>>),
    /// That shows once it said more.
    Later(Pin<Box<dyn Future<Output = Served>>>),
    /// Not at all.
    Closed,
}

impl Served {
    /// Serves the connection to its end.
    pub async fn to_its_end(mut self, _admitted: Admitted) {
        loop {
            self = match self {
                Self::Later(step) => step.await,
                Self::Session(session) => return session.run().await,
                Self::Whole(all) => return all.await,
                Self::Closed => return,
            };
        }
    }
}

/// Reads the preface of a named source, which says who the client is.
pub async fn receive_preface(ctx: Rc<Context>, mut accepted: Accepted, role: Role) -> Served {
    accepted.read.watch().arm(Half::Read, ctx.shared.timeouts.head);
    match preface::receive(&mut accepted.read).await {
        Ok(received) => {
            accepted.read.watch().disarm(Half::Read);
            accepted.peer = received.ends.map(|(client, _)| client).or(accepted.peer);
            begin(&ctx, accepted, received, role)
        }
        Err(failure) => {
            ctx.shard.add(failure.counter(), 1);
            Served::Closed
        }
    }
}

/// The first step behind the preface, if there was one.
pub fn begin(ctx: &Rc<Context>, accepted: Accepted, received: Received, role: Role) -> Served {
    let Received { ends, rest: received } = received;
    let mut conn = ConnFacts::new(accepted.peer, role);
    if ctx.shared.introduces == Switch::On {
        let destination = ends.map(|(_, destination)| destination);
        let destination = destination.or_else(|| accepted.read.local_addr());
        conn.introduction = Some(Introduction::new(accepted.peer, destination));
    }
    if ctx.shared.headers.trusted.contains(accepted.peer) {
        conn.trust = Trust::Proxy;
    }
    match client_slot(ctx, &conn) {
        Ok(slot) => conn.slot = slot,
        Err(ClientFull) => {
            ctx.shard.count(Counter::ClientConnectionsRefused);
            return Served::Closed;
        }
    }
    let ctx = ctx.clone();
    if let Some(relay) = role.relay {
        return Served::Whole(Box::pin(relay::serve(ctx, accepted, received, conn, relay)));
    }
    match role.scheme {
        Scheme::Http => {
            let reader = ClientReader::Plain(accepted.read);
            let writer = ClientWriter::Plain(accepted.write);
            if ctx.shared.http2 == Http2::All {
                return Served::Later(Box::pin(sniff(ctx, conn, reader, writer, received)));
            }
            Served::Session(Session::new(ctx, conn, reader, writer, received))
        }
        // No listener of this program is one.
        Scheme::Uwsgi => Served::Closed,
        Scheme::Https => Served::Later(Box::pin(shake_hands(ctx, accepted, received, conn))),
    }
}

/// The client has all connections it may have.
struct ClientFull;

/// Counts a connection of a client, if those are bounded. A trusted proxy brings many clients.
fn client_slot(ctx: &Context, conn: &ConnFacts) -> Result<Option<ClientSlot>, ClientFull> {
    if conn.trust == Trust::Proxy {
        return Ok(None);
    }
    let (Some((all, most)), Some(ip)) = (&ctx.shared.client_connections, conn.ip) else {
        return Ok(None);
    };
    all.enter(ClientId::of(ip), *most).map(Some).ok_or(ClientFull)
}

/// The TLS handshake, and what it says about the client.
async fn shake_hands(
    ctx: Rc<Context>,
    accepted: Accepted,
    received: Vec<u8>,
    mut conn: ConnFacts,
) -> Served {
    let Accepted { mut read, mut write, .. } = accepted;
    read.watch().arm(Half::Read, ctx.shared.timeouts.tls_handshake);
    write.watch().arm(Half::Write, ctx.shared.timeouts.tls_handshake);
    let shared = &ctx.shared;
    let outcome = handshake(&shared.tls, &shared.certs, &received, &mut read, &mut write).await;
    buffer::give(Use::Head, received);
    let agreed = match outcome {
        Ok(agreed) => agreed,
        Err(error) => {
            ctx.shard.add(Counter::TlsHandshakeFailures, 1);
            if error.is_about_client_certificate() {
                shared.certs.counters().client_auth_refused.fetch_add(1, Ordering::Relaxed);
            }
            return Served::Closed;
        }
    };
    read.watch().disarm(Half::Read);
    write.watch().disarm(Half::Write);
    ctx.shard.add(Counter::TlsHandshakes, 1);
    let Agreed { session, entry } = agreed;
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        ctx.shard.add(Counter::TlsResumptions, 1);
    }
    conn.sni = session.server_name().map(|name| name.to_ascii_lowercase().into());
    conn.cert = Some(CertId::new(entry));
    conn.client_cert = session
        .peer_certificates()
        .and_then(|chain| ClientCert::new(chain.first()?, shared.pem_export))
        .map(Box::new);
    if session.alpn_protocol() == Some(ALPN_HTTP2) {
        conn.dialect = Dialect::Http2;
    }
    if let Some(introduction) = &mut conn.introduction {
        let authority = conn.sni.as_deref().unwrap_or_default();
        introduction.note_tls(authority, session.alpn_protocol().unwrap_or_default());
    }
    let (reader, writer) = wrap(read, write, session);
    let reader = ClientReader::Tls(Box::new(reader));
    let writer = ClientWriter::Tls(Box::new(writer));
    speak(ctx, conn, reader, writer, Vec::new())
}

/// Serves a plain connection in the version its first bytes show.
async fn sniff(
    ctx: Rc<Context>,
    mut conn: ConnFacts,
    mut reader: ClientReader,
    writer: ClientWriter,
    mut received: Vec<u8>,
) -> Served {
    reader.watch().arm(Half::Read, ctx.shared.timeouts.head);
    if received.capacity() == 0 {
        received = buffer::take(Use::Head);
    }
    while received.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&received) {
        let (result, bytes) = reader.read(received, usize::MAX).await;
        received = bytes;
        if !matches!(result, Ok(count) if count > 0) {
            break;
        }
    }
    if received.starts_with(HTTP2_PREFACE) {
        conn.dialect = Dialect::Http2;
    }
    speak(ctx, conn, reader, writer, received)
}

/// The version is known.
fn speak(
    ctx: Rc<Context>,
    conn: ConnFacts,
    reader: ClientReader,
    writer: ClientWriter,
    received: Vec<u8>,
) -> Served {
    match conn.dialect {
        Dialect::Http1 => Served::Session(Session::new(ctx, conn, reader, writer, received)),
        Dialect::Http2 => {
            let all = http2::connection::serve(ctx, conn, reader, writer, received);
            Served::Whole(Box::pin(all))
        }
    }
}
