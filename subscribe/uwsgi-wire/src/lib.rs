//! The uwsgi packet, header and dictionary, as a codec over borrowed bytes.
//!
//! It opens no socket, allocates nothing while decoding and keeps no state between packets. What a
//! pair or a modifier *means* belongs to the caller: a subscription and a request are the same
//! packet with different `modifier1`. Used by `subscribe`, both routers and the load tests.
//!
//! ```text
//! offset 0           1            3           4                 4+N
//!        +-----------+------------+-----------+------------------+
//!        | modifier1 | N  (LE 16) | modifier2 | dictionary, N B  |
//!        +-----------+------------+-----------+------------------+
//! pair:  key length (LE 16) | key | value length (LE 16) | value
//! ```
//!
//! Nothing but a pair may stand in a dictionary, a key has at least one byte, a value may be empty,
//! and `N` counts exactly the dictionary. A request body, if there is one, follows the packet.

#![forbid(unsafe_code)]

pub mod dict;
pub mod encode;
#[doc(hidden)]
pub mod fuzzing;
pub mod header;
pub mod modifier;

pub use dict::{DictError, Pair, Pairs};
pub use encode::{EncodeError, PacketSink, PacketWriter, SliceSink, WireKey};
pub use header::{HEADER_BYTES, Header, Packet, PacketError};
