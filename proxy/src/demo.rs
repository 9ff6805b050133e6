//! `suzerain demo`: a router, a signed demo site and the lines to play on with, all on loopback.
//!
//! Everything it makes lies in one private directory that goes away at the end. The demo site
//! joins exactly as a stranger would: with a signed datagram to the subscription socket.

mod banner;
mod materials;
mod page;
mod ports;
mod site;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;
use route_table::RouteKey;
use router_core::address::ListenAddr;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use subscribe::Digest;
use subscribe::announce::{AnnounceError as SignerError, Signer};

use crate::announce::Voice;
use crate::config::{Settings, SignCheck};
use crate::{Ready, RunError};

use banner::Banner;
use materials::Materials;
use site::Site;

/// Key of the built-in site.
const DEMO_KEY: &str = "demo.localhost";
/// Key that waits for a real uWSGI app.
const APP_KEY: &str = "app.localhost";
/// As uWSGI does.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);
/// How long the site may take until it is routed.
const ROUTED_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Arguments of `demo`.
#[derive(Args, Clone, Debug, Default)]
pub struct DemoArgs {
    /// Listen for HTTP here [default: 127.0.0.1:8080, or a free port if that is taken]
    #[arg(long, value_name = "IP:PORT")]
    pub http: Option<SocketAddr>,
    /// Listen for HTTPS here [default: 127.0.0.1:8443, or a free port if that is taken]
    #[arg(long, value_name = "IP:PORT")]
    pub https: Option<SocketAddr>,
    /// Take subscriptions here [default: 127.0.0.1:7171, or a free port if that is taken]
    #[arg(long, value_name = "IP:PORT")]
    pub subscribe: Option<SocketAddr>,
    /// Serve stats and metrics here [default: 127.0.0.1:9090, or a free port if that is taken]
    #[arg(long, value_name = "IP:PORT")]
    pub admin: Option<SocketAddr>,
}

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its directory, keys or app file cannot be made.
    #[error("the demo's directory: {0}")]
    Directory(io::Error),
    /// The keys cannot be made.
    #[error("the demo's keys: {0}")]
    Keys(#[from] rcgen::Error),
    /// The fresh key does not sign.
    #[error("the demo's key: {0}")]
    Signer(#[from] SignerError),
    /// The demo site does not start.
    #[error("the demo site: {0}")]
    Site(io::Error),
    /// The site cannot be announced.
    #[error("announcing the demo site: {0}")]
    Announce(io::Error),
    /// The router does not start.
    #[error(transparent)]
    Router(#[from] RunError),
    /// The site was announced and nothing came of it.
    #[error("the demo site was not routed within {ROUTED_WITHIN:?}")]
    Unrouted,
}

/// Runs the demo until SIGINT or SIGTERM.
///
/// # Errors
/// Whatever keeps the demo from being reachable.
pub fn run(args: &DemoArgs) -> Result<(), DemoError> {
    let materials = Materials::make(&[DEMO_KEY, APP_KEY])?;
    let site = Site::start(DEMO_KEY).map_err(DemoError::Site)?;
    let signer = Signer::from_pem(Digest::Sha256, &materials.private_pem(DEMO_KEY)?)?;
    let settings = settings(args, &materials);
    let (stop, stopped) = channel();
    let banner = Banner::new(&materials);
    let mut guest = None;
    let on_ready = |ready: &Ready| {
        let facts = Guest { ready: ready.clone(), site: site.addr(), signer, banner, stopped };
        guest = Some(std::thread::spawn(move || facts.live()));
    };
    stop_on_signals(stop.clone()).map_err(DemoError::Site)?;
    let ended = crate::run(settings, None, crate::HttpFront, on_ready);
    // The router ended, by the same signal or by an error: then nothing else stops the guest.
    let _ = stop.send(());
    let lived = guest.map_or(Ok(()), |guest| guest.join().unwrap_or(Err(DemoError::Unrouted)));
    site.stop();
    drop(materials);
    ended?;
    lived
}

fn settings(args: &DemoArgs, materials: &Materials) -> Settings {
    let tcp = |wanted: Option<SocketAddr>, port| {
        ListenAddr::Tcp(wanted.unwrap_or_else(|| ports::tcp_or_free(port)))
    };
    let udp = args.subscribe.unwrap_or_else(|| ports::udp_or_free(7171));
    Settings {
        http: vec![tcp(args.http, 8080)],
        https: vec![tcp(args.https, 8443)],
        subscribe: vec![ListenAddr::Tcp(udp)],
        sign_check: Some(SignCheck { digest: Digest::Sha256, dir: materials.public_dir() }),
        admin: Some(tcp(args.admin, 9090)),
        ..Settings::default()
    }
}

fn stop_on_signals(stop: Sender<()>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("demo-signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                if stop.send(()).is_err() {
                    return;
                }
            }
        })
        .map(drop)
}

/// The demo site as a subscriber of a running router.
struct Guest {
    ready: Ready,
    site: SocketAddr,
    signer: Signer,
    banner: Banner,
    stopped: Receiver<()>,
}

impl Guest {
    fn live(self) -> Result<(), DemoError> {
        let key = RouteKey::parse(DEMO_KEY.as_bytes()).expect("a host name in lower case");
        let servers = &self.ready.subscribe;
        let mut voice = Voice::for_http_site(key, self.site, servers, self.signer.clone())
            .map_err(DemoError::Announce)?;
        let lived = self.stay(&mut voice);
        voice.unsubscribe();
        lived
    }

    fn stay(&self, voice: &mut Voice) -> Result<(), DemoError> {
        voice.subscribe();
        let deadline = Instant::now() + ROUTED_WITHIN;
        while !self.is_routed() {
            if Instant::now() >= deadline {
                return Err(give_up());
            }
            if self.stopped_within(LOOK_EVERY) {
                return Ok(());
            }
        }
        let text = self.banner.text(&self.ready);
        let mut out = io::stdout().lock();
        // A reader that went away does not end the demo.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        drop(out);
        while !self.stopped_within(ANNOUNCE_EVERY) {
            voice.subscribe();
        }
        Ok(())
    }

    fn is_routed(&self) -> bool {
        let http = self.ready.http.iter().find_map(ListenAddr::ip);
        http.is_some_and(|addr| site::answers(addr, DEMO_KEY))
    }

    fn stopped_within(&self, pause: Duration) -> bool {
        !matches!(self.stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
    }
}

/// Ends the router the way Ctrl-C does, so that it drains before the error is shown.
fn give_up() -> DemoError {
    let _ = signal_hook::low_level::raise(SIGTERM);
    DemoError::Unrouted
}
