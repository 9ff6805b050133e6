//! From values with places to [`Settings`]: each value is parsed, bounded and checked against the
//! file system, then the whole against itself.
//!
//! Nothing is bound or created. A problem never hides another: parsing goes on with the default.

use std::collections::HashMap;
use std::time::Duration;

use route_table::Dotsplit;
use router_core::address::ListenAddr;

use super::catalog::Opt;
use super::key_table::{self, KeyTable};
use super::problem::{Place, Problem};
use super::seen::{Seen, has_free_port};
use super::{Given, Program, Settings, limits, on_demand, resilience, traces, values};
use crate::http::request_id::RequestIds;
use crate::tls::client_cert::PemExport;

/// Turns what was given into settings; what is wrong is added to `problems`.
pub fn settle(
    program: Program,
    given: Vec<Given>,
    keys: Vec<KeyTable>,
    problems: &mut Vec<Problem>,
) -> Settings {
    let mut draft = Draft::default();
    draft.settings.program = program;
    for one in given {
        if let Err(problem) = draft.take(one) {
            problems.push(problem);
        }
    }
    draft.check(problems);
    let Settings { policy, told, .. } = &mut draft.settings;
    draft.settings.keys = key_table::settle(keys, policy, told, problems);
    draft.settings
}

#[derive(Default)]
struct Draft {
    settings: Settings,
    seen: Seen,
    subscribe_places: Vec<Place>,
    /// A listener was written, even if it was written wrongly.
    listener_written: bool,
}

impl Draft {
    fn take(&mut self, given: Given) -> Result<(), Problem> {
        let Given { opt, text, place } = given;
        self.listener_written |=
            matches!(opt, Opt::Http | Opt::Https | Opt::TlsPassthrough | Opt::Tcp | Opt::Uwsgi);
        self.seen.note(opt, &text, &place)?;
        let wrong =
            |why: String| Problem::Value { place: place.clone(), opt, read: text.clone(), why };
        self.set(opt, &text).map_err(wrong)?;
        self.settings.told.note(opt, &text);
        if opt == Opt::Subscribe {
            self.subscribe_places.push(place);
        }
        Ok(())
    }

    fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        let settings = &mut self.settings;
        match opt {
            _ if !Program::Suzerain.has(opt) => settings.packets.set(opt, text)?,
            Opt::Http => settings.http.push(values::listener(text)?),
            Opt::Https => settings.https.push(values::listener(text)?),
            Opt::TlsPassthrough => settings.tls_passthrough.push(values::listener(text)?),
            Opt::Tcp => settings.tcp.push(values::raw_listener(text)?),
            Opt::Http2 => settings.http2 = values::http2(text)?,
            Opt::ProxyProtocol => settings.proxy_protocol.push(values::proxy_source(text)?),
            Opt::TrustedProxy => settings.trusted_proxy.push(values::proxy_source(text)?),
            Opt::Via => settings.via = values::via(text)?,
            Opt::RequestId => {
                let on = values::switch(text)?;
                settings.request_ids = if on { RequestIds::On } else { RequestIds::Off };
            }
            Opt::Subscribe => settings.subscribe.push(values::listener(text)?),
            Opt::SignCheck => settings.sign_check = Some(values::sign_check(text)?),
            Opt::SignTolerance => settings.sign_tolerance = tolerance(text)?,
            Opt::Tolerance => settings.tolerance = tolerance(text)?,
            Opt::AllowUnsigned => settings.allow_unsigned = values::switch(text)?,
            Opt::StateFile => settings.senders.state_file = Some(values::log_file(text)?),
            Opt::UpstreamAllow => settings.upstream_allow.push(values::allow_rule(text)?),
            Opt::Route => settings.route.push(values::static_route(text)?),
            Opt::Dotsplit => {
                let on = values::switch(text)?;
                settings.dotsplit = if on { Dotsplit::On } else { Dotsplit::Off };
            }
            Opt::FallbackKey => settings.fallback_key = Some(values::key(text)?),
            Opt::Algorithm => settings.algorithm = values::algorithm(text)?,
            Opt::DefaultCert => values::push_default_pair(&mut settings.default_cert, text)?,
            Opt::CertDir => settings.cert_dir = Some(values::directory(text)?),
            Opt::CertRoot => settings.cert_root.push(values::directory(text)?),
            Opt::HttpsExportCert => {
                let on = values::switch(text)?;
                settings.pem_export = if on { PemExport::On } else { PemExport::Off };
            }
            Opt::Admin => settings.admin = Some(values::listener(text)?),
            Opt::AccessLog => settings.access_log.target = values::access_log(text)?,
            Opt::AccessLogFormat => settings.access_log.format = values::access_log_format(text)?,
            Opt::LogLevel => settings.log_level = values::log_level(text)?,
            Opt::Workers => settings.workers = values::number(text, 1, limits::WORKERS_MAX)?,
            Opt::Io => settings.io = values::io_choice(text)?,
            Opt::ConnectionsMax => {
                settings.limits.connections_max = values::number(text, 1, limits::CONNECTIONS_MAX)?;
            }
            Opt::MemoryMax => settings.limits.memory_max = values::memory_max(text)?,
            Opt::StickySecret => settings.sticky_secret = Some(resilience::secret(text)?),
            _ => self.set_elsewhere(opt, text)?,
        }
        Ok(())
    }

    /// Options whose values have a file of their own, the last arm those of keys.
    fn set_elsewhere(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        let settings = &mut self.settings;
        match opt {
            Opt::VassalRequired
            | Opt::ToleranceInactive
            | Opt::MulticastInterface
            | Opt::Resubscribe
            | Opt::UseCredentials
            | Opt::SignSkipUid
            | Opt::CredentialsCheck => {
                settings.senders.set(opt, text)?;
            }
            Opt::AdminAuth | Opt::AdminTokenFile | Opt::AdminTokenSha256 => {
                settings.viewers.set(opt, text)?;
            }
            Opt::Ctl | Opt::CtlMode | Opt::CtlGroup | Opt::CtlOperators | Opt::AuditLog => {
                settings.ctl.set(opt, text)?;
            }
            Opt::Otlp | Opt::TraceSample | Opt::TraceClientRate => {
                traces::set(&mut settings.traces, opt, text)?;
            }
            Opt::EmperorSocket | Opt::WakeTotalMax => {
                on_demand::set_router(&mut settings.waking, opt, text)?;
            }
            Opt::User | Opt::Group | Opt::KeepCapabilities | Opt::Seccomp => {
                settings.privileges.set(opt, text)?;
            }
            Opt::ExchangesMax | Opt::ClientConnectionsMax | Opt::HeadsMax => {
                resilience::set_router(&mut settings.limits, opt, text)?;
            }
            _ => {
                if self.seen.count(opt) == 1 {
                    // A list begins anew, without the entries it has by default.
                    key_table::clear(&mut settings.policy, opt);
                }
                key_table::set(&mut settings.policy, opt, text)?;
            }
        }
        Ok(())
    }

    /// What no value shows alone.
    fn check(&self, problems: &mut Vec<Problem>) {
        if !self.listener_written {
            problems.push(Problem::NoListener { program: self.settings.program });
        }
        self.check_stream_overlap(problems);
        let subscribe = || self.settings.subscribe.iter().zip(&self.subscribe_places);
        self.settings.ctl.check(&self.seen, problems);
        self.settings.senders.check(&self.seen, subscribe(), problems);
        self.settings.privileges.check(&self.seen, problems);
        let sign_check_written = self.seen.has(Opt::SignCheck);
        if sign_check_written || self.settings.allow_unsigned {
            return;
        }
        for (addr, place) in subscribe() {
            if !addr.is_local() {
                let (place, addr) = (place.clone(), addr.clone());
                problems.push(Problem::Unsigned { place, addr });
            }
        }
    }

    /// Listeners of clients and admin are all streams: one address cannot serve two of them.
    fn check_stream_overlap(&self, problems: &mut Vec<Problem>) {
        let settings = &self.settings;
        let http = settings.http.iter().map(|addr| (Opt::Http, addr));
        let https = settings.https.iter().map(|addr| (Opt::Https, addr));
        let tls = settings.tls_passthrough.iter().map(|addr| (Opt::TlsPassthrough, addr));
        let tcp = settings.tcp.iter().map(|raw| (Opt::Tcp, &raw.listen));
        let uwsgi = settings.packets.listen.iter().map(|addr| (Opt::Uwsgi, addr));
        let admin = settings.admin.iter().map(|addr| (Opt::Admin, addr));
        let ctl = settings.ctl.address();
        let own = admin.chain(ctl.iter().map(|addr| (Opt::Ctl, addr)));
        let mut owners: HashMap<&ListenAddr, Opt> = HashMap::new();
        for (opt, addr) in http.chain(https).chain(tls).chain(tcp).chain(uwsgi).chain(own) {
            if has_free_port(addr) {
                continue;
            }
            match owners.insert(addr, opt) {
                Some(owner) if owner != opt || opt == Opt::Tcp => problems.push(Problem::Taken {
                    place: self.seen.place_of(opt, addr),
                    opt,
                    addr: addr.clone(),
                    owner,
                    first: self.seen.place_of(owner, addr),
                }),
                _ => {}
            }
        }
    }
}

fn tolerance(text: &str) -> Result<Duration, String> {
    values::duration(text, limits::TOLERANCE_MIN, limits::TOLERANCE_MAX)
}
