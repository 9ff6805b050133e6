//! Reading of one datagram: uwsgi packet in, [`Subscription`] out.
//!
//! Strict where uWSGI is not, on the same wire (subscription spec 1 and 11): the header must be
//! that of a subscription and of the right length, a dictionary is taken whole or not at all, a
//! known item appears once, numbers are digits that fit, and nothing follows `sign`. Items this
//! router does not know are skipped. What a key or an address means is not decided here.

use std::num::IntErrorKind;

use route_table::{Algorithm, Proto};
use uwsgi_wire::modifier::{COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE, SUBSCRIPTION};
use uwsgi_wire::{Packet, Pair};

use crate::limits::{NOTIFY_BYTES_MAX, VASSAL_BYTES_MAX, WEIGHT_MAX};
use crate::reject::Reject;

/// What a datagram asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Command {
    /// Claim the key for the address, or renew the claim.
    Subscribe,
    /// Give the claim up at once.
    Unsubscribe,
}

impl Command {
    /// The command's byte in the header (`modifier2`), which an honest sender also adds to its
    /// clock to make the stamp.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Subscribe => COMMAND_SUBSCRIBE,
            Self::Unsubscribe => COMMAND_UNSUBSCRIBE,
        }
    }
}

/// One datagram, decoded but neither believed nor applied. Borrows from the datagram.
#[derive(Clone, Debug)]
pub struct Subscription<'a> {
    /// What the header asks for. Not covered by the signature: see `replay.rs`.
    pub command: Command,
    /// `key`, at least one byte, as sent.
    pub key: &'a [u8],
    /// `address`, as sent; empty only if there is a `vassal`.
    pub address: &'a [u8],
    /// `modifier1`; 0 if absent.
    pub modifier1: u8,
    /// `modifier2`; 0 if absent.
    pub modifier2: u8,
    /// `cores`; 0 if absent.
    pub cores: u32,
    /// `load`, the listen backlog; 0 if absent.
    pub load: u32,
    /// `weight`, 1 to `WEIGHT_MAX`; 1 if absent or zero.
    pub weight: u32,
    /// `backup`, the backup level; 0 if absent.
    pub backup: u8,
    /// `proto`: `h2c`, `tls` and `tcp` are themselves, other `h…` HTTP, anything else uwsgi.
    pub proto: Proto,
    /// `algo`, if it is one this router knows.
    pub algo: Option<Algorithm>,
    /// `vassal`, if it is not empty.
    pub vassal: Option<&'a str>,
    /// `sni_key`, if not empty.
    pub sni_key: Option<&'a [u8]>,
    /// `sni_crt`, if not empty.
    pub sni_crt: Option<&'a [u8]>,
    /// `sni_ca`, if not empty.
    pub sni_ca: Option<&'a [u8]>,
    /// `notify`, if it is a path a datagram can be sent to.
    pub notify: Option<&'a [u8]>,
    /// `clear`: the vassal is stopping and its address must not be used any more.
    pub clear: bool,
    /// `unix`: the sender's clock in seconds plus the command.
    pub stamp: Option<u64>,
    /// What is signed and by which signature.
    pub proof: Option<Proof<'a>>,
}

/// The signed bytes and their signature, both inside the datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proof<'a> {
    /// The dictionary in wire form up to the `sign` item; without the header (spec 5.1).
    pub signed: &'a [u8],
    /// The value of `sign`.
    pub signature: &'a [u8],
}

