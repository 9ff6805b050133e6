//! Taking over what a predecessor knew.
//!
//! The predecessor believed what it wrote down, under its own configuration; this one may be
//! stricter. So every node is checked as a datagram is, but for the signature: whether its key is a
//! key, its address allowed, its announcer the owner, room left. A node that fails is left out, and
//! has to announce itself as if it were new.

use std::collections::HashMap;

use route_table::{Address, Intake, NodeFacts, NodeOrigin, RouteKey};

use super::{Now, Registry, StaticNodeError, VassalNames};
use crate::keyring::{KeyFiles, key_file_name};
use crate::reject::Reject;
use crate::state::StateError;
use crate::state::record::{ClaimRecord, NodeRecord, OperatorRecord, Record, records};
use crate::verify::KeyPrint;

/// How a state came here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carried {
    /// A process that has stopped listening handed it over just now. Leases go on with what was left
    /// of them, and a stamp that counted there counts no more here. Key files are not read: the
    /// caller looks at [`Registry::watched_key_files`] soon.
    HandedOver,
    /// A process that is gone left it behind. Each node has one lease in which to announce itself,
    /// and is there only if the file of its key still holds the key that proved it.
    LeftBehind,
}

/// What came of a state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Restored {
    /// Nodes that are back.
    pub nodes: usize,
    /// Nodes that may not come back.
    pub refused: usize,
    /// Whether the replay memory came along. Without it the floor is the caller's to raise.
    pub replay: bool,
}

/// What the nodes that come back are judged by.
struct Coming<'c> {
    now: Now,
    carried: Carried,
    /// Which public key vouched for each key in the predecessor, and whether it does so here; unknown
    /// until the first node of the key is restored.
    vouches: HashMap<RouteKey, (KeyPrint, Option<bool>)>,
    files: &'c mut dyn KeyFiles,
}

impl Registry {
    /// Takes over a state that [`Registry::export`] wrote, or that was made of a journal. For a
    /// registry that has no subscribed node yet; configured ones come first.
    ///
    /// # Errors
    /// [`StateError`]; nothing is taken over then.
    pub fn restore(
        &mut self,
        now: Now,
        carried: Carried,
        state: &[u8],
        files: &mut dyn KeyFiles,
    ) -> Result<Restored, StateError> {
        let all = records(state)?;
        let mut nodes = 0;
        for record in all.clone() {
            nodes += usize::from(matches!(record?, Record::Node(_)));
        }
        self.roster.reserve(nodes);
        let mut restored = Restored::default();
        let mut coming = Coming { now, carried, vouches: HashMap::new(), files };
        for record in all.flatten() {
            match record {
                Record::Replay { key, floor, highest } => {
                    if let Some(proofs) = &mut self.proofs {
                        proofs.replay.restore(key, floor, highest);
                        restored.replay = true;
                    }
                }
                Record::Marks(marks) => {
                    if let Some(proofs) = &mut self.proofs {
                        marks.iter().for_each(|mark| proofs.replay.restore_mark(mark));
                    }
                }
                Record::Vouch { key, print } => {
                    if let Ok(key) = RouteKey::parse(key.as_bytes()) {
                        coming.vouches.insert(key, (KeyPrint(print), None));
                    }
                }
                Record::Node(record) => match self.restore_node(&record, &mut coming) {
                    Ok(()) => restored.nodes += 1,
                    Err(_) => restored.refused += 1,
                },
                Record::Operator(record) => match self.restore_operators(&record) {
                    Ok(()) => restored.nodes += 1,
                    Err(_) => restored.refused += 1,
                },
                Record::Drained { key, announced, vassal }
                | Record::NodeDrained { key, announced, vassal, .. } => {
                    self.restore_drained(key, announced, vassal);
                }
                Record::Claim(record) => self.restore_claim(&record),
                Record::NodeGone { .. }
                | Record::NodeOpened { .. }
                | Record::KeyGone { .. }
                | Record::End { .. } => {}
            }
        }
        self.effects.extend(self.certs.loads());
        Ok(restored)
    }

