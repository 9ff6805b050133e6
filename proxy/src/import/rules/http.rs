//! The options of uWSGI's HTTP router, of its TLS, and of the certificates of all of uWSGI.

use super::{Rule, Rules};
use crate::config::catalog::Opt;
use crate::import::answers;

/// In the order of uWSGI's help.
pub const RULES: Rules = &[
    ("http", Rule::Listen(Opt::Http)),
    ("httprouter", Rule::Listen(Opt::Http)),
    ("https", Rule::By(answers::https)),
    ("https2", Rule::By(answers::https2)),
    ("https-export-cert", Rule::On(Opt::HttpsExportCert)),
    ("https-session-context", Rule::Moot("sessions are resumed by tickets, which need no name")),
    ("http-to-https", Rule::By(answers::to_https)),
    ("http-processes", Rule::Same(Opt::Workers)),
    ("http-workers", Rule::Same(Opt::Workers)),
    ("http-var", Rule::By(answers::var)),
    ("http-to", Rule::By(answers::static_node)),
    ("http-zerg", Rule::Lost("a zerg server hands over sockets of uWSGI's own")),
    (
        "http-fallback",
        Rule::Lost("let the fallback subscribe to the same keys with backup=1: SUBSCRIBING.md"),
    ),
    ("http-modifier1", Rule::Same(Opt::HttpModifier1)),
    ("http-modifier2", Rule::Same(Opt::HttpModifier2)),
    ("http-use-cache", Rule::Lost(MAPPER)),
    ("http-use-pattern", Rule::Lost(PATHS)),
    ("http-use-base", Rule::Lost(PATHS)),
    ("http-use-code-string", Rule::Lost(MAPPER)),
    ("http-use-socket", Rule::By(answers::own_socket_as_node)),
    ("http-events", Rule::Moot(TUNED)),
    ("http-subscription-server", Rule::Listen(Opt::Subscribe)),
    ("http-subscription-fallback-key", Rule::Same(Opt::FallbackKey)),
    ("http-resubscribe", Rule::Same(Opt::Resubscribe)),
    ("http-timeout", Rule::Seconds(TIMEOUT)),
    ("http-headers-timeout", Rule::Seconds(&[Opt::TimeoutHead])),
    ("http-connect-timeout", Rule::Seconds(&[Opt::TimeoutConnect])),
    ("http-manage-expect", Rule::By(answers::expect)),
    ("http-keepalive", Rule::By(answers::keepalive)),
    ("http-auto-chunked", Rule::Moot("always on")),
    ("http-auto-gzip", Rule::On(Opt::HttpAutoGzip)),
    (
        "http-raw-body",
        Rule::Lost(
            "for all requests it loses where one ends, which is how requests are smuggled; nodes of \
             modifier1=123 get raw bodies: SOURCES.md",
        ),
    ),
    ("http-websockets", Rule::Moot("always on")),
    ("http-chunked-input", Rule::By(answers::chunked_input)),
    ("http-gracetime", Rule::Seconds(&[Opt::EjectTime])),
    ("http-quiet", Rule::Moot("no failure has a line of its own: they are counted")),
    ("http-cheap", Rule::Moot("a router without nodes answers 404 instead of refusing")),
    ("http-stats", Rule::By(answers::stats)),
    ("http-stats-server", Rule::By(answers::stats)),
    ("http-ss", Rule::By(answers::stats)),
    ("http-harakiri", Rule::Moot("a worker runs no foreign code; requests have deadlines")),
    ("http-stud-prefix", Rule::Lost("superseded by the PROXY protocol: proxy-protocol")),
    ("http-uid", Rule::By(answers::user)),
    ("http-gid", Rule::By(answers::group)),
    ("http-buffer-size", Rule::Moot(TUNED)),
    ("http-server-name-as-http-host", Rule::On(Opt::ServerNameAsHttpHost)),
    ("http-manage-source", Rule::On(Opt::ManageSource)),
    ("http-manage-rtsp", Rule::On(Opt::Rtsp)),
    ("http-enable-proxy-protocol", Rule::Lost(PROXY)),
    ("enable-proxy-protocol", Rule::Lost(PROXY)),
    ("http-backend-http", Rule::Lost("said per node: proto=http in its subscription or in route")),
    ("http-post-buffering", Rule::Lost("uWSGI does not do it for HTTP either")),
    ("http-post-buffering-dir", Rule::Lost("uWSGI does not do it for HTTP either")),
    ("sni", Rule::By(answers::sni)),
    ("sni-dir", Rule::Path(Opt::CertDir)),
    ("sni-dir-ciphers", Rule::Moot(answers::CIPHERS)),
    (
        "sni-regexp",
        Rule::Lost("name each host in cert-dir; *.NAME.crt serves one level below NAME"),
    ),
    ("ssl-option", Rule::Moot(answers::CIPHERS)),
    ("ssl-enable3", Rule::Lost("SSLv3 is broken")),
    ("ssl-enable-sslv3", Rule::Lost("SSLv3 is broken")),
    ("ssl-enable-tlsv1", Rule::Lost("TLS 1.0 and 1.1 are broken; 1.2 and 1.3 are spoken")),
    ("ssl-verbose", Rule::Moot("what fails in TLS is counted")),
    ("ssl-verify-depth", Rule::Moot("chains of client certificates are verified whole")),
    ("ssl-tmp-dir", Rule::Moot("certificates of subscriptions are not written to disk")),
    ("ssl-sessions-use-cache", Rule::Moot("sessions are resumed by tickets, which need no cache")),
    ("ssl-session-use-cache", Rule::Moot("sessions are resumed by tickets, which need no cache")),
    ("ssl-sessions-timeout", Rule::Moot("sessions are resumed by tickets, which need no cache")),
    ("ssl-session-timeout", Rule::Moot("sessions are resumed by tickets, which need no cache")),
];

/// One timeout of uWSGI's is one for each phase here. Those for a head and a connect are shorter by
/// default and stay so, since what they bound is not the application's.
pub const TIMEOUT: &[Opt] =
    &[Opt::TimeoutBodyIdle, Opt::TimeoutFirstByte, Opt::TimeoutResponseIdle, Opt::TimeoutTunnel];

const TUNED: &str = "nothing to tune: buffers grow as needed";
const MAPPER: &str =
    "code in the router is out of scope: let what fills the map run suzerain announce";
const PATHS: &str =
    "a path made of a client's Host leads into other tenants' sockets: let vassals subscribe";
const PROXY: &str = "name the proxies that may say so in proxy-protocol, as [\"10.0.0.0/8\"]; uWSGI believes everybody";
