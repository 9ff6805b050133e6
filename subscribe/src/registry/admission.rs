//! The order in which a datagram is checked, and what an accepted one changes.
//!
//! From cheap to dear. Nothing is remembered of a datagram before its signature verified.

use std::sync::Arc;

use route_table::{Address, Announcer, Credentials, Node, NodeFacts, NodeOrigin, Proto, RouteKey};

use super::identity::{Known, Wish};
use super::{Forwarding, Growth, Now, Registry, Source, VassalNames, Verdict};
use crate::datagram::Subscription;
use crate::effect::{Departure, Effect};
use crate::keyring::KeyFiles;
use crate::proof::Proven;
use crate::reject::Reject;
use crate::sni::Claimed;
use crate::upstream_policy::UpstreamPolicy;

/// A datagram that was read, and what of it this registry knows.
struct Claim<'c> {
    subscription: &'c Subscription<'c>,
    route: RouteKey,
    address: Address,
    sender: Option<Credentials>,
    known: Known,
}

impl Registry {
    pub(super) fn admit_and_apply(
        &mut self,
        now: Now,
        source: &Source,
        datagram: &[u8],
        keys: &mut dyn KeyFiles,
    ) -> Result<Verdict, Reject> {
        if datagram.len() > crate::limits::DATAGRAM_BYTES_MAX {
            return Err(Reject::Oversize);
        }
        let rules = self.rules.credentials.as_ref();
        let sender = rules.map(|rules| rules.sender(source)).transpose()?;
        let mut subscription = Subscription::decode(datagram)?;
        self.read_as_raw(&mut subscription);
        let wish = Wish::of(&subscription);
        let mut claim = self.read(&subscription, sender)?;
        self.check_known(wish, &claim)?;
        let proven = self.prove(now, wish, &claim, keys)?;
        let verdict = match wish {
            Wish::Serve => {
                let vouch = |proven| self.vouch(&claim.route, proven);
                if proven.as_ref().map_or(0, vouch) > 0 {
                    // What was known of the node may have left with the key that proved it.
                    let (address, vassal) = (&claim.address, subscription.vassal);
                    claim.known = self.roster.recognise(&claim.route, address, vassal);
                }
                self.serve(now, &claim)
            }
            Wish::Leave => self.leave(&claim)?,
            Wish::Sleep => self.sleep(now, &claim)?,
        };
        // Only a proof keeps a datagram from counting again when it comes back.
        if proven.is_some() && self.rules.forwarding == Forwarding::Proven {
            self.log(Effect::Forward { datagram: datagram.to_vec() });
        }
        Ok(verdict)
    }

    /// uWSGI cannot say that a node of its rawrouter takes bytes as they come.
    fn read_as_raw(&self, subscription: &mut Subscription<'_>) {
        let is_raw = |key: RouteKey| self.rules.raw_keys.contains(&key);
        if subscription.proto == Proto::Uwsgi
            && !self.rules.raw_keys.is_empty()
            && RouteKey::parse(subscription.key).is_ok_and(is_raw)
        {
            subscription.proto = Proto::Tcp;
        }
    }

