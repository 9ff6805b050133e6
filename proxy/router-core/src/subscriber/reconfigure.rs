//! Other sockets, directories and rules for the thread that runs.
//!
//! What can fail is prepared on the thread of whoever asks, which leaves the running one as it is. Of
//! the nodes those stay that the registry says stay; datagrams in sockets that stay are not lost.

use std::path::PathBuf;

use super::key_watch::{KeyWatch, SignDirectory};
use super::relay::Relay;
use super::socket::{AskCredentials, DatagramSocket, Senders};
use super::thread_loop::{Ask, Shell};
use super::{
    BINDS_MAX, OwnerDirectories, SubscriberConfig, SubscriberError, SubscriberHandle, who_sends,
};
use crate::address::ListenAddr;
use crate::estate::{Estate, Kind};
use route_table::{NodeFacts, RouteKey};
use subscribe::RegistryConfig;

/// What the thread runs by until it is told otherwise.
#[derive(Debug)]
pub struct Standing<'a> {
    /// Its sockets as configured, and where each is bound.
    pub sockets: &'a [(ListenAddr, ListenAddr)],
    /// Its directory of public keys.
    pub sign_dir: Option<PathBuf>,
    /// The routers it tells.
    pub resubscribe: &'a [ListenAddr],
}

/// A change of the thread that can be made.
#[derive(Debug)]
pub struct Reconfiguration {
    /// Sockets by the order of the configuration, as configured and bound.
    pub sockets: Vec<(ListenAddr, ListenAddr)>,
    added: Vec<DatagramSocket>,
    senders: Senders,
    ask: AskCredentials,
    key_files: Option<(SignDirectory, Option<KeyWatch>)>,
    owners: OwnerDirectories,
    relay: Option<Relay>,
    registry: RegistryConfig,
    static_nodes: Vec<(RouteKey, NodeFacts)>,
}

impl Reconfiguration {
    /// Binds and opens what `config` has and the thread has not.
    ///
    /// # Errors
    /// If one of these fails; what was bound for it is closed again.
    pub fn prepare(config: SubscriberConfig, now: &Standing<'_>) -> Result<Self, SubscriberError> {
        if config.binds.len() > BINDS_MAX {
            return Err(SubscriberError::TooManyBinds { count: config.binds.len() });
        }
        let (senders, ask) = who_sends(&config)?;
        let key_files = if now.sign_dir == config.sign_dir {
            None
        } else {
            let directory = SignDirectory::open(config.sign_dir.clone()).map_err(|cause| {
                SubscriberError::SignDir {
                    path: config.sign_dir.clone().unwrap_or_default(),
                    cause,
                }
            })?;
            Some((directory, config.sign_dir.as_deref().map(KeyWatch::new)))
        };
        let relay = match now.resubscribe == config.resubscribe {
            true => None,
            false => Some(Relay::open(&config.resubscribe)?),
        };
        let mut prepared = Self {
            sockets: Vec::new(),
            added: Vec::new(),
            senders,
            ask,
            key_files,
            owners: OwnerDirectories(config.owner_dirs.clone()),
            relay,
            registry: config.registry.clone(),
            static_nodes: config.static_nodes.clone(),
        };
        prepared.bind(&config, now).inspect_err(|_| prepared.close(&config.estate))?;
        Ok(prepared)
    }

    fn bind(
        &mut self,
        config: &SubscriberConfig,
        now: &Standing<'_>,
    ) -> Result<(), SubscriberError> {
        let mut unclaimed: Vec<_> = now.sockets.iter().collect();
        for addr in &config.binds {
            if let Some(at) = unclaimed.iter().position(|(written, _)| written == addr) {
                self.sockets.push(unclaimed.remove(at).clone());
                continue;
            }
            let (interfaces, estate) = (&config.multicast_interfaces, &config.estate);
            let socket = DatagramSocket::bind(addr, self.senders, self.ask, interfaces, estate)
                .map_err(|cause| SubscriberError::Bind { addr: addr.clone(), cause })?;
            self.sockets.push((addr.clone(), socket.local_addr()));
            self.added.push(socket);
        }
        Ok(())
    }

    /// Gives up what was bound for it.
    pub fn close(&mut self, estate: &Estate) {
        for socket in self.added.drain(..) {
            estate.release(Kind::Datagram, &socket.local_addr());
        }
    }
}

impl SubscriberHandle {
    /// Has the thread run by `next` from its next turn on.
    pub fn reconfigure(&self, next: Reconfiguration) {
        self.ask(Ask::Reconfigure(Box::new(next)));
    }
}

impl Shell {
    pub(super) fn reconfigure(&mut self, next: Reconfiguration) {
        let Reconfiguration {
            sockets,
            added,
            senders,
            ask,
            key_files,
            owners,
            relay,
            registry,
            static_nodes,
        } = next;
        self.sockets.retain(|socket| {
            let at = socket.local_addr();
            sockets.iter().any(|(_, bound)| *bound == at)
        });
        for socket in &mut self.sockets {
            if let Err(error) = socket.adapt(senders, ask) {
                tracing::error!(%error, at = %socket.local_addr(), "subscription socket keeps its mode");
            }
        }
        self.sockets.extend(added);
        self.key_directories.owners = owners;
        if let Some((directory, watch)) = key_files {
            self.key_directories.keys = directory;
            self.key_watch = watch;
        }
        if let Some(relay) = relay {
            self.effects.relay = relay;
        }
        self.registry.reconfigure(self.clock.now(), registry);
        if let Err((key, error)) = self.registry.set_static(static_nodes) {
            tracing::error!(%error, key = key.as_str(), "a configured node is left out");
        }
        if let Some(watch) = &mut self.key_watch {
            watch.note_unread(self.registry.watched_key_files());
        }
    }
}
