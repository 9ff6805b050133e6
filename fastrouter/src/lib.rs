//! The router of the uwsgi protocol: web servers pass requests on in packets, and each goes to a node
//! of its key.
//!
//! Everything around a connection is that of `suzerain`, on whose library this is built: configuration,
//! subscriptions, the route table, policies, statistics, the end. What a packet
//! says is read by the crate `uwsgi-request`; here is where it goes (`errand`) and its way there and
//! back (`session`).

mod answer;
mod body;
pub mod cli;
mod conclude;
mod errand;
mod exchange;
pub mod front;
mod hold;
mod linger;
mod receive;
mod reply;
mod session;
mod spare;
