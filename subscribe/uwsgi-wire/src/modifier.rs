//! Names of the modifiers this project sends, reads or refuses.
//!
//! Only those: the full list is uWSGI's, and a modifier without a reader here would be a name
//! without a meaning. Values are those of the uwsgi protocol's registry.

/// `modifier1` of a WSGI/Rack/PSGI request: the default of every upstream.
pub const REQUEST: u8 = 0;

/// `modifier1` of a subscription datagram.
pub const SUBSCRIPTION: u8 = 224;

/// `modifier2` of a subscription datagram: claim the key, or renew the claim.
pub const COMMAND_SUBSCRIBE: u8 = 0;

/// `modifier2` of a subscription datagram: give the key up at once.
pub const COMMAND_UNSUBSCRIBE: u8 = 1;
