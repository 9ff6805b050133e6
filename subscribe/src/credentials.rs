//! What the kernel's word about a sender is good for: who needs no signature, who may use a key.
//!
//! The word itself (`SCM_CREDENTIALS` of a unix datagram) and the owners of directory entries come
//! from the shell. Stricter than uWSGI (subscription spec 5.4 to 5.6): the ownership of a key is
//! asked for an unsubscribe too, and entries are named by the sanitised host of the key, so no key
//! leads out of its directory.

use route_table::{Credentials, RouteKey};

use crate::keyring::{KeyFiles, sanitised_host};
use crate::registry::Source;
use crate::reject::Reject;

/// The operator's rules. That there are rules means that every datagram needs credentials.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CredentialRules {
    /// Senders with one of these uids need no signature. 0 among them counts for nothing.
    pub sign_skip_uids: Vec<u32>,
    /// Whether the owner of the key's entry must be the sender.
    pub owner_check: OwnerCheck,
}

/// Whether the sender must own an entry of the key's name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OwnerCheck {
    /// No entry is looked at.
    #[default]
    Off,
    /// One directory at least has an entry that belongs to the sender's uid and gid.
    On,
}

/// Who owns an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl CredentialRules {
    /// The sender of a datagram.
    ///
    /// # Errors
    /// [`Reject::MissingCredentials`] if the kernel vouched for nobody.
    pub fn sender(&self, source: &Source) -> Result<Credentials, Reject> {
        source.credentials.ok_or(Reject::MissingCredentials)
    }

    /// Whether this sender may do something with `route`, whichever command it is.
    ///
    /// # Errors
    /// [`Reject::NotOwner`].
    pub fn check_owner(
        &self,
        sender: Credentials,
        route: &RouteKey,
        files: &mut dyn KeyFiles,
    ) -> Result<(), Reject> {
        if self.owner_check == OwnerCheck::Off {
            return Ok(());
        }
        let owners = files.owners(&sanitised_host(route.as_str()));
        let sender = Owner { uid: sender.uid, gid: sender.gid };
        if owners.contains(&sender) { Ok(()) } else { Err(Reject::NotOwner) }
    }

    /// Whether this sender is believed without a signature. Root never is.
    #[must_use]
    pub fn skips_signature(&self, sender: Credentials) -> bool {
        sender.uid != 0 && self.sign_skip_uids.contains(&sender.uid)
    }
}
