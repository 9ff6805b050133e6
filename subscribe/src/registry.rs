//! The authoritative state of who serves which key, and the order in which a datagram is checked.
//!
//! Owned by one thread, the subscriber. A renewal moves a lease and the node's counters and changes
//! no table; what does change one is staged and becomes visible at the next publish. A datagram
//! that is refused leaves no trace but its count.

use std::collections::VecDeque;

use route_table::{Address, Generation, RouteKey, TableWriter};

use crate::datagram::Subscription;
use crate::effect::{Departure, Effect};
use crate::keyring::{KeyFiles, Vouched};
use crate::limits::EFFECTS_PENDING_MAX;
use crate::proof::{Proofs, Proven};
use crate::reject::Reject;
use crate::sni::CertClaims;

mod admission;
mod changes;
mod config;
mod identity;
mod operator;
mod reconfigure;
mod restore;
mod roster;
mod snapshot;
mod view;

pub use config::{Forwarding, Now, Peer, RegistryConfig, Source, VassalNames};
pub use operator::StaticNodeError;
pub use restore::{Carried, Restored};
use roster::{Departed, Roster};
pub use view::{NodeView, RegistryStats};

/// The answer to a datagram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// The node is new.
    Added,
    /// The node's lease was prolonged; no table changes.
    Renewed,
    /// The node's lease was prolonged and some fact of it is another now.
    Changed,
    /// The node left.
    Removed,
    /// Nothing happened, and why.
    Rejected(Reject),
}

/// Whether datagrams may bring nodes that are not there yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Growth {
    /// They may.
    #[default]
    Welcome,
    /// There is no memory for more.
    Refused,
}

/// Keys, nodes, leases and proofs of one router.
#[derive(Debug)]
pub struct Registry {
    /// What it goes by; how much may be held is what it began with.
    rules: RegistryConfig,
    growth: Growth,
    proofs: Option<Proofs>,
    roster: Roster,
    certs: CertClaims,
    effects: VecDeque<Effect>,
    changes: changes::Changes,
    counts: view::Counts,
}

impl Registry {
    /// An empty registry that publishes through `writer`.
    #[must_use]
    pub fn new(config: RegistryConfig, writer: TableWriter) -> Self {
        let proofs =
            config.sign.map(|digest| Proofs::new(digest, config.sign_tolerance_s, &config.limits));
        Self {
            proofs,
            roster: Roster::new(config.limits, writer),
            rules: config,
            growth: Growth::default(),
            certs: CertClaims::default(),
            effects: VecDeque::new(),
            changes: changes::Changes::default(),
            counts: view::Counts::default(),
        }
    }

    /// Takes datagrams that bring nodes, or only those of nodes that are there.
    pub fn set_growth(&mut self, growth: Growth) {
        self.growth = growth;
    }

    /// Applies one datagram of at most `DATAGRAM_BYTES_MAX` bytes.
    pub fn apply(
        &mut self,
        now: Now,
        source: &Source,
        datagram: &[u8],
        keys: &mut dyn KeyFiles,
    ) -> Verdict {
        let verdict =
            self.admit_and_apply(now, source, datagram, keys).unwrap_or_else(Verdict::Rejected);
        self.counts.note(verdict);
        verdict
    }

    /// Counts a datagram that the shell refused before it could be applied.
    pub fn count_reject(&mut self, reject: Reject) {
        self.counts.note(Verdict::Rejected(reject));
    }

    /// Notes which key file proved the route, and ends the nodes that another key in the same file
    /// proved before it was replaced; returns how many.
    fn vouch(&mut self, route: &RouteKey, proven: &Proven) -> usize {
        let Some(proofs) = &mut self.proofs else { return 0 };
        let mut revoked = 0;
        match proofs.keyring.vouch(&proven.file_name, &proven.key, route) {
            Vouched::Again => return 0,
            Vouched::First => {}
            Vouched::Instead { stale } => {
                revoked = self.revoke(&stale);
                // Revoking a route releases it from its file, this one perhaps included.
                if let Some(proofs) = &mut self.proofs {
                    proofs.keyring.vouch(&proven.file_name, &proven.key, route);
                }
            }
        }
        self.changes.vouched(route, proven.key.print().0);
        revoked
    }

