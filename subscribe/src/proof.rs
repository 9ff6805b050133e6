//! Whether a datagram is what its key's owner sent, now and for the first time.
//!
//! Checks run from cheap to dear: is it signed, is its stamp fresh, was it used, is there a key
//! file, and only then the signature. Only what verified is remembered.

use std::sync::Arc;

use route_table::{Address, RouteKey};

use crate::datagram::{Command, Subscription};
use crate::keyring::{KeyFiles, Keyring, key_file_name};
use crate::limits::Limits;
use crate::reject::Reject;
use crate::replay::{MarkName, ReplayGuard};
use crate::verify::{Digest, PublicKey};

/// What a server that checks signatures knows.
#[derive(Debug)]
pub struct Proofs {
    /// The public keys.
    pub keyring: Keyring,
    /// The stamps that were used.
    pub replay: ReplayGuard,
}

/// What proved a datagram.
#[derive(Debug)]
pub struct Proven {
    /// The key file.
    pub file_name: String,
    /// The key in it.
    pub key: Arc<PublicKey>,
}

impl Proofs {
    /// Nothing known yet. `tolerance_s` bounds the age and the lead of a stamp, in seconds.
    #[must_use]
    pub fn new(digest: Digest, tolerance_s: u64, limits: &Limits) -> Self {
        Self {
            keyring: Keyring::new(digest, limits.cached_keys_max),
            replay: ReplayGuard::new(tolerance_s, limits.marks_max),
        }
    }

    /// Checks one datagram and remembers its stamp.
    ///
    /// # Errors
    /// The [`Reject`]s from `Unsigned` to `BadSignature`.
    pub fn prove(
        &mut self,
        now_unix: u64,
        command: Command,
        subscription: &Subscription<'_>,
        node: (&RouteKey, &Address),
        files: &mut dyn KeyFiles,
    ) -> Result<Proven, Reject> {
        let (route, address) = node;
        let proof = subscription.proof.ok_or(Reject::Unsigned)?;
        let stamp = subscription.stamp.ok_or(Reject::MissingStamp)?;
        self.replay.sweep(now_unix);
        // A vassal's stamps rise wherever it is: an older datagram must not move it back.
        let id = match subscription.vassal {
            Some(vassal) => self.replay.mark_id(route, MarkName::Vassal(vassal)),
            None => self.replay.mark_id(route, MarkName::Address(address)),
        };
        self.replay.admit(now_unix, command, id, stamp)?;
        let file_name = key_file_name(route.as_str());
        let key = self.keyring.key(&file_name, files)?;
        if !key.verifies(proof.signed, proof.signature) {
            return Err(Reject::BadSignature);
        }
        self.replay.remember(command, id, stamp);
        Ok(Proven { file_name, key })
    }
}
