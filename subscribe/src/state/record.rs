//! The records of a state, and how they are written.
//!
//! Everything a registry needs to go on is one of them. Addresses are written as they were announced
//! and read by the same parser; enums of the table by their place in a list that only grows.

use route_table::{
    Address, Algorithm, Announcer, Credentials, Node, NodeFacts, NodeOrigin, Opening, Proto,
    RouteKey,
};
use serde::{Deserialize, Serialize};

use super::{StateError, frame};
use crate::datagram::vassal_name;
use crate::limits::WEIGHT_MAX;
use crate::reject::Reject;
use crate::upstream_policy::UpstreamPolicy;

/// The version this program writes, and the only one it reads.
pub const VERSION: u32 = 1;
/// What the first frame begins with.
const MAGIC: &[u8; 12] = b"suzerain/sub";
/// Marks of one record.
pub const MARKS_PER_RECORD: usize = 512;

/// One statement about the registry. Variants are added at the end only.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub enum Record<'a> {
    /// How marks are named, and what is known of stamps without one.
    Replay {
        /// The key of the hash that names marks.
        key: [u8; 16],
        /// No node without a mark is accepted with a stamp up to this.
        floor: u64,
        /// Highest stamp accepted.
        highest: u64,
    },
    /// Stamps that were used.
    Marks(Vec<MarkRecord>),
    /// The public key that vouches for the nodes of a key. Before them.
    Vouch {
        /// The key.
        key: &'a str,
        /// Print of the public key in the file of that key.
        print: [u8; 16],
    },
    /// One node.
    #[serde(borrow)]
    Node(NodeRecord<'a>),
    /// The certificate a key brought. After its nodes; of one host in the order of the claims.
    Claim(ClaimRecord<'a>),
    /// The end, and how many records came before it.
    End {
        /// Without this one.
        records: u64,
    },
    /// A node without a lease that an operator added.
    #[serde(borrow)]
    Operator(OperatorRecord<'a>),
    /// An operator keeps new requests from a node. After all nodes; a journal has
    /// [`Record::NodeDrained`] instead.
    Drained {
        /// The key it serves.
        key: &'a str,
        /// Its address as announced; empty while it sleeps.
        announced: &'a str,
        /// Its name, if it said one.
        vassal: Option<&'a str>,
    },
    /// In a journal: a node left, or has another number now.
    NodeGone {
        /// Its number.
        id: u64,
    },
    /// In a journal: the last node of a key left, and with it what vouched for the key and the
    /// certificate it brought.
    KeyGone {
        /// The key.
        key: &'a str,
    },
    /// In a journal: an operator keeps new requests from a node, until it leaves or
    /// [`Record::NodeOpened`]. After the node.
    NodeDrained {
        /// Its number.
        id: u64,
        /// The key it serves.
        key: &'a str,
        /// Its address as announced; empty while it sleeps.
        announced: &'a str,
        /// Its name, if it said one.
        vassal: Option<&'a str>,
    },
    /// In a journal: a node gets new requests again.
    NodeOpened {
        /// Its number.
        id: u64,
    },
}

/// A name of the replay memory and its stamps.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct MarkRecord {
    /// The name.
    pub id: (u64, u64),
    /// Highest stamp accepted with a subscribe.
    pub subscribed: u64,
    /// Highest stamp accepted with an unsubscribe.
    pub unsubscribed: u64,
    /// Whether the stamp before that one was accepted with an unsubscribe too.
    pub unsubscribed_before: bool,
}

/// The certificate a key brought, as announced.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct ClaimRecord<'a> {
    /// The key.
    pub key: &'a str,
    /// `sni_key`.
    pub sni_key: &'a [u8],
    /// `sni_crt`.
    pub sni_crt: &'a [u8],
    /// `sni_ca`.
    pub sni_ca: Option<&'a [u8]>,
}