    /// Ends the leases that ran out; returns how many.
    pub fn sweep(&mut self, now: Now) -> usize {
        self.sweep_some(now, usize::MAX)
    }

    /// [`Registry::sweep`], but looks at no more than so many leases. What is left is due at once.
    pub fn sweep_some(&mut self, now: Now, leases_max: usize) -> usize {
        let (mut lapsed, mut left) = (0, leases_max);
        while let Some(departed) = self.roster.remove_lapsed(now.mono_ms, &mut left) {
            self.depart(departed, Departure::Lapsed);
            lapsed += 1;
        }
        if let Some(proofs) = &mut self.proofs {
            proofs.replay.sweep(now.unix);
        }
        lapsed
    }

    /// When [`Registry::sweep`] is due, in monotonic milliseconds. Never after the next expiry;
    /// before it if that node was renewed since.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.roster.next_due_ms()
    }

    /// Makes the changes of the batch visible to the workers, if there are any.
    pub fn publish(&mut self) -> Option<Generation> {
        self.roster.publish()
    }

    /// The next thing the shell must do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// A key file has these bytes now, or is gone. Unless its public key is the same as before,
    /// the nodes it proved leave at once; returns how many did.
    pub fn key_file_changed(&mut self, _now: Now, file_name: &str, pem: Option<&[u8]>) -> usize {
        let Some(proofs) = &mut self.proofs else { return 0 };
        let routes = proofs.keyring.file_changed(file_name, pem);
        self.revoke(&routes)
    }

    /// The key files whose change the registry must be told of. A name may come twice.
    pub fn watched_key_files(&self) -> impl Iterator<Item = &str> {
        self.proofs.iter().flat_map(|proofs| proofs.keyring.file_names())
    }

    /// Whether the registry must be told when this key file changes.
    #[must_use]
    pub fn needs_key_file(&self, file_name: &str) -> bool {
        self.proofs.as_ref().is_some_and(|proofs| proofs.keyring.needs(file_name))
    }

    /// Refuses stamps up to `unix` from nodes without a mark. Replay marks end with the process:
    /// call it at start with the second before, or with the predecessor's highest stamp.
    pub fn raise_replay_floor(&mut self, unix: u64) {
        if let Some(proofs) = &mut self.proofs {
            proofs.replay.raise_floor(unix);
        }
    }

    /// Ends every subscribed node of these routes; returns how many.
    fn revoke(&mut self, routes: &[RouteKey]) -> usize {
        let mut revoked = 0;
        for route in routes {
            while let Some(departed) = self.roster.remove_subscribed(route) {
                self.depart(departed, Departure::KeyRevoked);
                revoked += 1;
            }
        }
        revoked
    }

    /// What follows from the end of a node.
    fn depart(&mut self, departed: Departed, why: Departure) {
        let Departed { key, node, subscribed_left } = departed;
        self.changes.node_gone(node.id);
        if subscribed_left == 0 {
            self.changes.key_gone(&key);
            self.effects.extend(self.certs.release(&key));
            if let Some(proofs) = &mut self.proofs {
                proofs.keyring.release(&key);
            }
        }
        self.log(Effect::NodeRemoved { key, node, why });
    }

    /// The acknowledgement of a new node (subscription spec 8), if it may be sent where asked.
    fn acknowledge(&mut self, route: &RouteKey, subscription: &Subscription<'_>) {
        let Some(path) = subscription.notify else { return };
        if !path.starts_with(b"/")
            || self.rules.upstream_policy.check(&Address::Unix(path.into())).is_err()
        {
            return;
        }
        let address = String::from_utf8_lossy(subscription.address);
        let text = format!("[subscription ack] {route} => new node: {address}");
        self.log(Effect::Notify { path: path.to_vec(), text });
    }

    /// Queues an effect that may be lost when nobody polls.
    fn log(&mut self, effect: Effect) {
        if self.effects.len() < EFFECTS_PENDING_MAX {
            self.effects.push_back(effect);
        }
    }
}

#[cfg(test)]
mod reconfigure_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vassal_tests;
