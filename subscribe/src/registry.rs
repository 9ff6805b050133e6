//! The authoritative state of who serves which key, and the order in which a datagram is checked.
//!
//! Owned by one thread, the subscriber. A renewal moves a lease and the node's counters and changes
//! no table; what does change one is staged and becomes visible at the next publish. A datagram
//! that is refused leaves no trace but its count.

use std::collections::VecDeque;

use route_table::{
    Address, Algorithm, Announcer, Generation, NodeFacts, NodeOrigin, RouteKey, TableWriter,
};

use crate::credentials::CredentialRules;
use crate::datagram::{Command, Subscription};
use crate::effect::{Departure, Effect};
use crate::keyring::{KeyFiles, Keyring};
use crate::limits::EFFECTS_PENDING_MAX;
use crate::proof::{Proofs, Proven};
use crate::reject::Reject;
use crate::replay::ReplayGuard;
use crate::sni::CertClaims;
use crate::upstream_policy::UpstreamPolicy;

mod config;
mod roster;
mod view;

pub use config::{Forwarding, Now, Peer, RegistryConfig, Source};
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

/// Why a node of the configuration cannot be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StaticNodeError {
    /// The key has that address already.
    #[error("the key has a node of this address already")]
    Duplicate,
    /// One of the [`Limits`].
    #[error("{0}")]
    NoRoom(Reject),
}

/// Keys, nodes, leases and proofs of one router.
#[derive(Debug)]
pub struct Registry {
    lease_ms: u64,
    algorithm: Algorithm,
    policy: UpstreamPolicy,
    proofs: Option<Proofs>,
    credentials: Option<CredentialRules>,
    forwarding: Forwarding,
    roster: Roster,
    certs: CertClaims,
    effects: VecDeque<Effect>,
    counts: view::Counts,
}

