//! The flags of `suzerain announce`.

use clap::Args;

/// Arguments of `announce`, as written.
#[derive(Args, Clone, Debug)]
pub struct AnnounceArgs {
    /// Subscription socket of a router: IP:PORT or /PATH. Repeatable.
    #[arg(long, value_name = "ADDR", required = true)]
    pub server: Vec<String>,
    /// Name to be served under. Repeatable.
    #[arg(long, value_name = "KEY", required = true)]
    pub key: Vec<String>,
    /// Where the program listens: IP:PORT, /PATH or @ABSTRACT; with --vassal also none: it sleeps.
    #[arg(long, value_name = "ADDR")]
    pub address: String,
    /// What the program speaks: uwsgi, http (HTTP/1.1), h2c (HTTP/2 without TLS, for gRPC), or what
    /// it is given as it comes: tls or tcp.
    #[arg(long, value_name = "PROTO", default_value = "uwsgi", value_parser = ["uwsgi", "http", "h2c", "tls", "tcp"])]
    pub proto: String,
    /// Share against the key's other nodes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub weight: u32,
    /// Backup level: served only when no lower level has a node.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub backup: u8,
    /// How the key's requests are spread, if this announcement creates it [default: the router's]
    #[arg(long, value_name = "NAME", value_parser = ["wrr", "lrc", "wlrc", "iphash", "p2c"])]
    pub algo: Option<String>,
    /// Name by which the router knows this node if its address changes.
    #[arg(long, value_name = "NAME")]
    pub vassal: Option<String>,
    /// uwsgi modifier1 of its requests: 0 for Python, 5 for Perl, 7 for Ruby, 14 for PHP.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub modifier1: u8,
    /// uwsgi modifier2 of its requests.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub modifier2: u8,
    /// Sign with this private key: SHA1, SHA256 or SHA512, a colon, a PEM file [default: unsigned]
    #[arg(long, value_name = "DIGEST:KEY.pem")]
    pub sign: Option<String>,
    /// Private key for HTTPS, as a path the router can read below its --cert-root.
    #[arg(long, value_name = "PATH", requires = "sni_crt")]
    pub sni_key: Option<String>,
    /// Certificate chain for HTTPS, as a path the router can read below its --cert-root.
    #[arg(long, value_name = "PATH", requires = "sni_key")]
    pub sni_crt: Option<String>,
    /// Pause between two announcements, from 1s to 1h; keep it below the router's tolerance.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub every: String,
    /// How long a started program may take until it accepts connections, up to 1h.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub wait: String,
    /// Program to run, with its arguments. Signals are passed on to it; its status is ours.
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}
