//! The catalogue: every metric family this router can show, with its help, kind and labels.
//!
//! Nothing renders a family that is not declared here, and `docs/METRICS.md` is written from it, so
//! the document cannot lag behind. Names follow the Prometheus conventions: unit last, `_total` on
//! counters, base units (seconds, bytes). A family here is never renamed without an **Upgrade**
//! note in the change log: dashboards and alerts stand on these names.

mod counters;

pub use counters::{COUNTERS, Counter};

/// What a family's samples mean over time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Only rises while the process lives.
    Counter,
    /// The state at the moment of the scrape.
    Gauge,
    /// Cumulative buckets with a sum and a count.
    Histogram,
}

impl Kind {
    /// The word of a `# TYPE` line.
    pub fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric family: what one `# HELP` and `# TYPE` pair stands for.
#[derive(Debug)]
pub struct Family {
    /// Full name, prefix and unit included.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Label names in the order the samples give their values.
    pub labels: &'static [&'static str],
    /// One sentence for operators.
    pub help: &'static str,
}

macro_rules! families {
    ($( $id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal; )+) => {
        $(
            #[doc = $help]
            pub static $id: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+
        /// Every family, in the order they are documented.
        pub static FAMILIES: &[&Family] = &[$(&$id),+];
    };
}

families! {
    BUILD_INFO = Gauge "suzerain_build_info" ["version"]
        "Always 1; the version of the running binary is in the label.";
    IO_DRIVER_INFO = Gauge "suzerain_io_driver_info" ["driver"]
        "Always 1; the I/O driver chosen at start is in the label.";
    WORKERS = Gauge "suzerain_workers" []
        "Worker threads that serve clients.";
    WORKER_CPU = Counter "suzerain_worker_cpu_seconds_total" ["worker"]
        "CPU time used by one worker thread, as of its last tick.";

    CONNECTIONS_ACCEPTED = Counter "suzerain_connections_accepted_total" []
        "Client connections accepted.";
    CONNECTIONS_CLOSED = Counter "suzerain_connections_closed_total" []
        "Client connections closed, by either side.";
    CONNECTIONS_REFUSED = Counter "suzerain_connections_refused_total" []
        "Client connections reset at once because a worker was at its connection cap.";
    MEMORY_CONNECTIONS_REFUSED = Counter "suzerain_memory_refused_connections_total" []
        "Client connections closed at once because memory was short; see memory-max.";
    CLIENT_CONNECTIONS_REFUSED = Counter "suzerain_client_connections_refused_total" []
        "Client connections closed on arrival because their address had all it may have.";
    CONNECTIONS_OPEN = Gauge "suzerain_connections_open" []
        "Client connections open now (accepted minus closed).";
    ACCEPT_FAILURES = Counter "suzerain_accept_failures_total" []
        "Accepts that failed, mostly for lack of file descriptors.";
    PROXY_PROTOCOL_REJECTS = Counter "suzerain_proxy_protocol_rejects_total" ["reason"]
        "Connections of named sources closed for want of a right PROXY header, by reason.";
    TLS_HANDSHAKES = Counter "suzerain_tls_handshakes_total" []
        "TLS handshakes completed.";
    TLS_HANDSHAKE_FAILURES = Counter "suzerain_tls_handshake_failures_total" []
        "TLS handshakes that failed or ran out of time.";
    TLS_RESUMPTIONS = Counter "suzerain_tls_resumptions_total" []
        "TLS handshakes that resumed an earlier session by ticket.";

    RELAYED_CONNECTIONS = Counter "suzerain_relayed_connections_total" ["kind"]
        "Client connections passed on to a node as they came, by the kind of listener.";
    UWSGI_REJECTS = Counter "suzerain_uwsgi_rejects_total" ["reason"]
        "Connections to uwsgi listeners closed or refused for who sent what, by reason.";
    CLIENT_HELLO_REJECTS = Counter "suzerain_client_hello_rejects_total" ["reason"]
        "Connections to tls-passthrough listeners closed for their ClientHello, by reason.";

    HTTP2_CONNECTIONS = Counter "suzerain_http2_connections_total" []
        "Client connections that speak HTTP/2.";
    HTTP2_STREAMS = Counter "suzerain_http2_streams_total" []
        "Streams that clients opened.";
    HTTP2_FLOODS = Counter "suzerain_http2_floods_total" ["kind"]
        "HTTP/2 connections ended because of what they were flooded with, by kind.";
    HTTP2_REFUSALS = Counter "suzerain_http2_refusals_total" ["reason"]
        "Refused by the HTTP/2 codec itself: requests with too large a header list (431), and connections that broke the protocol.";

    REQUESTS = Counter "suzerain_requests_total" []
        "Requests whose head was read and accepted.";
    HEAD_REJECTS = Counter "suzerain_head_rejects_total" ["reason"]
        "Requests refused for the form of their head or framing, by reason.";
    REQUESTS_UNROUTED = Counter "suzerain_requests_unrouted_total" ["reason"]
        "Well-formed requests for which no upstream could be chosen, by reason.";
    REQUESTS_FALLBACK = Counter "suzerain_requests_fallback_total" []
        "Requests routed by the fallback key because their host has no key of its own.";
    REQUESTS_SHED = Counter "suzerain_requests_shed_total" ["reason"]
        "Requests refused because there were too many, by the limit they ran into.";
    RTSP_CONNECTIONS = Counter "suzerain_rtsp_connections_total" []
        "RTSP connections whose node answered in RTSP; they are tunnels from then on.";
    SLOW_CLIENTS = Counter "suzerain_slow_clients_ended_total" ["reason"]
        "Clients ended for being slow by a bound other than a deadline, by reason.";
    REQUEST_BYTES = Counter "suzerain_request_bytes_total" []
        "Bytes received from clients, heads included, TLS framing excluded.";
    RESPONSE_BYTES = Counter "suzerain_response_bytes_total" []
        "Bytes sent to clients, heads included, TLS framing excluded.";
    RESPONSES = Counter "suzerain_responses_total" ["class"]
        "Responses sent to clients by class of status.";
    EXCHANGE_ENDS = Counter "suzerain_exchange_ends_total" ["side", "phase"]
        "Ended exchanges by who caused the end and what was under way; nobody and done: complete.";
    RESPONSES_COMPRESSED = Counter "suzerain_responses_compressed_total" ["coding"]
        "Responses compressed on their way to the client, by content coding.";
    REQUEST_DURATION = Histogram "suzerain_request_duration_seconds" []
        "Time from the first byte of a request to the last byte of its response.";

    UPSTREAM_CONNECTS = Counter "suzerain_upstream_connects_total" []
        "Connections opened to upstreams.";
    UPSTREAM_CONNECT_FAILURES = Counter "suzerain_upstream_connect_failures_total" []
        "Connections to upstreams that could not be opened; the node is out for a while.";
    UPSTREAM_REUSED = Counter "suzerain_upstream_reused_total" []
        "Exchanges that took an idle upstream connection out of the pool.";
    UPSTREAM_RETRIES = Counter "suzerain_upstream_retries_total" []
        "Exchanges offered to another node after one failed.";
    UPSTREAM_FAILURES = Counter "suzerain_upstream_failures_total" []
        "Exchanges an upstream broke off, stalled or answered with nonsense.";
    UPSTREAM_EJECTIONS = Counter "suzerain_upstream_ejections_total" []
        "Times failures in a row took a node out for a while.";
    UPSTREAM_POOL_EVICTIONS = Counter "suzerain_upstream_pool_evictions_total" []
        "Idle upstream connections closed for age, for room or by the upstream.";
    UPSTREAM_IDLE = Gauge "suzerain_upstream_idle_connections" ["worker"]
        "Idle upstream connections in the pool of one worker.";
    UPSTREAM_CONNECT_DURATION = Histogram "suzerain_upstream_connect_duration_seconds" []
        "Time to open a connection to an upstream.";

    QUEUE_WAITS = Counter "suzerain_queue_waits_total" []
        "Requests that waited because all nodes of their key were full.";
    QUEUE_REFUSALS = Counter "suzerain_queue_refusals_total" ["reason"]
        "Requests that left the queue of their key without a node, by reason.";
    WAKE_WAITS = Counter "suzerain_wake_waits_total" []
        "Requests that waited for a vassal to start.";
    WAKE_REFUSALS = Counter "suzerain_wake_refusals_total" ["reason"]
        "Requests that got no vassal, at once or after waiting for one to start, by reason.";
    VASSAL_SPAWNS = Counter "suzerain_vassal_spawns_total" ["outcome"]
        "Commands to spawn a vassal: taken by the emperor's socket, refused for want of room, or failed.";
    KEYS = Gauge "suzerain_keys" []
        "Keys in the route table.";
    NODES = Gauge "suzerain_nodes" []
        "Nodes in the route table that can be given requests, over all keys.";
    NODES_ASLEEP = Gauge "suzerain_nodes_asleep" []
        "Vassals in the route table that have no address.";
    NODES_DRAINED = Gauge "suzerain_nodes_drained" []
        "Nodes in the route table that an operator keeps new requests from.";
    TABLE_GENERATION = Gauge "suzerain_table_generation" []
        "Number of the published route table; rises by one per publish.";
    KEY_REQUESTS = Counter "suzerain_key_requests_total" ["key"]
        "Requests routed by one key, for the busiest keys.";
    KEY_REFUSED = Counter "suzerain_key_refused_total" ["key", "limit"]
        "Requests of one key refused by its rate, its share or its queue, for the busiest keys.";
    KEY_WAITING = Gauge "suzerain_key_waiting" ["key"]
        "Requests of one key that wait for a node with room now, for the busiest keys.";
    NODE_REQUESTS = Counter "suzerain_node_requests_total" ["key", "node"]
        "Exchanges given to one node, for the busiest keys.";
    NODE_FAILURES = Counter "suzerain_node_failures_total" ["key", "node"]
        "Failures of one node, for the busiest keys.";
    NODE_EJECTIONS = Counter "suzerain_node_ejections_total" ["key", "node"]
        "Times failures in a row took one node out for a while, for the busiest keys.";
    NODE_UNHEALTHY = Gauge "suzerain_node_unhealthy" ["key", "node"]
        "1 while health checks keep one node out, for the busiest keys.";
    NODE_IN_FLIGHT = Gauge "suzerain_node_in_flight" ["key", "node"]
        "Exchanges open with one node now, for the busiest keys.";
    NODE_COOLING = Gauge "suzerain_node_cooling" ["key", "node"]
        "1 while one node is skipped after failures, for the busiest keys.";

    SUBSCRIPTION_DATAGRAMS = Counter "suzerain_subscription_datagrams_total" []
        "Datagrams received on the subscription sockets.";
    SUBSCRIPTION_BATCHES = Counter "suzerain_subscription_batches_total" []
        "Batches of datagrams applied; a batch publishes the table at most once.";
    SUBSCRIPTION_VERDICTS = Counter "suzerain_subscription_verdicts_total" ["verdict"]
        "Datagrams that were accepted, by what they did.";
    SUBSCRIPTION_REJECTS = Counter "suzerain_subscription_rejects_total" ["reason"]
        "Datagrams refused, by reason.";
    SUBSCRIPTION_LAPSED = Counter "suzerain_subscription_lapsed_total" []
        "Nodes removed because their lease was not renewed in time.";
    SUBSCRIPTION_PUBLISHES = Counter "suzerain_subscription_publishes_total" []
        "Route tables published by the subscription thread.";

    SUBSCRIPTION_REVOKED = Counter "suzerain_subscription_revoked_total" []
        "Nodes removed because their public key changed or vanished.";
    SUBSCRIPTION_KERNEL_DROPS = Counter "suzerain_subscription_kernel_drops_total" []
        "Datagrams the kernel dropped because the subscription thread was behind.";
    SUBSCRIPTION_RECEIVE_FAILURES = Counter "suzerain_subscription_receive_failures_total" []
        "Receive calls on the subscription sockets that failed.";
    SUBSCRIPTION_ACKS = Counter "suzerain_subscription_acks_total" ["outcome"]
        "Acknowledgements asked for by subscriptions, by whether they could be sent.";
    SUBSCRIPTION_FORWARDS = Counter "suzerain_subscription_forwards_total" ["outcome"]
        "Datagrams for other routers (resubscribe), each router counted, by whether they could be sent.";
    STATE_FILE_BYTES = Gauge "suzerain_state_file_bytes" []
        "Length of the state file; 0 while there is none, so that a crash would lose subscriptions.";
    STATE_FILE_FAILURES = Counter "suzerain_state_file_failures_total" []
        "Times the state file could not be written.";

    CERTIFICATES = Gauge "suzerain_certificates" []
        "Certificates in the certificate store.";
    CERTIFICATE_EXPIRY = Gauge "suzerain_certificate_not_after_timestamp_seconds" ["name"]
        "When a certificate stops being valid, as Unix time, for those that expire first.";
    CERTIFICATE_NEXT_EXPIRY = Gauge "suzerain_certificate_next_expiry_timestamp_seconds" []
        "When the first certificate stops being valid, as Unix time.";
    CERTIFICATES_EXPIRING = Gauge "suzerain_certificates_expiring" ["within"]
        "Certificates that stop being valid within 21, 7 and 1 days, or have.";
    CERTIFICATES_REFUSED = Gauge "suzerain_certificates_refused" []
        "Certificate pairs that are not served as their files are; at most 1000 are counted.";
    CERTIFICATE_REFUSED = Gauge "suzerain_certificate_refused" ["name"]
        "1 for a certificate pair that is not served as its files are, for the first 100 by name.";
    CERTIFICATE_LOADS = Counter "suzerain_certificate_loads_total" ["outcome"]
        "Certificate pairs loaded, by what became of them.";
    CERTIFICATE_REQUESTS_LOST = Counter "suzerain_certificate_requests_lost_total" []
        "Certificates of subscriptions that could not be handed to the loader.";
    CERTIFICATE_PUBLISHES = Counter "suzerain_certificate_publishes_total" []
        "Generations of the certificate store published.";
    CERTIFICATE_DIRECTORIES_WATCHED = Gauge "suzerain_certificate_directories_watched" []
        "Directories in which a changed certificate is noticed at once.";
    TLS_CLIENT_AUTH_REFUSED = Counter "suzerain_tls_client_auth_refused_total" []
        "Handshakes refused because the client's certificate was missing or not acceptable.";

    ADMIN_REFUSED = Counter "suzerain_admin_refused_total" ["reason"]
        "Requests to the admin socket refused for their Host or their token, by reason.";
    ACCESS_LOG_RECORDS = Counter "suzerain_access_log_records_total" []
        "Access log records handed to the writer thread.";
    ACCESS_LOG_DROPPED = Counter "suzerain_access_log_dropped_total" []
        "Access log records dropped because the writer thread could not keep up.";
    ACCESS_LOG_WRITE_FAILURES = Counter "suzerain_access_log_write_failures_total" []
        "Writes of up to 64 KiB of access log that failed; their records are lost.";

    TRACE_SPANS = Counter "suzerain_trace_spans_total" []
        "Spans of requests handed to the exporter thread.";
    TRACE_SPANS_DROPPED = Counter "suzerain_trace_spans_dropped_total" []
        "Spans of requests dropped because the exporter thread could not keep up.";
    TRACE_EXPORTS = Counter "suzerain_trace_exports_total" ["outcome"]
        "Spans by what became of them in the exporter thread: exported, refused by the collector, or lost because it took none for too long.";
    TRACE_EXPORT_FAILURES = Counter "suzerain_trace_export_failures_total" []
        "Requests to the trace collector that failed.";
    UPGRADES = Counter "suzerain_upgrades_total" ["outcome"]
        "Upgrades of this router and of the processes before it: handed_over (a new process took over), failed (the new process did not come up; the old one went on) or refused (not tried).";
    PREDECESSOR_DRAINING = Gauge "suzerain_predecessor_draining" []
        "1 while the process that the last upgrade replaced still has requests to finish.";
    PREDECESSORS_LINGERING = Gauge "suzerain_predecessors_lingering" []
        "Processes that upgrades replaced and that have only tunnels left, such as WebSockets.";

    RELOADS = Counter "suzerain_reloads_total" ["outcome"]
        "Reloads of the configuration: applied, unchanged (nothing differed) or refused (something is wrong; nothing changed).";
    CONFIG_RELOAD_SUCCESSFUL = Gauge "suzerain_config_last_reload_successful" []
        "1 unless the last reload was refused.";
    CONFIG_RELOAD_TIME = Gauge "suzerain_config_last_reload_success_timestamp_seconds" []
        "When the configuration was last read without an error, as Unix time.";

    PROCESS_START = Gauge "process_start_time_seconds" []
        "When this process started, as Unix time.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "User and system CPU time used by this process.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
        "Resident memory of this process.";
    MEMORY_MAX = Gauge "suzerain_memory_max_bytes" []
        "Bytes in use from which on new connections and nodes are refused; absent without a cap (memory-max).";
    MEMORY_USED = Gauge "suzerain_memory_used_bytes" []
        "Bytes in use that count against suzerain_memory_max_bytes.";
    MEMORY_SHORT = Gauge "suzerain_memory_short" []
        "1 while new connections and nodes are refused for want of memory.";
    MEMORY_SHORTAGES = Counter "suzerain_memory_shortages_total" []
        "Times memory became short.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "File descriptors open in this process.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "File descriptors this process may open.";
}

/// A value a worker sets rather than adds to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum WorkerCell {
    /// Idle connections in this worker's pool.
    UpstreamIdle,
    /// CPU time of this worker's thread in microseconds.
    CpuMicros,
    /// When this worker last looked at its deadlines, on the clock of the process.
    TickedMs,
}

impl WorkerCell {
    /// How many cells there are.
    pub const COUNT: usize = 3;
}

/// A duration observed into a histogram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Latency {
    /// First request byte to last response byte.
    Request,
    /// Opening an upstream connection.
    UpstreamConnect,
}

impl Latency {
    /// How many histograms there are.
    pub const COUNT: usize = 2;
    /// Every histogram.
    pub const ALL: [Self; Self::COUNT] = [Self::Request, Self::UpstreamConnect];

    /// The family this histogram is shown as.
    pub fn family(self) -> &'static Family {
        match self {
            Self::Request => &REQUEST_DURATION,
            Self::UpstreamConnect => &UPSTREAM_CONNECT_DURATION,
        }
    }
}
