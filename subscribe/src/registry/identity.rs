//! Which node a datagram is about: the one at its address, or the one of its vassal.
//!
//! A vassal that names itself (uWSGI 2.1) keeps its node when it moves, and keeps it without an
//! address while it sleeps. In one key no two nodes have the same address, and no two the same
//! vassal; where a datagram names two different ones, the vassal's moves and the other gives way.

use std::sync::Arc;

use route_table::{Address, Node};

use crate::datagram::{Command, Subscription};

/// What a datagram asks for, the items considered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// To be a node, or to stay one.
    Serve,
    /// To be none.
    Leave,
    /// To stay without an address: what uWSGI 2.1 sends instead of an unsubscribe under
    /// `subscription-clear-on-shutdown`.
    Sleep,
}

impl Wish {
    pub fn of(subscription: &Subscription<'_>) -> Self {
        match (subscription.command, subscription.clear, subscription.vassal) {
            (Command::Unsubscribe, ..) | (Command::Subscribe, true, None) => Self::Leave,
            (Command::Subscribe, true, Some(_)) => Self::Sleep,
            (Command::Subscribe, false, _) => Self::Serve,
        }
    }

    /// As which command its stamp counts: whatever takes an address away must not be undone by an
    /// older subscribe.
    pub fn command(self) -> Command {
        match self {
            Self::Serve => Command::Subscribe,
            Self::Leave | Self::Sleep => Command::Unsubscribe,
        }
    }
}

/// The nodes of the key that a datagram could be about.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The one of its vassal.
    pub by_vassal: Option<Arc<Node>>,
    /// The one at its address.
    pub by_address: Option<Arc<Node>>,
}

impl Known {
    /// The node an announcement renews, changes or moves.
    pub fn announced(&self) -> Option<&Arc<Node>> {
        self.by_vassal.as_ref().or(self.by_address.as_ref())
    }

    /// The node that stands where the vassal's moves to.
    pub fn superseded(&self) -> Option<&Arc<Node>> {
        let (mine, there) = (self.by_vassal.as_ref()?, self.by_address.as_ref()?);
        (mine.id != there.id).then_some(there)
    }

    /// The node that goes: the one at the address, whatever its vassal; without an address the
    /// vassal's, if that sleeps.
    pub fn leaving(&self, address: &Address) -> Option<&Arc<Node>> {
        match address {
            Address::Nowhere => self.by_vassal.as_ref().filter(|node| node.is_asleep()),
            _ => self.by_address.as_ref(),
        }
    }

    /// The node that falls asleep: the one at the address, unless another vassal took it over;
    /// without an address the vassal's.
    pub fn sleeping(&self, address: &Address, vassal: Option<&str>) -> Option<&Arc<Node>> {
        if *address == Address::Nowhere {
            return self.by_vassal.as_ref();
        }
        let there = self.by_address.as_ref()?;
        there.facts.vassal().is_none_or(|name| Some(name) == vassal).then_some(there)
    }
}
