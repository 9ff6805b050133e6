//! Who announced a node, as far as that is known beyond its address.
//!
//! Rare facts, so a node holds them boxed. They are shown and compared, never routed by.

/// What a datagram, or the kernel, tells of the sender.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Announcer {
    /// The user and process that sent the announcement which created the node.
    pub credentials: Option<Credentials>,
    /// The name of the vassal, by which its node is known wherever it moves.
    pub vassal: Option<Box<str>>,
}

impl Announcer {
    /// Boxed if there is anything to remember.
    pub fn known(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// What the kernel vouches for about the sender of a unix datagram (`SCM_CREDENTIALS`, unix(7)).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Credentials {
    /// Process; 0 if it is in a namespace this process cannot see.
    pub pid: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}
