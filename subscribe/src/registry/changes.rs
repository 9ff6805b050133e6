//! Telling a journal of every change, before it is published.
//!
//! A renewal is no change. Until somebody asks for changes none are recorded.

use route_table::{Intake, Node, NodeId, NodeOrigin, RouteKey};

use super::{Now, Registry};
use crate::datagram::Subscription;
use crate::state::record::{ClaimRecord, NodeRecord, OperatorRecord, Record, RecordWriter};

/// Changes that were not taken yet; none if nobody wants them.
#[derive(Debug, Default)]
pub(super) struct Changes(Option<RecordWriter>);

impl Changes {
    fn push(&mut self, record: &Record<'_>) {
        if let Some(writer) = &mut self.0 {
            writer.push(record);
        }
    }

    pub fn node_gone(&mut self, id: NodeId) {
        self.push(&Record::NodeGone { id: id.0 });
    }

    /// Whether a node gets new requests.
    pub fn intake(&mut self, key: &RouteKey, node: &Node) {
        self.push(&match node.intake {
            Intake::Drained => drained(key, node),
            Intake::Open => Record::NodeOpened { id: node.id.0 },
        });
    }

    pub fn key_gone(&mut self, key: &RouteKey) {
        self.push(&Record::KeyGone { key: key.as_str() });
    }

    pub fn vouched(&mut self, key: &RouteKey, print: [u8; 16]) {
        self.push(&Record::Vouch { key: key.as_str(), print });
    }

    pub fn claimed(&mut self, key: &RouteKey, subscription: &Subscription<'_>) {
        if let (Some(sni_key), Some(sni_crt)) = (subscription.sni_key, subscription.sni_crt) {
            let (key, sni_ca) = (key.as_str(), subscription.sni_ca);
            self.push(&Record::Claim(ClaimRecord { key, sni_key, sni_crt, sni_ca }));
        }
    }
}

impl Registry {
    /// Begins to record changes. Returns what they are changes of: the beginning of a journal, on
    /// which [`Registry::changes`] follow.
    #[must_use]
    pub fn record_changes(&mut self, now: Now) -> Vec<u8> {
        let mut writer = RecordWriter::start();
        self.write_nodes(now, &mut writer);
        self.write_operators(&mut writer);
        for (key, node) in self.roster.drained() {
            writer.push(&drained(key, node));
        }
        self.changes = Changes(Some(RecordWriter::default()));
        writer.into_bytes()
    }

    /// Nobody wants changes any more.
    pub fn stop_recording(&mut self) {
        self.changes = Changes(None);
    }

    /// The changes since they were last forgotten. A journal must have those that take something
    /// away before [`Registry::publish`] tells of them.
    #[must_use]
    pub fn changes(&self) -> &[u8] {
        self.changes.0.as_ref().map_or(&[], RecordWriter::bytes)
    }

    /// The changes were written.
    pub fn forget_changes(&mut self) {
        self.changes.0.iter_mut().for_each(RecordWriter::clear);
    }

    /// A subscribed node came, or has other facts.
    pub(super) fn note_node(&mut self, now: Now, key: &RouteKey, node: &Node) {
        if let Some(writer) = &mut self.changes.0 {
            let algorithm = self.roster.algorithm(key);
            writer.push(&Record::Node(NodeRecord::of(key, algorithm, node, now.mono_ms)));
            if node.intake == Intake::Drained {
                writer.push(&drained(key, node));
            }
        }
    }

    /// An operator added a node.
    pub(super) fn note_operators(&mut self, key: &RouteKey, node: &Node) {
        if let Some(writer) = &mut self.changes.0 {
            let algorithm = self.roster.algorithm(key);
            writer.push(&Record::Operator(OperatorRecord::of(key, algorithm, node)));
        }
    }

    /// Everything that is known of subscribed nodes, in the order a state has it.
    pub(super) fn write_nodes(&self, now: Now, writer: &mut RecordWriter) {
        writer.reserve(self.roster.nodes());
        if let Some(proofs) = &self.proofs {
            for (route, print) in proofs.keyring.vouched() {
                writer.push(&Record::Vouch { key: route.as_str(), print: print.0 });
            }
        }
        for (key, algorithm, node) in self.roster.rows() {
            if node.facts.origin == NodeOrigin::Subscribed {
                let record = NodeRecord::of(key, algorithm, node, now.mono_ms);
                writer.push(&Record::Node(record));
            }
        }
        self.certs.records().for_each(|record| writer.push(&Record::Claim(record)));
    }

    /// The nodes that operators added.
    pub(super) fn write_operators(&self, writer: &mut RecordWriter) {
        for (key, algorithm, node) in self.roster.rows() {
            if node.facts.origin == NodeOrigin::Operator {
                writer.push(&Record::Operator(OperatorRecord::of(key, algorithm, node)));
            }
        }
    }
}

fn drained<'a>(key: &'a RouteKey, node: &'a Node) -> Record<'a> {
    let (announced, vassal) = (&*node.facts.announced, node.facts.vassal());
    Record::NodeDrained { id: node.id.0, key: key.as_str(), announced, vassal }
}
