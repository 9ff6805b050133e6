//! From values with places to [`Settings`]: each value is parsed, bounded and checked against the
//! file system, then the whole against itself.
//!
//! Nothing is bound or created. A problem never hides another: parsing goes on with the default.

use std::collections::HashMap;
use std::time::Duration;

use route_table::Dotsplit;
use router_core::address::ListenAddr;

use super::catalog::{Opt, Shape};
use super::problem::{Place, Problem};
use super::{Given, Settings, limits, values};

/// Turns what was given into settings; what is wrong is added to `problems`.
pub fn settle(given: Vec<Given>, problems: &mut Vec<Problem>) -> Settings {
    let mut draft = Draft::default();
    for one in given {
        if let Err(problem) = draft.take(one) {
            problems.push(problem);
        }
    }
    draft.check(problems);
    draft.settings
}

#[derive(Default)]
struct Draft {
    settings: Settings,
    /// First place of every option; of every value for options that take many.
    seen: HashMap<(Opt, String), Place>,
    counts: HashMap<Opt, usize>,
    subscribe_places: Vec<Place>,
    /// A listener was written, even if it was written wrongly.
    listener_written: bool,
}

impl Draft {
    fn take(&mut self, given: Given) -> Result<(), Problem> {
        let Given { opt, text, place } = given;
        self.listener_written |= matches!(opt, Opt::Http | Opt::Https);
        self.count(opt, &text, &place)?;
        let wrong =
            |why: String| Problem::Value { place: place.clone(), opt, read: text.clone(), why };
        self.set(opt, &text).map_err(wrong)?;
        if opt == Opt::Subscribe {
            self.subscribe_places.push(place);
        }
        Ok(())
    }

    fn count(&mut self, opt: Opt, text: &str, place: &Place) -> Result<(), Problem> {
        let many = opt.facts().shape == Shape::Many;
        let listener = matches!(opt, Opt::Http | Opt::Https | Opt::Subscribe);
        let count = self.counts.entry(opt).or_default();
        *count += 1;
        let max = match opt {
            Opt::Route => limits::ROUTES_MAX,
            _ if listener => limits::LISTENERS_MAX,
            _ => limits::LIST_MAX,
        };
        if *count > max {
            return Err(Problem::TooMany { place: place.clone(), opt, max });
        }
        // Port 0 may be asked for twice: the kernel answers with two ports.
        if listener && text.parse::<ListenAddr>().is_ok_and(|addr| has_free_port(&addr)) {
            return Ok(());
        }
        let what = if many { text.to_owned() } else { String::new() };
        if let Some(first) = self.seen.get(&(opt, what.clone())) {
            let (place, first) = (place.clone(), first.clone());
            return Err(Problem::Twice { place, opt, read: text.to_owned(), first });
        }
        self.seen.insert((opt, what), place.clone());
        Ok(())
    }

    fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        let settings = &mut self.settings;
        match opt {
            Opt::Http => settings.http.push(values::listener(text)?),
            Opt::Https => settings.https.push(values::listener(text)?),
            Opt::ProxyProtocol => settings.proxy_protocol.push(values::proxy_source(text)?),
            Opt::Subscribe => settings.subscribe.push(values::listener(text)?),
            Opt::SignCheck => settings.sign_check = Some(values::sign_check(text)?),
            Opt::SignTolerance => settings.sign_tolerance = tolerance(text)?,
            Opt::Tolerance => settings.tolerance = tolerance(text)?,
            Opt::AllowUnsigned => settings.allow_unsigned = values::switch(text)?,
            Opt::UpstreamAllow => settings.upstream_allow.push(values::allow_rule(text)?),
            Opt::Route => settings.route.push(values::static_route(text)?),
            Opt::Dotsplit => {
                let on = values::switch(text)?;
                settings.dotsplit = if on { Dotsplit::On } else { Dotsplit::Off };
            }
            Opt::DefaultCert => settings.default_cert = Some(values::cert_pair(text)?),
            Opt::CertDir => settings.cert_dir = Some(values::directory(text)?),
            Opt::CertRoot => settings.cert_root.push(values::directory(text)?),
            Opt::Admin => settings.admin = Some(values::listener(text)?),
            Opt::AccessLog => settings.access_log = values::access_log(text)?,
            Opt::LogLevel => settings.log_level = values::log_level(text)?,
            Opt::Workers => settings.workers = values::number(text, 1, limits::WORKERS_MAX)?,
            Opt::Io => settings.io = values::io_choice(text)?,
            Opt::ConnectionsMax => {
                settings.limits.connections_max = values::number(text, 1, limits::CONNECTIONS_MAX)?;
            }
            Opt::BodyBytesMax => settings.limits.body_bytes_max = values::bytes_or_none(text)?,
            _ => *self.timeout(opt) = timeout(text)?,
        }
        Ok(())
    }

    fn timeout(&mut self, opt: Opt) -> &mut Duration {
        let timeouts = &mut self.settings.timeouts;
        match opt {
            Opt::TimeoutHead => &mut timeouts.head,
            Opt::TimeoutKeepalive => &mut timeouts.keepalive,
            Opt::TimeoutBodyIdle => &mut timeouts.body_idle,
            Opt::TimeoutConnect => &mut timeouts.connect,
            Opt::TimeoutFirstByte => &mut timeouts.first_byte,
            Opt::TimeoutResponseIdle => &mut timeouts.response_idle,
            Opt::TimeoutWriteStall => &mut timeouts.write_stall,
            Opt::TimeoutTlsHandshake => &mut timeouts.tls_handshake,
            Opt::TimeoutTunnel => &mut timeouts.tunnel,
            _ => &mut timeouts.drain,
        }
    }

    /// What no value shows alone.
    fn check(&self, problems: &mut Vec<Problem>) {
        if !self.listener_written {
            problems.push(Problem::NoListener);
        }
        self.check_stream_overlap(problems);
        let sign_check_written = self.counts.contains_key(&Opt::SignCheck);
        if sign_check_written || self.settings.allow_unsigned {
            return;
        }
        for (addr, place) in self.settings.subscribe.iter().zip(&self.subscribe_places) {
            if !addr.is_local() {
                let (place, addr) = (place.clone(), addr.clone());
                problems.push(Problem::Unsigned { place, addr });
            }
        }
    }

    /// HTTP, HTTPS and admin are all streams: one address cannot serve two of them.
    fn check_stream_overlap(&self, problems: &mut Vec<Problem>) {
        let settings = &self.settings;
        let http = settings.http.iter().map(|addr| (Opt::Http, addr));
        let https = settings.https.iter().map(|addr| (Opt::Https, addr));
        let admin = settings.admin.iter().map(|addr| (Opt::Admin, addr));
        let mut owners: HashMap<&ListenAddr, Opt> = HashMap::new();
        for (opt, addr) in http.chain(https).chain(admin) {
            if has_free_port(addr) {
                continue;
            }
            match owners.insert(addr, opt) {
                Some(owner) if owner != opt => problems.push(Problem::Taken {
                    place: self.place_of(opt, addr),
                    opt,
                    addr: addr.clone(),
                    owner,
                    first: self.place_of(owner, addr),
                }),
                _ => {}
            }
        }
    }

    fn place_of(&self, opt: Opt, addr: &ListenAddr) -> Place {
        let of_opt = self.seen.iter().filter(|((seen, _), _)| *seen == opt);
        let mut same = of_opt.filter(|((_, text), _)| {
            text.is_empty() || text.parse::<ListenAddr>().is_ok_and(|read| read == *addr)
        });
        same.next().map_or(Place::Flag(opt), |(_, place)| place.clone())
    }
}

fn has_free_port(addr: &ListenAddr) -> bool {
    matches!(addr, ListenAddr::Tcp(addr) if addr.port() == 0)
}

fn tolerance(text: &str) -> Result<Duration, String> {
    values::duration(text, limits::TOLERANCE_MIN, limits::TOLERANCE_MAX)
}

fn timeout(text: &str) -> Result<Duration, String> {
    values::duration(text, limits::TIMEOUT_MIN, limits::TIMEOUT_MAX)
}
