//! `audit`: who changed what, who announced which key from where, and who was refused why.

use std::fmt;

use router_core::access_log::utc_text;
use router_core::subscriber::{Refused, TrailEvent, TrailView};
use serde::Serialize;
use subscribe::{Peer, Source};

use super::super::Desk;
use super::super::columns::{columns, printable};
use super::super::command::Listing;
use super::nodes::{Nodes, nodes};
use crate::control::audit::Entry;

/// The answer to `audit`. The newest comes last in every list.
#[derive(Serialize)]
pub struct Audit {
    /// Changes by operators and signals.
    changes: Vec<Entry>,
    /// Nodes that came, changed and left.
    events: Vec<EventRow>,
    /// Datagrams that were refused.
    refused: Vec<RefusedRow>,
    /// The nodes of the key that was asked about, if it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Nodes>,
}

#[derive(Serialize)]
struct EventRow {
    unix: u64,
    key: String,
    what: &'static str,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<From>,
}

#[derive(Serialize)]
struct RefusedRow {
    /// As claimed; nobody may have a right to it.
    key: String,
    address: String,
    reason: &'static str,
    why: String,
    first_unix: u64,
    last_unix: u64,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<From>,
}

/// The sender of a datagram. Nothing proves the address of one over UDP.
#[derive(Serialize)]
struct From {
    /// `unix`, or address and port.
    peer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

/// The latest changes and the story of one key, or of all.
pub fn audit(desk: &Desk, listing: &Listing) -> Audit {
    let key = listing.key.as_ref();
    let TrailView { events, refused } = desk.subscriber.trail(key.cloned()).unwrap_or_default();
    let latest = |len: usize| len.saturating_sub(listing.limit);
    let changes = desk.audit.entries(key.map(|key| key.as_str()));
    let skipped = latest(changes.len());
    Audit {
        changes: changes.into_iter().skip(skipped).collect(),
        events: events
            .iter()
            .skip(latest(events.len()))
            .map(|(key, event)| event_row(key.to_string(), event))
            .collect(),
        refused: refused.iter().skip(latest(refused.len())).map(refused_row).collect(),
        now: key.and_then(|_| nodes(desk, listing).ok()),
    }
}

fn event_row(key: String, event: &TrailEvent) -> EventRow {
    EventRow {
        unix: event.unix,
        key,
        what: event.happened.as_str(),
        address: printable(&event.address),
        from: event.source.map(sender),
    }
}

fn refused_row(refused: &Refused) -> RefusedRow {
    RefusedRow {
        key: printable(&refused.key),
        address: printable(&refused.address),
        reason: refused.reject.label(),
        why: refused.reject.to_string(),
        first_unix: refused.first_unix,
        last_unix: refused.last_unix,
        count: refused.count,
        from: refused.source.map(sender),
    }
}

fn sender(source: Source) -> From {
    From {
        peer: match source.peer {
            Peer::Ip(peer) => peer.to_string(),
            Peer::Unix => "unix".to_owned(),
        },
        uid: source.credentials.map(|sender| sender.uid),
        pid: source.credentials.map(|sender| sender.pid),
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() && self.events.is_empty() && self.refused.is_empty() {
            writeln!(f, "nothing happened")?;
        }
        let section = |f: &mut fmt::Formatter<'_>, head: &[&str], rows: Vec<Vec<String>>| {
            if rows.is_empty() { Ok(()) } else { writeln!(f, "{}", columns(head, &rows)) }
        };
        let events = self.events.iter().map(EventRow::cells).collect();
        section(f, &["WHEN", "KEY", "WHAT", "NODE", "FROM"], events)?;
        let refused = self.refused.iter().map(RefusedRow::cells).collect();
        section(f, &["LAST", "COUNT", "KEY", "REFUSED", "NODE", "FROM"], refused)?;
        let changes = self.changes.iter().map(change_cells).collect();
        section(f, &["WHEN", "WHO", "CHANGE", "ENDED", "OUTCOME"], changes)?;
        self.now.as_ref().map_or(Ok(()), |now| now.fmt(f))
    }
}

impl EventRow {
    fn cells(&self) -> Vec<String> {
        vec![
            utc_text(self.unix),
            self.key.clone(),
            self.what.to_owned(),
            dash(&self.address),
            from_text(self.from.as_ref()),
        ]
    }
}

impl RefusedRow {
    fn cells(&self) -> Vec<String> {
        vec![
            utc_text(self.last_unix),
            self.count.to_string(),
            dash(&self.key),
            self.why.clone(),
            dash(&self.address),
            from_text(self.from.as_ref()),
        ]
    }
}

fn change_cells(entry: &Entry) -> Vec<String> {
    vec![
        utc_text(entry.unix_ms / 1000),
        entry.by.to_string(),
        printable(&entry.change),
        entry.ended.as_str().to_owned(),
        printable(&entry.outcome),
    ]
}

fn from_text(from: Option<&From>) -> String {
    match from {
        None => "-".to_owned(),
        Some(From { peer, uid: Some(uid), pid: Some(pid) }) => {
            format!("{peer}, uid {uid}, pid {pid}")
        }
        Some(From { peer, .. }) => peer.clone(),
    }
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
