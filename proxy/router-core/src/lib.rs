//! Everything two routers share: workers, sockets, upstreams and control threads.
//!
//! Knows no HTTP and no uwsgi request. The threads of a router, and what each may do:
//!
//! | thread | may |
//! |---|---|
//! | worker, one per core | accept, read, write, connect; look at the route table |
//! | subscriber | receive datagrams, verify them, publish the route table |
//! | access-log writer | write what workers left in their buffers |
//! | headroom | compare what is used with the memory caps |
//! | admin | read statistics |
//! | ctl | ask the subscriber and main for changes |
//! | main | signals, start and end of all others |
//!
//! The runtime of the workers is named in [`runtime`] and [`io`] only.

pub mod access_log;
pub mod address;
pub mod admin;
pub mod buffer;
pub mod burst;
pub mod clients;
pub mod ctl;
pub mod deadline;
pub mod drain;
pub mod estate;
pub mod fairness;
pub mod handing;
pub mod headroom;
pub mod heads;
pub mod io;
pub mod listener;
mod local_http;
mod local_peer;
pub mod memory_usage;
pub mod metrics;
pub mod pulse;
pub mod runtime;
pub mod socket_file;
pub mod subscriber;
pub mod termination;
pub mod tunnel;
pub mod upstream;
pub mod wall_clock;
pub mod worker;
