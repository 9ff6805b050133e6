//! Writing the whole registry down for a successor.
//!
//! Configured nodes are not part of it: the successor has its own configuration.

use super::{Now, Registry};
use crate::state::record::{Record, RecordWriter};

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
        self.write_operators(&mut writer);
        for (key, node) in self.roster.drained() {
            let (announced, vassal) = (&*node.facts.announced, node.facts.vassal());
            writer.push(&Record::Drained { key: key.as_str(), announced, vassal });
        }
        writer.finish()
    }
}
