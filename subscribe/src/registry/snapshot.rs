//! Writing the whole registry down for a successor.
//!
//! Configured nodes are not part of it: the successor has its own configuration.

use route_table::{Intake, NodeOrigin};

use super::{Now, Registry};
use crate::state::record::{NodeRecord, OperatorRecord, Record, RecordWriter};

impl Registry {
    /// Everything that was learnt from datagrams and operators and still holds, as [`Registry::restore`] reads it.
    ///
    /// Takes a copy of everything at once: about 80 bytes per node, and what certificates take.
    #[must_use]
    pub fn export(&self, now: Now) -> Vec<u8> {
        let mut writer = RecordWriter::start();
        if let Some(proofs) = &self.proofs {
            proofs.replay.records().for_each(|record| writer.push(&record));
            for (route, print) in proofs.keyring.vouched() {
                writer.push(&Record::Vouch { key: route.as_str(), print: print.0 });
            }
        }
        for (key, algorithm, node) in self.roster.rows() {
            match node.facts.origin {
                NodeOrigin::Subscribed => {
                    let record = NodeRecord::of(key, algorithm, node, now.mono_ms);
                    writer.push(&Record::Node(record));
                }
                NodeOrigin::Operator => {
                    writer.push(&Record::Operator(OperatorRecord::of(key, algorithm, node)));
                }
                NodeOrigin::Static => {}
            }
        }
        let drained = self.roster.iter().filter(|(_, node)| node.intake == Intake::Drained);
        for (key, node) in drained {
            let (announced, vassal) = (&*node.facts.announced, node.facts.vassal());
            writer.push(&Record::Drained { key: key.as_str(), announced, vassal });
        }
        self.certs.records().for_each(|record| writer.push(&Record::Claim(record)));
        writer.finish()
    }
}
