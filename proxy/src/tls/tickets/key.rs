//! One key of session tickets: seals and opens, knows its age.
//!
//! A ticket is the key's name, a nonce, the sealed state, and a tag over all of it and the scope.
//! The cipher is AES-256-GCM-SIV (RFC 8452) with random nonces: workers, and the two processes of an
//! upgrade, share a key without counting together, and should two of them draw the same nonce, all
//! that shows is whether two states were equal. The library compares tags in constant time.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::tls::limits::{TICKET_BYTES_MAX, TICKET_KEY_PERIOD_S};

pub(super) const NAME_BYTES: usize = 16;
pub(super) const SECRET_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// What a ticket has beyond the state in it.
const OVERHEAD_BYTES: usize = NAME_BYTES + NONCE_LEN + TAG_BYTES;

/// Where a ticket is of use. Part of what its tag covers, not of the ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TicketScope([u8; 32]);

impl TicketScope {
    /// All handshakes that ask clients for nothing.
    pub const OPEN: Self = Self([0; 32]);

    /// Handshakes told apart by `parts`.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            // The length parts them, so that no other parts hash the same.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut scope = [0; 32];
        scope.copy_from_slice(context.finish().as_ref());
        Self(scope)
    }
}

/// A key with its name and the second it was made.
pub(super) struct TicketKey {
    name: [u8; NAME_BYTES],
    made_unix: u64,
    /// For the next process; the cipher does not give it back.
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    cipher: LessSafeKey,
}

impl TicketKey {
    /// A new key; `None` if the system has no randomness.
    pub(super) fn random(now_unix: u64) -> Option<Self> {
        let (mut name, mut secret) = ([0; NAME_BYTES], Zeroizing::new([0; SECRET_BYTES]));
        rand::fill(&mut name).ok()?;
        rand::fill(&mut secret[..]).ok()?;
        Self::new(name, now_unix, secret)
    }

    /// A key that exists; `None` if the cipher does not want it.
    pub(super) fn new(
        name: [u8; NAME_BYTES],
        made_unix: u64,
        secret: Zeroizing<[u8; SECRET_BYTES]>,
    ) -> Option<Self> {
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &secret[..]).ok()?);
        Some(Self { name, made_unix, secret, cipher })
    }

    pub(super) fn name(&self) -> &[u8; NAME_BYTES] {
        &self.name
    }

    pub(super) fn made_unix(&self) -> u64 {
        self.made_unix
    }

    pub(super) fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }

    /// A clock that was set back far ends a key as time does, so that none lives on for years.
    pub(super) fn seals_at(&self, now_unix: u64) -> bool {
        now_unix.abs_diff(self.made_unix) < TICKET_KEY_PERIOD_S
    }

    pub(super) fn opens_at(&self, now_unix: u64) -> bool {
        now_unix.abs_diff(self.made_unix) < 2 * TICKET_KEY_PERIOD_S
    }

    /// Whether the ticket names this key. Names are no secret.
    pub(super) fn issued(&self, ticket: &[u8]) -> bool {
        ticket.starts_with(&self.name)
    }

    /// The ticket of a session's state; `None` if it would be too long for any client to bring back.
    pub(super) fn seal(&self, scope: &TicketScope, state: &[u8]) -> Option<Vec<u8>> {
        let bytes = state.len() + OVERHEAD_BYTES;
        if bytes > TICKET_BYTES_MAX {
            return None;
        }
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(bytes);
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(state);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let in_out = &mut ticket[NAME_BYTES + NONCE_LEN..];
        let aad = Aad::from(self.covered(scope));
        let tag = self.cipher.seal_in_place_separate_tag(nonce, aad, in_out).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    /// The state in a ticket of this key and scope; `None` for whatever else it is.
    pub(super) fn open(&self, scope: &TicketScope, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let rest = ticket.strip_prefix(&self.name)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut state = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(self.covered(scope));
        let bytes = self.cipher.open_in_place(nonce, aad, &mut state).ok()?.len();
        state.truncate(bytes);
        Some(state)
    }

    /// What the tag covers besides nonce and state.
    fn covered(&self, scope: &TicketScope) -> [u8; NAME_BYTES + 32] {
        let mut covered = [0; NAME_BYTES + 32];
        covered[..NAME_BYTES].copy_from_slice(&self.name);
        covered[NAME_BYTES..].copy_from_slice(&scope.0);
        covered
    }
}
