//! Who applies each option that a reload changes: a list that a new option must join, so that none is
//! documented as live only because nobody thought of it.

use crate::config::catalog::{OPTIONS, Opt, Scope};

/// By what a reload makes these hold. Options of keys are in the policies of a generation, all of them.
const LIVE: &[(&str, &[Opt])] = &[
    (
        "sockets::plan",
        &[Opt::Http, Opt::Https, Opt::TlsPassthrough, Opt::Tcp, Opt::Uwsgi, Opt::Admin],
    ),
    (
        "Lasting::generation",
        &[
            Opt::UwsgiAllow,
            Opt::Base,
            Opt::Pattern,
            Opt::Fallback,
            Opt::FallbackOnNoKey,
            Opt::PostBuffering,
            Opt::PostBufferingDir,
            Opt::CloseOnFailure,
            Opt::Http2,
            Opt::ProxyProtocol,
            Opt::TrustedProxy,
            Opt::Via,
            Opt::RequestId,
            Opt::Dotsplit,
            Opt::FallbackKey,
            Opt::HttpsExportCert,
            Opt::ExchangesMax,
            Opt::ClientConnectionsMax,
            Opt::HeadsMax,
            Opt::StickySecret,
            Opt::WakeTotalMax,
            Opt::TimeoutTlsHandshake,
        ],
    ),
    (
        "subscriber_config",
        &[
            Opt::Subscribe,
            Opt::SignCheck,
            Opt::SignTolerance,
            Opt::VassalRequired,
            Opt::ToleranceInactive,
            Opt::Resubscribe,
            Opt::UseCredentials,
            Opt::SignSkipUid,
            Opt::CredentialsCheck,
            Opt::Tolerance,
            Opt::UpstreamAllow,
            Opt::Route,
            Opt::Algorithm,
        ],
    ),
    ("cert_config", &[Opt::DefaultCert, Opt::CertDir, Opt::CertRoot]),
    ("next_log", &[Opt::AccessLog, Opt::AccessLogFormat]),
    ("log_level::follow", &[Opt::LogLevel]),
    ("tell_workers", &[Opt::ConnectionsMax]),
    ("Headroom::follow", &[Opt::MemoryMax]),
    (
        "Admin::take",
        &[
            Opt::AdminAuth,
            Opt::AdminTokenFile,
            Opt::AdminTokenSha256,
            Opt::TenantKeys,
            Opt::TenantTokenFile,
            Opt::TenantTokenSha256,
        ],
    ),
    (
        "Running::settings, which are read when they are needed",
        &[
            // Only says that what the other options allow is wanted.
            Opt::AllowUnsigned,
            Opt::TimeoutDrain,
            Opt::TimeoutDrainTunnels,
        ],
    ),
];

#[test]
fn every_option_is_fixed_or_somebody_applies_it() {
    for facts in OPTIONS.iter().filter(|facts| facts.opt.scope() == Scope::Router) {
        let by = LIVE.iter().filter(|(_, opts)| opts.contains(&facts.opt)).count();
        let fixed = usize::from(facts.opt.fixed().is_some());
        assert_eq!(
            by + fixed,
            1,
            "{}: name who applies it at a reload here, or add it to config::fixed",
            facts.name
        );
    }
}