/// A subscribed node.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct NodeRecord<'a> {
    /// Its number in the process that wrote this; means nothing in another.
    pub id: u64,
    /// The key it serves.
    pub key: &'a str,
    /// How the key spreads its requests; place in [`ALGORITHMS`].
    pub algorithm: u8,
    /// The address as announced; empty while it sleeps.
    pub announced: &'a str,
    /// Place in [`PROTOS`].
    pub proto: u8,
    /// Of the uwsgi packets sent there.
    pub modifiers: (u8, u8),
    /// Share of the requests.
    pub weight: u32,
    /// Backup level.
    pub backup: u8,
    /// Process, user and group of who announced it.
    pub credentials: Option<(u32, u32, u32)>,
    /// Its name, if it said one.
    pub vassal: Option<&'a str>,
    /// What is left of its lease, in milliseconds.
    pub left_ms: u64,
    /// When it was last heard of, its cores and its backlog then.
    pub last: (u64, u32, u32),
}

/// A node that an operator added.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct OperatorRecord<'a> {
    /// What nodes have in common. It has no lease, so nothing is left of one.
    #[serde(borrow)]
    pub node: NodeRecord<'a>,
    /// Place in [`OPENINGS`].
    pub opening: u8,
}

impl<'a> OperatorRecord<'a> {
    /// What is to be known of a node.
    pub fn of(key: &'a RouteKey, algorithm: Algorithm, node: &'a Node) -> Self {
        let opening = place(&OPENINGS, node.facts.opening);
        let node = NodeRecord { left_ms: 0, ..NodeRecord::of(key, algorithm, node, 0) };
        Self { node, opening }
    }

    /// The facts it states, if an operator may state them.
    ///
    /// # Errors
    /// A [`Reject`] that says what is wrong.
    pub fn facts(&self) -> Result<NodeFacts, Reject> {
        let (_, facts) = self.node.facts()?;
        if facts.address == Address::Nowhere {
            return Err(Reject::MissingAddress);
        }
        let opening = OPENINGS.get(usize::from(self.opening)).ok_or(Reject::BadNumber)?;
        Ok(NodeFacts { opening: *opening, origin: NodeOrigin::Operator, ..facts })
    }
}

impl<'a> NodeRecord<'a> {
    /// What is to be known of a node at `mono_ms`.
    pub fn of(key: &'a RouteKey, algorithm: Algorithm, node: &'a Node, mono_ms: u64) -> Self {
        let facts = &node.facts;
        let credentials = facts.announcer.as_ref().and_then(|announcer| announcer.credentials);
        let last = node.load.snapshot();
        Self {
            id: node.id.0,
            key: key.as_str(),
            algorithm: place(&ALGORITHMS, algorithm),
            announced: &facts.announced,
            proto: place(&PROTOS, facts.proto),
            modifiers: (facts.modifier1, facts.modifier2),
            weight: facts.weight,
            backup: facts.backup,
            credentials: credentials.map(|known| (known.pid, known.uid, known.gid)),
            vassal: facts.vassal(),
            left_ms: node.load.due_ms().saturating_sub(mono_ms),
            last: (last.last_seen_unix, last.cores, last.backlog),
        }
    }

    /// The facts it states, if a datagram may state them.
    ///
    /// # Errors
    /// The [`Reject`] such a datagram would get.
    pub fn facts(&self) -> Result<(Algorithm, NodeFacts), Reject> {
        let address = match self.announced {
            "" => Address::Nowhere,
            text => Address::parse(text.as_bytes()).map_err(|_| Reject::BadAddress)?,
        };
        UpstreamPolicy::check_modifier(self.modifiers.0)?;
        let vassal = match self.vassal {
            Some(name) => vassal_name(name.as_bytes())?,
            None => None,
        };
        if address == Address::Nowhere && vassal.is_none() {
            return Err(Reject::MissingAddress);
        }
        if !(1..=WEIGHT_MAX).contains(&self.weight) {
            return Err(Reject::BadNumber);
        }
        let at = |place: u8| usize::from(place);
        let algorithm = ALGORITHMS.get(at(self.algorithm)).ok_or(Reject::BadNumber)?;
        let proto = PROTOS.get(at(self.proto)).ok_or(Reject::BadNumber)?;
        let credentials = self.credentials.map(|(pid, uid, gid)| Credentials { pid, uid, gid });
        let facts = NodeFacts {
            address,
            announced: self.announced.into(),
            proto: *proto,
            opening: Opening::default(),
            modifier1: self.modifiers.0,
            modifier2: self.modifiers.1,
            weight: self.weight,
            backup: self.backup,
            origin: NodeOrigin::Subscribed,
            announcer: Announcer { credentials, vassal: vassal.map(Into::into) }.known(),
        };
        Ok((*algorithm, facts))
    }
}

