//! The reasons a datagram is refused, each with the label of its counter.
//!
//! One variant per reason an operator can act on, in the order the checks are made. A refusal is
//! counted and never logged by itself: a log line per hostile packet would be an attack.

/// Why a datagram changed nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[repr(u8)]
pub enum Reject {
    /// Longer than `DATAGRAM_BYTES_MAX`. Counted by the shell, which sees the truncation.
    #[error("datagram is too long")]
    Oversize,
    /// Credentials are required and the kernel vouched for nobody, as for every UDP sender.
    #[error("sender has no credentials")]
    MissingCredentials,
    /// Not a uwsgi packet, or not exactly as long as its header says.
    #[error("datagram is not one uwsgi packet")]
    BadPacket,
    /// A uwsgi packet with a `modifier1` other than 224.
    #[error("packet is not a subscription")]
    NotSubscription,
    /// A command other than 0 (subscribe) and 1 (unsubscribe).
    #[error("command is unknown")]
    UnknownCommand,
    /// The dictionary is malformed. What stood before the error is not used.
    #[error("dictionary is malformed")]
    BadDictionary,
    /// An item that is known appears twice.
    #[error("an item appears twice")]
    DuplicateItem,
    /// Something follows `sign`, and would not be covered by it.
    #[error("an item follows the signature")]
    SignNotLast,
    /// A number holds something else than digits, nothing at all, or is too large for its item.
    #[error("an item is not a number in its range")]
    BadNumber,
    /// `vassal` is too long or no plain text.
    #[error("vassal is not a plain name of at most 255 bytes")]
    BadVassal,
    /// No `key`, or an empty one.
    #[error("key is missing")]
    MissingKey,
    /// `key` is too long or holds bytes that no Host has.
    #[error("key is not a host name")]
    BadKey,
    /// No `vassal`, and the operator wants one.
    #[error("vassal is missing")]
    MissingVassal,
    /// No `address`, or an empty one, and no `vassal` either.
    #[error("address is missing")]
    MissingAddress,
    /// `address` is not one of the forms of the subscription spec, 1.3.
    #[error("address is malformed")]
    BadAddress,
    /// The upstream policy does not let the router connect there.
    #[error("address is not allowed as an upstream")]
    AddressRefused,
    /// The `modifier1` asks the upstream to evaluate code or to manage itself.
    #[error("modifier is not one of requests")]
    ModifierRefused,
    /// The key and address belong to a node of the configuration.
    #[error("node is configured and not open to subscriptions")]
    StaticNode,
    /// An unsubscribe for a node that is not there.
    #[error("there is no such node")]
    UnknownNode,
    /// The node would be new, and the shell says that there is no memory for more.
    #[error("memory is short, and the node is new")]
    ShortOfMemory,
    /// `Limits::keys_max` is reached.
    #[error("too many keys")]
    TooManyKeys,
    /// `Limits::nodes_per_key_max` is reached.
    #[error("too many nodes of one key")]
    TooManyNodesOfKey,
    /// `Limits::nodes_max` is reached.
    #[error("too many nodes")]
    TooManyNodes,
    /// No entry named after the key belongs to the sender's user and group.
    #[error("sender does not own the entry of this key")]
    NotOwner,
    /// Signatures are required and there is none. uWSGI sends this when its key file is missing.
    #[error("datagram is not signed")]
    Unsigned,
    /// Signed without `unix`.
    #[error("datagram has no stamp")]
    MissingStamp,
    /// Older than the freshness window.
    #[error("stamp is too old")]
    Stale,
    /// Further ahead of this clock than the freshness window.
    #[error("stamp is in the future")]
    Future,
    /// The stamp was used before, or is older than one that was.
    #[error("stamp was used before")]
    Replayed,
    /// There is no key file of that name.
    #[error("no key file for this key")]
    NoKeyFile,
    /// The key file holds no public key that can verify.
    #[error("key file holds no usable public key")]
    UnusableKeyFile,
    /// The signature does not fit: forged, made with another key, or with another digest.
    #[error("signature does not verify")]
    BadSignature,
}

impl Reject {
    /// Every reason, in the order the checks are made; the position is `reject as usize`.
    pub const ALL: [Self; 32] = [
        Self::Oversize,
        Self::MissingCredentials,
        Self::BadPacket,
        Self::NotSubscription,
        Self::UnknownCommand,
        Self::BadDictionary,
        Self::DuplicateItem,
        Self::SignNotLast,
        Self::BadNumber,
        Self::BadVassal,
        Self::MissingKey,
        Self::BadKey,
        Self::MissingVassal,
        Self::MissingAddress,
        Self::BadAddress,
        Self::AddressRefused,
        Self::ModifierRefused,
        Self::StaticNode,
        Self::UnknownNode,
        Self::ShortOfMemory,
        Self::TooManyKeys,
        Self::TooManyNodesOfKey,
        Self::TooManyNodes,
        Self::NotOwner,
        Self::Unsigned,
        Self::MissingStamp,
        Self::Stale,
        Self::Future,
        Self::Replayed,
        Self::NoKeyFile,
        Self::UnusableKeyFile,
        Self::BadSignature,
    ];

    /// The value of `reason` in `suzerain_subscription_rejects_total`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::MissingCredentials => "missing_credentials",
            Self::BadPacket => "bad_packet",
            Self::NotSubscription => "not_subscription",
            Self::UnknownCommand => "unknown_command",
            Self::BadDictionary => "bad_dictionary",
            Self::DuplicateItem => "duplicate_item",
            Self::SignNotLast => "sign_not_last",
            Self::BadNumber => "bad_number",
            Self::BadVassal => "bad_vassal",
            Self::MissingKey => "missing_key",
            Self::BadKey => "bad_key",
            Self::MissingVassal => "missing_vassal",
            Self::MissingAddress => "missing_address",
            Self::BadAddress => "bad_address",
            Self::AddressRefused => "address_refused",
            Self::ModifierRefused => "modifier_refused",
            Self::StaticNode => "static_node",
            Self::UnknownNode => "unknown_node",
            Self::ShortOfMemory => "short_of_memory",
            Self::TooManyKeys => "too_many_keys",
            Self::TooManyNodesOfKey => "too_many_nodes_of_key",
            Self::TooManyNodes => "too_many_nodes",
            Self::NotOwner => "not_owner",
            Self::Unsigned => "unsigned",
            Self::MissingStamp => "missing_stamp",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::Replayed => "replayed",
            Self::NoKeyFile => "no_key_file",
            Self::UnusableKeyFile => "unusable_key_file",
            Self::BadSignature => "bad_signature",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_own_position_with_its_own_label() {
        let mut labels = Vec::new();
        for (position, reject) in Reject::ALL.into_iter().enumerate() {
            assert_eq!(reject as usize, position);
            assert!(!labels.contains(&reject.label()), "{reject:?}");
            labels.push(reject.label());
        }
    }
}
