//! From an accepted socket to a session: TLS or not, and who the client is.

use std::{cell::Cell, rc::Rc, sync::atomic::Ordering};

use nix::time::{ClockId, clock_gettime};
use router_core::{
    buffer::{self, Use},
    clients::{ClientId, ClientSlot},
    deadline::Half,
    io::Accepted,
    metrics::{Counter, WorkerCell},
    worker::Service,
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
/// Distance between two sweeps of the upstream pool.
const SWEEP_MS: u64 = 1_000;

/// The HTTP router on one worker.
pub struct HttpService {
    ctx: Rc<Context>,
    swept_ms: Cell<u64>,
}

impl HttpService {
    /// Serves with `ctx`.
    pub fn new(ctx: Context) -> Self {
        Self { ctx: Rc::new(ctx), swept_ms: Cell::new(0) }
    }
}

impl Service for HttpService {
    type Role = Role;

    async fn serve(self: Rc<Self>, mut accepted: Accepted, role: Role) {
        let mut received = Vec::new();
        let mut destination = None;
        if self.ctx.shared.named.contains(accepted.peer) {
            // Boxed, so that others do not carry its state.
            match Box::pin(receive_preface(&self.ctx, &mut accepted)).await {
                Some(Received { ends, rest }) => {
                    received = rest;
                    destination = ends.map(|(_, destination)| destination);
                    accepted.peer = ends.map(|(client, _)| client).or(accepted.peer);
                }
                None => return,
            }
        }
        let mut conn = ConnFacts::new(accepted.peer, role);
        if self.ctx.shared.introduces == Switch::On {
            let destination = destination.or_else(|| accepted.read.local_addr());
            conn.introduction = Some(Introduction::new(accepted.peer, destination));
        }
        if self.ctx.shared.headers.trusted.contains(accepted.peer) {
            conn.trust = Trust::Proxy;
        }
        let Ok(_slot) = client_slot(&self.ctx, &conn) else {
            self.ctx.shard.count(Counter::ClientConnectionsRefused);
            return;
        };
        if let Some(relay) = role.relay {
            let relayed = relay::serve(self.ctx.clone(), accepted, received, conn, relay);
            return Box::pin(relayed).await;
        }
        match role.scheme {
            Scheme::Http => {
                let reader = ClientReader::Plain(accepted.read);
                let writer = ClientWriter::Plain(accepted.write);
                if self.ctx.shared.http2 == Http2::All {
                    let sniffed = sniff(self.ctx.clone(), conn, reader, writer, received);
                    return Box::pin(sniffed).await;
                }
                let session = Session::new(self.ctx.clone(), conn, reader, writer);
                let session = session.with_received(&received);
                buffer::give(Use::Head, received);
                session.run().await;
            }
            // No listener of this program is one.
            Scheme::Uwsgi => {}
            Scheme::Https => {
                // Boxed, so that its state is gone with it and no connection carries it.
                let shaken = Box::pin(shake_hands(&self.ctx, accepted, received, conn)).await;
                let Some(Shaken { conn, reader, writer }) = shaken else { return };
                if conn.dialect == Dialect::Http2 {
                    let ctx = self.ctx.clone();
                    let served = http2::connection::serve(ctx, conn, reader, writer, Vec::new());
                    return Box::pin(served).await;
                }
                Box::pin(Session::new(self.ctx.clone(), conn, reader, writer).run()).await;
            }
        }
    }

    fn tick(&self, now_ms: u64) {
        tick(&self.ctx, &self.swept_ms, now_ms);
    }
}

/// What a worker does now and then, whatever it serves.
pub fn tick(ctx: &Context, swept_ms: &Cell<u64>, now_ms: u64) {
    // Publishes are seen here also by a worker without requests, so it pins no old table.
    ctx.table.borrow_mut().load();
    ctx.log.flush();
    if now_ms - swept_ms.get() < SWEEP_MS {
        return;
    }
    swept_ms.set(now_ms);
    ctx.shard.set(WorkerCell::CpuMicros, thread_cpu_us());
    let mut pool = ctx.pool.borrow_mut();
    let before = pool.len();
    pool.sweep(now_ms);
    let evicted = (before - pool.len()) as u64;
    ctx.shard.add(Counter::UpstreamPoolEvictions, evicted);
    ctx.shard.set(WorkerCell::UpstreamIdle, pool.len() as u64);
    ctx.links.sweep();
}

/// The client has all connections it may have.
struct ClientFull;

/// Counts a connection of a client, if those are bounded. A trusted proxy brings many clients.
fn client_slot(ctx: &Context, conn: &ConnFacts) -> Result<Option<ClientSlot>, ClientFull> {
    if conn.trust == Trust::Proxy {
        return Ok(None);
    }
    let (Some(all), Some(ip)) = (&ctx.shared.client_connections, conn.ip) else { return Ok(None) };
    all.enter(ClientId::of(ip)).map(Some).ok_or(ClientFull)
}

/// CPU time this thread has used.
fn thread_cpu_us() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |used| {
        used.tv_sec().unsigned_abs() * 1_000_000 + used.tv_nsec().unsigned_abs() / 1000
    })
}

/// Reads the preface of a named source; `None` if the connection is not to be served.
async fn receive_preface(ctx: &Context, accepted: &mut Accepted) -> Option<Received> {
    accepted.read.watch().arm(Half::Read, ctx.shared.timeouts.head);
    match preface::receive(&mut accepted.read).await {
        Ok(received) => {
            accepted.read.watch().disarm(Half::Read);
            Some(received)
        }
        Err(failure) => {
            ctx.shard.add(failure.counter(), 1);
            None
        }
    }
}

/// A connection that is ready for requests.
struct Shaken {
    conn: ConnFacts,
    reader: ClientReader,
    writer: ClientWriter,
}

/// The TLS handshake, and what it says about the client.
async fn shake_hands(
    ctx: &Context,
    accepted: Accepted,
    received: Vec<u8>,
    mut conn: ConnFacts,
) -> Option<Shaken> {
    let Accepted { mut read, mut write, .. } = accepted;
    read.watch().arm(Half::Read, ctx.shared.timeouts.tls_handshake);
    write.watch().arm(Half::Write, ctx.shared.timeouts.tls_handshake);
    let shared = ctx.shared.clone();
    let outcome = handshake(&shared.tls, &shared.certs, &received, &mut read, &mut write).await;
    buffer::give(Use::Head, received);
    let agreed = match outcome {
        Ok(agreed) => agreed,
        Err(error) => {
            ctx.shard.add(Counter::TlsHandshakeFailures, 1);
            if error.is_about_client_certificate() {
                shared.certs.counters().client_auth_refused.fetch_add(1, Ordering::Relaxed);
            }
            return None;
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
    Some(Shaken { conn, reader, writer })
}

/// Serves a plain connection in the version its first bytes show.
async fn sniff(
    ctx: Rc<Context>,
    mut conn: ConnFacts,
    mut reader: ClientReader,
    writer: ClientWriter,
    mut received: Vec<u8>,
) {
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
        return http2::connection::serve(ctx, conn, reader, writer, received).await;
    }
    let session = Session::new(ctx, conn, reader, writer).with_received(&received);
    buffer::give(Use::Head, received);
    session.run().await;
}