    fn restore_node(
        &mut self,
        record: &NodeRecord<'_>,
        coming: &mut Coming<'_>,
    ) -> Result<(), Reject> {
        let key = RouteKey::parse(record.key.as_bytes()).map_err(|_| Reject::BadKey)?;
        let (algorithm, facts) = record.facts()?;
        self.check_restored(&key, &facts, coming.files)?;
        let is_vouched = self.vouch_restored(&key, coming);
        if !is_vouched && !self.needs_no_signature(&facts) {
            return Err(Reject::Unsigned);
        }
        let mut due_ms = self.due_ms(coming.now, &facts.address);
        if coming.carried == Carried::HandedOver {
            due_ms = due_ms.min(coming.now.mono_ms.saturating_add(record.left_ms));
        }
        let node = self.roster.add(key, facts, algorithm, due_ms);
        let (seen_unix, cores, backlog) = record.last;
        node.load.note_announce(seen_unix, cores, backlog);
        Ok(())
    }

    /// What a datagram of these facts would be asked before its signature.
    fn check_restored(
        &self,
        key: &RouteKey,
        facts: &NodeFacts,
        files: &mut dyn KeyFiles,
    ) -> Result<(), Reject> {
        if self.rules.vassal_names == VassalNames::Required && facts.vassal().is_none() {
            return Err(Reject::MissingVassal);
        }
        if facts.address != Address::Nowhere {
            self.rules.upstream_policy.check(&facts.address)?;
        }
        if let Some(rules) = &self.rules.credentials {
            let announcer = facts.announcer.as_ref();
            let sender = announcer.and_then(|announcer| announcer.credentials);
            rules.check_owner(sender.ok_or(Reject::MissingCredentials)?, key, files)?;
        }
        let known = self.roster.recognise(key, &facts.address, facts.vassal());
        match known.announced().map(|node| node.facts.origin) {
            None => self.roster.check_room(key),
            Some(NodeOrigin::Static | NodeOrigin::Operator) => Err(Reject::StaticNode),
            Some(NodeOrigin::Subscribed) => Err(Reject::DuplicateItem),
        }
    }

    /// Whether the key file of a key vouched for it, and does so here from now on.
    fn vouch_restored(&mut self, key: &RouteKey, coming: &mut Coming<'_>) -> bool {
        let Some(proofs) = &mut self.proofs else { return false };
        let Some((print, holds)) = coming.vouches.get_mut(key) else { return false };
        *holds.get_or_insert_with(|| {
            let is_there = match coming.carried {
                Carried::HandedOver => true,
                Carried::LeftBehind => {
                    let pem = coming.files.read(&key_file_name(key.as_str()));
                    pem.and_then(|pem| KeyPrint::of_pem(&pem)) == Some(*print)
                }
            };
            is_there && proofs.keyring.restore(key, *print)
        })
    }

    fn needs_no_signature(&self, facts: &NodeFacts) -> bool {
        let announcer = facts.announcer.as_ref();
        let sender = announcer.and_then(|announcer| announcer.credentials);
        let rules = self.rules.credentials.as_ref().zip(sender);
        self.proofs.is_none() || rules.is_some_and(|(rules, sender)| rules.skips_signature(sender))
    }

    fn restore_operators(&mut self, record: &OperatorRecord<'_>) -> Result<(), Reject> {
        let key = RouteKey::parse(record.node.key.as_bytes()).map_err(|_| Reject::BadKey)?;
        let facts = record.facts()?;
        self.add_operators(key, facts).map_err(|error| match error {
            StaticNodeError::Duplicate => Reject::StaticNode,
            StaticNodeError::NoRoom(reject) => reject,
        })
    }

    /// A node that did not come back, or that the configuration has no more, is not drained either.
    fn restore_drained(&mut self, key: &str, announced: &str, vassal: Option<&str>) {
        let Ok(key) = RouteKey::parse(key.as_bytes()) else { return };
        let address = match announced {
            "" => Address::Nowhere,
            text => match Address::parse(text.as_bytes()) {
                Ok(address) => address,
                Err(_) => return,
            },
        };
        let known = self.roster.recognise(&key, &address, vassal);
        if let Some(id) = known.announced().map(|node| node.id) {
            self.roster.set_intake(&key, |node| node.id == id, Intake::Drained);
        }
    }

    fn restore_claim(&mut self, record: &ClaimRecord<'_>) {
        let Ok(key) = RouteKey::parse(record.key.as_bytes()) else { return };
        if self.roster.has_subscribed(&key) {
            self.certs.restore(key, record);
        }
    }
}
