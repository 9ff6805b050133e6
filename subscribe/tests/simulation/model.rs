//! What the registry must do, written as plainly as possible: lists, scans, and a history of all
//! that ever counted. Shares no code with the registry.

use std::collections::{BTreeMap, BTreeSet};

use subscribe::{Command, Now, Reject, Verdict};

/// A datagram and what its sender put into it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub bytes: Vec<u8>,
    pub key: &'static str,
    pub address: &'static str,
    pub weight: u32,
    pub command: Command,
    pub stamp: u64,
    pub signer: usize,
    pub is_tampered: bool,
}

impl Sent {
    /// Turns a subscribe into an unsubscribe or back: the header is not signed.
    pub fn flip_command(&mut self) {
        self.command = match self.command {
            Command::Subscribe => Command::Unsubscribe,
            Command::Unsubscribe => Command::Subscribe,
        };
        self.bytes[3] = self.command.byte();
    }

    /// Changes the last byte, which is the signature's.
    pub fn tamper(&mut self) {
        *self.bytes.last_mut().expect("a datagram has bytes") ^= 1;
        self.is_tampered = true;
    }
}

/// The key file of each key of the simulation, by hand.
pub fn file_of(key: &str) -> &'static str {
    match key {
        "a.test" | "a.test/mount" => "a.test.pem",
        "b.test:8080" => "b.test_8080.pem",
        "c.test" => "c.test.pem",
        other => panic!("no such key: {other}"),
    }
}

type NodeName = (&'static str, &'static str);

struct ModelNode {
    weight: u32,
    due_ms: u64,
}

/// The naive truth.
pub struct Model {
    is_signed: bool,
    nodes_per_key_max: usize,
    lease_ms: u64,
    tolerance_s: u64,
    nodes: BTreeMap<NodeName, ModelNode>,
    counted: Vec<(NodeName, Command, u64)>,
    files: BTreeMap<&'static str, usize>,
    highest_wall: u64,
}

impl Model {
    pub fn new(is_signed: bool, nodes_per_key_max: usize, lease_ms: u64, tolerance_s: u64) -> Self {
        Self {
            is_signed,
            nodes_per_key_max,
            lease_ms,
            tolerance_s,
            nodes: BTreeMap::new(),
            counted: Vec::new(),
            files: BTreeMap::new(),
            highest_wall: 0,
        }
    }

    /// Compares the registry's verdict with what it must be, and takes it over.
    pub fn receive(&mut self, now: Now, sent: &Sent, verdict: Verdict) {
        self.highest_wall = self.highest_wall.max(now.unix);
        let expected = self.judge(now, sent);
        if verdict == Verdict::Rejected(Reject::Replayed) && verdict != expected {
            // The registry forgets what is too old to be fresh and then refuses *everything* that
            // old from nodes it has no mark of. Only a clock that jumped back can get there.
            let floor_max = self.highest_wall.saturating_sub(self.tolerance_s);
            assert!(sent.stamp < floor_max, "refused without reason: {sent:?} at {now:?}");
            return;
        }
        assert_eq!(verdict, expected, "{sent:?} at {now:?}");
        self.take_over(now, sent, verdict);
    }

    fn judge(&self, now: Now, sent: &Sent) -> Verdict {
        let node = self.nodes.get(&(sent.key, sent.address));
        let of_key = self.nodes.keys().filter(|name| name.0 == sent.key).count();
        if sent.command == Command::Subscribe && node.is_none() && of_key >= self.nodes_per_key_max
        {
            return Verdict::Rejected(Reject::TooManyNodesOfKey);
        }
        if let Some(reject) = self.is_signed.then(|| self.doubt(now, sent)).flatten() {
            return Verdict::Rejected(reject);
        }
        match (sent.command, node) {
            (Command::Subscribe, None) => Verdict::Added,
            (Command::Subscribe, Some(node)) if node.weight == sent.weight => Verdict::Renewed,
            (Command::Subscribe, Some(_)) => Verdict::Changed,
            (Command::Unsubscribe, None) => Verdict::Rejected(Reject::UnknownNode),
            (Command::Unsubscribe, Some(_)) => Verdict::Removed,
        }
    }

    /// Why a datagram is not believed, if it is not.
    fn doubt(&self, now: Now, sent: &Sent) -> Option<Reject> {
        if sent.stamp + self.tolerance_s < now.unix {
            return Some(Reject::Stale);
        }
        if sent.stamp > now.unix + self.tolerance_s {
            return Some(Reject::Future);
        }
        let name = (sent.key, sent.address);
        let mine = || self.counted.iter().filter(|past| past.0 == name);
        let last = |command| mine().filter(|past| past.1 == command).map(|past| past.2).max();
        let is_used = mine().any(|past| past.2 == sent.stamp);
        let last_subscribe = last(Command::Subscribe).unwrap_or(0);
        let last_unsubscribe = last(Command::Unsubscribe).unwrap_or(0);
        let is_late = match sent.command {
            Command::Subscribe => sent.stamp <= last_subscribe || sent.stamp + 1 < last_unsubscribe,
            Command::Unsubscribe => sent.stamp <= last_subscribe.max(last_unsubscribe),
        };
        if is_used || is_late {
            return Some(Reject::Replayed);
        }
        match self.files.get(file_of(sent.key)) {
            None => Some(Reject::NoKeyFile),
            Some(key) if *key != sent.signer || sent.is_tampered => Some(Reject::BadSignature),
            Some(_) => None,
        }
    }

    fn take_over(&mut self, now: Now, sent: &Sent, verdict: Verdict) {
        let name = (sent.key, sent.address);
        let has_verified = !matches!(verdict, Verdict::Rejected(_))
            || verdict == Verdict::Rejected(Reject::UnknownNode);
        if has_verified {
            self.counted.push((name, sent.command, sent.stamp));
        }
        match verdict {
            Verdict::Added | Verdict::Renewed | Verdict::Changed => {
                let node = ModelNode { weight: sent.weight, due_ms: now.mono_ms + self.lease_ms };
                self.nodes.insert(name, node);
            }
            Verdict::Removed => {
                self.nodes.remove(&name);
            }
            Verdict::Rejected(_) => {}
        }
    }

    /// Whether a datagram with this stamp ever counted for this node, in either role.
    pub fn has_counted(&self, sent: &Sent) -> bool {
        let name = (sent.key, sent.address);
        self.counted.iter().any(|past| past.0 == name && past.2 == sent.stamp)
    }

    /// Nodes whose lease ended leave; returns how many.
    pub fn expire(&mut self, mono_ms: u64) -> usize {
        let before = self.nodes.len();
        self.nodes.retain(|_, node| node.due_ms > mono_ms);
        before - self.nodes.len()
    }

    /// The key in a file, by number.
    pub fn file_key(&self, file: &str) -> Option<usize> {
        self.files.get(file).copied()
    }

    /// A key file changes; returns how many nodes that ends.
    pub fn set_file(&mut self, file: &'static str, key: Option<usize>) -> usize {
        let before = match key {
            Some(key) => self.files.insert(file, key),
            None => self.files.remove(file),
        };
        if before == key {
            return 0;
        }
        let nodes = self.nodes.len();
        self.nodes.retain(|name, _| file_of(name.0) != file);
        nodes - self.nodes.len()
    }

    /// What must be routable: key, address, weight.
    pub fn routable(&self) -> BTreeSet<(String, String, u32)> {
        let line = |(name, node): (&NodeName, &ModelNode)| {
            (name.0.to_owned(), name.1.to_owned(), node.weight)
        };
        self.nodes.iter().map(line).collect()
    }
}
