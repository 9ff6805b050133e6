//! What the subscription thread asks of the loader.

use std::collections::{BTreeSet, HashMap};

use router_core::subscriber::CertRequest;

use super::notice::Chance;
use super::tracked::{PairTexts, Tracked};
use super::{CertLoader, Slot, unix_now};
use crate::tls::cert_store::{CertChange, CertSource, Layer, Seat, ServedName};
use crate::tls::limits::SUBSCRIBED_NAMES_MAX;

impl CertLoader {
    /// Applies requests as one generation. Of several for one name only the last counts, so a flapping
    /// node costs one load per batch.
    pub(super) fn apply(&mut self, requests: impl IntoIterator<Item = CertRequest>) {
        let mut last_by_name = HashMap::new();
        let mut renewed = BTreeSet::new();
        for request in requests {
            let (CertRequest::Load { name, .. }
            | CertRequest::LookAgain { name }
            | CertRequest::Drop { name }) = &request;
            let Some(name) = ServedName::parse(name) else {
                self.count(|counters| &counters.load_failures);
                continue;
            };
            match request {
                CertRequest::LookAgain { .. } => drop(renewed.insert(name)),
                CertRequest::Load { .. } | CertRequest::Drop { .. } => {
                    last_by_name.insert(name, request);
                }
            }
        }
        let now_unix = unix_now();
        let mut changes = Vec::new();
        for name in renewed {
            changes.extend(self.renew(&Slot::Subscription(name), now_unix));
        }
        for (name, request) in last_by_name {
            let slot = Slot::Subscription(name.clone());
            match request {
                CertRequest::Load { key, crt, ca, .. } => {
                    self.subscribe(&slot, PairTexts::subscribed(key, crt, ca));
                    changes.extend(self.look(&slot, Chance::Last, now_unix));
                }
                CertRequest::Drop { .. } | CertRequest::LookAgain { .. } => {
                    if self.tracked.remove(&slot).is_some() {
                        self.subscribed -= 1;
                        self.watch.forget(&slot);
                        self.store.troubles().clear(&slot.to_string());
                    }
                    changes.push(CertChange::Remove(Layer::Subscribed, name, Seat::PLAIN));
                }
            }
        }
        self.store.publish(changes);
    }

    /// Remembers where a subscription's texts are. What it served before stays until the new
    /// texts prove good.
    fn subscribe(&mut self, slot: &Slot, texts: PairTexts) {
        if let Some(tracked) = self.tracked.get_mut(slot) {
            if tracked.texts != texts {
                tracked.retarget(texts);
            }
        } else if self.subscribed < SUBSCRIBED_NAMES_MAX {
            let tracked = Tracked::new(CertSource::Subscription, texts);
            self.tracked.insert(slot.clone(), tracked);
            self.subscribed += 1;
        } else {
            self.count(|counters| &counters.load_failures);
            return;
        }
        self.follow(slot);
    }

    /// A subscription was renewed: its files are looked at, and now and then read, because not every
    /// file system shows by its time stamps that a file changed.
    fn renew(&mut self, slot: &Slot, now_unix: u64) -> Option<CertChange> {
        let tracked = self.tracked.get_mut(slot)?;
        if self.notices.expects(slot) {
            return None;
        }
        tracked.read_if_due(now_unix);
        self.look(slot, Chance::First, now_unix)
    }
}
