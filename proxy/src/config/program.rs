//! The programs that share this configuration, and which options are for which.

use std::fmt;

use super::catalog::Opt;

/// A router that is configured here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Program {
    /// `suzerain`: clients of HTTP, TLS and what lives next to it.
    #[default]
    Suzerain,
    /// `suzerain-fastrouter`: web servers that speak the uwsgi protocol.
    Fastrouter,
}

impl Program {
    /// The name of its command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suzerain => "suzerain",
            Self::Fastrouter => "suzerain-fastrouter",
        }
    }

    /// The one that is not this.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Suzerain => Self::Fastrouter,
            Self::Fastrouter => Self::Suzerain,
        }
    }

    /// Whether it has this option.
    #[must_use]
    pub const fn has(self, opt: Opt) -> bool {
        match self {
            Self::Suzerain => !is_of_packets(opt),
            Self::Fastrouter => !is_of_clients(opt),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Options about uwsgi packets from web servers.
const fn is_of_packets(opt: Opt) -> bool {
    matches!(
        opt,
        Opt::Uwsgi
            | Opt::UwsgiAllow
            | Opt::Base
            | Opt::Pattern
            | Opt::Fallback
            | Opt::FallbackOnNoKey
            | Opt::PostBuffering
            | Opt::PostBufferingDir
            | Opt::CloseOnFailure
    )
}

/// Options about what clients and HTTP bring, which a web server in front has dealt with.
const fn is_of_clients(opt: Opt) -> bool {
    matches!(
        opt,
        Opt::Http
            | Opt::Https
            | Opt::TlsPassthrough
            | Opt::Tcp
            | Opt::Http2
            | Opt::ProxyProtocol
            | Opt::TrustedProxy
            | Opt::Via
            | Opt::RequestId
            | Opt::Otlp
            | Opt::TraceSample
            | Opt::TraceClientRate
            | Opt::DefaultCert
            | Opt::CertDir
            | Opt::CertRoot
            | Opt::HttpsExportCert
            | Opt::ClientConnectionsMax
            | Opt::EjectOn5xx
            | Opt::Sticky
            | Opt::StickySecret
            | Opt::BodyRateMin
            | Opt::HttpsRedirect
            | Opt::Hsts
            | Opt::HttpVar
            | Opt::ServerNameAsHttpHost
            | Opt::HttpModifier1
            | Opt::HttpModifier2
            | Opt::ExpectBytesMax
            | Opt::Rtsp
            | Opt::ManageSource
            | Opt::UwsgiChunked
            | Opt::AbortOnClose
            | Opt::Compress
            | Opt::CompressTypes
            | Opt::CompressBytesMin
            | Opt::HttpAutoGzip
            | Opt::TimeoutKeepalive
            | Opt::TimeoutTlsHandshake
    )
}
