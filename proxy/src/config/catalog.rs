//! Every option, declared once.
//!
//! Flags, file keys, `--help`, error texts and `docs/CONFIG.md` are made from this list, so none of
//! them can say something else than the others. What a value may be is decided in `draft`.
//! This file says what an entry is; the entries are in `options`.

mod options;
mod scope;

pub use options::OPTIONS;
pub use scope::Scope;

/// An option by name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "each variant is described by its `OptFacts`")]
pub enum Opt {
    Http,
    Https,
    TlsPassthrough,
    Tcp,
    Uwsgi,
    UwsgiAllow,
    Base,
    Pattern,
    Fallback,
    FallbackOnNoKey,
    PostBuffering,
    PostBufferingDir,
    CloseOnFailure,
    Http2,
    ProxyProtocol,
    Subscribe,
    SignCheck,
    SignTolerance,
    VassalRequired,
    ToleranceInactive,
    MulticastInterface,
    Resubscribe,
    UseCredentials,
    SignSkipUid,
    CredentialsCheck,
    EmperorSocket,
    WakeMax,
    WakeTimeout,
    WakeTotalMax,
    Tolerance,
    AllowUnsigned,
    StateFile,
    UpstreamAllow,
    Route,
    Dotsplit,
    FallbackKey,
    Algorithm,
    DefaultCert,
    CertDir,
    CertRoot,
    HttpsExportCert,
    Admin,
    Ctl,
    CtlMode,
    CtlGroup,
    CtlOperators,
    AuditLog,
    AccessLog,
    AccessLogFormat,
    LogLevel,
    User,
    Group,
    KeepCapabilities,
    Seccomp,
    Otlp,
    TraceSample,
    TraceClientRate,
    Workers,
    Io,
    ConnectionsMax,
    MemoryMax,
    BodyBytesMax,
    EjectFailures,
    EjectTime,
    EjectTimeMax,
    EjectOn5xx,
    SlowStart,
    NodeConnectionsMax,
    QueueMax,
    QueueTimeout,
    RateLimit,
    ClientRateLimit,
    KeyExchangesMax,
    ExchangesMax,
    ClientConnectionsMax,
    Rtsp,
    HealthCheck,
    HealthInterval,
    HealthTimeout,
    HealthRise,
    HealthFall,
    HealthStatus,
    Sticky,
    StickySecret,
    BodyRateMin,
    HeadsMax,
    TrustedProxy,
    Via,
    RequestId,
    HttpsRedirect,
    Hsts,
    HttpVar,
    ServerNameAsHttpHost,
    HttpModifier1,
    HttpModifier2,
    SendProxy,
    ExpectBytesMax,
    ManageSource,
    UwsgiChunked,
    Compress,
    CompressTypes,
    CompressBytesMin,
    HttpAutoGzip,
    AbortOnClose,
    AdminAuth,
    AdminTokenFile,
    AdminTokenSha256,
    TenantKeys,
    TenantTokenFile,
    TenantTokenSha256,
    TimeoutHead,
    TimeoutKeepalive,
    TimeoutBodyIdle,
    TimeoutConnect,
    TimeoutFirstByte,
    TimeoutResponseIdle,
    TimeoutWriteStall,
    TimeoutTlsHandshake,
    TimeoutTunnel,
    TimeoutDrain,
    TimeoutDrainTunnels,
}

/// How often an option may be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// A single value.
    One,
    /// Any number of values: a repeated flag, an array in the file.
    Many,
    /// On or off: a bare flag, `true` or `false` in the file.
    Switch,
}

/// The part of the configuration an option belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    /// Where clients connect and what names lead where.
    Routing,
    /// Who may subscribe.
    Subscriptions,
    /// HTTPS.
    Certificates,
    /// Fields and vars.
    Headers,
    /// Compressed responses.
    Compression,
    /// Seeing what it does.
    Operation,
    /// What the process may do once it serves.
    Privileges,
    /// Bounds and resources.
    Resources,
    /// Nodes that fail, and more requests than can be served.
    Resilience,
    /// What passes through without being framed as HTTP.
    Streams,
    /// The `[timeouts]` table; file only.
    Timeouts,
    /// Tables of tenants; file only.
    Tenants,
}

impl Section {
    /// In the order people read them.
    pub const ALL: [Self; 12] = [
        Self::Routing,
        Self::Subscriptions,
        Self::Certificates,
        Self::Headers,
        Self::Compression,
        Self::Operation,
        Self::Privileges,
        Self::Resources,
        Self::Resilience,
        Self::Streams,
        Self::Timeouts,
        Self::Tenants,
    ];

    /// Heading in help and documentation.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Routing => "Listening and routing",
            Self::Subscriptions => "Subscriptions",
            Self::Certificates => "Certificates",
            Self::Headers => "Headers",
            Self::Compression => "Compression",
            Self::Operation => "Seeing what it does",
            Self::Privileges => "Privileges",
            Self::Resources => "Resources",
            Self::Resilience => "When nodes fail or too much comes",
            Self::Streams => "RTSP and streams",
            Self::Timeouts => "Timeouts",
            Self::Tenants => "Tenants",
        }
    }
}

/// What there is to know about an option.
#[derive(Clone, Copy, Debug)]
pub struct OptFacts {
    /// The option itself.
    pub opt: Opt,
    /// Flag without its dashes, and key in the file.
    pub name: &'static str,
    /// How often it may be given.
    pub shape: Shape,
    /// Where it belongs.
    pub section: Section,
    /// Placeholder of the value in help.
    pub value: &'static str,
    /// What holds if it is not given.
    pub default: &'static str,
    /// What a value may be; the second half of every error.
    pub allowed: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it costs or breaks; empty if nothing worth a word.
    pub cost: &'static str,
    /// A value as a file would have it, in TOML.
    pub example: &'static str,
}

impl OptFacts {
    /// The name as written in a file, with its table.
    #[must_use]
    pub fn key(&self) -> String {
        match self.section {
            Section::Timeouts => format!("timeouts.{}", self.name),
            Section::Tenants => format!("tenant.{}", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// The table of a file it stands in.
    #[must_use]
    pub fn table(&self) -> Table {
        match self.section {
            Section::Timeouts => Table::Timeouts,
            Section::Tenants => Table::Tenant,
            _ => Table::Top,
        }
    }

    /// Whether it is also a flag.
    #[must_use]
    pub fn is_flag(&self) -> bool {
        self.table() == Table::Top
    }
}

impl Opt {
    /// The entry of the catalogue.
    #[must_use]
    pub fn facts(self) -> &'static OptFacts {
        OPTIONS.iter().find(|facts| facts.opt == self).expect("a test finds every option in it")
    }

    /// The option with this name in this part of a file.
    #[must_use]
    pub fn named(name: &str, table: Table) -> Option<Self> {
        in_table(table).find(|facts| facts.name == name).map(|facts| facts.opt)
    }
}

/// A table of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Table {
    /// Outside of every table.
    Top,
    /// `[timeouts]`.
    Timeouts,
    /// `[tenant."NAME"]`.
    Tenant,
}

/// The options of one table of the file.
pub fn in_table(table: Table) -> impl Iterator<Item = &'static OptFacts> {
    OPTIONS.iter().filter(move |facts| facts.table() == table)
}