impl Registry {
    /// An empty registry that publishes through `writer`.
    #[must_use]
    pub fn new(config: RegistryConfig, writer: TableWriter) -> Self {
        let RegistryConfig {
            sign,
            sign_tolerance_s,
            credentials,
            forwarding,
            lease_ms,
            algorithm,
            upstream_policy,
            limits,
        } = config;
        let proofs = sign.map(|digest| Proofs {
            keyring: Keyring::new(digest, limits.cached_keys_max),
            replay: ReplayGuard::new(sign_tolerance_s, limits.marks_max),
        });
        Self {
            lease_ms,
            algorithm,
            policy: upstream_policy,
            proofs,
            credentials,
            forwarding,
            roster: Roster::new(limits, writer),
            certs: CertClaims::default(),
            effects: VecDeque::new(),
            counts: view::Counts::default(),
        }
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

    /// Every check, from cheap to dear, and then the change. Nothing is remembered of a datagram
    /// before its signature verified.
    fn admit_and_apply(
        &mut self,
        now: Now,
        source: &Source,
        datagram: &[u8],
        keys: &mut dyn KeyFiles,
    ) -> Result<Verdict, Reject> {
        if datagram.len() > crate::limits::DATAGRAM_BYTES_MAX {
            return Err(Reject::Oversize);
        }
        let rules = self.credentials.as_ref();
        let sender = rules.map(|rules| rules.sender(source)).transpose()?;
        let subscription = Subscription::decode(datagram)?;
        let route = RouteKey::parse(subscription.key).map_err(|_| Reject::BadKey)?;
        let address = Address::parse(subscription.address).map_err(|_| Reject::BadAddress)?;
        self.policy.check(&address)?;
        UpstreamPolicy::check_modifier(subscription.modifier1)?;
        // A vassal that blanks its address is stopping: what uWSGI 2.1 sends instead of an
        // unsubscribe under `subscription-clear-on-shutdown`.
        let command = if subscription.clear { Command::Unsubscribe } else { subscription.command };

        let known = self.roster.find(&route, &address).map(|node| node.facts.origin);
        match (known, command) {
            (Some(NodeOrigin::Static), _) => return Err(Reject::StaticNode),
            (None, Command::Subscribe) => self.roster.check_room(&route)?,
            // With signatures the stamp of a departed node is still worth remembering.
            (None, Command::Unsubscribe) if self.proofs.is_none() => {
                return Err(Reject::UnknownNode);
            }
            (_, Command::Subscribe | Command::Unsubscribe) => {}
        }
        let mut needs_proof = true;
        if let (Some(rules), Some(sender)) = (&self.credentials, sender) {
            rules.check_owner(sender, &route, keys)?;
            needs_proof = !rules.skips_signature(sender);
        }
        let proven = match &mut self.proofs {
            Some(proofs) if needs_proof => {
                let node = (&route, &address);
                Some(proofs.prove(now.unix, command, &subscription, node, keys)?)
            }
            _ => None,
        };
        let is_proven = proven.is_some();
        let verdict = match command {
            Command::Subscribe => {
                if let Some(proven) = &proven {
                    self.vouch(&route, proven);
                }
                let announcer = Announcer { credentials: sender };
                self.subscribe(now, route, address, announcer, &subscription)
            }
            Command::Unsubscribe => {
                let departed = self.roster.remove(&route, &address).ok_or(Reject::UnknownNode)?;
                self.depart(departed, Departure::Unsubscribed);
                Verdict::Removed
            }
        };
        // Only a proof keeps a datagram from counting again when it comes back.
        if is_proven && self.forwarding == Forwarding::Proven {
            self.log(Effect::Forward { datagram: datagram.to_vec() });
        }
        Ok(verdict)
    }

    /// Adds, changes or renews a node that was checked and proved.
    fn subscribe(
        &mut self,
        now: Now,
        route: RouteKey,
        address: Address,
        announcer: Announcer,
        subscription: &Subscription<'_>,
    ) -> Verdict {
        let due_ms = now.mono_ms.saturating_add(self.lease_ms);
        let cert = self.certs.claim(&route, subscription);
        let verdict = match self.roster.renew(&route, &address, due_ms, subscription) {
            Some((verdict, node)) => {
                node.load.note_announce(now.unix, subscription.cores, subscription.load);
                verdict
            }
            None => {
                let facts = facts(address, announcer, subscription);
                let algorithm = subscription.algo.unwrap_or(self.algorithm);
                let node = self.roster.add(route.clone(), facts, algorithm, due_ms);
                node.load.note_announce(now.unix, subscription.cores, subscription.load);
                self.acknowledge(&route, subscription);
                self.log(Effect::NodeAdded { key: route, node });
                Verdict::Added
            }
        };
        self.effects.extend(cert);
        verdict
    }

    /// Notes which key file proved the route, and ends the nodes that another key in the same file
    /// proved before it was replaced.
    fn vouch(&mut self, route: &RouteKey, proven: &Proven) {
        let Some(proofs) = &mut self.proofs else { return };
        let stale = proofs.keyring.vouch(&proven.file_name, &proven.key, route);
        if stale.is_empty() {
            return;
        }
        self.revoke(&stale);
        // Revoking a route releases it from its file, this one perhaps included.
        if let Some(proofs) = &mut self.proofs {
            proofs.keyring.vouch(&proven.file_name, &proven.key, route);
        }
    }

    /// Adds a node of the configuration: it has no lease, and datagrams can neither change nor
    /// remove it. The upstream policy is not asked: the operator wrote it.
    ///
    /// # Errors
    /// [`StaticNodeError`].
    pub fn add_static(
        &mut self,
        key: RouteKey,
        mut facts: NodeFacts,
    ) -> Result<(), StaticNodeError> {
        if self.roster.find(&key, &facts.address).is_some() {
            return Err(StaticNodeError::Duplicate);
        }
        self.roster.check_room(&key).map_err(StaticNodeError::NoRoom)?;
        facts.origin = NodeOrigin::Static;
        self.roster.add(key, facts, self.algorithm, u64::MAX);
        Ok(())
    }

    /// Ends the leases that ran out; returns how many.
    pub fn sweep(&mut self, now: Now) -> usize {
        let mut lapsed = 0;
        while let Some(departed) = self.roster.remove_lapsed(now.mono_ms) {
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
        if subscribed_left == 0 {
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
        if !path.starts_with(b"/") || self.policy.check(&Address::Unix(path.into())).is_err() {
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

/// The facts a subscribe states. The address was read from the same text, so that is UTF-8.
fn facts(address: Address, announcer: Announcer, subscription: &Subscription<'_>) -> NodeFacts {
    NodeFacts {
        announced: String::from_utf8_lossy(subscription.address).into(),
        address,
        proto: subscription.proto,
        modifier1: subscription.modifier1,
        modifier2: subscription.modifier2,
        weight: subscription.weight,
        backup: subscription.backup,
        origin: NodeOrigin::Subscribed,
        announcer: announcer.known(),
    }
}

#[cfg(test)]
mod tests;
