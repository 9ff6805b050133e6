//! A new process takes over from an old one, and nobody notices.
//!
//! The old process starts its own program as it is on disk now and serves on. The new one reads its
//! configuration, is given every bound socket, loads its certificates and says that it is prepared. Only
//! then is the old one's memory frozen and passed on; the new one starts with it, accepts, and says so. Now
//! the old one stops accepting and drains. Until that last word the old process can go on as if
//! nothing had been: whatever goes wrong before it ends the new one.
//!
//! `predecessor` is the old side, `successor` the new one; they speak by `message`s over a `channel`.

mod channel;
mod history;
mod launch;
mod lingering;
mod memory;
mod message;
mod order;
mod predecessor;
mod successor;

pub use channel::ChannelError;
pub use history::{Draining, History, PART as HISTORY, Tally};
pub use launch::Launch;
pub use memory::Memory;
pub use order::{SUBSCRIPTIONS, TICKET_KEYS, longest_drain, upgrade};
pub use predecessor::{Handed, Offer, UpgradeError, hand_over};
pub use successor::{Birth, Predecessor, SuccessionError};
