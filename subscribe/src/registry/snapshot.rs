//! Writing the whole registry down for a successor.
//!
//! Configured nodes are not part of it: the successor has its own configuration.

use route_table::{Intake, NodeOrigin};

use super::{Now, Registry};
use crate::state::record::{OperatorRecord, Record, RecordWriter};

impl Registry {
    /// Everything that was learnt from datagrams and operators and still holds, as [`Registry::restore`] reads it.
    ///
    /// Takes a copy of everything at once: about 80 bytes per node, and what certificates take.
    #[must_use]
    pub fn export(&self, now: Now) -> Vec<u8> {
        let mut writer = RecordWriter::start();
        if let Some(proofs) = &self.proofs {
            proofs.replay.records().for_each(|record| writer.push(&record));
        }
        self.write_nodes(now, &mut writer);
        for (key, algorithm, node) in self.roster.rows() {
            if node.facts.origin == NodeOrigin::Operator {
                writer.push(&Record::Operator(OperatorRecord::of(key, algorithm, node)));
            }
        }
        let drained = self.roster.iter().filter(|(_, node)| node.intake == Intake::Drained);
        for (key, node) in drained {
            let (announced, vassal) = (&*node.facts.announced, node.facts.vassal());
            writer.push(&Record::Drained { key: key.as_str(), announced, vassal });
        }
        writer.finish()
    }
}
