//! A state that was written change by change, and what of it still holds.
//!
//! A journal begins like a state and has no end: each change is a record more, and the newest record
//! of a thing counts. Whoever dies while writing leaves a record cut short, and has told nobody of
//! that change yet; so a journal that ends inside a record ends before it. Any other damage makes it
//! worthless as a whole, because a removal may have stood there.

use std::collections::HashMap;

use super::record::{NodeRecord, OperatorRecord, Record, RecordWriter, decode, take_head};
use super::{StateError, frame};

/// What a record is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Subject<'a> {
    Vouch(&'a str),
    Node(u64),
    Claim(&'a str),
    Drained(u64),
}

/// The newest record of a subject.
#[derive(Clone, Copy, Debug)]
struct Newest<'a> {
    /// Orders records of one kind.
    place: usize,
    body: &'a [u8],
}

/// The records of a journal that still hold, and where its last whole record ends.
fn newest(journal: &[u8]) -> Result<HashMap<Subject<'_>, Newest<'_>>, StateError> {
    let mut rest = journal;
    take_head(&mut rest)?;
    let mut held = HashMap::new();
    loop {
        let place = journal.len() - rest.len();
        let body = match frame::take(&mut rest) {
            Ok(Some(body)) => body,
            Ok(None) | Err(StateError::Cut) => return Ok(held),
            Err(error) => return Err(error),
        };
        match decode(body)? {
            Record::Vouch { key, .. } => {
                held.insert(Subject::Vouch(key), Newest { place, body });
            }
            Record::Node(NodeRecord { id, .. })
            | Record::Operator(OperatorRecord { node: NodeRecord { id, .. }, .. }) => {
                // A node that changes keeps its place among those of its key.
                let newest = held.entry(Subject::Node(id));
                newest.or_insert(Newest { place, body }).body = body;
            }
            Record::NodeDrained { id, .. } => {
                held.insert(Subject::Drained(id), Newest { place, body });
            }
            Record::NodeOpened { id } => {
                held.remove(&Subject::Drained(id));
            }
            Record::Claim(claim) => {
                held.insert(Subject::Claim(claim.key), Newest { place, body });
            }
            Record::NodeGone { id } => {
                held.remove(&Subject::Node(id));
                held.remove(&Subject::Drained(id));
            }
            Record::KeyGone { key } => {
                held.remove(&Subject::Vouch(key));
                held.remove(&Subject::Claim(key));
            }
            // Stamps are not kept, the floor rises instead.
            Record::Replay { .. }
            | Record::Marks(_)
            | Record::Drained { .. }
            | Record::End { .. } => return Err(StateError::Damaged),
        }
    }
}

/// The same journal without what no longer holds, to be written on.
///
/// # Errors
/// [`StateError`]; nothing of the journal counts then.
pub fn compact(journal: &[u8]) -> Result<Vec<u8>, StateError> {
    Ok(survivors(journal)?.into_bytes())
}

/// What a journal says in the end, as a state.
///
/// # Errors
/// As [`compact`].
pub fn replay(journal: &[u8]) -> Result<Vec<u8>, StateError> {
    Ok(survivors(journal)?.finish())
}

/// Keys that are vouched for come first, then nodes, then what is said of them, as `restore` needs it.
fn survivors(journal: &[u8]) -> Result<RecordWriter, StateError> {
    let mut held: Vec<_> = newest(journal)?.into_iter().collect();
    let kind = |subject: &Subject<'_>| match subject {
        Subject::Vouch(_) => 0,
        Subject::Node(_) => 1,
        Subject::Claim(_) => 2,
        Subject::Drained(_) => 3,
    };
    held.sort_unstable_by_key(|(subject, newest)| (kind(subject), newest.place));
    let mut writer = RecordWriter::start();
    held.iter().for_each(|(_, newest)| writer.push_body(newest.body));
    Ok(writer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::record::{ClaimRecord, records};

    fn vouch(key: &str) -> Record<'_> {
        Record::Vouch { key, print: [7; 16] }
    }

    fn claim(key: &str) -> Record<'_> {
        Record::Claim(ClaimRecord { key, sni_key: b"/k", sni_crt: b"/c", sni_ca: None })
    }

    fn journal(changes: &[Record<'_>]) -> Vec<u8> {
        let mut writer = RecordWriter::start();
        changes.iter().for_each(|change| writer.push(change));
        writer.bytes().to_vec()
    }

    fn kept(journal: &[u8]) -> Result<Vec<String>, StateError> {
        let state = replay(journal)?;
        assert_eq!(replay(&compact(journal)?), Ok(state.clone()), "compacting loses nothing");
        records(&state)?.map(|record| record.map(|record| format!("{record:?}"))).collect()
    }

    #[test]
    fn what_left_is_gone_and_the_newest_of_the_rest_counts() {
        let gone = Record::KeyGone { key: "a" };
        let all = [vouch("a"), claim("b"), claim("a"), gone, vouch("b"), claim("c"), claim("b")];
        let due = [vouch("b"), claim("c"), claim("b")].map(|record| format!("{record:?}"));
        assert_eq!(kept(&journal(&all)).unwrap(), due, "the claim that came last is last");
    }

    #[test]
    fn a_node_is_drained_until_it_is_opened_or_leaves() {
        let drained = |id| Record::NodeDrained { id, key: "a", announced: "@a", vassal: None };
        let due = [format!("{:?}", drained(1))];
        assert_eq!(kept(&journal(&[drained(1), drained(1)])).unwrap(), due);
        let opened = [drained(1), drained(2), Record::NodeOpened { id: 2 }];
        assert_eq!(kept(&journal(&opened)).unwrap(), due);
        let gone = [drained(1), Record::NodeGone { id: 1 }];
        assert!(kept(&journal(&gone)).unwrap().is_empty());
    }

    #[test]
    fn a_journal_cut_anywhere_ends_before_what_was_cut() {
        let whole = journal(&[vouch("a"), vouch("b"), Record::KeyGone { key: "a" }]);
        let (one, two) = (journal(&[vouch("a")]).len(), journal(&[vouch("a"), vouch("b")]).len());
        let head = journal(&[]).len();
        for end in 0..=whole.len() {
            let due = match end {
                end if end < head => Err(StateError::Cut),
                end if end < one => Ok(0),
                end if end < two || end == whole.len() => Ok(1),
                _ => Ok(2),
            };
            assert_eq!(kept(&whole[..end]).map(|kept| kept.len()), due, "{end}");
        }
    }

    #[test]
    fn damage_inside_makes_all_of_it_worthless() {
        let mut damaged = journal(&[vouch("a"), vouch("b")]);
        let at = damaged.len() - 40;
        damaged[at] ^= 1;
        assert!(kept(&damaged).is_err());
        let foreign = Record::Marks(Vec::new());
        assert_eq!(kept(&journal(&[foreign])), Err(StateError::Damaged));
        assert_eq!(kept(b""), Err(StateError::Cut));
    }
}
