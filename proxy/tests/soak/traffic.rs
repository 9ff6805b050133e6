//! Clients that ask all the time, of every kind a router has, and note what becomes of it.

mod http1;
mod http2;
mod websocket;
pub mod wire;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{scale::Scale, tally::Tally};

/// The host of everything that is never touched.
pub const HOST: &str = "steady.test";
/// Longest that any step of a client may take; far below every deadline of the router.
pub const STEP_MAX: Duration = Duration::from_secs(8);

/// Where the router listens and whom it is believed by.
#[derive(Clone)]
pub struct Target {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub roots: Arc<RootCertStore>,
}

/// Everything a client needs.
#[derive(Clone)]
pub struct Desk {
    target: Target,
    tally: Tally,
    /// True once the clients are to end after the exchange they are in.
    ending: watch::Receiver<bool>,
}

/// Running clients.
pub struct Traffic {
    tasks: JoinSet<()>,
    end: watch::Sender<bool>,
}

impl Traffic {
    /// Starts clients of every kind. Must be called within a `LocalSet`.
    pub fn start(target: &Target, tally: &Tally, scale: Scale) -> Self {
        let (end, ending) = watch::channel(false);
        let desk = Desk { target: target.clone(), tally: tally.clone(), ending };
        let mut tasks = JoinSet::new();
        // Shares of the rate in percent, each by so many clients.
        let share = |percent: u32, clients: u32| {
            let each = f64::from(scale.rate) * f64::from(percent) / 100.0 / f64::from(clients);
            (0..clients).map(move |_| Duration::from_secs_f64(1.0 / each))
        };
        share(45, 16)
            .for_each(|period| drop(tasks.spawn_local(http1::keep_asking(desk.clone(), period))));
        share(20, 8).for_each(|period| {
            drop(tasks.spawn_local(http1::keep_asking_tls(desk.clone(), period)))
        });
        share(5, 4)
            .for_each(|period| drop(tasks.spawn_local(http1::connect_anew(desk.clone(), period))));
        share(2, 2).for_each(|period| {
            drop(tasks.spawn_local(http1::keep_uploading(desk.clone(), period)))
        });
        share(20, 4)
            .for_each(|period| drop(tasks.spawn_local(http2::keep_asking(desk.clone(), period))));
        share(8, scale.websockets).for_each(|period| {
            drop(tasks.spawn_local(websocket::keep_talking(desk.clone(), period)))
        });
        Self { tasks, end }
    }

    /// Ends all clients, each after the exchange it is in.
    pub async fn stop(mut self) {
        let _ = self.end.send(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no client panicked");
        }
    }
}

impl Desk {
    /// Calls `act` once per `period` until the clients are to end. Late ones are made up for.
    async fn every(&self, period: Duration, mut act: impl AsyncFnMut()) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while !*self.ending.borrow() {
            ticks.tick().await;
            act().await;
        }
    }

    async fn tcp(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let stream = in_time(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn tls(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = self.tcp(self.target.https).await?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(self.target.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(HOST).expect("a name");
        in_time(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }
}

/// `work`, if it takes no longer than [`STEP_MAX`].
pub async fn in_time<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    timeout(STEP_MAX, work).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}
