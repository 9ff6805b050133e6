//! Who may send subscriptions, beyond signatures: the options about users and names of senders.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use router_core::address::ListenAddr;
use subscribe::{CredentialRules, OwnerCheck};

use super::catalog::Opt;
use super::problem::{Place, Problem};
use super::seen::Seen;
use super::values;

/// What a sender must be, and what it need not do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Senders {
    /// Whether the kernel is asked who sends.
    pub use_credentials: bool,
    /// Users whose subscriptions need no signature.
    pub sign_skip_uid: Vec<u32>,
    /// Addresses of the interfaces on which groups are joined.
    pub multicast_interface: Vec<Ipv4Addr>,
    /// Directories whose entries belong to the users that own the keys.
    pub credentials_check: Vec<PathBuf>,
}

impl Senders {
    /// Takes the value of one of these options.
    ///
    /// # Errors
    /// Why the text is no value.
    pub fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        match opt {
            Opt::UseCredentials => self.use_credentials = values::switch(text)?,
            Opt::SignSkipUid => self.sign_skip_uid.push(trusted_uid(text)?),
            Opt::MulticastInterface => self.multicast_interface.push(interface(text)?),
            _ => self.credentials_check.push(values::directory(text)?),
        }
        Ok(())
    }

    /// The rules of the registry, if credentials are asked for.
    #[must_use]
    pub fn credential_rules(&self) -> Option<CredentialRules> {
        self.use_credentials.then(|| CredentialRules {
            sign_skip_uids: self.sign_skip_uid.clone(),
            owner_check: match self.credentials_check.is_empty() {
                true => OwnerCheck::Off,
                false => OwnerCheck::On,
            },
        })
    }

    /// What no value shows alone.
    pub fn check<'s>(
        &self,
        seen: &Seen,
        subscribe: impl Iterator<Item = (&'s ListenAddr, &'s Place)>,
        problems: &mut Vec<Problem>,
    ) {
        let needs = [
            (Opt::SignSkipUid, Opt::UseCredentials, self.use_credentials),
            (Opt::SignSkipUid, Opt::SignCheck, seen.has(Opt::SignCheck)),
            (Opt::CredentialsCheck, Opt::UseCredentials, self.use_credentials),
        ];
        for (opt, needed, is_there) in needs {
            if seen.has(opt) && !is_there {
                problems.push(Problem::Needs { place: seen.first_place(opt), opt, needed });
            }
        }
        let udp = subscribe.filter(|(addr, _)| self.use_credentials && addr.ip().is_some());
        problems.extend(udp.map(|(addr, place)| Problem::NoCredentials {
            place: place.clone(),
            addr: addr.clone(),
        }));
    }
}

/// A user id that may be trusted; root's never is, as in uWSGI.
fn trusted_uid(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("root is never trusted".to_owned()),
        Ok(uid) => Ok(uid),
        Err(_) => Err("not a number of a user".to_owned()),
    }
}

/// The IPv4 address of an interface of this machine.
fn interface(text: &str) -> Result<Ipv4Addr, String> {
    let address: Ipv4Addr = text.parse().map_err(|_| "not an IPv4 address".to_owned())?;
    match address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
        true => Err("no interface has this address".to_owned()),
        false => Ok(address),
    }
}