/// Writes records into one buffer.
#[derive(Debug, Default)]
pub struct RecordWriter {
    out: Vec<u8>,
    scratch: Vec<u8>,
    records: u64,
}

impl RecordWriter {
    /// Begins with the frame that says what follows.
    pub fn start() -> Self {
        let mut writer = Self::default();
        writer.scratch.extend_from_slice(MAGIC);
        writer.scratch.extend_from_slice(&VERSION.to_le_bytes());
        frame::push(&mut writer.out, &writer.scratch);
        writer
    }

    /// Makes room for so many nodes.
    pub fn reserve(&mut self, nodes: usize) {
        self.out.reserve(nodes * NODE_BYTES);
    }

    /// Writes one record.
    pub fn push(&mut self, record: &Record<'_>) {
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        body = postcard::to_extend(record, body).expect("a record has no part of unknown length");
        self.push_body(&body);
        self.scratch = body;
    }

    /// Writes one record that is encoded already.
    pub fn push_body(&mut self, body: &[u8]) {
        frame::push(&mut self.out, body);
        self.records += 1;
    }

    /// What was written and not cleared.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// The same, to be kept.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Forgets what was written, and keeps room for a usual amount.
    pub fn clear(&mut self) {
        self.out.clear();
        self.out.shrink_to(ROOM_KEPT_BYTES);
    }

    /// The whole state.
    pub fn finish(mut self) -> Vec<u8> {
        self.push(&Record::End { records: self.records });
        self.out
    }
}

/// Reads the first frame off the front.
///
/// # Errors
/// [`StateError::Foreign`], [`StateError::Version`], or what [`frame::take`] finds.
pub fn take_head(bytes: &mut &[u8]) -> Result<(), StateError> {
    let head = frame::take(bytes)?.ok_or(StateError::Cut)?;
    let version = head.strip_prefix(MAGIC).ok_or(StateError::Foreign)?;
    let version = u32::from_le_bytes(*version.first_chunk().ok_or(StateError::Foreign)?);
    if version == VERSION { Ok(()) } else { Err(StateError::Version { version }) }
}

/// Decodes one record.
///
/// # Errors
/// [`StateError::Damaged`].
pub fn decode(body: &[u8]) -> Result<Record<'_>, StateError> {
    postcard::from_bytes(body).map_err(|_| StateError::Damaged)
}

/// The records of a state in the order they were written, its first frame checked.
///
/// # Errors
/// As [`take_head`].
pub fn records(mut bytes: &[u8]) -> Result<Records<'_>, StateError> {
    take_head(&mut bytes)?;
    Ok(Records { rest: bytes, count: 0, ended: false })
}

/// Walks the records of a state. Without an error it ends only at the end that was written.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    count: u64,
    ended: bool,
}

impl<'a> Records<'a> {
    fn advance(&mut self) -> Result<Option<Record<'a>>, StateError> {
        let body = frame::take(&mut self.rest)?.ok_or(StateError::Cut)?;
        match decode(body)? {
            Record::End { records } if records != self.count => Err(StateError::Damaged),
            Record::End { .. } if !self.rest.is_empty() => {
                Err(StateError::Surplus { bytes: self.rest.len() })
            }
            Record::End { .. } => Ok(None),
            record => {
                self.count += 1;
                Ok(Some(record))
            }
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.advance().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Where a value stands in its list; one that is missing there is refused by whoever reads it.
fn place<T: PartialEq>(list: &[T], value: T) -> u8 {
    list.iter().position(|known| *known == value).map_or(u8::MAX, |place| place as u8)
}

/// What a node takes, mostly.
const NODE_BYTES: usize = 96;
/// Room for changes that is kept after a storm.
const ROOM_KEPT_BYTES: usize = 64 * 1024;
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Wrr, Algorithm::Lrc, Algorithm::Wlrc, Algorithm::IpHash, Algorithm::P2c];
const OPENINGS: [Opening; 2] = [Opening::Plain, Opening::ProxyV2];
const PROTOS: [Proto; 5] = [Proto::Uwsgi, Proto::Http, Proto::H2c, Proto::Tls, Proto::Tcp];
