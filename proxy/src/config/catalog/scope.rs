//! Which options a `[key."NAME"]` table may set for one key alone.
//!
//! The value outside of such tables, from the file or a flag, is what all other keys get.

use super::Opt;

/// How far one value of an option reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The whole router: nothing of it depends on the key.
    Router,
    /// Every key without a value of its own.
    Key,
}

impl Opt {
    /// How far one value of this option reaches.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::BodyBytesMax
            | Self::EjectFailures
            | Self::EjectTime
            | Self::EjectTimeMax
            | Self::EjectOn5xx
            | Self::SlowStart
            | Self::NodeConnectionsMax
            | Self::QueueMax
            | Self::QueueTimeout
            | Self::RateLimit
            | Self::ClientRateLimit
            | Self::KeyExchangesMax
            | Self::Rtsp
            | Self::BodyRateMin
            | Self::HealthCheck
            | Self::HealthInterval
            | Self::HealthTimeout
            | Self::HealthRise
            | Self::HealthFall
            | Self::HealthStatus
            | Self::Sticky
            | Self::HttpsRedirect
            | Self::Hsts
            | Self::HttpVar
            | Self::ServerNameAsHttpHost
            | Self::HttpModifier1
            | Self::HttpModifier2
            | Self::SendProxy
            | Self::ExpectBytesMax
            | Self::ManageSource
            | Self::UwsgiChunked
            | Self::Compress
            | Self::CompressTypes
            | Self::CompressBytesMin
            | Self::HttpAutoGzip
            | Self::AbortOnClose
            | Self::WakeMax
            | Self::WakeTimeout
            | Self::TimeoutHead
            | Self::TimeoutKeepalive
            | Self::TimeoutBodyIdle
            | Self::TimeoutConnect
            | Self::TimeoutFirstByte
            | Self::TimeoutResponseIdle
            | Self::TimeoutWriteStall
            | Self::TimeoutTunnel => Scope::Key,
            _ => Scope::Router,
        }
    }
}
