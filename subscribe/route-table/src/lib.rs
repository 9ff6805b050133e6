//! The routing table that the subscription registry publishes to the workers of a router.
//!
//! What a reader is promised:
//!
//! * A [`Table`] never changes. Whoever holds one sees the same keys, routes and nodes until it
//!   lets go; only the counters of a [`NodeLoad`] and the turn of a [`Route`] move underneath.
//! * [`TableReader::load`] costs one atomic load when nothing was published since the last call,
//!   and never waits for the writer.
//! * A publish copies only the parts of the table it changes, so one change among a million keys
//!   costs microseconds and old and new table share the rest.
//! * The writer frees old tables. A worker pays for it only if it sleeps through
//!   [`limits::TABLES_RETIRED_MAX`] publishes.
//!
//! The crate knows no sockets, files, clocks or keys to sign with: times come in as numbers.

#![forbid(unsafe_code)]

mod address;
mod announcer;
mod balance;
mod builder;
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod key;
mod key_load;
mod leaf;
pub mod limits;
mod load;
mod mount;
mod node;
mod rate;
mod route;
mod standing;
mod table;

pub use address::{Address, AddressError};
pub use announcer::{Announcer, Credentials};
pub use balance::{Algorithm, AlgorithmUnknown};
pub use handle::{TableHandle, TableReader, TableWriter};
pub use key::{CanonicalHost, HostBuf, KeyError, RouteKey, canonical_host};
pub use key_load::{KeyLoad, KeyLoadSnapshot};
pub use limits::KEY_BYTES_MAX;
pub use load::{NodeBusy, NodeLoad, NodeLoadSnapshot};
pub use mount::MountKeys;
pub use node::{Intake, Node, NodeCounters, NodeFacts, NodeId, NodeOrigin, Opening, Proto, Speech};
pub use rate::{Rate, TooEarly};
pub use route::{PickRules, Route, Tried};
pub use standing::{CheckFound, CheckRules, EjectRules};
pub use table::{Dotsplit, Generation, Routes, Table};