    fn read<'c>(
        &self,
        subscription: &'c Subscription<'c>,
        sender: Option<Credentials>,
    ) -> Result<Claim<'c>, Reject> {
        let route = RouteKey::parse(subscription.key).map_err(|_| Reject::BadKey)?;
        if self.rules.vassal_names == VassalNames::Required && subscription.vassal.is_none() {
            return Err(Reject::MissingVassal);
        }
        let address = match subscription.address {
            [] => Address::Nowhere,
            text => Address::parse(text).map_err(|_| Reject::BadAddress)?,
        };
        if address != Address::Nowhere {
            self.rules.upstream_policy.check(&address)?;
        }
        UpstreamPolicy::check_modifier(subscription.modifier1)?;
        let known = self.roster.recognise(&route, &address, subscription.vassal);
        Ok(Claim { subscription, route, address, sender, known })
    }

    fn check_known(&self, wish: Wish, claim: &Claim<'_>) -> Result<(), Reject> {
        let known = &claim.known;
        let there = known.by_address.as_ref().map(|node| node.facts.origin);
        if there.is_some_and(|origin| origin != NodeOrigin::Subscribed) {
            return Err(Reject::StaticNode);
        }
        let concerned = match wish {
            Wish::Serve if known.announced().is_none() => {
                if self.growth == Growth::Refused {
                    return Err(Reject::ShortOfMemory);
                }
                return self.roster.check_room(&claim.route);
            }
            Wish::Serve => return Ok(()),
            Wish::Leave => known.leaving(&claim.address),
            Wish::Sleep => known.sleeping(&claim.address, claim.subscription.vassal),
        };
        // With signatures the stamp of a departed node is still worth remembering.
        match concerned {
            None if self.proofs.is_none() => Err(Reject::UnknownNode),
            _ => Ok(()),
        }
    }

    fn prove(
        &mut self,
        now: Now,
        wish: Wish,
        claim: &Claim<'_>,
        keys: &mut dyn KeyFiles,
    ) -> Result<Option<Proven>, Reject> {
        if let (Some(rules), Some(sender)) = (&self.rules.credentials, claim.sender) {
            rules.check_owner(sender, &claim.route, keys)?;
            if rules.skips_signature(sender) {
                return Ok(None);
            }
        }
        let Some(proofs) = &mut self.proofs else { return Ok(None) };
        let node = (&claim.route, &claim.address);
        let proven = proofs.prove(now.unix, wish.command(), claim.subscription, node, keys)?;
        Ok(Some(proven))
    }

    /// Adds, renews, changes or moves a node that was checked and proved.
    fn serve(&mut self, now: Now, claim: &Claim<'_>) -> Verdict {
        let subscription = claim.subscription;
        let claimed = self.certs.claim(&claim.route, subscription);
        if matches!(claimed, Claimed::New(_)) {
            self.changes.claimed(&claim.route, subscription);
        }
        let (Claimed::Same(cert) | Claimed::New(cert)) = claimed;
        let Some(node) = claim.known.announced() else {
            let node = self.roster.add(
                claim.route.clone(),
                facts(claim, None),
                subscription.algo.unwrap_or(self.rules.algorithm),
                self.due_ms(now, &claim.address),
            );
            node.load.note_announce(now.unix, subscription.cores, subscription.load);
            self.note_node(now, &claim.route, &node);
            self.acknowledge(&claim.route, subscription);
            self.log(Effect::NodeAdded { key: claim.route.clone(), node });
            self.effects.extend(cert);
            return Verdict::Added;
        };
        self.effects.extend(cert);
        if claim.address == Address::Nowhere && !node.is_asleep() {
            // Somebody keeps the name of a vassal that is awake: its address has its own lease.
            return Verdict::Renewed;
        }
        if let Some(other) = claim.known.superseded()
            && let Some(departed) = self.roster.remove(&claim.route, other.id)
        {
            self.depart(departed, Departure::Superseded);
        }
        self.update(now, claim, node, claim.address.clone())
    }

    /// Takes over what a datagram says of a node, and prolongs its lease.
    fn update(
        &mut self,
        now: Now,
        claim: &Claim<'_>,
        node: &Arc<Node>,
        address: Address,
    ) -> Verdict {
        let due_ms = self.due_ms(now, &address);
        let subscription = claim.subscription;
        let is_same = node.facts.address == address && repeats(&node.facts, subscription);
        let facts = || NodeFacts { address, ..facts(claim, Some(&node.facts)) };
        let facts = (!is_same).then(facts);
        let has_changed = facts.is_some();
        let after = self.roster.renew(&claim.route, node, due_ms, facts);
        after.load.note_announce(now.unix, subscription.cores, subscription.load);
        if has_changed {
            self.note_node(now, &claim.route, &after);
        }
        if after.id != node.id {
            self.changes.node_gone(node.id);
            let (key, from) = (claim.route.clone(), node.facts.announced.clone());
            self.log(Effect::NodeMoved { key, node: after, from });
        }
        if has_changed { Verdict::Changed } else { Verdict::Renewed }
    }

    fn leave(&mut self, claim: &Claim<'_>) -> Result<Verdict, Reject> {
        let node = claim.known.leaving(&claim.address).ok_or(Reject::UnknownNode)?;
        let departed = self.roster.remove(&claim.route, node.id).ok_or(Reject::UnknownNode)?;
        self.depart(departed, Departure::Unsubscribed);
        Ok(Verdict::Removed)
    }

    /// Takes a vassal's address away. If the vassal has a node beside the one at the address, that
    /// one stays and this one goes.
    fn sleep(&mut self, now: Now, claim: &Claim<'_>) -> Result<Verdict, Reject> {
        let sleeping = claim.known.sleeping(&claim.address, claim.subscription.vassal);
        let node: &Arc<Node> = sleeping.ok_or(Reject::UnknownNode)?;
        if claim.known.superseded().is_some() {
            return self.leave(claim);
        }
        Ok(self.update(now, claim, node, Address::Nowhere))
    }

    pub(super) fn due_ms(&self, now: Now, address: &Address) -> u64 {
        let lease_ms = match address {
            Address::Nowhere => self.rules.inactive_lease_ms,
            _ => self.rules.lease_ms,
        };
        now.mono_ms.saturating_add(lease_ms)
    }
}

/// The facts a datagram states of a node. The spelling of its address and the sender are those of the
/// announcement that brought it there; a vassal's name, once told, stays. What its connections begin
/// with is no announcement's to say.
fn facts(claim: &Claim<'_>, before: Option<&NodeFacts>) -> NodeFacts {
    let subscription = claim.subscription;
    let same = before.filter(|before| before.address == claim.address);
    let announced = match same {
        _ if subscription.clear => "".into(),
        Some(same) => same.announced.clone(),
        // The address was read from the same text, so that is UTF-8.
        None => String::from_utf8_lossy(subscription.address).into(),
    };
    let credentials = match same {
        Some(same) => same.announcer.as_ref().and_then(|announcer| announcer.credentials),
        None => claim.sender,
    };
    let vassal = subscription.vassal.or_else(|| before.and_then(NodeFacts::vassal)).map(Into::into);
    NodeFacts {
        announced,
        address: claim.address.clone(),
        proto: subscription.proto,
        opening: before.map(|before| before.opening).unwrap_or_default(),
        modifier1: subscription.modifier1,
        modifier2: subscription.modifier2,
        weight: subscription.weight,
        backup: subscription.backup,
        origin: NodeOrigin::Subscribed,
        announcer: Announcer { credentials, vassal }.known(),
    }
}

/// Whether a subscribe repeats the facts of a node, its address aside.
fn repeats(facts: &NodeFacts, subscription: &Subscription<'_>) -> bool {
    facts.proto == subscription.proto
        && facts.modifier1 == subscription.modifier1
        && facts.modifier2 == subscription.modifier2
        && facts.weight == subscription.weight
        && facts.backup == subscription.backup
        && (subscription.vassal.is_none() || subscription.vassal == facts.vassal())
}
