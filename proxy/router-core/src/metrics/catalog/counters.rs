//! The cells that every worker counts in, each with the family it belongs to.
//!
//! A family without a row here has its numbers from somewhere else than the workers.

use super::*;

macro_rules! counters {
    ($( $family:ident { $( $(#[$doc:meta])* $variant:ident $(= $label:literal)? ),+ $(,)? } )+) => {
        /// A cell every worker owns one of; see the family it belongs to for its meaning.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(usize)]
        pub enum Counter { $($( $(#[$doc])* $variant, )+)+ }

        /// Every counter with its family and the value of the family's label, families together.
        pub static COUNTERS: &[(Counter, &Family, Option<&str>)] = &[
            $($( (Counter::$variant, &$family, counters!(@label $($label)?)), )+)+
        ];
    };
    (@label $label:literal) => { Some($label) };
    (@label) => { None };
}

counters! {
    CONNECTIONS_ACCEPTED {
        /// A client connection was accepted.
        ConnectionsAccepted
    }
    CONNECTIONS_CLOSED {
        /// An accepted client connection is gone. Every accept is followed by exactly one.
        ConnectionsClosed
    }
    CONNECTIONS_REFUSED {
        /// Reset at the connection cap; neither accepted nor closed count it.
        ConnectionsRefused
    }
    MEMORY_CONNECTIONS_REFUSED {
        /// Closed at once while memory was short; neither accepted nor closed count it.
        MemoryConnectionsRefused
    }
    CLIENT_CONNECTIONS_REFUSED {
        /// Closed on arrival for its address; accepted and closed count it too.
        ClientConnectionsRefused
    }
    ACCEPT_FAILURES {
        /// `accept` itself failed.
        AcceptFailures
    }
    PROXY_PROTOCOL_REJECTS {
        /// The connection began with something else.
        PrefaceAbsent = "absent",
        /// It began as a preface and became none.
        PrefaceMalformed = "malformed",
        /// The checksum was wrong.
        PrefaceChecksum = "checksum",
        /// The connection ended within the preface.
        PrefaceCut = "cut",
        /// It was not there in time.
        PrefaceTimeout = "timeout",
    }
    RELAYED_CONNECTIONS {
        /// TLS that the node ends.
        RelayedTls = "tls",
        /// Raw TCP.
        RelayedTcp = "tcp",
    }
    UWSGI_REJECTS {
        /// The connection came from elsewhere than `uwsgi-allow` says.
        PacketPeer = "peer",
        /// The vars were cut or had an empty name, or a length or path was none.
        PacketMalformed = "malformed",
        /// No var named a key.
        PacketNameless = "no_key",
        /// The connection ended within the packet.
        PacketCut = "cut",
        /// It was not there in time.
        PacketTimeout = "timeout",
        /// The body is above `body-bytes-max` (413).
        PacketBodyLong = "body",
    }
    CLIENT_HELLO_REJECTS {
        /// It began with something else.
        HelloNotTls = "not_tls",
        /// It was no sound ClientHello.
        HelloMalformed = "malformed",
        /// It was too long.
        HelloLong = "long",
        /// The connection ended within it.
        HelloCut = "cut",
        /// It was not there in time.
        HelloTimeout = "timeout",
        /// It named nobody, and no key serves those.
        HelloNameless = "no_name",
    }
    TLS_HANDSHAKES {
        /// A handshake completed.
        TlsHandshakes
    }
    TLS_HANDSHAKE_FAILURES {
        /// A handshake failed or timed out.
        TlsHandshakeFailures
    }
    TLS_RESUMPTIONS {
        /// A completed handshake was a resumption.
        TlsResumptions
    }
    HTTP2_CONNECTIONS {
        /// A connection began to speak HTTP/2.
        Http2Connections
    }
    HTTP2_STREAMS {
        /// A stream was opened.
        Http2Streams
    }
    HTTP2_FLOODS {
        /// Streams the client reset.
        Http2FloodReset = "reset",
        /// Streams we had to reset.
        Http2FloodOwnReset = "made_you_reset",
        /// A header block of too many frames.
        Http2FloodContinuation = "continuation",
        /// SETTINGS.
        Http2FloodSettings = "settings",
        /// PING.
        Http2FloodPing = "ping",
        /// DATA without data.
        Http2FloodEmptyData = "empty_data",
        /// WINDOW_UPDATE.
        Http2FloodWindowUpdate = "window_update",
        /// Frames that do nothing.
        Http2FloodIdle = "idle_frames",
        /// What the codec itself took for a flood, such as DATA in tiny pieces.
        Http2FloodCodec = "codec",
    }
    HTTP2_REFUSALS {
        /// A header list above the bound, which gets 431.
        Http2HeaderList = "header_list",
        /// A connection that broke the protocol.
        Http2Malformed = "malformed",
    }
    REQUESTS {
        /// A request head was accepted.
        Requests
    }
    REQUESTS_UNROUTED {
        /// No route for the key (404).
        UnknownKey = "unknown_key",
        /// The Host belongs to another certificate than this connection's (421).
        Misdirected = "misdirected",
        /// The host is for clients with a certificate, and this connection has none for it (403).
        ClientCertMissing = "client_certificate",
        /// It passed this router several times already (508).
        Looped = "loop",
        /// The route has no node left to try (502 or 503).
        NoNode = "no_node",
        /// The route has vassals, and none of them an address (503).
        Asleep = "asleep",
    }
    REQUESTS_FALLBACK {
        /// The fallback key served a host that has none.
        Fallback
    }
    REQUESTS_SHED {
        /// `rate-limit` of the key (429).
        ShedKeyRate = "key_rate",
        /// `client-rate-limit` (429).
        ShedClientRate = "client_rate",
        /// `key-exchanges-max` (503).
        ShedKeyExchanges = "key_exchanges",
        /// The key's share of the worker (503).
        ShedWorkerShare = "worker_share",
    }
    RTSP_CONNECTIONS {
        /// A node answered in RTSP.
        RtspConnections
    }
    SLOW_CLIENTS {
        /// There were too many unfinished heads and this was the oldest.
        SlowHeadsEnded = "head",
        /// A request body came at less than the least rate.
        SlowBodiesEnded = "body_rate",
    }
    REQUEST_BYTES {
        /// Bytes read from clients.
        RequestBytes
    }
    RESPONSE_BYTES {
        /// Bytes written to clients.
        ResponseBytes
    }
    RESPONSES {
        /// Interim responses.
        Responses1xx = "1xx",
        /// Successes.
        Responses2xx = "2xx",
        /// Redirects and 304.
        Responses3xx = "3xx",
        /// The client's fault.
        Responses4xx = "4xx",
        /// The router's or an upstream's fault.
        Responses5xx = "5xx",
    }
    RESPONSES_COMPRESSED {
        /// With gzip.
        CompressedGzip = "gzip",
        /// With brotli.
        CompressedBrotli = "br",
        /// With zstd.
        CompressedZstd = "zstd",
    }
    UPSTREAM_CONNECTS {
        /// A connection was opened.
        UpstreamConnects
    }
    UPSTREAM_CONNECT_FAILURES {
        /// A connection could not be opened.
        UpstreamConnectFailures
    }
    UPSTREAM_REUSED {
        /// A pooled connection was taken.
        UpstreamReused
    }
    UPSTREAM_RETRIES {
        /// Another node was tried.
        UpstreamRetries
    }
    UPSTREAM_FAILURES {
        /// An upstream failed after it had accepted the connection.
        UpstreamFailures
    }
    UPSTREAM_EJECTIONS {
        /// Failures in a row took a node out.
        UpstreamEjections
    }
    UPSTREAM_POOL_EVICTIONS {
        /// A pooled connection was closed unused.
        UpstreamPoolEvictions
    }
    QUEUE_WAITS {
        /// A request took a place in a queue.
        QueueWaits
    }
    QUEUE_REFUSALS {
        /// The queue was full.
        QueueFull = "full",
        /// The request waited too long.
        QueueTimeouts = "timeout",
        /// The client left.
        QueueLeft = "client_left",
    }
    WAKE_WAITS {
        /// A request began to wait for a vassal.
        WakeWaits
    }
    WAKE_REFUSALS {
        /// As many wait for the key as may.
        WakeKeyFull = "key_full",
        /// As many wait in the worker as may.
        WakeRouterFull = "router_full",
        /// The emperor cannot be told.
        WakeNoEmperor = "no_emperor",
        /// The vassal did not come in time.
        WakeTimeouts = "timeout",
        /// The client left.
        WakeLeft = "client_left",
    }
    ACCESS_LOG_RECORDS {
        /// A record reached the writer's queue.
        AccessLogRecords
    }
    ACCESS_LOG_DROPPED {
        /// A record was dropped.
        AccessLogDropped
    }
    TRACE_SPANS {
        /// A span reached the exporter's queue.
        TraceSpans
    }
    TRACE_SPANS_DROPPED {
        /// A span was dropped.
        TraceSpansDropped
    }
}

impl Counter {
    /// How many counters there are: the number of cells of a shard.
    pub const COUNT: usize = COUNTERS.len();

    /// The counter of a response's class; anything outside 100..=599 counts as 5xx.
    pub fn of_status(status: u16) -> Self {
        match status / 100 {
            1 => Self::Responses1xx,
            2 => Self::Responses2xx,
            3 => Self::Responses3xx,
            4 => Self::Responses4xx,
            _ => Self::Responses5xx,
        }
    }
}
