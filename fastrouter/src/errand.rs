//! Which route a packet takes: the table, then sockets by name, then the fallback key.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use proxy::{
    context::{ConnFacts, Context},
    http::judge::fallback,
    relay::Errand,
};
use route_table::{HostBuf, Route, RouteKey, Speech, Table, Tried, canonical_host};

use uwsgi_request::{NamedBy, Request};

use crate::spare::NamedSockets;

/// A packet on its way.
pub struct PacketErrand {
    /// The packet, and perhaps some of its body.
    pub bytes: Vec<u8>,
    /// What it says.
    pub request: Request,
    /// Sockets by name.
    pub sockets: Rc<NamedSockets>,
}

impl PacketErrand {
    /// The text of a part of the packet.
    pub fn text(&self, span: &std::ops::Range<usize>) -> &[u8] {
        self.bytes.get(span.clone()).unwrap_or_default()
    }

    fn table_route(&self, ctx: &Context, table: &Table) -> Option<Arc<Route>> {
        let text = self.text(&self.request.key);
        if self.request.named_by == NamedBy::RouterKey
            && let Ok(key) = RouteKey::parse(text)
            && let Some(route) = table.get(key.as_str())
        {
            // The web server's administrator may name a key that no host has, such as a mountpoint.
            return Some(route.clone());
        }
        let mut buf = HostBuf::new();
        let host = canonical_host(text, &mut buf).ok()?;
        let path = self.text(&self.request.path);
        table.lookup_path(&host, path, ctx.shared.dotsplit).cloned()
    }

    fn socket_route(&self) -> Option<Arc<Route>> {
        let mut buf = HostBuf::new();
        let host = canonical_host(self.text(&self.request.key), &mut buf).ok()?;
        self.sockets.route(&RouteKey::from(host))
    }
}

impl Errand for PacketErrand {
    fn speech(&self) -> Speech {
        Speech::Packets
    }

    fn route(
        &self,
        ctx: &Context,
        _conn: &ConnFacts,
        table: &Table,
        tried: &Tried,
    ) -> Option<Arc<Route>> {
        self.table_route(ctx, table)
            .or_else(|| self.socket_route())
            .or_else(|| fallback(ctx, table, tried).cloned())
    }

    /// The client of the web server: the web server itself is the same for all of them.
    fn client(&self, conn: &ConnFacts) -> Option<IpAddr> {
        self.request.client.or(conn.ip)
    }
}
