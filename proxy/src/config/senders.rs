//! Who may send subscriptions, beyond signatures: the options about users and names of senders.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use router_core::address::ListenAddr;
use subscribe::{CredentialRules, Forwarding, OwnerCheck, VassalNames};

use super::catalog::Opt;
use super::problem::{Place, Problem};
use super::seen::Seen;
use super::{limits, values};

/// What a sender must be, and what it need not do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Senders {
    /// Whether a datagram must name its vassal.
    pub vassal_required: bool,
    /// How long a vassal without an address is remembered.
    pub tolerance_inactive: Duration,
    /// Whether the kernel is asked who sends.
    pub use_credentials: bool,
    /// Users whose subscriptions need no signature.
    pub sign_skip_uid: Vec<u32>,
    /// Addresses of the interfaces on which groups are joined.
    pub multicast_interface: Vec<Ipv4Addr>,
    /// Routers that are told what this one is told.
    pub resubscribe: Vec<ListenAddr>,
    /// Where what they said is kept for the case of a crash.
    pub state_file: Option<PathBuf>,
    /// Directories whose entries belong to the users that own the keys.
    pub credentials_check: Vec<PathBuf>,
}

impl Default for Senders {
    fn default() -> Self {
        Self {
            vassal_required: false,
            tolerance_inactive: Duration::from_secs(17),
            use_credentials: false,
            sign_skip_uid: Vec::new(),
            multicast_interface: Vec::new(),
            resubscribe: Vec::new(),
            state_file: None,
            credentials_check: Vec::new(),
        }
    }
}

impl Senders {
    /// What the registry makes of datagrams without a vassal's name.
    #[must_use]
    pub fn vassal_names(&self) -> VassalNames {
        match self.vassal_required {
            true => VassalNames::Required,
            false => VassalNames::Optional,
        }
    }

    /// Takes the value of one of these options.
    ///
    /// # Errors
    /// Why the text is no value.
    pub fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        match opt {
            Opt::VassalRequired => self.vassal_required = values::switch(text)?,
            Opt::ToleranceInactive => {
                let (min, max) = (limits::TOLERANCE_MIN, limits::TOLERANCE_MAX);
                self.tolerance_inactive = values::duration(text, min, max)?;
            }
            Opt::UseCredentials => self.use_credentials = values::switch(text)?,
            Opt::SignSkipUid => self.sign_skip_uid.push(trusted_uid(text)?),
            Opt::MulticastInterface => self.multicast_interface.push(interface(text)?),
            Opt::Resubscribe => self.resubscribe.push(values::datagram_target(text)?),
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

    /// What the registry hands over for other routers.
    #[must_use]
    pub fn forwarding(&self) -> Forwarding {
        match self.resubscribe.is_empty() {
            true => Forwarding::Off,
            false => Forwarding::Proven,
        }
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
            (Opt::Resubscribe, Opt::SignCheck, seen.has(Opt::SignCheck)),
            (Opt::CredentialsCheck, Opt::UseCredentials, self.use_credentials),
        ];
        for (opt, needed, is_there) in needs {
            if seen.has(opt) && !is_there {
                problems.push(Problem::Needs { place: seen.first_place(opt), opt, needed });
            }
        }
        let subscribe: Vec<_> = subscribe.collect();
        let own = self.resubscribe.iter().filter(|to| subscribe.iter().any(|(own, _)| own == to));
        problems.extend(own.map(|to| Problem::ToItself {
            place: seen.place_of(Opt::Resubscribe, to),
            addr: to.clone(),
        }));
        let udp =
            subscribe.into_iter().filter(|(addr, _)| self.use_credentials && addr.ip().is_some());
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