impl<'a> Subscription<'a> {
    /// Decodes one datagram.
    ///
    /// # Errors
    /// The [`Reject`]s from `BadPacket` to `MissingAddress`.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Reject> {
        let packet = Packet::whole(datagram).map_err(|_| Reject::BadPacket)?;
        if packet.header.modifier1 != SUBSCRIPTION {
            return Err(Reject::NotSubscription);
        }
        let command = match packet.header.modifier2 {
            COMMAND_SUBSCRIBE => Command::Subscribe,
            COMMAND_UNSUBSCRIBE => Command::Unsubscribe,
            _ => return Err(Reject::UnknownCommand),
        };
        let mut subscription = Self::empty(command);
        let mut seen = 0_u32;
        for pair in packet.pairs() {
            let pair = pair.map_err(|_| Reject::BadDictionary)?;
            if subscription.proof.is_some() {
                return Err(Reject::SignNotLast);
            }
            let Some(item) = Item::parse(pair.key) else { continue };
            if seen & item.bit() != 0 {
                return Err(Reject::DuplicateItem);
            }
            seen |= item.bit();
            subscription.put(item, pair, packet.body)?;
        }
        if subscription.key.is_empty() {
            return Err(Reject::MissingKey);
        }
        if subscription.address.is_empty() && subscription.vassal.is_none() {
            return Err(Reject::MissingAddress);
        }
        Ok(subscription)
    }

    const fn empty(command: Command) -> Self {
        Self {
            command,
            key: &[],
            address: &[],
            modifier1: 0,
            modifier2: 0,
            cores: 0,
            load: 0,
            weight: 1,
            backup: 0,
            proto: Proto::Uwsgi,
            algo: None,
            vassal: None,
            sni_key: None,
            sni_crt: None,
            sni_ca: None,
            notify: None,
            clear: false,
            stamp: None,
            proof: None,
        }
    }

    fn put(&mut self, item: Item, pair: Pair<'a>, body: &'a [u8]) -> Result<(), Reject> {
        let value = pair.value;
        match item {
            Item::Key => self.key = value,
            Item::Address => self.address = value,
            Item::Modifier1 => self.modifier1 = number(value)?,
            Item::Modifier2 => self.modifier2 = number(value)?,
            Item::Cores => self.cores = number(value)?,
            Item::Load => self.load = number(value)?,
            Item::Weight => match number(value)? {
                0 => self.weight = 1,
                weight if weight <= WEIGHT_MAX => self.weight = weight,
                _ => return Err(Reject::BadNumber),
            },
            Item::Backup => self.backup = number(value)?,
            Item::Proto => {
                // uWSGI's routers look at the first letter; the words are ours, `h2c` is HTTP to them.
                self.proto = match value {
                    b"h2c" => Proto::H2c,
                    b"tls" => Proto::Tls,
                    b"tcp" => Proto::Tcp,
                    [b'h', ..] => Proto::Http,
                    _ => Proto::Uwsgi,
                };
            }
            Item::Algo => {
                self.algo = std::str::from_utf8(value).ok().and_then(|name| name.parse().ok());
            }
            Item::Vassal => self.vassal = vassal_name(value)?,
            Item::SniKey => self.sni_key = bounded(value, usize::MAX),
            Item::SniCrt => self.sni_crt = bounded(value, usize::MAX),
            Item::SniCa => self.sni_ca = bounded(value, usize::MAX),
            Item::Notify => self.notify = bounded(value, NOTIFY_BYTES_MAX),
            Item::Clear => self.clear = number::<u64>(value)? != 0,
            Item::Unix => self.stamp = Some(number(value)?),
            Item::Sign => {
                self.proof = Some(Proof { signed: &body[..pair.offset], signature: value });
            }
        }
        Ok(())
    }
}

/// The items this router reads. Each appears at most once.
#[derive(Clone, Copy)]
enum Item {
    Key,
    Address,
    Modifier1,
    Modifier2,
    Cores,
    Load,
    Weight,
    Backup,
    Proto,
    Algo,
    Vassal,
    SniKey,
    SniCrt,
    SniCa,
    Notify,
    Clear,
    Unix,
    Sign,
}

impl Item {
    fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"key" => Self::Key,
            b"address" => Self::Address,
            b"modifier1" => Self::Modifier1,
            b"modifier2" => Self::Modifier2,
            b"cores" => Self::Cores,
            b"load" => Self::Load,
            b"weight" => Self::Weight,
            b"backup" => Self::Backup,
            b"proto" => Self::Proto,
            b"algo" => Self::Algo,
            b"vassal" => Self::Vassal,
            b"sni_key" => Self::SniKey,
            b"sni_crt" => Self::SniCrt,
            b"sni_ca" => Self::SniCa,
            b"notify" => Self::Notify,
            b"clear" => Self::Clear,
            b"unix" => Self::Unix,
            b"sign" => Self::Sign,
            _ => return None,
        })
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Digits only: no sign, no space, not empty, and no larger than `T` holds.
fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(value: &[u8]) -> Result<T, Reject> {
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(Reject::BadNumber);
    }
    let digits = std::str::from_utf8(value).map_err(|_| Reject::BadNumber)?;
    digits.parse().map_err(|error: std::num::ParseIntError| {
        debug_assert!(matches!(error.kind(), IntErrorKind::Empty | IntErrorKind::PosOverflow));
        Reject::BadNumber
    })
}

/// A name by which a node is known: it must not be mistaken for another, nor break a log line.
pub(crate) fn vassal_name(value: &[u8]) -> Result<Option<&str>, Reject> {
    let name = std::str::from_utf8(value).map_err(|_| Reject::BadVassal)?;
    if name.len() > VASSAL_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Reject::BadVassal);
    }
    Ok((!name.is_empty()).then_some(name))
}

/// An optional text: absent when empty or longer than it may be.
fn bounded(value: &[u8], bytes_max: usize) -> Option<&[u8]> {
    (1..=bytes_max).contains(&value.len()).then_some(value)
}

#[cfg(test)]
mod tests;
