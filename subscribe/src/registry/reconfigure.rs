//! Going by another configuration without losing what is known.
//!
//! A node that is there stays, unless its address is none any more that a subscription may bring: its
//! next datagram is judged by the new rules, and the lease sees to it that there is one soon.

use std::collections::HashMap;

use route_table::{Address, Intake, NodeFacts, NodeOrigin, RouteKey};

use super::{Now, Registry, RegistryConfig, StaticNodeError};
use crate::effect::Departure;
use crate::proof::Proofs;

impl Registry {
    /// Goes by `config` from now on; how much may be held stays as it was. Key files are read again, so
    /// the shell must look at all that are watched.
    ///
    /// If signatures were not demanded before, no stamp up to now counts.
    pub fn reconfigure(&mut self, now: Now, config: RegistryConfig) {
        self.demand(now, &config);
        self.rules = config;
        self.end_disallowed();
    }

    fn demand(&mut self, now: Now, config: &RegistryConfig) {
        let Some(digest) = config.sign else {
            self.proofs = None;
            return;
        };
        if let Some(proofs) = &mut self.proofs {
            proofs.keyring.begin_anew(digest);
            proofs.replay.tolerate(config.sign_tolerance_s);
            return;
        }
        let mut proofs = Proofs::new(digest, config.sign_tolerance_s, &config.limits);
        proofs.replay.raise_floor(now.unix.saturating_sub(1));
        self.proofs = Some(proofs);
    }

    /// Ends the nodes that a subscription could not bring any more.
    fn end_disallowed(&mut self) {
        let is_out = |facts: &NodeFacts| {
            facts.origin == NodeOrigin::Subscribed
                && facts.address != Address::Nowhere
                && self.rules.upstream_policy.check(&facts.address).is_err()
        };
        let out = self.roster.iter().filter(|(_, node)| is_out(&node.facts));
        let out: Vec<_> = out.map(|(key, node)| (key.clone(), node.id)).collect();
        for (key, id) in out {
            if let Some(departed) = self.roster.remove(&key, id) {
                self.depart(departed, Departure::Disallowed);
            }
        }
    }

    /// Makes the nodes of the configuration these. One that stays the same keeps its counters; one that
    /// was subscribed, or added by an operator, is the configuration's from now on. What is drained
    /// stays so, and nodes of operators elsewhere are left alone.
    ///
    /// # Errors
    /// The key of one that there is no room for, and why. The others are there.
    pub fn set_static(
        &mut self,
        wanted: Vec<(RouteKey, NodeFacts)>,
    ) -> Result<(), (RouteKey, StaticNodeError)> {
        let mut missing: HashMap<(RouteKey, Address), NodeFacts> = HashMap::new();
        for (key, mut facts) in wanted {
            facts.origin = NodeOrigin::Static;
            missing.insert((key, facts.address.clone()), facts);
        }
        let (mut gone, mut drained) = (Vec::new(), Vec::new());
        for (key, node) in self.roster.iter() {
            let place = (key.clone(), node.facts.address.clone());
            let stays = match missing.get(&place) {
                Some(facts) => *facts == node.facts,
                None => node.facts.origin != NodeOrigin::Static,
            };
            if !stays {
                if node.intake == Intake::Drained {
                    drained.push(place.clone());
                }
                gone.push((place, node.id, node.facts.origin));
            } else if node.facts.origin == NodeOrigin::Static {
                missing.remove(&place);
            }
        }
        for ((key, address), id, origin) in gone {
            match origin {
                NodeOrigin::Static => {
                    self.roster.remove_static(&key, id);
                    self.changes.node_gone(id);
                }
                NodeOrigin::Operator => {
                    if let Some(departed) = self.roster.remove_operators(&key, &address) {
                        self.depart(departed, Departure::Superseded);
                    }
                }
                NodeOrigin::Subscribed => {
                    if let Some(departed) = self.roster.remove(&key, id) {
                        self.depart(departed, Departure::Superseded);
                    }
                }
            }
        }
        let mut refused = None;
        for ((key, _), facts) in missing {
            let text = key.clone();
            if let Err(why) = self.add_static(key, facts) {
                refused = Some((text, why));
            }
        }
        for (key, address) in drained {
            self.set_intake(&key, &address, Intake::Drained);
        }
        refused.map_or(Ok(()), Err)
    }
}
